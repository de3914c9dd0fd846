//! The commands' server: HTTPS on port 9999, one thread a connection.
//!
//! The token is checked before a body is read, so that only the conductor can make this machine hold one in memory.

use crate::bell::{Bell, lock};
use crate::command;
use crate::fault::Fault;
use crate::http::{Body, Head, HttpError, read_head};
use crate::run::Agent;
use crate::say;
use model::agent::CommandRequest;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Connections at a time; the conductor needs one or two.
const MOST_CONNECTIONS: usize = 16;
/// Limit of each read and write.
const PATIENCE: Duration = Duration::from_secs(30);
/// Largest request body: a config drive of some 12 MB in base64. Larger ones come by URL.
const LONGEST_BODY: usize = 16 << 20;
/// How long a `wait=true` may take before it is answered with what there is.
const WAIT_LIMIT: Duration = Duration::from_secs(3600);
/// How long answers may take that are on their way when the server stops.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// A running server.
pub struct Server {
    listener: TcpListener,
    state: Arc<State>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct State {
    is_stopped: AtomicBool,
    open: AtomicUsize,
    closed: Bell,
}

impl Server {
    /// Listens and serves until stopped. Fails when the port is taken.
    pub fn start(agent: &Arc<Agent>, tls: Arc<ServerConfig>) -> io::Result<Self> {
        let (host, port) = &agent.options.listen;
        let listener = match TcpListener::bind((host.as_str(), *port)) {
            // A kernel without IPv6.
            Err(_) if host == "::" => TcpListener::bind(("0.0.0.0", *port))?,
            other => other?,
        };
        let state = Arc::new(State::default());
        let (accepting, agent, shared) = (listener.try_clone()?, agent.clone(), state.clone());
        let thread = std::thread::Builder::new().name("server".into()).spawn(move || {
            accept(&accepting, &agent, &tls, &shared);
        })?;
        Ok(Self { listener, state, thread: Mutex::new(Some(thread)) })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.listener.local_addr().map_or(0, |address| address.port())
    }

    /// Takes no further connection, and waits a moment for the open ones.
    pub fn stop(&self) {
        self.state.is_stopped.store(true, Ordering::SeqCst);
        // SAFETY: an open socket; shutting a listening one down wakes accept(2).
        unsafe { libc::shutdown(self.listener.as_raw_fd(), libc::SHUT_RDWR) };
        if let Some(thread) = lock(&self.thread).take() {
            // Its panic was told by the hook.
            let _ = thread.join();
        }
        let end = Instant::now() + STOP_LIMIT;
        while self.state.open.load(Ordering::SeqCst) > 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.state.closed.wait(left);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn accept(listener: &TcpListener, agent: &Arc<Agent>, tls: &Arc<ServerConfig>, state: &Arc<State>) {
    while !state.is_stopped.load(Ordering::SeqCst) {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(_) if state.is_stopped.load(Ordering::SeqCst) => return,
            Err(error) => {
                say!("accepting a connection failed: {error}");
                crate::bell::pause(Duration::from_millis(200));
                continue;
            }
        };
        if state.open.fetch_add(1, Ordering::SeqCst) >= MOST_CONNECTIONS {
            state.open.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let (agent, tls, state_of_thread) = (agent.clone(), tls.clone(), state.clone());
        let spawned = std::thread::Builder::new().name("connection".into()).spawn(move || {
            // Broken connections and handshakes are the other side's affair.
            let _ = catch_unwind(AssertUnwindSafe(|| serve(stream, &agent, tls)));
            state_of_thread.open.fetch_sub(1, Ordering::SeqCst);
            state_of_thread.closed.ring();
        });
        if spawned.is_err() {
            state.open.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

type Stream = StreamOwned<ServerConnection, TcpStream>;

fn serve(stream: TcpStream, agent: &Arc<Agent>, tls: Arc<ServerConfig>) -> Result<(), HttpError> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let connection = ServerConnection::new(tls).map_err(io::Error::other)?;
    let stream = Arc::new(Mutex::new(StreamOwned::new(connection, stream)));
    let mut reader = SharedReader(stream.clone());
    let (head, early) = match read_head(&mut reader, false) {
        Ok(read) => read,
        Err(HttpError::Malformed(why)) => return respond(&stream, &Answer::error(400, &why)),
        Err(error) => return Err(error),
    };
    let answer =
        route(agent, &head, || Body::new(&head, early, Box::new(reader), false)?.read_all(LONGEST_BODY));
    respond(&stream, &answer)
}

/// The reading half, which a [`Body`] owns while the writing half waits.
struct SharedReader(Arc<Mutex<Stream>>);

impl Read for SharedReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        lock(&self.0).read(buf)
    }
}

fn respond(stream: &Mutex<Stream>, answer: &Answer) -> Result<(), HttpError> {
    let body = answer.body.to_string();
    let head = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        answer.status,
        answer.reason(),
        body.len()
    );
    let mut stream = lock(stream);
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}

struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    fn ok(body: Value) -> Self {
        Self { status: 200, body }
    }

    /// Errors look as WSME's did.
    fn error(status: u16, text: &str) -> Self {
        let code = if status >= 500 { "Server" } else { "Client" };
        Self { status, body: json!({"faultcode": code, "faultstring": text}) }
    }

    fn reason(&self) -> &'static str {
        match self.status {
            200 => "OK",
            400 => "Bad Request",
            401 => "Unauthorized",
            404 => "Not Found",
            405 => "Method Not Allowed",
            409 => "Conflict",
            413 => "Content Too Large",
            _ => "Internal Server Error",
        }
    }
}

impl From<Fault> for Answer {
    fn from(fault: Fault) -> Self {
        Self::error(fault.code(), &fault.to_string())
    }
}

fn route(agent: &Arc<Agent>, head: &Head, body: impl FnOnce() -> Result<Vec<u8>, HttpError>) -> Answer {
    let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
    let is_token = || parameter(query, "agent_token").is_some_and(|token| agent.is_token(&token));
    let invalid = || Answer::error(401, "401 Unauthorized: Token invalid.");
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    // The version may be left out.
    let rest = if parts.first() == Some(&"v1") { &parts[1..] } else { &parts[..] };
    match (head.method.as_str(), rest) {
        ("GET", []) => Answer::ok(if parts.is_empty() { root(head) } else { version_one(head) }),
        ("GET", ["status"]) => {
            Answer::ok(json!({"started_at": agent.started_at(), "version": Agent::version()}))
        }
        (_, ["commands", ..]) if !is_token() => invalid(),
        ("GET", ["commands"]) => Answer::ok(json!({"commands": agent.commands.list()})),
        ("GET", ["commands", id]) => match agent.commands.get(id) {
            Some(run) => show(&run, query),
            None => Fault::not_found(format!("Command Result with id {} not found.", shorten(id))).into(),
        },
        ("POST", ["commands"]) => match body() {
            Ok(bytes) => post(agent, &bytes, query),
            Err(HttpError::Malformed(why)) => Answer::error(413, &why),
            Err(error) => Answer::error(400, &error.to_string()),
        },
        (_, [] | ["status"] | ["commands", ..]) => Answer::error(405, "405 Method Not Allowed"),
        _ => Answer::error(404, "404 Not Found: The requested URL was not found on the server."),
    }
}

fn post(agent: &Arc<Agent>, bytes: &[u8], query: &str) -> Answer {
    let Ok(request) = serde_json::from_slice::<CommandRequest>(bytes) else {
        return Answer::error(400, "400 Bad Request: Missing or invalid name or params");
    };
    match command::execute(agent, request) {
        Ok(run) => show(&run, query),
        Err(fault) => fault.into(),
    }
}

fn show(run: &command::Run, query: &str) -> Answer {
    if parameter(query, "wait").is_some_and(|wait| wait.eq_ignore_ascii_case("true")) {
        run.wait(WAIT_LIMIT);
    }
    Answer::ok(json!(run.result()))
}

fn root(head: &Head) -> Value {
    let version = json!({"id": "v1", "links": links(head)});
    json!({
        "name": "OpenStack Ironic Python Agent API",
        "description": "Billet's deploy agent, which speaks the API of the Ironic Python Agent",
        "versions": [version],
        "default_version": version,
    })
}

fn version_one(head: &Head) -> Value {
    let base = base(head);
    let link = |name: &str| json!([{"href": format!("{base}/v1/{name}"), "rel": "self"}, {"href": format!("{base}/{name}"), "rel": "bookmark"}]);
    json!({
        "id": "v1",
        "links": links(head),
        "commands": link("commands"),
        "status": link("status"),
        "media_types": [{"base": "application/json", "type": "application/vnd.openstack.ironic-python-agent.v1+json"}],
    })
}

fn links(head: &Head) -> Value {
    json!([{"href": format!("{}/v1", base(head)), "rel": "self"}])
}

fn base(head: &Head) -> String {
    format!("https://{}", head.field("host").unwrap_or("localhost:9999"))
}

/// One parameter of a query, decoded.
fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))?.1;
    let bytes = value.as_bytes();
    let (mut decoded, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let escape = bytes.get(at + 1..at + 3).filter(|_| byte == b'%');
        let escape = escape.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        decoded.push(escape.unwrap_or(if byte == b'+' { b' ' } else { byte }));
        at += if escape.is_some() { 3 } else { 1 };
    }
    String::from_utf8(decoded).ok()
}

fn shorten(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::parameter;

    #[test]
    fn parameters_are_found_and_decoded() {
        let query = "wait=true&agent_token=a%2Bb+c%&x";
        assert_eq!(parameter(query, "wait").as_deref(), Some("true"));
        assert_eq!(parameter(query, "agent_token").as_deref(), Some("a+b c%"));
        assert_eq!(parameter(query, "x"), None);
        assert_eq!(parameter("agent_token=%ff", "agent_token"), None);
    }
}
