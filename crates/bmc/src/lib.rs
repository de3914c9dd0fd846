//! One [`Bmc`] trait over IPMI, Redfish (to come) and fake hardware.
//!
//! A [`Bmc`] is one machine's management controller, whatever it speaks. Callers ask for deeds in the words of the bare-metal API and
//! get an answer or a [`BmcError`] within a limit; sessions, retries, pacing and vendors' oddities stay in here. Commands to one BMC are
//! carried out one at a time, and a slow or dead BMC holds no thread: ten thousand of them cost ten thousand timers.
//!
//! [`Registry`] hands out the one shared [`Bmc`] of each BMC, so that its session is used again and its pacing holds for all callers.

pub mod error;
pub mod fake;
pub mod ipmi;
mod registry;

pub use error::BmcError;
pub use registry::Registry;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// A boxed future, so that [`Bmc`] can be a trait object.
pub type BmcFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, BmcError>> + Send + 'a>>;

/// Is the machine powered?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PowerState {
    /// Powered on.
    On,
    /// Powered off.
    Off,
}

impl fmt::Display for PowerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "power on",
            Self::Off => "power off",
        })
    }
}

/// What to do about the power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PowerAction {
    /// Apply power; nothing happens to a machine that is on.
    On,
    /// Cut power at once.
    Off,
    /// Ask the operating system to shut down; whether and when it does is its own business.
    SoftOff,
    /// Reset without touching power.
    Reset,
    /// Off, then on. Some BMCs refuse it for a machine that is off.
    Cycle,
    /// Pulse the diagnostic interrupt (NMI).
    Nmi,
}

impl PowerAction {
    /// Doing it twice ends where doing it once does.
    pub fn is_repeatable(self) -> bool {
        matches!(self, Self::On | Self::Off | Self::SoftOff)
    }
}

impl fmt::Display for PowerAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "power on",
            Self::Off => "power off",
            Self::SoftOff => "soft power off",
            Self::Reset => "reset",
            Self::Cycle => "power cycle",
            Self::Nmi => "diagnostic interrupt",
        })
    }
}

/// What a machine boots from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BootDevice {
    /// No override: the firmware's own order.
    None,
    /// Network.
    Pxe,
    /// Default hard drive.
    Disk,
    /// Optical or virtual media.
    Cdrom,
    /// Firmware setup.
    Bios,
    /// Default hard drive, safe mode.
    Safe,
}

impl fmt::Display for BootDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Pxe => "pxe",
            Self::Disk => "disk",
            Self::Cdrom => "cdrom",
            Self::Bios => "bios",
            Self::Safe => "safe",
        })
    }
}

/// Which firmware interface a boot uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FirmwareMode {
    /// Legacy BIOS.
    Bios,
    /// UEFI.
    Uefi,
}

/// The BMC's say about the next boot, or about all boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BootOverride {
    /// What to boot from.
    pub device: BootDevice,
    /// For all boots, not only the next.
    pub persistent: bool,
    /// The firmware interface. `None` when setting: say nothing of UEFI, which IPMI cannot tell from legacy BIOS.
    pub mode: Option<FirmwareMode>,
}

/// What a BMC says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceId {
    /// IANA enterprise number of the manufacturer; 0 if it does not say.
    pub manufacturer: u32,
    /// The manufacturer's usual name in small letters, where the number is a known one.
    pub vendor: Option<&'static str>,
    /// Product number, the manufacturer's choice.
    pub product: u16,
    /// Firmware revision, such as `2.50`.
    pub firmware: String,
}

/// One machine's management controller.
///
/// Every call ends within the limit that the BMC was made with. Calls may be dropped at any time: the next one finds the session in
/// order, but a command that was on its way may still be carried out.
pub trait Bmc: Send + Sync {
    /// Asks whether the machine is powered.
    fn power_state(&self) -> BmcFuture<'_, PowerState>;
    /// Asks for a power action. `Ok` says that the BMC accepted it, not that the machine has got there.
    fn set_power(&self, action: PowerAction) -> BmcFuture<'_, ()>;
    /// Asks what the next boot will use.
    fn boot_override(&self) -> BmcFuture<'_, BootOverride>;
    /// Says what the next boot, or every boot, is to use.
    fn set_boot_override(&self, wanted: BootOverride) -> BmcFuture<'_, ()>;
    /// Asks the BMC what it is.
    fn identity(&self) -> BmcFuture<'_, DeviceId>;
    /// Sends a command of the caller's own: network function (even), command, data. Gives the response's data behind a completion
    /// code of 0.
    fn send_raw(&self, netfn: u8, command: u8, data: Vec<u8>) -> BmcFuture<'_, Vec<u8>>;
    /// Is a session kept between calls, which ends by itself unless it is used ([`Registry::session_use`] says how often)?
    fn keeps_session(&self) -> bool {
        false
    }
}
