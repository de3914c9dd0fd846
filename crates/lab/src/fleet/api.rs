//! What machines and their enrolment ask of the server: plain HTTP on loopback, a connection a request.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Requests at one time: machines that boot together queue up here and not in the server's backlog.
const AT_ONCE: usize = 256;
/// One request, from connecting to the end of its answer.
const LIMIT: Duration = Duration::from_secs(60);
/// Longest answer, bytes.
const MAX_ANSWER: usize = 4 << 20;

/// The server: one process, or several of one site. Each request goes to the next of them, and on to another where that one is dead.
pub(crate) struct Api {
    addresses: Vec<SocketAddr>,
    turn: AtomicUsize,
    room: Semaphore,
}

/// What a lookup came to.
pub(crate) enum Lookup {
    /// The node and its token.
    Known { node: String, token: String },
    /// Another boot has the token.
    Masked,
    /// No ramdisk is expected now.
    Unknown,
}

impl Api {
    pub fn new(addresses: Vec<SocketAddr>) -> Self {
        Self { addresses, turn: AtomicUsize::new(0), room: Semaphore::new(AT_ONCE) }
    }

    /// Looks a machine's node up.
    pub async fn lookup(&self, mac: &str) -> Result<Lookup, String> {
        let (status, answer) = self.ask("GET", &format!("/v1/lookup?addresses={mac}"), None, None).await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(Lookup::Unknown);
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        match (status, text(&answer["node"]["uuid"]), text(&answer["config"]["agent_token"])) {
            (StatusCode::OK, Some(_), Some(token)) if token.starts_with('*') => Ok(Lookup::Masked),
            (StatusCode::OK, Some(node), Some(token)) => Ok(Lookup::Known { node, token }),
            _ => Err(format!("lookup: {status}: {answer}")),
        }
    }

    /// Tells that a machine's agent can be called.
    pub async fn heartbeat(
        &self,
        node: &str,
        token: &str,
        callback_url: &str,
        certificate: &str,
    ) -> Result<(), String> {
        let body = json!({
            "callback_url": callback_url,
            "agent_version": "12.0.0",
            "agent_token": token,
            "agent_verify_ca": certificate,
        });
        match self.ask("POST", &format!("/v1/heartbeat/{node}"), Some(&body), None).await? {
            (StatusCode::ACCEPTED, _) => Ok(()),
            (status, answer) => Err(format!("heartbeat: {status}: {answer}")),
        }
    }

    /// One request at the newest microversion; `token` is a user's.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        token: Option<&str>,
    ) -> Result<(StatusCode, Value), String> {
        let _room = self.room.acquire().await.map_err(|error| error.to_string())?;
        match tokio::time::timeout(LIMIT, self.exchange(method, path, body, token)).await {
            Ok(outcome) => outcome.map_err(|error| format!("{method} {path}: {error}")),
            Err(_) => Err(format!("{method} {path}: no answer within {} s", LIMIT.as_secs())),
        }
    }

    async fn connect(&self) -> std::io::Result<(SocketAddr, TcpStream)> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut refused = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
        for nth in 0..self.addresses.len() {
            let address = self.addresses[turn.wrapping_add(nth) % self.addresses.len()];
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok((address, stream)),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    async fn exchange(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        token: Option<&str>,
    ) -> Result<(StatusCode, Value), Box<dyn std::error::Error + Send + Sync>> {
        let (address, stream) = self.connect().await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driving = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", address.to_string())
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .header("x-openstack-ironic-api-version", "1.109");
        if let Some(token) = token {
            request = request.header("x-auth-token", token);
        }
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let response = sender.send_request(request.body(Full::new(body))?).await?;
        let status = response.status();
        let answer = Limited::new(response.into_body(), MAX_ANSWER).collect().await?.to_bytes();
        drop(sender);
        driving.abort();
        let answer = if answer.is_empty() { Value::Null } else { serde_json::from_slice(&answer)? };
        Ok((status, answer))
    }
}
