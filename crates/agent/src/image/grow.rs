//! Growing the image's file system to its partition.
//!
//! By the kernel's own means, which need it mounted: a file system that a stranger made meets the ramdisk's kernel. What could be won
//! by that is a ramdisk that knows one token of its own node, on a machine that is the stranger's a minute later; it is mounted without
//! programs, devices and set-user bits, its own wish to panic on errors is overruled, and nothing on it is looked at. Only ext4 is grown;
//! what else an image may have, its own tools grow on its first boot.
//!
//! Source: Linux `fs/ext4/ext4.h` (`EXT4_IOC_RESIZE_FS`).

use crate::bell::pause;
use crate::init::Modules;
use disk::partition::Place;
use disk::{FileSystem, FileSystemKind};
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// `_IOW('f', 16, __u64)`.
const EXT4_IOC_RESIZE_FS: u64 = 0x4008_6610;
/// Less than that is not worth the mount.
const LEAST_GAIN: u64 = 8 << 20;
const MOUNT_POINT: &str = "/run/billet-root";
/// Partitions appear a moment after their table was read.
const APPEARS_WITHIN: Duration = Duration::from_secs(5);

/// Grows the file system in a partition of `disk`. Returns its new size in bytes; `None` where there is nothing to do: it fills the
/// partition, it is one that grows by itself, or a file stands for the disk.
pub(super) fn grow(disk: &Path, root: &Place, file_system: &FileSystem) -> io::Result<Option<u64>> {
    let is_worth_it = root.length.saturating_sub(file_system.size_bytes) >= LEAST_GAIN;
    let is_block = std::fs::metadata(disk)?.file_type().is_block_device();
    if file_system.kind != FileSystemKind::Ext || !is_worth_it || !is_block {
        return Ok(None);
    }
    let partition = partition_path(disk, root.number);
    wait_for(&partition)?;
    let modules = Modules::read(Path::new("/"));
    // ext4 asks the kernel for its checksum by name, which nobody would load here.
    for name in ["crc32c_generic", "ext4"] {
        modules.load_by_name(name);
    }
    std::fs::create_dir_all(MOUNT_POINT)?;
    let mounted = Mounted::new(&partition, "errors=remount-ro")?;
    let directory = File::open(MOUNT_POINT)?;
    // SAFETY: an open file; the structure is plain numbers that the call fills in.
    let block = unsafe {
        let mut stat = std::mem::zeroed::<libc::statfs>();
        check(libc::fstatfs(directory.as_raw_fd(), &mut stat))?;
        u64::try_from(stat.f_bsize).ok().filter(|size| *size > 0).ok_or(io::ErrorKind::InvalidData)?
    };
    let blocks = root.length / block;
    // SAFETY: an open file, and a number that outlives the call.
    check(unsafe { libc::ioctl(directory.as_raw_fd(), EXT4_IOC_RESIZE_FS as _, &blocks) })?;
    // SAFETY: an open file.
    check(unsafe { libc::syncfs(directory.as_raw_fd()) })?;
    drop(directory);
    mounted.end()?;
    Ok(Some(blocks * block))
}

/// `vda` has `vda1`, `nvme0n1` has `nvme0n1p1`.
fn partition_path(disk: &Path, number: u32) -> PathBuf {
    let name = disk.as_os_str().to_string_lossy();
    let separator = if name.ends_with(|c: char| c.is_ascii_digit()) { "p" } else { "" };
    PathBuf::from(format!("{name}{separator}{number}"))
}

fn wait_for(path: &Path) -> io::Result<()> {
    let end = Instant::now() + APPEARS_WITHIN;
    while !path.exists() {
        if Instant::now() > end {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("{} has not appeared", path.display()),
            ));
        }
        pause(Duration::from_millis(50));
    }
    Ok(())
}

struct Mounted(CString);

impl Mounted {
    fn new(partition: &Path, options: &str) -> io::Result<Self> {
        let (device, place) = (CString::new(partition.as_os_str().as_bytes())?, CString::new(MOUNT_POINT)?);
        let (kind, options) = (CString::new("ext4")?, CString::new(options)?);
        let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC | libc::MS_NOATIME;
        // SAFETY: C strings that outlive the call.
        let result = unsafe {
            libc::mount(device.as_ptr(), place.as_ptr(), kind.as_ptr(), flags, options.as_ptr().cast())
        };
        check(result)?;
        Ok(Self(place))
    }

    fn end(self) -> io::Result<()> {
        // SAFETY: a C string that outlives the call.
        check(unsafe { libc::umount2(self.0.as_ptr(), 0) })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Where it was ended there is nothing mounted any more; a lazy end is for errors on the way.
        // SAFETY: a C string that outlives the call.
        unsafe { libc::umount2(self.0.as_ptr(), libc::MNT_DETACH) };
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_named_as_the_kernel_names_them() {
        for (disk, partition) in [
            ("/dev/vda", "/dev/vda3"),
            ("/dev/nvme0n1", "/dev/nvme0n1p3"),
            ("/dev/mmcblk0", "/dev/mmcblk0p3"),
        ] {
            assert_eq!(partition_path(Path::new(disk), 3), Path::new(partition));
        }
    }
}
