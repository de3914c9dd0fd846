//! The commands, one at a time, in a session that is kept and used again.

use super::dialog::Call;
use super::login::{Link, login};
use super::{Limits, Settings, quirk};
use crate::{
    Bmc, BmcError, BmcFuture, BootDevice, BootOverride, DeviceId, FirmwareMode, PowerAction, PowerState,
};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout_at};
use wire::ipmi::command::{
    BootDevice as Selector, BootFlags, ChassisControl, Command, GetBootOption, GetChassisStatus, GetDeviceId,
    SetBootOption, boot_parameter,
};
use wire::ipmi::message::netfn;
use wire::ipmi::{CipherSuite, CompletionCode};

/// A BMC reached by IPMI over LAN.
///
/// The session opens with the first command and stays open for [`Limits::keep`] after the last one. When the BMC has dropped it
/// (restart, inactivity), the next command finds out by silence and logs in again, within its own limit.
pub struct IpmiBmc {
    settings: Settings,
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    link: Option<Link>,
    /// The suite that worked last time.
    suite: Option<CipherSuite>,
    /// What the BMC said it is: asked once.
    identity: Option<DeviceId>,
    /// No command before this.
    next_at: Option<Instant>,
    last_used: Option<Instant>,
}

/// May a command be sent again after the session it was sent in went silent?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Yes,
    No,
}

impl IpmiBmc {
    /// Sends nothing yet.
    pub fn new(settings: Settings, limits: Limits) -> Self {
        Self { settings, limits, state: Mutex::default() }
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Closes the session if it was not used for [`Limits::keep`]. True if nothing is open and nothing was asked for so long.
    pub fn close_idle(&self) -> bool {
        let Ok(mut state) = self.state.try_lock() else { return false };
        let is_idle = state.last_used.is_none_or(|at| at.elapsed() >= self.limits.keep);
        if is_idle {
            state.link = None;
        }
        is_idle
    }

    /// Waits for this caller's turn.
    async fn turn(&self, doing: &str) -> Result<Turn<'_>, BmcError> {
        let call = Call::new(&self.settings, &self.limits, doing);
        match timeout_at(call.deadline(), self.state.lock()).await {
            Ok(mut state) => {
                state.last_used = Some(Instant::now());
                Ok(Turn { state, call })
            }
            Err(_) => Err(call.crowded()),
        }
    }
}

/// One caller's turn at the BMC: its session, and one deadline for all that the call needs.
struct Turn<'a> {
    state: MutexGuard<'a, State>,
    call: Call<'a>,
}

impl Turn<'_> {
    async fn run<C: Command>(&mut self, command: &C, repeat: Repeat) -> Result<C::Response, BmcError> {
        self.call.doing = C::NAME.to_owned();
        let data = self.run_raw(C::NETFN, C::NUMBER, command.encode(), repeat).await?;
        C::decode_response(&data).map_err(|e| BmcError::BadPacket {
            address: self.call.address(),
            doing: C::NAME.to_owned(),
            problem: e.to_string(),
            elapsed: std::time::Duration::ZERO,
        })
    }

    /// Logs in where needed, sends, and gives the data behind a completion code of 0.
    async fn run_raw(
        &mut self,
        netfn: u8,
        command: u8,
        data: Vec<u8>,
        repeat: Repeat,
    ) -> Result<Vec<u8>, BmcError> {
        let mut busy = 0;
        loop {
            let is_kept = self.keep_or_open(repeat).await?;
            if let Some(at) = self.state.next_at {
                self.call.pause(at).await;
            }
            let Some(link) = &mut self.state.link else { return Err(self.call.silence()) };
            let tries = is_kept.then_some(self.call.limits.tries_in_kept_session);
            let answer = link.ask(&mut self.call, tries, netfn, command, data.clone()).await?;
            self.state.next_at = Some(Instant::now() + self.call.limits.pause);
            let Some(response) = answer else {
                self.state.link = None;
                if self.call.is_over() || !is_kept {
                    return Err(self.call.silence());
                }
                if repeat == Repeat::No {
                    self.call.note("whether it was carried out is not known: look at the power state");
                    return Err(self.call.silence());
                }
                tracing::debug!(bmc = %self.call.address(), "the kept session went silent, logging in again");
                continue;
            };
            if response.completion == CompletionCode::OK {
                return Ok(response.data);
            }
            if response.completion.is_transient() && !self.call.is_over() {
                self.call.pause(Instant::now() + self.call.limits.wait(busy)).await;
                busy += 1;
                if !self.call.is_over() {
                    continue;
                }
            }
            return Err(self.refused(response.completion));
        }
    }

    /// Makes sure of a session: true if it was there already.
    async fn keep_or_open(&mut self, repeat: Repeat) -> Result<bool, BmcError> {
        let limits = self.call.limits;
        if self.state.link.as_ref().is_some_and(|link| link.last_answer.elapsed() >= limits.keep) {
            self.state.link = None;
        }
        if let Some(link) = &mut self.state.link {
            if repeat == Repeat::Yes || link.last_answer.elapsed() < limits.trust {
                return Ok(true);
            }
            // Ask something harmless first: this command must not be sent into a session that may be gone.
            let (netfn, number) = (GetDeviceId::NETFN, GetDeviceId::NUMBER);
            let tries = Some(limits.tries_in_kept_session);
            if link.ask(&mut self.call, tries, netfn, number, Vec::new()).await?.is_some() {
                return Ok(true);
            }
            self.state.link = None;
        }
        let state = &mut *self.state;
        // Boxed, since it is large and seldom.
        state.link = Some(Box::pin(login(&mut self.call, &mut state.suite)).await?);
        Ok(false)
    }

    fn refused(&self, completion: CompletionCode) -> BmcError {
        let address = self.call.address();
        let doing = self.call.doing.clone();
        match completion {
            CompletionCode::INSUFFICIENT_PRIVILEGE => BmcError::PrivilegeRefused {
                address,
                user: self.call.settings.username.clone(),
                doing,
                detail: format!(
                    "it answered with completion code {completion} in a session at level {}",
                    self.call.settings.privilege
                ),
            },
            CompletionCode::WRONG_STATE => BmcError::Refused {
                address,
                doing,
                completion,
                detail: "a machine that is off cannot be reset or cycled: look at the power state".to_owned(),
            },
            _ => BmcError::Refused { address, doing, completion, detail: String::new() },
        }
    }

    /// What the BMC is; asked once.
    async fn identity(&mut self) -> Result<DeviceId, BmcError> {
        if let Some(known) = &self.state.identity {
            return Ok(known.clone());
        }
        let id = self.run(&GetDeviceId, Repeat::Yes).await?;
        let identity = DeviceId {
            manufacturer: id.manufacturer,
            vendor: quirk::vendor(id.manufacturer),
            product: id.product,
            // The minor revision is BCD (20.1), hence the hexadecimal digits.
            firmware: format!("{}.{:02x}", id.firmware_major, id.firmware_minor),
        };
        self.state.identity = Some(identity.clone());
        Ok(identity)
    }

    async fn boot_override(&mut self) -> Result<BootOverride, BmcError> {
        let ask = GetBootOption { parameter: boot_parameter::FLAGS, set: 0, block: 0 };
        let option = self.run(&ask, Repeat::Yes).await?;
        let flags = BootFlags::decode(&option.data).map_err(|e| BmcError::BadPacket {
            address: self.call.address(),
            doing: GetBootOption::NAME.to_owned(),
            problem: e.to_string(),
            elapsed: std::time::Duration::ZERO,
        })?;
        let mode = if flags.is_efi { FirmwareMode::Uefi } else { FirmwareMode::Bios };
        // The valid bit is not looked at, as Ironic does not: some BMCs never set it (OpenIPMI's for one), and those that clear it after
        // a boot clear the selector as well.
        if flags.device == Selector::None {
            return Ok(BootOverride { device: BootDevice::None, persistent: false, mode: None });
        }
        let manufacturer = if quirk::is_vendor_selector(flags.device) {
            Some(self.identity().await?.manufacturer)
        } else {
            None
        };
        let device =
            quirk::device(manufacturer, flags.device, mode).ok_or_else(|| BmcError::Unsupported {
                address: self.call.address(),
                doing: "naming the boot device".to_owned(),
                detail: format!("its boot device selector is {:?}", flags.device),
            })?;
        Ok(BootOverride { device, persistent: flags.is_persistent, mode: Some(mode) })
    }

    async fn set_boot_override(&mut self, wanted: BootOverride) -> Result<(), BmcError> {
        let manufacturer = if quirk::depends_on_vendor(wanted.device, wanted.mode) {
            self.identity().await?.manufacturer
        } else {
            0
        };
        if self.call.settings.disable_boot_timeout {
            match self.run(&SetBootOption::no_timeout(), Repeat::Yes).await {
                Ok(()) => {}
                // Not every BMC has the parameter; its flags may then lapse after a minute, which is time enough for a prompt power-on.
                Err(BmcError::Refused { completion, .. }) => {
                    tracing::debug!(bmc = %self.call.address(), %completion, "boot flags keep their timeout");
                }
                Err(error) => return Err(error),
            }
        }
        let flags = BootFlags {
            is_valid: true,
            is_persistent: wanted.persistent,
            is_efi: wanted.mode == Some(FirmwareMode::Uefi),
            device: quirk::selector(manufacturer, wanted.device, wanted.mode),
            rest: [0; 4],
        };
        self.run(&SetBootOption::flags(&flags), Repeat::Yes).await
    }
}

impl Bmc for IpmiBmc {
    fn power_state(&self) -> BmcFuture<'_, PowerState> {
        Box::pin(async {
            let status = self.turn(GetChassisStatus::NAME).await?.run(&GetChassisStatus, Repeat::Yes).await?;
            Ok(if status.is_on { PowerState::On } else { PowerState::Off })
        })
    }

    fn set_power(&self, action: PowerAction) -> BmcFuture<'_, ()> {
        Box::pin(async move {
            let control = match action {
                PowerAction::On => ChassisControl::PowerUp,
                PowerAction::Off => ChassisControl::PowerDown,
                PowerAction::SoftOff => ChassisControl::SoftShutdown,
                PowerAction::Reset => ChassisControl::HardReset,
                PowerAction::Cycle => ChassisControl::PowerCycle,
                PowerAction::Nmi => ChassisControl::DiagnosticInterrupt,
            };
            let repeat = if action.is_repeatable() { Repeat::Yes } else { Repeat::No };
            let mut turn = self.turn(ChassisControl::NAME).await?;
            turn.call.doing = format!("{} ({action})", ChassisControl::NAME);
            let (netfn, number) = (ChassisControl::NETFN, ChassisControl::NUMBER);
            turn.run_raw(netfn, number, control.encode(), repeat).await.map(drop)
        })
    }

    fn boot_override(&self) -> BmcFuture<'_, BootOverride> {
        Box::pin(async { self.turn(GetBootOption::NAME).await?.boot_override().await })
    }

    fn set_boot_override(&self, wanted: BootOverride) -> BmcFuture<'_, ()> {
        Box::pin(async move { self.turn(SetBootOption::NAME).await?.set_boot_override(wanted).await })
    }

    fn identity(&self) -> BmcFuture<'_, DeviceId> {
        Box::pin(async {
            let mut turn = self.turn(GetDeviceId::NAME).await?;
            // A caller who asks wants to know now: firmware may have been updated meanwhile.
            turn.state.identity = None;
            turn.identity().await
        })
    }

    fn send_raw(&self, netfn: u8, command: u8, data: Vec<u8>) -> BmcFuture<'_, Vec<u8>> {
        Box::pin(async move {
            let doing = format!("raw command {netfn:#04x} {command:#04x}");
            let mut turn = self.turn(&doing).await?;
            if netfn > 0x3f || netfn & 1 != 0 || data.len() > MOST_RAW_BYTES {
                return Err(BmcError::Unsupported {
                    address: turn.call.address(),
                    doing,
                    detail: format!(
                        "a network function is an even number below 0x40, and data are at most {MOST_RAW_BYTES} bytes"
                    ),
                });
            }
            let is_chassis_control = (netfn, command) == (netfn::CHASSIS, ChassisControl::NUMBER);
            let repeat = if is_chassis_control { Repeat::No } else { Repeat::Yes };
            turn.run_raw(netfn, command, data, repeat).await
        })
    }

    fn keeps_session(&self) -> bool {
        true
    }
}

/// Longest data of a raw command: one LAN message.
const MOST_RAW_BYTES: usize = 240;

impl std::fmt::Debug for IpmiBmc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IpmiBmc").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_waits_is_small() {
        let info = serde_json::json!({"ipmi_address": "192.0.2.1"});
        let bmc = IpmiBmc::new(Settings::parse(info.as_object().unwrap()).unwrap(), Limits::default());
        let asking = bmc.power_state();
        let mut call = Call::new(&bmc.settings, &bmc.limits, "");
        let mut suite = None;
        let logging_in = login(&mut call, &mut suite);
        let sizes = [size_of_val(&*asking), size_of_val(&logging_in), size_of::<IpmiBmc>()];
        assert!(sizes[0] < 1500 && sizes[1] < 1500 && sizes[2] < 1024, "{sizes:?}");
    }
}
