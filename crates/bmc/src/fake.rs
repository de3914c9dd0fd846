//! A BMC in memory, for the `fake-hardware` type: it does at once what it is told.

use crate::{Bmc, BmcError, BmcFuture, BootDevice, BootOverride, DeviceId, PowerAction, PowerState};
use std::sync::{Mutex, PoisonError};

/// A pretended BMC: power and boot device are two variables.
#[derive(Debug)]
pub struct FakeBmc {
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    power: PowerState,
    boot: BootOverride,
    offs: u64,
}

impl FakeBmc {
    /// A machine with this power and without a boot override.
    pub fn new(power: PowerState) -> Self {
        let boot = BootOverride { device: BootDevice::None, persistent: false, mode: None };
        Self { state: Mutex::new(State { power, boot, offs: 0 }) }
    }

    /// How often the power was cut: a machine that is off for less than a blink was off all the same.
    pub fn offs(&self) -> u64 {
        self.with(|s| s.offs)
    }

    fn with<T>(&self, deed: impl FnOnce(&mut State) -> T) -> T {
        deed(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Bmc for FakeBmc {
    fn power_state(&self) -> BmcFuture<'_, PowerState> {
        Box::pin(async { Ok(self.with(|s| s.power)) })
    }

    fn set_power(&self, action: PowerAction) -> BmcFuture<'_, ()> {
        Box::pin(async move {
            self.with(|s| {
                if matches!(action, PowerAction::Off | PowerAction::SoftOff | PowerAction::Cycle) {
                    s.offs += 1;
                }
                s.power = match action {
                    PowerAction::Off | PowerAction::SoftOff => PowerState::Off,
                    PowerAction::On | PowerAction::Cycle => PowerState::On,
                    PowerAction::Reset | PowerAction::Nmi => s.power,
                };
                let boots = matches!(action, PowerAction::On | PowerAction::Cycle | PowerAction::Reset);
                if boots && !s.boot.persistent {
                    s.boot.device = BootDevice::None;
                }
            });
            Ok(())
        })
    }

    fn boot_override(&self) -> BmcFuture<'_, BootOverride> {
        Box::pin(async { Ok(self.with(|s| s.boot)) })
    }

    fn set_boot_override(&self, wanted: BootOverride) -> BmcFuture<'_, ()> {
        Box::pin(async move {
            self.with(|s| s.boot = wanted);
            Ok(())
        })
    }

    fn identity(&self) -> BmcFuture<'_, DeviceId> {
        Box::pin(async {
            Ok(DeviceId { manufacturer: 0, vendor: None, product: 0, firmware: "0.00".to_owned() })
        })
    }

    fn send_raw(&self, netfn: u8, command: u8, _data: Vec<u8>) -> BmcFuture<'_, Vec<u8>> {
        Box::pin(async move {
            Err(BmcError::Unsupported {
                address: "fake".to_owned(),
                doing: format!("raw command {netfn:#04x} {command:#04x}"),
                detail: "fake hardware has no IPMI".to_owned(),
            })
        })
    }
}
