//! Commands that only block devices have.
//!
//! Sources: Linux `include/uapi/linux/{fs,nvme_ioctl}.h`; NVM Express base specification 2.0, 5.14 (Format NVM), 5.17 (Identify).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

const BLKRRPART: u64 = 0x125f;
const BLKDISCARD: u64 = 0x1277;
const BLKSECDISCARD: u64 = 0x127d;
const NVME_IOCTL_ID: u64 = 0x4e40;
const NVME_IOCTL_ADMIN_CMD: u64 = 3 << 30 | (size_of::<AdminCommand>() as u64) << 16 | 0x4e41;

/// Formatting a large namespace with overwriting takes its time; the specification sets no limit.
const FORMAT_LIMIT_MS: u32 = 4 * 3600 * 1000;
const IDENTIFY_LIMIT_MS: u32 = 30_000;

fn block_device(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    if !file.metadata()?.file_type().is_block_device() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(file)
}

fn check(result: libc::c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        // NVMe: a positive result is the command's status.
        status if status > 0 => Err(io::Error::other(format!("NVMe status {status:#x}"))),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Tells the kernel that the partitions changed. What fails is without consequence here.
pub(crate) fn reread_partitions(path: &Path) {
    if let Ok(file) = block_device(path) {
        // SAFETY: the call takes no argument.
        unsafe { libc::ioctl(file.as_raw_fd(), BLKRRPART as _) };
    }
}

/// Discards all of a device: securely where it has that, plainly otherwise.
pub(super) fn discard(path: &Path, size: u64) -> io::Result<()> {
    let file = block_device(path)?;
    let range = [0u64, size];
    let call = |number: u64| {
        // SAFETY: both calls take two 64-bit numbers, start and length.
        check(unsafe { libc::ioctl(file.as_raw_fd(), number as _, range.as_ptr()) })
    };
    call(BLKSECDISCARD).or_else(|_| call(BLKDISCARD))
}

#[repr(C)]
#[derive(Default)]
struct AdminCommand {
    opcode: u8,
    flags: u8,
    reserved: u16,
    namespace: u32,
    words_2_3: [u32; 2],
    metadata: u64,
    address: u64,
    metadata_length: u32,
    data_length: u32,
    words_10_15: [u32; 6],
    timeout_ms: u32,
    result: u32,
}

/// Formats an NVMe namespace with cryptographic erase, or with user data erase where it has no former. `None`: it is no NVMe
/// namespace, or its controller does not format.
pub(super) fn format_nvme(path: &Path) -> Option<io::Result<&'static str>> {
    let is_nvme = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("nvme"));
    let file = is_nvme.then(|| block_device(path).ok()).flatten()?;
    // SAFETY: the call takes no argument and returns the namespace's number.
    let namespace = unsafe { libc::ioctl(file.as_raw_fd(), NVME_IOCTL_ID as _) };
    let namespace = u32::try_from(namespace).ok().filter(|namespace| *namespace > 0)?;
    let controller = identify(&file, 0, 1).ok()?;
    // OACS bit 1: Format NVM is there. FNA bit 2: with cryptographic erase.
    if controller[256] & 2 == 0 {
        return None;
    }
    let is_crypto = controller[524] & 4 != 0;
    let description = match identify(&file, namespace, 0) {
        Ok(description) => description,
        Err(error) => return Some(Err(error)),
    };
    // FLBAS: the format in use is kept.
    let format = u32::from(description[26] & 0x0f) | u32::from(description[26] >> 5 & 3) << 12;
    let (erase, way) =
        if is_crypto { (2, "NVMe format, cryptographic erase") } else { (1, "NVMe format, user data erase") };
    let mut command = AdminCommand {
        opcode: 0x80,
        namespace,
        words_10_15: [format | erase << 9, 0, 0, 0, 0, 0],
        timeout_ms: FORMAT_LIMIT_MS,
        ..AdminCommand::default()
    };
    Some(admin(&file, &mut command).map(|()| way))
}

fn identify(file: &File, namespace: u32, what: u32) -> io::Result<Box<[u8; 4096]>> {
    let mut data = Box::new([0u8; 4096]);
    let mut command = AdminCommand {
        opcode: 0x06,
        namespace,
        address: data.as_mut_ptr() as u64,
        data_length: 4096,
        words_10_15: [what, 0, 0, 0, 0, 0],
        timeout_ms: IDENTIFY_LIMIT_MS,
        ..AdminCommand::default()
    };
    admin(file, &mut command)?;
    Ok(data)
}

fn admin(file: &File, command: &mut AdminCommand) -> io::Result<()> {
    // SAFETY: the kernel's own structure; its address, where set, leads to a buffer of the given length that lives on.
    check(unsafe { libc::ioctl(file.as_raw_fd(), NVME_IOCTL_ADMIN_CMD as _, std::ptr::from_mut(command)) })
}
