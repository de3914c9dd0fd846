//! Typed commands: what each carries, both ways.
//!
//! A [`Command`] knows its numbers and both of its bodies. The completion code is not here: it belongs to the response's frame, and
//! a response body is read only when it is zero.

use super::message::{Privilege, netfn};
use super::{DecodeError, array, at_least, u32_at};

mod boot;
mod session;

pub use boot::{BootDevice, BootFlags, BootOption, GetBootOption, SetBootOption, boot_parameter};
pub(crate) use session::suite_records;
pub use session::{
    AuthCapabilities, CipherSuiteList, CloseSession, GetChannelAuthCapabilities, GetChannelCipherSuites,
    SetSessionPrivilege, offered_suites,
};

/// A request with the response that belongs to it.
pub trait Command: Sized {
    /// Network function (table 5-1).
    const NETFN: u8;
    /// Command number (appendix G).
    const NUMBER: u8;
    /// Name in the specification, for messages to people.
    const NAME: &'static str;
    /// Body of the response, behind the completion code.
    type Response;

    /// Writes the request's data.
    fn encode(&self) -> Vec<u8>;
    /// Reads the request's data.
    fn decode(data: &[u8]) -> Result<Self, DecodeError>;
    /// Writes the response's data.
    fn encode_response(response: &Self::Response) -> Vec<u8>;
    /// Reads the response's data.
    fn decode_response(data: &[u8]) -> Result<Self::Response, DecodeError>;
}

/// Get Device ID (20.1): what BMC is this?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetDeviceId;

/// The answer to [`GetDeviceId`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceId {
    /// Chosen by the vendor.
    pub device_id: u8,
    /// Low four bits of the revision byte.
    pub device_revision: u8,
    /// Does the BMC provide SDRs itself?
    pub provides_sdrs: bool,
    /// Major firmware revision, 0–127.
    pub firmware_major: u8,
    /// Minor firmware revision, BCD.
    pub firmware_minor: u8,
    /// The BMC says that it is in normal operation; false: firmware or SDR update, or starting.
    pub is_available: bool,
    /// IPMI version as (major, minor).
    pub ipmi_version: (u8, u8),
    /// Additional Device Support bits.
    pub support: u8,
    /// IANA enterprise number of the manufacturer (20 bits).
    pub manufacturer: u32,
    /// Chosen by the manufacturer.
    pub product: u16,
}

impl Command for GetDeviceId {
    const NETFN: u8 = netfn::APP;
    const NUMBER: u8 = 0x01;
    const NAME: &'static str = "Get Device ID";
    type Response = DeviceId;

    fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    fn decode(_data: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self)
    }

    fn encode_response(r: &DeviceId) -> Vec<u8> {
        let manufacturer = r.manufacturer.to_le_bytes();
        let product = r.product.to_le_bytes();
        vec![
            r.device_id,
            u8::from(r.provides_sdrs) << 7 | r.device_revision & 0x0f,
            u8::from(!r.is_available) << 7 | r.firmware_major & 0x7f,
            r.firmware_minor,
            r.ipmi_version.0 & 0x0f | r.ipmi_version.1 << 4,
            r.support,
            manufacturer[0],
            manufacturer[1],
            manufacturer[2],
            product[0],
            product[1],
        ]
    }

    fn decode_response(data: &[u8]) -> Result<DeviceId, DecodeError> {
        const WHAT: &str = "Get Device ID response";
        at_least(WHAT, data, 11)?;
        Ok(DeviceId {
            device_id: data[0],
            device_revision: data[1] & 0x0f,
            provides_sdrs: data[1] & 0x80 != 0,
            is_available: data[2] & 0x80 == 0,
            firmware_major: data[2] & 0x7f,
            firmware_minor: data[3],
            ipmi_version: (data[4] & 0x0f, data[4] >> 4),
            support: data[5],
            manufacturer: u32::from_le_bytes([data[6], data[7], data[8], 0]) & 0x000f_ffff,
            product: u16::from_le_bytes([data[9], data[10]]),
        })
    }
}

/// Get Chassis Status (28.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetChassisStatus;

/// The answer to [`GetChassisStatus`]; bits that nothing here reads are kept as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChassisStatus {
    /// System power is on.
    pub is_on: bool,
    /// Bits 6:1 of the first byte: restore policy, faults, overload.
    pub power_bits: u8,
    /// What the last power event was.
    pub last_event: u8,
    /// Miscellaneous state: identify, cooling, drives, lockout, intrusion.
    pub misc: u8,
}

impl Command for GetChassisStatus {
    const NETFN: u8 = netfn::CHASSIS;
    const NUMBER: u8 = 0x01;
    const NAME: &'static str = "Get Chassis Status";
    type Response = ChassisStatus;

    fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    fn decode(_data: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self)
    }

    fn encode_response(r: &ChassisStatus) -> Vec<u8> {
        vec![u8::from(r.is_on) | r.power_bits & 0x7e, r.last_event, r.misc]
    }

    fn decode_response(data: &[u8]) -> Result<ChassisStatus, DecodeError> {
        at_least("Get Chassis Status response", data, 3)?;
        Ok(ChassisStatus {
            is_on: data[0] & 1 != 0,
            power_bits: data[0] & 0x7e,
            last_event: data[1],
            misc: data[2],
        })
    }
}

/// Chassis Control (28.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChassisControl {
    /// Off at once.
    PowerDown,
    /// On.
    PowerUp,
    /// Off, then on.
    PowerCycle,
    /// Reset without touching power.
    HardReset,
    /// Diagnostic interrupt (NMI).
    DiagnosticInterrupt,
    /// Ask the operating system to shut down.
    SoftShutdown,
}

impl Command for ChassisControl {
    const NETFN: u8 = netfn::CHASSIS;
    const NUMBER: u8 = 0x02;
    const NAME: &'static str = "Chassis Control";
    type Response = ();

    fn encode(&self) -> Vec<u8> {
        vec![match self {
            Self::PowerDown => 0,
            Self::PowerUp => 1,
            Self::PowerCycle => 2,
            Self::HardReset => 3,
            Self::DiagnosticInterrupt => 4,
            Self::SoftShutdown => 5,
        }]
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "Chassis Control request";
        at_least(WHAT, data, 1)?;
        Ok(match data[0] & 0x0f {
            0 => Self::PowerDown,
            1 => Self::PowerUp,
            2 => Self::PowerCycle,
            3 => Self::HardReset,
            4 => Self::DiagnosticInterrupt,
            5 => Self::SoftShutdown,
            value => return Err(DecodeError::Unknown { what: WHAT, field: "control", value }),
        })
    }

    fn encode_response((): &()) -> Vec<u8> {
        Vec::new()
    }

    fn decode_response(_data: &[u8]) -> Result<(), DecodeError> {
        Ok(())
    }
}

/// Get System GUID (22.14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSystemGuid;

impl Command for GetSystemGuid {
    const NETFN: u8 = netfn::APP;
    const NUMBER: u8 = 0x37;
    const NAME: &'static str = "Get System GUID";
    type Response = [u8; 16];

    fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    fn decode(_data: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self)
    }

    fn encode_response(r: &[u8; 16]) -> Vec<u8> {
        r.to_vec()
    }

    fn decode_response(data: &[u8]) -> Result<[u8; 16], DecodeError> {
        array("Get System GUID response", data, 0)
    }
}
