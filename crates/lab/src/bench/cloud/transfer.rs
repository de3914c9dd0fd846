//! An image's way in and out, beside `cp` on the same disk.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::bench::ROUNDS;
use crate::bench::connection::Connection;
use crate::bench::server::Server;
use crate::bench::table::{Bar, Table, median};
use crate::error::{Error, Result};
use crate::process;

/// Bytes of the image; none of them zero for long, so that nobody can save work.
const SIZE: u64 = 512 << 20;
/// Bytes moved at a time on this side, as many as `cp` does: they stay near the processor.
const CHUNK: usize = 128 << 10;
/// Longest wait for a piece of an answer.
const LIMIT: Duration = Duration::from_secs(120);

/// Uploads, downloads and copies the same file in turn; all of it durable at the end, as images are.
pub(super) fn measure(
    server: &Server,
    connection: &mut Connection,
    dir: &Path,
    table: &mut Table,
) -> Result<()> {
    let file = dir.join("image.raw");
    fill(&file)?;
    let (mut copies, mut uploads, mut downloads) = (vec![], vec![], vec![]);
    // The first rounds warm the page cache up: the file is read from there by all of them.
    for _ in 0..ROUNDS {
        let copy = dir.join("copy.raw");
        copies.push(rate(|| {
            process::output(Command::new("cp").arg("--reflink=never").arg(&file).arg(&copy))?;
            File::open(&copy).and_then(|copy| copy.sync_all()).map_err(Error::io("syncing", &copy))
        })?);
        std::fs::remove_file(&copy).map_err(Error::io("removing", &copy))?;
        let body = br#"{"name": "bench", "disk_format": "raw", "container_format": "bare"}"#;
        let made = connection.succeed("POST", "/image/v2/images", body)?.json()?;
        let path = format!("/image/v2/images/{}", made["id"].as_str().unwrap_or_default());
        let token = connection.token().to_owned();
        uploads.push(rate(|| send(server, &token, &format!("{path}/file"), &file))?);
        downloads.push(rate(|| receive(server, &token, &format!("{path}/file")))?);
        connection.succeed("DELETE", &path, b"")?;
    }
    std::fs::remove_file(&file).map_err(Error::io("removing", &file))?;
    let copy = median(&mut copies);
    table.push("cp of 512 MiB, synced", copy, "MB/s", Bar::None);
    let (upload, download) = (median(&mut uploads), median(&mut downloads));
    table.push("image upload", upload, "MB/s", Bar::None);
    table.push("  beside cp", upload / copy, "times", Bar::AtLeast(0.8));
    table.push("image download", download, "MB/s", Bar::None);
    table.push("  beside cp", download / copy, "times", Bar::AtLeast(0.8));
    table.push("memory, highest so far (VmHWM)", server.memory_mib("VmHWM")?, "MiB", Bar::Below(64.0));
    Ok(())
}

/// Megabytes a second.
fn rate(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let began = Instant::now();
    work()?;
    Ok(SIZE as f64 / 1e6 / began.elapsed().as_secs_f64())
}

fn fill(path: &Path) -> Result<()> {
    let failed = || Error::io("writing", path);
    let mut chunk = vec![0; CHUNK];
    getrandom::fill(&mut chunk).map_err(|error| Error::Invalid(format!("no random bytes: {error}")))?;
    let mut file = File::create(path).map_err(failed())?;
    for number in 0..SIZE / CHUNK as u64 {
        chunk[..8].copy_from_slice(&number.to_le_bytes());
        file.write_all(&chunk).map_err(failed())?;
    }
    file.sync_all().map_err(failed())
}

fn open(server: &Server) -> Result<TcpStream> {
    let failed = || Error::io("connecting to", server.address.to_string());
    let stream = TcpStream::connect(server.address).map_err(failed())?;
    stream.set_read_timeout(Some(LIMIT)).map_err(failed())?;
    Ok(stream)
}

fn send(server: &Server, token: &str, path: &str, file: &Path) -> Result<()> {
    let failed = || Error::io("uploading to", path);
    let mut stream = open(server)?;
    write!(
        stream,
        "PUT {path} HTTP/1.1\r\nhost: bench\r\n{token}content-type: application/octet-stream\r\nconnection: close\r\n\
         content-length: {SIZE}\r\n\r\n"
    )
    .map_err(failed())?;
    let mut file = File::open(file).map_err(failed())?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk).map_err(failed())? {
            0 => break,
            count => stream.write_all(&chunk[..count]).map_err(failed())?,
        }
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed())?;
    if answer.starts_with("HTTP/1.1 204") {
        return Ok(());
    }
    Err(Error::Invalid(format!("PUT {path}: {answer}")))
}

fn receive(server: &Server, token: &str, path: &str) -> Result<()> {
    let failed = || Error::io("downloading from", path);
    let mut stream = open(server)?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: bench\r\n{token}connection: close\r\n\r\n")
        .map_err(failed())?;
    let mut chunk = vec![0; CHUNK];
    let mut received = 0;
    let mut first = Vec::new();
    loop {
        match stream.read(&mut chunk).map_err(failed())? {
            0 => break,
            count => {
                if received == 0 {
                    first.extend_from_slice(&chunk[..count.min(200)]);
                }
                received += count as u64;
            }
        }
    }
    if first.starts_with(b"HTTP/1.1 200") && received > SIZE {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&first).into_owned();
    Err(Error::Invalid(format!("GET {path}: {received} bytes, which begin with {said}")))
}
