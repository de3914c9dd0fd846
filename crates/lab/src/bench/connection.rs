//! A connection to the server that costs its caller little: the client shares the machine with what is measured.
//!
//! Blocking, one request at a time, bodies by `Content-Length` only, which is all that the server sends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::error::{Error, Result};

/// Longest wait for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// Longest head of an answer, bytes.
const MAX_HEAD: usize = 16 << 10;
/// Longest body, bytes.
const MAX_BODY: usize = 64 << 20;

/// A connection that is kept open.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
    /// Length of the last answer's head.
    head: usize,
    /// The header with the token, or nothing.
    token: String,
    /// The microversion that is asked for.
    version: &'static str,
}

/// An answer; its body lies in the connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer<'a> {
    /// Status code.
    pub status: u16,
    /// Body.
    pub body: &'a [u8],
    /// From the first byte sent to the last one received.
    pub took: Duration,
}

impl Answer<'_> {
    /// The body as JSON.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(self.body)
            .map_err(|error| Error::Invalid(format!("the answer is no JSON: {error}")))
    }

    /// The answer, if its status says success.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the beginning of the body.
    pub fn success(self, request: &str) -> Result<Self> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let said: String = String::from_utf8_lossy(self.body).chars().take(500).collect();
        Err(Error::Invalid(format!("{request}: {}: {said}", self.status)))
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(address: SocketAddr) -> Result<Self> {
        let failed = || Error::io("connecting to", address.to_string());
        let stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT).map_err(failed())?;
        stream.set_nodelay(true).map_err(failed())?;
        stream.set_read_timeout(Some(ANSWER_LIMIT)).map_err(failed())?;
        Ok(Self {
            stream,
            request: Vec::new(),
            answer: Vec::new(),
            head: 0,
            token: String::new(),
            version: "latest",
        })
    }

    /// From now on requests carry this token.
    pub fn authenticate(&mut self, token: &str) {
        self.token = format!("x-auth-token: {token}\r\n");
    }

    /// From now on requests ask for this microversion.
    pub fn speak(&mut self, version: &'static str) {
        self.version = version;
    }

    /// The header line with the token, its end included; empty without one.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A header of the last answer.
    pub fn header(&self, name: &str) -> Option<&str> {
        let head = std::str::from_utf8(&self.answer[..self.head]).ok()?;
        let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// One request, whatever its status.
    ///
    /// # Errors
    /// [`Error::Io`] when the connection breaks, [`Error::Invalid`] when the answer can't be read.
    pub fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Answer<'_>> {
        self.ask_with(method, path, "application/json", body)
    }

    /// As [`Connection::ask`], with another type of body.
    fn ask_with(&mut self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Result<Answer<'_>> {
        let began = Instant::now();
        self.request.clear();
        let failed = || Error::io("talking to the server about", path);
        write!(
            self.request,
            "{method} {path} HTTP/1.1\r\nhost: bench\r\naccept: application/json\r\nx-openstack-ironic-api-version: {}\r\n\
             {}content-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
            self.version,
            self.token,
            body.len()
        )
        .map_err(failed())?;
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request).map_err(failed())?;
        self.answer.clear();
        let (status, head, length) = loop {
            self.receive(MAX_HEAD).map_err(failed())?;
            if let Some(end) = self.answer.windows(4).position(|four| four == b"\r\n\r\n") {
                let (status, length) = read_head(&self.answer[..end])
                    .ok_or_else(|| Error::Invalid(format!("{method} {path}: the answer is no HTTP")))?;
                break (status, end + 4, length);
            }
            if self.answer.len() >= MAX_HEAD {
                return Err(Error::Invalid(format!("{method} {path}: the answer has no end of its head")));
            }
        };
        if length > MAX_BODY {
            return Err(Error::Invalid(format!("{method} {path}: the answer has {length} bytes")));
        }
        while self.answer.len() < head + length {
            self.receive(head + length - self.answer.len()).map_err(failed())?;
        }
        self.head = head;
        Ok(Answer { status, body: &self.answer[head..head + length], took: began.elapsed() })
    }

    /// As [`Connection::ask`], and anything but success is an error.
    ///
    /// # Errors
    /// As [`Connection::ask`] and [`Answer::success`].
    pub fn succeed(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Answer<'_>> {
        self.ask(method, path, body)?.success(&format!("{method} {path}"))
    }

    /// As [`Connection::succeed`], with another type of body than JSON.
    ///
    /// # Errors
    /// As [`Connection::succeed`].
    pub fn succeed_with(
        &mut self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<Answer<'_>> {
        self.ask_with(method, path, content_type, body)?.success(&format!("{method} {path}"))
    }

    /// Appends what there is, at most `limit` bytes.
    fn receive(&mut self, limit: usize) -> std::io::Result<()> {
        let old = self.answer.len();
        self.answer.resize(old + limit, 0);
        let received = self.stream.read(&mut self.answer[old..]);
        self.answer.truncate(old + received.as_ref().map_or(0, |count| *count));
        match received? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Status and length of the body.
fn read_head(head: &[u8]) -> Option<(u16, usize)> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(Some(0), |(_, value)| value.trim().parse().ok())?;
    Some((status, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_tells_status_and_length() {
        assert_eq!(read_head(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nx: y"), Some((200, 12)));
        assert_eq!(read_head(b"HTTP/1.1 204 No Content\r\nx: y"), Some((204, 0)));
        assert_eq!(read_head(b"SSH-2.0-OpenSSH"), None);
        assert_eq!(read_head(b"HTTP/1.1 200 OK\r\nContent-Length: many"), None);
    }

    #[test]
    fn an_answer_that_comes_in_pieces_is_put_together() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).unwrap() > 0);
            for piece in ["HTTP/1.1 20", "1 Created\r\ncontent-length: 5\r\n", "\r\nhe", "llo"] {
                stream.write_all(piece.as_bytes()).unwrap();
                stream.flush().unwrap();
            }
        });
        let mut connection = Connection::open(address).unwrap();
        let answer = connection.ask("GET", "/", b"").unwrap();
        assert_eq!((answer.status, answer.body), (201, b"hello".as_slice()));
        server.join().unwrap();
    }
}
