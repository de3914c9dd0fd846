//! The commands of an open session.

use super::{Shared, lock};
use crate::chassis::Control;
use std::time::Instant;
use wire::ipmi::command::{
    ChassisControl, ChassisStatus, Command, DeviceId, GetBootOption, GetChassisStatus, GetDeviceId,
    SetBootOption,
};
use wire::ipmi::managed::Pending;
use wire::ipmi::message::{Privilege, netfn};
use wire::ipmi::{CompletionCode, DecodeError, Request};

type Answer = (CompletionCode, Vec<u8>);

const GET_CHASSIS_CAPABILITIES: u8 = 0x00;
const CHASSIS_IDENTIFY: u8 = 0x04;
const COLD_RESET: u8 = 0x02;
const WARM_RESET: u8 = 0x03;
const GET_SELF_TEST_RESULTS: u8 = 0x04;
const GET_SDR_REPOSITORY_INFO: u8 = 0x20;
const GET_SEL_INFO: u8 = 0x40;

/// Does this request restart the BMC?
pub(super) fn is_reset(request: &Request) -> bool {
    request.netfn == netfn::APP && matches!(request.command, COLD_RESET | WARM_RESET)
}

/// Lowest privilege for a command (appendix G).
fn needed(request: &Request) -> Privilege {
    match (request.netfn, request.command) {
        (netfn::CHASSIS, ChassisControl::NUMBER | CHASSIS_IDENTIFY)
        | (netfn::CHASSIS, SetBootOption::NUMBER | GetBootOption::NUMBER) => Privilege::Operator,
        (netfn::APP, COLD_RESET | WARM_RESET) => Privilege::Administrator,
        _ => Privilege::User,
    }
}

/// Carries a request out.
pub(super) async fn answer(bmc: &Shared, pending: &Pending) -> Answer {
    let request = &pending.request;
    if pending.privilege < needed(request) {
        return (CompletionCode::INSUFFICIENT_PRIVILEGE, Vec::new());
    }
    let outcome = match (request.netfn, request.command) {
        (netfn::CHASSIS, GetChassisStatus::NUMBER) => status(bmc).await,
        (netfn::CHASSIS, ChassisControl::NUMBER) => control(bmc, request).await,
        (netfn::CHASSIS, SetBootOption::NUMBER) => set_boot_option(bmc, request).await,
        (netfn::CHASSIS, GetBootOption::NUMBER) => get_boot_option(bmc, request),
        // Flags, then four addresses: everything is the BMC itself.
        (netfn::CHASSIS, GET_CHASSIS_CAPABILITIES) => Ok(vec![0x00, 0x20, 0x20, 0x20, 0x20]),
        (netfn::CHASSIS, CHASSIS_IDENTIFY) => Ok(Vec::new()),
        (netfn::APP, GetDeviceId::NUMBER) => Ok(device_id(bmc)),
        (netfn::APP, GET_SELF_TEST_RESULTS) => Ok(vec![0x55, 0x00]),
        (netfn::APP, COLD_RESET | WARM_RESET) => Ok(Vec::new()),
        (netfn::STORAGE, GET_SDR_REPOSITORY_INFO) => Ok(EMPTY_SDR_REPOSITORY.to_vec()),
        (netfn::STORAGE, GET_SEL_INFO) => Ok(EMPTY_SEL.to_vec()),
        // PICMG and VITA probes of ipmitool end here as well.
        _ => Err(CompletionCode::INVALID_COMMAND),
    };
    match outcome {
        Ok(data) => (CompletionCode::OK, data),
        Err(completion) => (completion, Vec::new()),
    }
}

/// Version 51h, no records, no free space told, never changed (33.9).
const EMPTY_SDR_REPOSITORY: [u8; 14] = [0x51, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// Version 51h, no entries (31.2).
const EMPTY_SEL: [u8; 14] = [0x51, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn bad_request(error: DecodeError) -> CompletionCode {
    match error {
        DecodeError::Short { .. } => CompletionCode::LENGTH_INVALID,
        DecodeError::Malformed { .. } | DecodeError::Unknown { .. } => CompletionCode::INVALID_FIELD,
    }
}

fn failed(what: &'static str) -> impl FnOnce(String) -> CompletionCode {
    move |error| {
        tracing::warn!(error, "{what} failed");
        CompletionCode::UNSPECIFIED
    }
}

async fn status(bmc: &Shared) -> Result<Vec<u8>, CompletionCode> {
    let is_on = bmc.chassis.is_on().await.map_err(failed("reading the power state"))?;
    let status = ChassisStatus { is_on, power_bits: 0, last_event: 0, misc: 0 };
    Ok(GetChassisStatus::encode_response(&status))
}

async fn control(bmc: &Shared, request: &Request) -> Result<Vec<u8>, CompletionCode> {
    let control = match ChassisControl::decode(&request.data).map_err(bad_request)? {
        ChassisControl::PowerDown => Control::PowerDown,
        ChassisControl::PowerUp => Control::PowerUp,
        ChassisControl::PowerCycle => Control::PowerCycle,
        ChassisControl::HardReset => Control::HardReset,
        ChassisControl::DiagnosticInterrupt => Control::DiagnosticInterrupt,
        ChassisControl::SoftShutdown => Control::SoftShutdown,
    };
    let is_on = bmc.chassis.is_on().await.map_err(failed("reading the power state"))?;
    let needs_power =
        matches!(control, Control::PowerCycle | Control::HardReset | Control::DiagnosticInterrupt);
    if needs_power && !is_on {
        return Err(CompletionCode::WRONG_STATE);
    }
    let flags = lock(&bmc.boot).current(Instant::now());
    bmc.chassis.control(control, flags).await.map_err(failed("chassis control"))?;
    Ok(Vec::new())
}

async fn set_boot_option(bmc: &Shared, request: &Request) -> Result<Vec<u8>, CompletionCode> {
    let set = SetBootOption::decode(&request.data).map_err(bad_request)?;
    let changed = lock(&bmc.boot).set(Instant::now(), &set)?;
    if let Some(flags) = changed {
        bmc.chassis.boot_flags_changed(flags).await.map_err(failed("changing the boot flags"))?;
    }
    Ok(Vec::new())
}

fn get_boot_option(bmc: &Shared, request: &Request) -> Result<Vec<u8>, CompletionCode> {
    let get = GetBootOption::decode(&request.data).map_err(bad_request)?;
    let option = lock(&bmc.boot).get(Instant::now(), get)?;
    Ok(GetBootOption::encode_response(&option))
}

fn device_id(bmc: &Shared) -> Vec<u8> {
    GetDeviceId::encode_response(&DeviceId {
        device_id: 0x20,
        device_revision: 1,
        provides_sdrs: false,
        firmware_major: 1,
        firmware_minor: 0x00,
        is_available: true,
        ipmi_version: (2, 0),
        // Chassis device, nothing else.
        support: 0x80,
        manufacturer: bmc.manufacturer,
        product: 1,
    })
}
