//! The machine's end.

use crate::say;

/// Writes everything out and switches the power off.
pub(super) fn off() {
    say!("power off");
    // SAFETY: neither call touches memory.
    unsafe {
        libc::sync();
        libc::reboot(libc::RB_POWER_OFF);
    }
}

/// Writes everything out and reboots.
pub(super) fn reboot() {
    say!("reboot");
    // SAFETY: neither call touches memory.
    unsafe {
        libc::sync();
        libc::reboot(libc::RB_AUTOBOOT);
    }
}
