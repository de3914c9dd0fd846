//! System boot options (28.12, 28.13, table 28-14).

use super::{Command, DecodeError, at_least, netfn};

/// Numbers of boot option parameters (table 28-14).
pub mod boot_parameter {
    /// Set in progress: 0 complete, 1 in progress, 2 commit.
    pub const SET_IN_PROGRESS: u8 = 0;
    /// Which events do not clear the valid bit of the boot flags.
    pub const VALID_BIT_CLEARING: u8 = 3;
    /// Boot info acknowledge.
    pub const INFO_ACKNOWLEDGE: u8 = 4;
    /// Boot flags.
    pub const FLAGS: u8 = 5;
}

/// Bit of [`boot_parameter::VALID_BIT_CLEARING`] that keeps the flags when no boot follows within 60 seconds.
pub const KEEP_AFTER_TIMEOUT: u8 = 0x08;

/// Boot device selector: bits 5:2 of the second boot flags byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BootDevice {
    /// No override.
    None,
    /// Network.
    Pxe,
    /// Default hard drive.
    Disk,
    /// Default hard drive, safe mode.
    SafeMode,
    /// Diagnostic partition.
    Diagnostic,
    /// CD or DVD.
    Cdrom,
    /// Firmware setup.
    Setup,
    /// Any other selector, 0–15, as it stands: remote media, and what vendors put there.
    Other(u8),
}

impl BootDevice {
    /// The selector, 0–15.
    pub fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Pxe => 1,
            Self::Disk => 2,
            Self::SafeMode => 3,
            Self::Diagnostic => 4,
            Self::Cdrom => 5,
            Self::Setup => 6,
            Self::Other(n) => n & 0x0f,
        }
    }

    /// Reads the selector.
    pub fn from_number(number: u8) -> Self {
        match number & 0x0f {
            0 => Self::None,
            1 => Self::Pxe,
            2 => Self::Disk,
            3 => Self::SafeMode,
            4 => Self::Diagnostic,
            5 => Self::Cdrom,
            6 => Self::Setup,
            n => Self::Other(n),
        }
    }
}

/// Boot flags (parameter 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootFlags {
    /// The flags count.
    pub is_valid: bool,
    /// They stay after the next boot.
    pub is_persistent: bool,
    /// UEFI, not legacy BIOS.
    pub is_efi: bool,
    /// What to boot.
    pub device: BootDevice,
    /// The rest of byte 2 (CMOS clear, keyboard lock, screen blank, reset lock: mask C3h) and bytes 3 to 5, kept as they are.
    pub rest: [u8; 4],
}

impl BootFlags {
    /// Flags that override nothing.
    pub const NONE: Self =
        Self { is_valid: false, is_persistent: false, is_efi: false, device: BootDevice::None, rest: [0; 4] };

    /// Writes the five bytes.
    pub fn encode(&self) -> [u8; 5] {
        [
            u8::from(self.is_valid) << 7 | u8::from(self.is_persistent) << 6 | u8::from(self.is_efi) << 5,
            self.device.number() << 2 | self.rest[0] & 0xc3,
            self.rest[1],
            self.rest[2],
            self.rest[3],
        ]
    }

    /// Reads the bytes; those that some BMCs leave off at the end are taken as 0.
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        at_least("boot flags", data, 2)?;
        let byte = |at: usize| data.get(at).copied().unwrap_or(0);
        Ok(Self {
            is_valid: data[0] & 0x80 != 0,
            is_persistent: data[0] & 0x40 != 0,
            is_efi: data[0] & 0x20 != 0,
            device: BootDevice::from_number(data[1] >> 2),
            rest: [data[1] & 0xc3, byte(2), byte(3), byte(4)],
        })
    }
}

/// Set System Boot Options (28.12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetBootOption {
    /// One of [`boot_parameter`], 0–127.
    pub parameter: u8,
    /// Marks the parameter invalid or locked.
    pub mark_invalid: bool,
    /// The parameter's data; empty only changes the mark.
    pub data: Vec<u8>,
}

impl SetBootOption {
    /// Sets the boot flags.
    pub fn flags(flags: &BootFlags) -> Self {
        Self { parameter: boot_parameter::FLAGS, mark_invalid: false, data: flags.encode().to_vec() }
    }

    /// Keeps boot flags valid for longer than the 60 seconds that the specification gives them: raw `0x00 0x08 0x03 0x08`.
    pub fn no_timeout() -> Self {
        Self {
            parameter: boot_parameter::VALID_BIT_CLEARING,
            mark_invalid: false,
            data: vec![KEEP_AFTER_TIMEOUT],
        }
    }
}

impl Command for SetBootOption {
    const NETFN: u8 = netfn::CHASSIS;
    const NUMBER: u8 = 0x08;
    const NAME: &'static str = "Set System Boot Options";
    type Response = ();

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![u8::from(self.mark_invalid) << 7 | self.parameter & 0x7f];
        out.extend(&self.data);
        out
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        at_least("Set System Boot Options request", data, 1)?;
        Ok(Self { parameter: data[0] & 0x7f, mark_invalid: data[0] & 0x80 != 0, data: data[1..].to_vec() })
    }

    fn encode_response((): &()) -> Vec<u8> {
        Vec::new()
    }

    fn decode_response(_data: &[u8]) -> Result<(), DecodeError> {
        Ok(())
    }
}

/// Get System Boot Options (28.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetBootOption {
    /// One of [`boot_parameter`], 0–127.
    pub parameter: u8,
    /// Set selector.
    pub set: u8,
    /// Block selector.
    pub block: u8,
}

/// The answer to [`GetBootOption`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootOption {
    /// Which parameter this is.
    pub parameter: u8,
    /// The parameter is marked invalid or locked.
    pub is_invalid: bool,
    /// Its data.
    pub data: Vec<u8>,
}

impl Command for GetBootOption {
    const NETFN: u8 = netfn::CHASSIS;
    const NUMBER: u8 = 0x09;
    const NAME: &'static str = "Get System Boot Options";
    type Response = BootOption;

    fn encode(&self) -> Vec<u8> {
        vec![self.parameter & 0x7f, self.set, self.block]
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        at_least("Get System Boot Options request", data, 3)?;
        Ok(Self { parameter: data[0] & 0x7f, set: data[1], block: data[2] })
    }

    fn encode_response(r: &BootOption) -> Vec<u8> {
        let mut out = vec![0x01, u8::from(r.is_invalid) << 7 | r.parameter & 0x7f];
        out.extend(&r.data);
        out
    }

    fn decode_response(data: &[u8]) -> Result<BootOption, DecodeError> {
        at_least("Get System Boot Options response", data, 2)?;
        Ok(BootOption {
            parameter: data[1] & 0x7f,
            is_invalid: data[1] & 0x80 != 0,
            data: data[2..].to_vec(),
        })
    }
}
