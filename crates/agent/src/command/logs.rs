//! `log.collect_system_logs`: a gzipped tar, base64, of what helps to find out what happened.

use crate::bell::lock;
use crate::fault::Fault;
use crate::run::Agent;
use base64::Engine;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

const LONGEST_LOG: usize = 2 << 20;

/// Agent's own lines, kernel's messages, inventory and command results, without the token.
pub(super) fn collect(agent: &Agent) -> Result<Value, Fault> {
    let boot_mac = agent.options.boot_mac.as_deref();
    let inventory =
        serde_json::to_string_pretty(&agent.machine.inventory(boot_mac, false)).unwrap_or_default();
    let commands = serde_json::to_string_pretty(&agent.commands.list()).unwrap_or_default();
    let uuids = lock(&agent.partitions).clone();
    let files = [
        ("agent.log", crate::console::kept()),
        ("dmesg", kernel_messages()),
        ("inventory.json", inventory),
        ("commands.json", commands),
        ("status", std::fs::read_to_string("/proc/self/status").unwrap_or_default()),
        ("partitions.json", serde_json::to_string_pretty(&uuids).unwrap_or_default()),
    ];
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = write_tar(&mut gzip, &files.map(|(name, text)| (name, agent.without_token(&text))))
        .and_then(|()| gzip.finish())
        .map_err(|error| Fault::execution(format!("packing the logs: {error}")))?;
    Ok(json!({"system_logs": base64::engine::general_purpose::STANDARD.encode(packed)}))
}

/// Regular files in POSIX ustar format.
fn write_tar(out: &mut dyn Write, files: &[(&str, String)]) -> io::Result<()> {
    for (name, text) in files {
        let mut header = [0u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(b"0000644\0");
        header[108..124].copy_from_slice(b"0000000\x000000000\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", text.len()).as_bytes());
        header[136..148].copy_from_slice(b"00000000000\0");
        header[148..156].fill(b' ');
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.write_all(&header)?;
        out.write_all(text.as_bytes())?;
        out.write_all(&vec![0; text.len().next_multiple_of(512) - text.len()])?;
    }
    out.write_all(&[0; 1024])
}

/// The kernel's ring, one message a read (kmsg(4)).
fn kernel_messages() -> String {
    let Ok(mut device) = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg")
    else {
        return String::new();
    };
    let (mut text, mut record) = (String::new(), [0u8; 8192]);
    while text.len() < LONGEST_LOG {
        match device.read(&mut record) {
            Ok(count) if count > 0 => text.push_str(&String::from_utf8_lossy(&record[..count])),
            // Overwritten while it was read: go on with the next.
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            _ => break,
        }
    }
    text
}
