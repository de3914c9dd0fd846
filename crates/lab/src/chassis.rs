//! What a simulated BMC can do to its machine, whatever that machine is made of.

use std::future::Future;
use std::pin::Pin;

/// A boxed future, so that a chassis can be used as a trait object.
pub type ChassisFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an IPMI Chassis Control request asks for (IPMI 2.0, 28.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Cut the power at once.
    PowerDown,
    /// Apply power.
    PowerUp,
    /// Off, then on.
    PowerCycle,
    /// Reset without touching power.
    HardReset,
    /// Pulse the diagnostic interrupt (NMI).
    DiagnosticInterrupt,
    /// Ask the operating system to shut down by ACPI.
    SoftShutdown,
}

/// The device of the boot flags parameter (IPMI 2.0, table 28-14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

/// Boot flags as the BMC holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootFlags {
    /// Device to boot from.
    pub device: BootDevice,
    /// Stays after the next boot; otherwise it is used once.
    pub persistent: bool,
    /// The override asks for UEFI, not legacy BIOS.
    pub uefi: bool,
}

/// The machine behind a simulated BMC.
///
/// The simulator owns the protocol (sessions, users, boot-flag storage); the chassis owns the deeds. Errors are texts for the log:
/// on the wire they become completion code `0xFF` (unspecified error).
pub trait Chassis: Send + Sync + 'static {
    /// Is the machine powered on?
    fn is_on(&self) -> ChassisFuture<'_, Result<bool, String>>;
    /// Carries out a control request. `flags` is what the next boot is to use: the chassis applies it when it powers up or resets.
    /// Returns once the deed is done or, for `SoftShutdown`, asked for.
    fn control(&self, control: Control, flags: BootFlags) -> ChassisFuture<'_, Result<(), String>>;
    /// The boot flags changed while the machine may be running; applied at its next boot.
    fn boot_flags_changed(&self, flags: BootFlags) -> ChassisFuture<'_, Result<(), String>>;
    /// Subscribes to "the machine has begun a boot and used up one-shot boot flags": the simulator clears non-persistent flags then.
    fn boots(&self) -> tokio::sync::watch::Receiver<u64>;
}
