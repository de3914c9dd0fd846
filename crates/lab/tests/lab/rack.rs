//! What a rack leaves behind: nothing.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const LIMIT: Duration = Duration::from_secs(30);

/// A `billet-lab rack` with a temporary directory of its own for everything that it makes.
struct Running {
    child: Child,
    temp: tempfile::TempDir,
    info: lab::rack::RackInfo,
    namespace: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        // After a failed assertion the rack still runs; killing its outer process takes all of it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start() -> Running {
    assert!(nix::unistd::geteuid().is_root(), "this test makes namespaces and taps: run it as root");
    let temp = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_billet-lab"))
        .args(["rack", "--nodes", "2", "--memory", "64", "--disk", "1"])
        .env("TMPDIR", temp.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.any(|line| line.unwrap().starts_with("Ctrl-C"));
    assert!(ready, "the rack did not come up: {:?}", child.wait());
    let dirs = entries(temp.path());
    assert_eq!(dirs.len(), 1, "one state directory: {dirs:?}");
    let info = lab::rack::RackInfo::read(dirs.first().unwrap()).unwrap();
    let namespace = std::fs::read_link(format!("/proc/{}/ns/net", info.pid)).unwrap();
    let rack = Running { child, temp, info, namespace };
    // Machines run: a BMC is asked, and QEMU is there.
    let on = exec(
        &rack,
        &["ipmitool", "-I", "lanplus", "-H", "10.77.1.11", "-U", "admin", "-P", "billet-lab", "power", "on"],
    );
    assert!(on.contains("Up/On"), "{on}");
    assert!(members(&rack.namespace).len() > 1, "QEMU runs in the rack's namespace");
    rack
}

fn exec(rack: &Running, command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_billet-lab"))
        .args(["exec", "--rack", &rack.info.pid.to_string(), "--"])
        .args(command)
        .output()
        .unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn entries(dir: &Path) -> BTreeSet<PathBuf> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Processes in a network namespace. When there are none, and no name or descriptor holds it, the kernel has freed it.
fn members(namespace: &Path) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    ids.filter(|id| std::fs::read_link(format!("/proc/{id}/ns/net")).is_ok_and(|link| link == namespace))
        .collect()
}

/// Waits until nothing is left: no process in the namespace, no file in the temporary directory.
fn assert_gone(rack: &mut Running) {
    let deadline = Instant::now() + LIMIT;
    rack.child.wait().unwrap();
    loop {
        let (members, files) = (members(&rack.namespace), entries(rack.temp.path()));
        if members.is_empty() && files.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "left behind: processes {members:?}, files {files:?}");
        std::thread::yield_now();
    }
}

#[test]
fn nothing_is_left_after_a_signal() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut rack = start();
        kill(Pid::from_raw(rack.child.id().cast_signed()), signal).unwrap();
        assert_gone(&mut rack);
        assert!(rack.child.wait().unwrap().success(), "a rack that is asked to stop ends well");
    }
}

#[test]
fn nothing_is_left_after_kill_9_of_the_outer_process() {
    let mut rack = start();
    rack.child.kill().unwrap();
    assert_gone(&mut rack);
}

#[test]
fn nothing_is_left_after_kill_9_of_the_inner_process() {
    let mut rack = start();
    kill(Pid::from_raw(rack.info.pid), Signal::SIGKILL).unwrap();
    assert_gone(&mut rack);
}

#[test]
fn two_racks_do_not_meet() {
    let (mut first, mut second) = (start(), start());
    let status = [
        "ipmitool",
        "-I",
        "lanplus",
        "-H",
        "10.77.1.11",
        "-U",
        "admin",
        "-P",
        "billet-lab",
        "power",
        "status",
    ];
    let off = [&status[..9], &["power", "off"]].concat();
    assert!(exec(&first, &off).contains("Down/Off"));
    let deadline = Instant::now() + LIMIT;
    while !exec(&first, &status).contains("is off") {
        assert!(Instant::now() < deadline, "the first rack's machine stays on");
    }
    assert!(exec(&second, &status).contains("is on"), "the second rack's machine is another");
    for rack in [&mut first, &mut second] {
        rack.child.kill().unwrap();
        assert_gone(rack);
    }
}

#[test]
fn a_named_state_directory_is_kept_and_guarded() {
    let temp = tempfile::tempdir().unwrap();
    let rack = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_billet-lab"));
        command.args(["rack", "--nodes", "1", "--state-dir"]).arg(temp.path().join("rack"));
        command
    };
    let mut first = rack().stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("Ctrl-C")));
    let second = rack().output().unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("in use by a running rack"), "{second:?}");
    kill(Pid::from_raw(first.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert!(first.wait().unwrap().success());
    assert!(temp.path().join("rack/node-1/disk0.raw").exists());
}
