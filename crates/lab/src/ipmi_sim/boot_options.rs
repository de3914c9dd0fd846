//! System boot options as a BMC keeps them (IPMI 2.0, 28.12, 28.13).

use crate::chassis;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use wire::ipmi::CompletionCode;
use wire::ipmi::command::{BootDevice, BootFlags, BootOption, GetBootOption, SetBootOption, boot_parameter};

/// Flags lapse so long after they were set, unless a boot comes first or parameter 3 says to keep them (table 28-14).
const FLAGS_LAPSE: Duration = Duration::from_secs(60);
/// Bit of parameter 3: keep the flags beyond [`FLAGS_LAPSE`].
const KEEP: u8 = 0x08;

pub(super) struct BootOptions {
    in_progress: u8,
    clearing: u8,
    acknowledge: [u8; 2],
    flags: BootFlags,
    set_at: Option<Instant>,
    boots: watch::Receiver<u64>,
}

impl BootOptions {
    pub fn new(boots: watch::Receiver<u64>) -> Self {
        Self { in_progress: 0, clearing: 0, acknowledge: [0; 2], flags: BootFlags::NONE, set_at: None, boots }
    }

    /// Forgets flags that a boot has used up or that time has.
    fn settle(&mut self, now: Instant) {
        let has_booted = self.boots.has_changed().unwrap_or(false);
        if has_booted {
            self.boots.borrow_and_update();
            if !self.flags.is_persistent {
                self.flags = BootFlags::NONE;
            }
            self.set_at = None;
        }
        let has_lapsed = self.set_at.is_some_and(|at| now.saturating_duration_since(at) >= FLAGS_LAPSE);
        if has_lapsed && self.clearing & KEEP == 0 {
            self.flags = BootFlags::NONE;
            self.set_at = None;
        }
    }

    /// Stores an option; the new flags if it changed them.
    pub fn set(
        &mut self,
        now: Instant,
        set: &SetBootOption,
    ) -> Result<Option<chassis::BootFlags>, CompletionCode> {
        self.settle(now);
        let byte = |at: usize| set.data.get(at).copied().ok_or(CompletionCode::LENGTH_INVALID);
        match set.parameter {
            boot_parameter::SET_IN_PROGRESS => self.in_progress = byte(0)? & 3,
            boot_parameter::VALID_BIT_CLEARING => self.clearing = byte(0)? & 0x1f,
            boot_parameter::INFO_ACKNOWLEDGE => {
                let mask = byte(0)?;
                self.acknowledge = [mask, self.acknowledge[1] & !mask | byte(1)? & mask];
            }
            boot_parameter::FLAGS => {
                if set.data.len() != 5 {
                    return Err(CompletionCode::LENGTH_INVALID);
                }
                self.flags = BootFlags::decode(&set.data).map_err(|_| CompletionCode::INVALID_FIELD)?;
                self.set_at = Some(now);
                return Ok(Some(self.for_chassis()));
            }
            _ => return Err(CompletionCode::PARAMETER_NOT_SUPPORTED),
        }
        Ok(None)
    }

    /// Tells an option.
    pub fn get(&mut self, now: Instant, get: GetBootOption) -> Result<BootOption, CompletionCode> {
        self.settle(now);
        let data = match get.parameter {
            boot_parameter::SET_IN_PROGRESS => vec![self.in_progress],
            boot_parameter::VALID_BIT_CLEARING => vec![self.clearing],
            boot_parameter::INFO_ACKNOWLEDGE => self.acknowledge.to_vec(),
            boot_parameter::FLAGS => self.flags.encode().to_vec(),
            _ => return Err(CompletionCode::PARAMETER_NOT_SUPPORTED),
        };
        Ok(BootOption { parameter: get.parameter, is_invalid: false, data })
    }

    /// What the next boot is to use.
    pub fn current(&mut self, now: Instant) -> chassis::BootFlags {
        self.settle(now);
        self.for_chassis()
    }

    fn for_chassis(&self) -> chassis::BootFlags {
        let device = match self.flags.device {
            _ if !self.flags.is_valid => chassis::BootDevice::None,
            BootDevice::Pxe => chassis::BootDevice::Pxe,
            BootDevice::Disk | BootDevice::SafeMode => chassis::BootDevice::Disk,
            BootDevice::Cdrom => chassis::BootDevice::Cdrom,
            BootDevice::Setup => chassis::BootDevice::Bios,
            BootDevice::None | BootDevice::Diagnostic | BootDevice::Other(_) => chassis::BootDevice::None,
        };
        let is_override = device != chassis::BootDevice::None;
        chassis::BootFlags {
            device,
            persistent: is_override && self.flags.is_persistent,
            uefi: is_override && self.flags.is_efi,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pxe(is_persistent: bool) -> SetBootOption {
        SetBootOption::flags(&BootFlags {
            is_valid: true,
            is_persistent,
            is_efi: true,
            device: BootDevice::Pxe,
            rest: [0; 4],
        })
    }

    #[test]
    fn one_boot_uses_one_shot_flags_up() {
        let (boots, receiver) = watch::channel(0);
        let mut options = BootOptions::new(receiver);
        let now = Instant::now();
        let set = options.set(now, &pxe(false)).unwrap().unwrap();
        assert_eq!(set.device, chassis::BootDevice::Pxe);
        assert_eq!(options.current(now), set);
        boots.send_replace(1);
        assert_eq!(options.current(now).device, chassis::BootDevice::None);
        options.set(now, &pxe(true)).unwrap();
        boots.send_replace(2);
        assert_eq!(options.current(now).device, chassis::BootDevice::Pxe);
    }

    #[test]
    fn flags_lapse_after_a_minute_unless_told_otherwise() {
        let (_boots, receiver) = watch::channel(0);
        let mut options = BootOptions::new(receiver);
        let now = Instant::now();
        let later = now + FLAGS_LAPSE;
        options.set(now, &pxe(false)).unwrap();
        assert_eq!(options.current(later).device, chassis::BootDevice::None);
        options.set(now, &SetBootOption::no_timeout()).unwrap();
        options.set(now, &pxe(false)).unwrap();
        assert_eq!(options.current(later).device, chassis::BootDevice::Pxe);
    }
}
