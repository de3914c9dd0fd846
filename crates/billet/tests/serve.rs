//! `billet serve` as its operator meets it: what it says, how soon it is ready, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);

fn billet() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_billet"));
    command.env("BILLET_LOG", "info").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A configuration that leaves this host's network alone.
fn configuration(dir: &Path, more: &str) -> std::path::PathBuf {
    let path = dir.join("billet.toml");
    std::fs::write(&path, format!("{more}\n[netboot]\nenabled = false\n")).unwrap();
    path
}

struct Server {
    process: Child,
    address: SocketAddr,
    log: BufReader<std::process::ChildStderr>,
}

impl Server {
    /// Starts on a free port and waits until it says that it is ready.
    fn start(config: &Path, state_dir: &Path) -> Self {
        // Freed again at once; the server takes it before anybody else is likely to.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut process = billet()
            .args(["serve", "--listen", &address.to_string()])
            .arg("--config")
            .arg(config)
            .arg("--state-dir")
            .arg(state_dir)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("\"ready\"") {
            assert_ne!(log.read_line(&mut said).unwrap(), 0, "it ended: {said}");
        }
        Self { process, address, log }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.process.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits for its end; the code and what it said meanwhile.
    fn wait(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.log.read_to_string(&mut said).unwrap();
        (self.process.wait().unwrap().code(), said)
    }
}

/// Runs to the end, which must be a refusal of one line; returns that line.
fn refusal(arguments: &[&str]) -> String {
    let began = Instant::now();
    let output = billet().args(arguments).output().unwrap();
    assert!(began.elapsed() < LIMIT);
    assert!(!output.status.success(), "{arguments:?} was accepted");
    let said = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<_> =
        said.lines().filter(|line| line.starts_with("billet: ") || line.starts_with("error: ")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    lines[0].to_owned()
}

#[test]
fn it_is_ready_answers_and_drains() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&configuration(dir.path(), ""), &dir.path().join("state"));
    assert!(server.get("/healthcheck").starts_with("HTTP/1.1 200"));
    assert!(server.get("/v1").contains("\"id\":\"v1\""));
    server.signal("TERM");
    let (code, said) = server.wait();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("draining") && said.contains("stopped"), "{said}");
}

#[test]
fn a_killed_server_starts_again_over_the_same_directory() {
    let dir = tempfile::tempdir().unwrap();
    let config = configuration(dir.path(), "");
    let server = Server::start(&config, &dir.path().join("state"));
    server.signal("KILL");
    assert_eq!(server.wait().0, None);
    let server = Server::start(&config, &dir.path().join("state"));
    assert!(server.get("/v1/nodes").contains("\"nodes\":[]"));
    server.signal("INT");
    assert_eq!(server.wait().0, Some(0));
}

#[test]
fn what_it_cannot_use_it_names_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let config = configuration(dir.path(), "");
    let config = config.to_str().unwrap();

    assert!(refusal(&["serve", "--colour", "red"]).contains("--colour"));
    assert!(refusal(&["serve", "--listen", "nowhere"]).contains("nowhere"));
    assert!(refusal(&["serve", "--config", &path("absent.toml")]).contains("absent.toml"));

    std::fs::write(path("bad.toml"), "[api]\nlisen = 1\n").unwrap();
    let said = billet().args(["serve", "--config", &path("bad.toml")]).output().unwrap();
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("bad.toml") && said.contains("lisen"), "{said}");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refusal(&["serve", "--config", config, "--listen", &address, "--state-dir", &path("state")]);
    assert!(said.contains(&address) && said.contains("in use"), "{said}");

    std::fs::create_dir(path("foreign")).unwrap();
    std::fs::write(path("foreign/thesis.tex"), "mine").unwrap();
    let said =
        refusal(&["serve", "--config", config, "--listen", "127.0.0.1:0", "--state-dir", &path("foreign")]);
    assert!(said.contains("foreign") && said.contains("--state-dir"), "{said}");

    std::fs::write(path("file"), "").unwrap();
    let said = refusal(&[
        "serve",
        "--config",
        config,
        "--listen",
        "127.0.0.1:0",
        "--state-dir",
        &path("file/state"),
    ]);
    assert!(said.contains("file/state"), "{said}");

    let said =
        refusal(&["serve", "--config", config, "--listen", "0.0.0.0:0", "--state-dir", &path("state")]);
    assert!(said.contains("--auth basic"), "{said}");
    let said = refusal(&["serve", "--config", config, "--auth", "basic", "--listen", "127.0.0.1:0"]);
    assert!(said.contains("htpasswd"), "{said}");
}

#[test]
fn a_second_server_is_turned_away_from_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let config = configuration(dir.path(), "");
    let state = dir.path().join("state");
    let server = Server::start(&config, &state);
    let said = refusal(&[
        "serve",
        "--config",
        config.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
        "--state-dir",
        state.to_str().unwrap(),
    ]);
    assert!(said.contains("in use by another billet process"), "{said}");
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
}
