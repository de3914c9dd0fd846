//! File systems that the kernel provides.

use crate::say;
use std::ffi::CString;
use std::io;
use std::path::Path;

/// Mounts `/proc`, `/sys`, `/dev` and `/run`; what is there already is left.
pub(super) fn mount_all() {
    for (kind, place) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/run")] {
        report(kind, place, mount(kind, place));
    }
}

/// Mounts the UEFI variables, once the module for it is loaded.
pub(super) fn mount_efi_variables() {
    let place = "/sys/firmware/efi/efivars";
    if Path::new(place).is_dir() {
        report("efivarfs", place, mount("efivarfs", place));
    }
}

fn report(kind: &str, place: &str, result: io::Result<()>) {
    match result {
        Err(error) if error.raw_os_error() != Some(libc::EBUSY) => {
            say!("mounting {kind} on {place} failed: {error}")
        }
        _ => {}
    }
}

fn mount(kind: &str, place: &str) -> io::Result<()> {
    std::fs::create_dir_all(place)
        .or_else(|error| if Path::new(place).is_dir() { Ok(()) } else { Err(error) })?;
    let (kind, place) = (CString::new(kind)?, CString::new(place)?);
    let flags = libc::MS_NOSUID | libc::MS_NOEXEC;
    // SAFETY: C strings that outlive the call.
    let result =
        unsafe { libc::mount(kind.as_ptr(), place.as_ptr(), kind.as_ptr(), flags, std::ptr::null()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
