//! A machine of files, and a server that plays API and image server.

use agent::http::{Client, Request, Url, client_config};
use agent::machine::Machine;
use agent::{Agent, Ending, Options};
use model::Secret;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

pub const TOKEN: &str = "0123456789abcdefghijklmnopqrstuvwxyzTOKEN";
pub const NODE: &str = "1be26c0b-03f2-4d2e-ae87-c02d7f33c781";
const LIMIT: Duration = Duration::from_secs(30);

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub line: String,
    pub fields: HashMap<String, String>,
    pub body: Value,
}

/// What the server does.
#[derive(Default)]
pub struct Script {
    pub seen: Vec<Seen>,
    /// Lookups that are answered 404 before one succeeds.
    pub lookups_to_refuse: usize,
    /// Heartbeats that are answered 409 first.
    pub beats_to_refuse: usize,
    pub node: Value,
    pub config: Value,
    pub files: HashMap<String, Vec<u8>>,
    /// Connections that are cut after so many bytes of a body; one number a connection.
    pub cuts: Vec<usize>,
    pub has_ranges: bool,
    /// While set, bodies of `/images/` stop after their first 64 KiB.
    pub is_held: bool,
}

pub struct Server {
    pub script: Arc<(Mutex<Script>, Condvar)>,
    pub port: u16,
}

impl Server {
    fn start() -> Self {
        let script = Script {
            node: json!({"uuid": NODE, "properties": {}, "instance_info": {}}),
            config: json!({"heartbeat_timeout": 300, "agent_token": TOKEN, "agent_token_required": true}),
            has_ranges: true,
            ..Script::default()
        };
        let script = Arc::new((Mutex::new(script), Condvar::new()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = script.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { script, port }
    }

    pub fn with<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        let result = change(&mut self.script.0.lock().unwrap());
        self.script.1.notify_all();
        result
    }

    /// Waits until the script's state is as wanted.
    pub fn wait_for<T>(&self, what: &str, mut look: impl FnMut(&Script) -> Option<T>) -> T {
        let end = Instant::now() + LIMIT;
        let mut script = self.script.0.lock().unwrap();
        loop {
            if let Some(found) = look(&script) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what}");
            script = self.script.1.wait_timeout(script, left).unwrap().0;
        }
    }

    pub fn beats(&self) -> Vec<Seen> {
        self.with(|script| {
            script.seen.iter().filter(|seen| seen.line.contains("/v1/heartbeat/")).cloned().collect()
        })
    }

    pub fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/images/{name}", self.port)
    }
}

fn serve(stream: TcpStream, shared: &(Mutex<Script>, Condvar)) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut fields = HashMap::new();
    loop {
        let mut field = String::new();
        reader.read_line(&mut field).ok()?;
        let Some((name, value)) = field.trim().split_once(": ") else { break };
        fields.insert(name.to_lowercase(), value.to_owned());
    }
    let length = fields.get("content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let path = line.split(' ').nth(1)?.to_owned();
    let range = fields.get("range").cloned();
    let answer = {
        let mut script = shared.0.lock().unwrap();
        script.seen.push(Seen { line: line.trim().to_owned(), fields, body });
        answer(&mut script, &path, range.as_deref())
    };
    shared.1.notify_all();
    send(stream, answer, path.starts_with("/images/"), shared)
}

struct Answer {
    status: u16,
    fields: String,
    body: Vec<u8>,
}

fn answer(script: &mut Script, path: &str, range: Option<&str>) -> Answer {
    let of = |status: u16, value: Value| Answer {
        status,
        fields: String::new(),
        body: value.to_string().into_bytes(),
    };
    if path == "/" {
        return of(200, json!({"default_version": {"version": "1.104"}}));
    }
    if path.starts_with("/v1/lookup") {
        if script.lookups_to_refuse > 0 {
            script.lookups_to_refuse -= 1;
            return of(404, json!({"error_message": {"faultstring": "Node could not be found."}}));
        }
        return of(200, json!({"node": script.node, "config": script.config}));
    }
    if path.starts_with("/v1/heartbeat/") {
        if script.beats_to_refuse > 0 {
            script.beats_to_refuse -= 1;
            return of(409, json!({"error_message": "locked"}));
        }
        return Answer { status: 202, fields: String::new(), body: Vec::new() };
    }
    let Some(file) = path.strip_prefix("/images/").and_then(|name| script.files.get(name)) else {
        return of(404, json!("not here"));
    };
    let bounds =
        range.filter(|_| script.has_ranges).and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    match bounds {
        Some((from, to)) => {
            let from: usize = from.parse().unwrap();
            let to = to.parse().unwrap_or(file.len() - 1).min(file.len() - 1);
            Answer {
                status: 206,
                fields: format!("Content-Range: bytes {from}-{to}/{}\r\n", file.len()),
                body: file[from..=to].to_vec(),
            }
        }
        None => Answer { status: 200, fields: String::new(), body: file.clone() },
    }
}

fn send(
    mut stream: TcpStream,
    answer: Answer,
    is_image: bool,
    shared: &(Mutex<Script>, Condvar),
) -> Option<()> {
    let length = answer.body.len();
    let head = format!("HTTP/1.1 {} X\r\n{}Content-Length: {length}\r\n\r\n", answer.status, answer.fields);
    stream.write_all(head.as_bytes()).ok()?;
    let mut body = answer.body.as_slice();
    if is_image && length > 1 << 16 {
        stream.write_all(&body[..1 << 16]).ok()?;
        body = &body[1 << 16..];
        let mut script = shared.0.lock().unwrap();
        while script.is_held {
            script = shared.1.wait_timeout(script, LIMIT).unwrap().0;
        }
        if !script.cuts.is_empty() {
            let cut = script.cuts.remove(0);
            body = &body[..cut.min(body.len())];
        }
    }
    stream.write_all(body).ok()
}

/// A machine with its agent running.
pub struct Rack {
    pub server: Server,
    pub dir: tempfile::TempDir,
    pub agent: Arc<Agent>,
    run: Option<thread::JoinHandle<Ending>>,
}

impl Rack {
    /// A machine with one disk of 5 GiB (a sparse file).
    pub fn new() -> Self {
        Self::with(|_| {}, &[])
    }

    /// The same; `prepare` changes the server first, `words` are further options.
    pub fn with(prepare: impl FnOnce(&mut Script), words: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start();
        server.with(prepare);
        let disk = dir.path().join("disk.raw");
        fs::File::create(&disk).unwrap().set_len(5 << 30).unwrap();
        let base = [
            format!("ipa-api-url=http://127.0.0.1:{}", server.port),
            "ipa-listen-host=127.0.0.1".to_owned(),
            "ipa-listen-port=0".to_owned(),
            "ipa-lookup-interval=0.05".to_owned(),
            "ipa-image-download-connection-retry-interval=0.05".to_owned(),
            "ipa-image-download-connection-retries=3".to_owned(),
            "ipa-disk-wait-attempts=0".to_owned(),
            format!("billet-disks={}", disk.display()),
        ];
        let options = Options::parse(base.iter().map(String::as_str).chain(words.iter().copied()));
        let machine = Machine::new(options.root.clone(), options.disks.clone());
        let agent = Agent::new(options, machine).unwrap();
        let own = agent.clone();
        let run = thread::spawn(move || agent::init::supervise(&own));
        Self { server, dir, agent, run: Some(run) }
    }

    pub fn disk(&self) -> PathBuf {
        self.dir.path().join("disk.raw")
    }

    /// How the run ends; waits for it.
    pub fn ending(&mut self) -> Ending {
        self.run.take().unwrap().join().unwrap()
    }

    /// The conductor's side: verifies the certificate that came with the heartbeat.
    pub fn conductor(&self) -> Conductor {
        let beat = self.server.wait_for("a heartbeat", |script| {
            script.seen.iter().find(|seen| seen.line.contains("/v1/heartbeat/")).cloned()
        });
        let ca = self.dir.path().join("agent.pem");
        fs::write(&ca, beat.body["agent_verify_ca"].as_str().unwrap()).unwrap();
        let client = Client::new(client_config(&ca, false).unwrap(), LIMIT);
        Conductor { client, base: beat.body["callback_url"].as_str().unwrap().to_owned() }
    }
}

impl Drop for Rack {
    fn drop(&mut self) {
        self.agent.end(Ending::PowerOff);
        self.server.with(|script| script.is_held = false);
        if let Some(run) = self.run.take() {
            let _ = run.join();
        }
    }
}

pub struct Conductor {
    client: Client,
    base: String,
}

impl Conductor {
    pub fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = Url::parse(&format!("{}{path}", self.base)).unwrap();
        let content = body.map(|body| body.to_string().into_bytes());
        let response = self.client.send(&url, &Request { method, content, ..Request::default() }).unwrap();
        let status = response.head.status;
        let bytes = response.body.read_all(8 << 20).unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// Runs a command and waits for its end.
    pub fn command(&self, name: &str, params: Value) -> Value {
        let path = format!("/v1/commands/?wait=true&agent_token={TOKEN}");
        let (status, body) = self.call("POST", &path, Some(json!({"name": name, "params": params})));
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Starts a command.
    pub fn start(&self, name: &str, params: Value) -> (u16, Value) {
        let path = format!("/v1/commands/?wait=false&agent_token={TOKEN}");
        self.call("POST", &path, Some(json!({"name": name, "params": params})))
    }

    /// A command as it is now; `wait` waits for its end.
    pub fn look(&self, id: &str, wait: bool) -> Value {
        self.call("GET", &format!("/v1/commands/{id}?wait={wait}&agent_token={TOKEN}"), None).1
    }
}

/// A bootable-looking GPT disk image of 8 MiB with noise in its one partition.
pub fn image() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image.raw");
    let mut state = 7u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(8 << 20)
    .collect();
    fs::write(&path, noise).unwrap();
    let output = Command::new("/usr/sbin/sgdisk")
        .args(["-Z", "-n1:2048:+5M", "-t1:8300"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    fs::read(path).unwrap()
}

pub fn sha256(bytes: &[u8]) -> String {
    let mut hasher = disk::Hasher::new(disk::Algorithm::Sha256);
    hasher.update(bytes);
    hasher.finish().to_string()
}

/// `image_info` for a file of the server.
pub fn image_info(server: &Server, name: &str) -> Value {
    let sum = server.with(|script| sha256(&script.files[name]));
    json!({"id": "an-image", "urls": [server.url(name)], "disk_format": "raw", "os_hash_algo": "sha256", "os_hash_value": sum})
}

pub fn secret(text: &str) -> Secret {
    Secret::new(text)
}
