//! Erasing disks: their metadata, or all of what is on them.

mod device;

pub(crate) use device::reread_partitions;

use crate::fault::Fault;
use crate::machine::{BlockDevice, Machine};
use crate::say;
use disk::{Disk, Target};
use serde_json::{Map, Value};
use std::time::{Duration, Instant};

/// Zeroing goes in such slices, between which progress is told.
const SLICE: u64 = 1 << 30;
const PROGRESS: Duration = Duration::from_secs(20);

/// `erase_devices_metadata`: partition tables and signatures of every disk that can be written. All disks are tried before a
/// failure is told. Returns what was done, by disk.
pub fn erase_metadata(machine: &Machine) -> Result<Value, Fault> {
    each(machine, |device| {
        let disk = open(device)?;
        disk::erase_metadata(&disk)?;
        drop(disk);
        device::reread_partitions(&device.path);
        say!("{}: metadata erased", device.disk.name);
        Ok("metadata erased".to_owned())
    })
}

/// `erase_devices`: all data of every disk that can be written, by the fastest way the disk has: NVMe format, else discard
/// and zeros over everything. `internal_info` may forbid the first (`agent_enable_nvme_secure_erase`).
pub fn erase_all(machine: &Machine, internal_info: &Map<String, Value>) -> Result<Value, Fault> {
    let may_format =
        internal_info.get("agent_enable_nvme_secure_erase").and_then(Value::as_bool).unwrap_or(true);
    each(machine, |device| {
        let formatted = may_format.then(|| format(device)).flatten();
        match formatted {
            Some(way) => Ok(way.to_owned()),
            None => overwrite(device),
        }
    })
}

/// `erase_devices_express`: NVMe format where a disk has it, metadata alone elsewhere.
pub fn erase_express(machine: &Machine) -> Result<Value, Fault> {
    each(machine, |device| match format(device) {
        Some(way) => Ok(way.to_owned()),
        None => {
            disk::erase_metadata(&open(device)?)?;
            Ok("metadata erased".to_owned())
        }
    })
}

fn each(machine: &Machine, erase: impl Fn(&BlockDevice) -> Result<String, Fault>) -> Result<Value, Fault> {
    let (mut done, mut failed) = (Map::new(), Vec::new());
    for device in machine.disks() {
        let name = device.disk.name.clone();
        if device.is_read_only {
            say!("{name}: read-only, left alone");
            continue;
        }
        match erase(&device) {
            Ok(way) => {
                done.insert(name, Value::String(way));
            }
            Err(fault) => failed.push(format!("{name}: {fault}")),
        }
    }
    if failed.is_empty() {
        return Ok(Value::Object(done));
    }
    Err(Fault::erase(format!(
        "{} of {} disks could not be erased: {}",
        failed.len(),
        failed.len() + done.len(),
        failed.join("; ")
    )))
}

fn open(device: &BlockDevice) -> Result<Disk, Fault> {
    Disk::open(&device.path).map_err(|error| {
        Fault::erase(format!(
            "opening it for writing failed: {error}; is it part of an array or multipath device?"
        ))
    })
}

/// Formats an NVMe namespace with erasure, if it is one and can.
fn format(device: &BlockDevice) -> Option<&'static str> {
    match device::format_nvme(&device.path)? {
        Ok(way) => {
            say!("{}: {way}", device.disk.name);
            Some(way)
        }
        Err(error) => {
            say!("{}: NVMe format failed ({error}), overwriting instead", device.disk.name);
            None
        }
    }
}

fn overwrite(device: &BlockDevice) -> Result<String, Fault> {
    let name = &device.disk.name;
    let disk = open(device)?;
    let mut way = "overwritten with zeros";
    if device.can_discard {
        match device::discard(&device.path, disk.size()) {
            Ok(()) => way = "discarded and overwritten with zeros",
            Err(error) => say!("{name}: discard refused: {error}"),
        }
    }
    let (size, started) = (disk.size(), Instant::now());
    let (mut at, mut told) = (0, Instant::now());
    while at < size {
        let step = SLICE.min(size - at);
        disk.zero(at, step)
            .map_err(|error| Fault::erase(format!("writing zeros at byte {at} failed: {error}")))?;
        at += step;
        if told.elapsed() > PROGRESS {
            say!("{name}: {} % erased", at * 100 / size);
            told = Instant::now();
        }
    }
    disk.sync().map_err(|error| Fault::erase(format!("flushing it failed: {error}")))?;
    drop(disk);
    device::reread_partitions(&device.path);
    say!("{name}: {way} in {:.1} s", started.elapsed().as_secs_f64());
    Ok(way.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn machine(files: &[std::path::PathBuf]) -> Machine {
        Machine::new("/nonexistent".into(), Some(files.to_vec()))
    }

    #[test]
    fn metadata_goes_and_data_stays_and_the_write_protected_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        for path in [&a, &b] {
            fs::write(path, vec![7u8; 8 << 20]).unwrap();
        }
        let mut permissions = fs::metadata(&b).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&b, permissions).unwrap();
        let done = erase_metadata(&machine(&[a.clone(), b.clone()])).unwrap();
        assert_eq!(done.as_object().unwrap().len(), 1);
        let bytes = fs::read(&a).unwrap();
        assert!(
            bytes[..1 << 20].iter().all(|byte| *byte == 0) && bytes[7 << 20..].iter().all(|byte| *byte == 0)
        );
        assert_eq!(bytes[4 << 20], 7);
        assert_eq!(fs::read(&b).unwrap()[0], 7);
    }

    #[test]
    fn erasing_all_leaves_zeros() {
        let dir = tempfile::tempdir().unwrap();
        let a = dir.path().join("a");
        fs::write(&a, vec![7u8; 5 << 20]).unwrap();
        erase_all(&machine(std::slice::from_ref(&a)), &Map::new()).unwrap();
        let bytes = fs::read(&a).unwrap();
        assert!(bytes.len() == 5 << 20 && bytes.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_disk_that_fails_is_named_and_the_others_are_erased() {
        let dir = tempfile::tempdir().unwrap();
        let good = dir.path().join("good");
        fs::write(&good, vec![7u8; 4 << 20]).unwrap();
        // A directory can be listed but not opened for writing.
        let text = erase_metadata(&machine(&[dir.path().to_owned(), good.clone()])).unwrap_err().to_string();
        assert!(text.contains("1 of 2 disks") && text.contains(dir.path().to_str().unwrap()), "{text}");
        assert_eq!(fs::read(&good).unwrap()[0], 0);
    }
}
