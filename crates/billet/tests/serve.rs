//! `billet serve` as its operator meets it: what it says, how soon it is ready, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "serve/first_start.rs"]
mod first_start;
#[path = "serve/observed.rs"]
mod observed;
#[path = "serve/tls.rs"]
mod tls;

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
        Self::start_with("none", config, state_dir)
    }

    /// The same with another way of telling callers apart.
    fn start_with(auth: &str, config: &Path, state_dir: &Path) -> Self {
        // Freed again at once; the server takes it before anybody else is likely to.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut process = billet()
            .args(["serve", "--auth", auth, "--listen", &address.to_string()])
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
        self.exchange(&format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"))
    }

    fn post(&self, path: &str, json: &str) -> String {
        let length = json.len();
        self.exchange(&format!(
            "POST {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\nX-OpenStack-Ironic-API-Version: latest\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{json}"
        ))
    }

    fn exchange(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
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

    /// Its end by SIGKILL, in a test that has failed too.
    fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Waits for its end; the code and what it said meanwhile.
    fn wait(&mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.log.read_to_string(&mut said).unwrap();
        (self.process.wait().unwrap().code(), said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
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
    let mut server = Server::start(&configuration(dir.path(), ""), &dir.path().join("state"));
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
    let mut server = Server::start(&config, &dir.path().join("state"));
    server.signal("KILL");
    assert_eq!(server.wait().0, None);
    let mut server = Server::start(&config, &dir.path().join("state"));
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

    let open = ["serve", "--config", config, "--auth", "none", "--listen", "0.0.0.0:0"];
    let said = refusal(&[&open[..], &["--state-dir", &path("state")]].concat());
    assert!(said.contains("--auth own"), "{said}");
    let said = refusal(&["serve", "--config", config, "--auth", "basic", "--listen", "127.0.0.1:0"]);
    assert!(said.contains("htpasswd"), "{said}");
}

#[test]
fn a_second_server_is_turned_away_from_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let config = configuration(dir.path(), "");
    let state = dir.path().join("state");
    let mut server = Server::start(&config, &state);
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

/// The state directory on a file system of 6 MiB, in a mount namespace of its own: nothing acknowledged is lost when it fills up, the
/// error says what to do, and doing it helps.
#[test]
fn a_full_disk_is_named_and_survived() {
    let dir = tempfile::tempdir().unwrap();
    let config = configuration(dir.path(), "");
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let script = "mount -t tmpfs -o size=6m none \"$1\" && mkdir \"$1/billet\" && head -c 400000 /dev/zero > \"$1/filler\" && \
                  exec \"$2\" serve --auth none --config \"$3\" --listen \"$4\" --state-dir \"$1/billet\"";
    let mut process = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(&state)
        .arg(env!("CARGO_BIN_EXE_billet"))
        .arg(&config)
        .arg(address.to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("\"ready\"") {
        assert_ne!(log.read_line(&mut said).unwrap(), 0, "it ended (this test needs root): {said}");
    }
    let server = Server { process, address, log };

    let extra = "x".repeat(50_000);
    let create = |server: &Server| {
        server.post("/v1/nodes", &format!("{{\"driver\": \"ipmi\", \"extra\": {{\"x\": \"{extra}\"}}}}"))
    };
    let mut created = 0;
    let refused = loop {
        let answer = create(&server);
        if !answer.starts_with("HTTP/1.1 201") {
            break answer;
        }
        created += 1;
        assert!(created < 200, "the disk does not fill up");
    };
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.contains("disk of the state directory is full"), "{refused}");
    let listed = |server: &Server| server.get("/v1/nodes").matches("\"uuid\":").count();
    assert_eq!(listed(&server), created);

    let inside = format!("/proc/{}/root{}/filler", server.process.id(), state.display());
    std::fs::remove_file(inside).unwrap();
    let answer = create(&server);
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(listed(&server), created + 1);
}
