//! Cold start and idle memory of `billet serve`: from the fork to the first answer of `GET /healthcheck`, over an empty directory and
//! over one that was used before; resident memory a second after. Prints medians; asserts nothing.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark waits by the clock")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 11;

fn main() {
    let mut fresh = Vec::new();
    let mut again = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..ROUNDS {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("billet.toml");
        std::fs::write(&config, "[netboot]\nenabled = false\n").unwrap();
        for times in [&mut fresh, &mut again] {
            let (mut process, took) = start(&config, &dir.path().join("state"));
            times.push(took);
            std::thread::sleep(Duration::from_secs(1));
            memory.push(resident_kib(process.id()));
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
    println!("cold start, empty directory: {:.1} ms (median of {ROUNDS})", milliseconds(&mut fresh));
    println!("cold start, used directory:  {:.1} ms (median of {ROUNDS})", milliseconds(&mut again));
    memory.sort_unstable();
    println!(
        "idle memory (VmRSS):         {:.1} MB (median of {})",
        memory[memory.len() / 2] as f64 / 1024.0,
        memory.len()
    );
}

fn start(config: &Path, state_dir: &Path) -> (Child, Duration) {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let began = Instant::now();
    let process = Command::new(env!("CARGO_BIN_EXE_billet"))
        .args(["serve", "--listen", &address.to_string()])
        .arg("--config")
        .arg(config)
        .arg("--state-dir")
        .arg(state_dir)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !answers(address) {
        assert!(began.elapsed() < Duration::from_secs(20), "no answer");
        std::thread::sleep(Duration::from_millis(1));
    }
    (process, began.elapsed())
}

fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let mut answer = String::new();
    stream.write_all(b"GET /healthcheck HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn milliseconds(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1000.0
}
