//! The client: one request, one connection, each wait with its limit.

use super::message::{Body, Head, HttpError, read_head};
use super::url::Url;
use model::Secret;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

const MOST_REDIRECTS: usize = 5;

/// Makes requests.
#[derive(Debug, Clone)]
pub struct Client {
    tls: Arc<ClientConfig>,
    timeout: Duration,
}

/// A request; `content` makes it JSON.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// `GET`, `POST` …
    pub method: &'a str,
    /// Further header fields; must not hold line ends.
    pub fields: Vec<(&'a str, String)>,
    /// Value of the `Authorization` field; not sent to another host that a redirect names.
    pub authorization: Option<Secret>,
    /// JSON body.
    pub content: Option<Vec<u8>>,
}

/// A response whose body is still to be read.
pub struct Response {
    /// Status and fields.
    pub head: Head,
    /// The body.
    pub body: Body,
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

impl Client {
    /// A client; `timeout` limits connecting and each single read and write.
    pub fn new(tls: Arc<ClientConfig>, timeout: Duration) -> Self {
        Self { tls, timeout }
    }

    /// The same client with another limit.
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { tls: self.tls.clone(), timeout }
    }

    /// Sends a request and reads the response's head; redirects of GET are followed. Any status is a success.
    pub fn send(&self, url: &Url, request: &Request<'_>) -> Result<Response, HttpError> {
        let mut url = url.clone();
        let first = (url.is_tls, url.host.clone(), url.port);
        for _ in 0..=MOST_REDIRECTS {
            let is_first = first == (url.is_tls, url.host.clone(), url.port);
            let response = self.send_once(&url, request, is_first)?;
            let is_redirect =
                matches!(response.head.status, 301 | 302 | 303 | 307 | 308) && request.method == "GET";
            let Some(location) = response.head.field("location").filter(|_| is_redirect) else {
                return Ok(response);
            };
            url = url.join(location).ok_or_else(|| {
                HttpError::Malformed(format!("redirected from {url} to what is no http URL"))
            })?;
        }
        Err(HttpError::Malformed(format!("more than {MOST_REDIRECTS} redirects, the last one to {url}")))
    }

    fn send_once(&self, url: &Url, request: &Request<'_>, is_first: bool) -> Result<Response, HttpError> {
        let mut stream = self.connect(url)?;
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nUser-Agent: billet-agent/{}\r\n",
            request.method,
            url.target,
            url.authority(),
            env!("CARGO_PKG_VERSION")
        );
        for (name, value) in &request.fields {
            if value.chars().any(char::is_control) {
                return Err(HttpError::Malformed(format!("the value of {name} holds control characters")));
            }
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let own = request.authorization.as_ref().filter(|_| is_first);
        if let Some(value) = own.or(url.authorization.as_ref()) {
            if value.expose().chars().any(char::is_control) {
                return Err(HttpError::Malformed("the authorization holds control characters".to_owned()));
            }
            head.push_str(&format!("Authorization: {}\r\n", value.expose()));
        }
        if let Some(content) = &request.content {
            head.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                content.len()
            ));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(request.content.as_deref().unwrap_or_default());
        stream.write_all(&bytes)?;
        stream.flush()?;
        let (head, early) = read_head(&mut stream, true)?;
        let body = Body::new(&head, early, Box::new(stream), true)?;
        Ok(Response { head, body })
    }

    fn connect(&self, url: &Url) -> Result<Box<dyn Stream>, HttpError> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", url.authority()));
        let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
        for address in (url.host.as_str(), url.port).to_socket_addrs().map_err(named)?.take(8) {
            match TcpStream::connect_timeout(&address, self.timeout.max(Duration::from_millis(1))) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(self.timeout))?;
                    stream.set_write_timeout(Some(self.timeout))?;
                    stream.set_nodelay(true)?;
                    return if url.is_tls { self.secured(url, stream) } else { Ok(Box::new(stream)) };
                }
                Err(error) => last = error,
            }
        }
        Err(named(last).into())
    }

    fn secured(&self, url: &Url, mut stream: TcpStream) -> Result<Box<dyn Stream>, HttpError> {
        let name = ServerName::try_from(url.host.clone()).map_err(io::Error::other)?;
        let mut connection = ClientConnection::new(self.tls.clone(), name).map_err(io::Error::other)?;
        connection.complete_io(&mut stream).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: TLS handshake: {error}", url.authority()))
        })?;
        Ok(Box::new(StreamOwned::new(connection, stream)))
    }
}

impl Response {
    /// Passes 2xx on; everything else becomes an error with the beginning of the body.
    pub fn ok(self) -> Result<Self, HttpError> {
        match self.head.status {
            200..=299 => Ok(self),
            status => Err(HttpError::Status { status, text: self.text() }),
        }
    }

    /// The beginning of the body, in one line, for a message.
    pub fn text(self) -> String {
        let mut bytes = Vec::new();
        // What can't be read is left out of the message.
        let _ = self.body.take(600).read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
