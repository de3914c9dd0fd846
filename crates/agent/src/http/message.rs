//! Heads and bodies of HTTP/1.1 messages, bounded.

use std::io::{self, Read};

/// Longest head (request or status line with all fields), in bytes.
const LONGEST_HEAD: usize = 32 << 10;
const MOST_FIELDS: usize = 64;

/// What went wrong with a request, by what the caller can do: `Transport` and `Status` 5xx are worth a retry.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address could not be resolved, connected, or broke on the way.
    #[error("{0}")]
    Transport(#[from] io::Error),
    /// The other side does not speak HTTP, or speaks too much of it.
    #[error("malformed HTTP message: {0}")]
    Malformed(String),
    /// The other side answered, but not with what was asked for.
    #[error("HTTP status {status}: {text}")]
    Status {
        /// The status code.
        status: u16,
        /// The beginning of the body.
        text: String,
    },
}

/// A parsed head; `start` is the request line's or status line's parts.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// Method (requests).
    pub method: String,
    /// Path and query (requests).
    pub target: String,
    /// Status (responses).
    pub status: u16,
    fields: Vec<(String, String)>,
}

impl Head {
    /// The first field of that name (lower case).
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a head. Returns it with the bytes of the body that came along. `is_response` chooses the grammar.
pub fn read_head(stream: &mut dyn Read, is_response: bool) -> Result<(Head, Vec<u8>), HttpError> {
    let mut buffer = Vec::with_capacity(2048);
    let mut chunk = [0u8; 2048];
    loop {
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "connection closed before the head's end",
            )
            .into());
        }
        buffer.extend_from_slice(&chunk[..count]);
        if let Some((head, length)) = parse(&buffer, is_response)? {
            let rest = buffer.split_off(length);
            return Ok((head, rest));
        }
        if buffer.len() > LONGEST_HEAD {
            return Err(HttpError::Malformed(format!("the head is longer than {LONGEST_HEAD} bytes")));
        }
    }
}

fn parse(buffer: &[u8], is_response: bool) -> Result<Option<(Head, usize)>, HttpError> {
    let malformed = |error: httparse::Error| HttpError::Malformed(error.to_string());
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut head = Head::default();
    let status = if is_response {
        let mut response = httparse::Response::new(&mut fields);
        let status = response.parse(buffer).map_err(malformed)?;
        head.status = response.code.unwrap_or(0);
        status
    } else {
        let mut request = httparse::Request::new(&mut fields);
        let status = request.parse(buffer).map_err(malformed)?;
        head.method = request.method.unwrap_or_default().to_owned();
        head.target = request.path.unwrap_or_default().to_owned();
        status
    };
    let httparse::Status::Complete(length) = status else { return Ok(None) };
    head.fields = fields
        .iter()
        .take_while(|field| !field.name.is_empty())
        .map(|field| {
            (field.name.to_ascii_lowercase(), String::from_utf8_lossy(field.value).trim().to_owned())
        })
        .collect();
    Ok(Some((head, length)))
}

/// A message's body; reading it to its end without error means that all of it came.
pub struct Body {
    stream: Box<dyn Read + Send>,
    early: io::Cursor<Vec<u8>>,
    framing: Framing,
}

enum Framing {
    Length(u64),
    Chunked { left: u64, is_first: bool },
    Close,
    Done,
}

impl Body {
    /// The body that follows `head` on `stream`, of which `early` came with the head. A request without length has none;
    /// a response without length goes on until the connection closes.
    pub fn new(
        head: &Head,
        early: Vec<u8>,
        stream: Box<dyn Read + Send>,
        is_response: bool,
    ) -> Result<Self, HttpError> {
        let coding = head.field("transfer-encoding").map(str::to_ascii_lowercase);
        let framing = match (coding.as_deref(), head.field("content-length")) {
            _ if is_response && (head.status == 204 || head.status == 304) => Framing::Length(0),
            (Some("chunked"), _) => Framing::Chunked { left: 0, is_first: true },
            (Some(other), _) => return Err(HttpError::Malformed(format!("transfer coding {other:?}"))),
            (None, Some(length)) => match length.parse() {
                Ok(length) => Framing::Length(length),
                Err(_) => return Err(HttpError::Malformed(format!("content length {length:?}"))),
            },
            (None, None) if is_response => Framing::Close,
            (None, None) => Framing::Length(0),
        };
        Ok(Self { stream, early: io::Cursor::new(early), framing })
    }

    /// The length, where it is known before reading.
    pub fn length(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(length) => Some(length),
            _ => None,
        }
    }

    /// Reads all of it, at most `limit` bytes.
    pub fn read_all(mut self, limit: usize) -> Result<Vec<u8>, HttpError> {
        let mut bytes = Vec::new();
        (&mut self).take(limit as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > limit {
            return Err(HttpError::Malformed(format!("the body is longer than {limit} bytes")));
        }
        Ok(bytes)
    }

    fn raw(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.early.read(buf)? {
            0 => self.stream.read(buf),
            count => Ok(count),
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        let mut byte = [0u8];
        while self.raw(&mut byte)? == 1 {
            if byte[0] == b'\n' {
                return Ok(String::from_utf8_lossy(&line).trim().to_owned());
            }
            line.push(byte[0]);
            if line.len() > 1024 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "chunk line too long"));
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if let Framing::Chunked { left: 0, is_first } = self.framing {
            if !is_first && !self.line()?.is_empty() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "chunk without end"));
            }
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let left = u64::from_str_radix(size, 16)
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "chunk size is not a number"))?;
            self.framing = if left == 0 { Framing::Done } else { Framing::Chunked { left, is_first: false } };
        }
        let left = match self.framing {
            Framing::Done | Framing::Length(0) => return Ok(0),
            Framing::Close => u64::MAX,
            Framing::Length(left) | Framing::Chunked { left, .. } => left,
        };
        let most = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = self.raw(&mut buf[..most])?;
        match &mut self.framing {
            Framing::Length(left) | Framing::Chunked { left, .. } => {
                if count == 0 {
                    let text = format!("connection closed {left} bytes before the body's end");
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
                }
                *left -= count as u64;
            }
            _ => {}
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &'static str) -> Result<Vec<u8>, HttpError> {
        let mut stream = io::Cursor::new(text.as_bytes());
        let (head, early) = read_head(&mut stream, true)?;
        Body::new(&head, early, Box::new(stream), true)?.read_all(100)
    }

    #[test]
    fn bodies_end_by_length_by_chunks_or_by_closing() {
        assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd").unwrap(), b"abc");
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
        assert_eq!(body(chunked).unwrap(), b"abcd");
        assert_eq!(body("HTTP/1.0 200 OK\r\n\r\nabc").unwrap(), b"abc");
        assert_eq!(body("HTTP/1.1 204 No\r\n\r\nabc").unwrap(), b"");
    }

    #[test]
    fn what_ends_early_or_lies_is_an_error() {
        for bad in [
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            "HTTP/1.1 200",
            "nonsense\r\n\r\n",
        ] {
            assert!(body(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn heads_and_bodies_without_end_are_cut() {
        let mut endless = io::repeat(b'a');
        assert!(read_head(&mut endless, false).is_err());
        let (head, early) = read_head(&mut &b"HTTP/1.1 200 OK\r\n\r\n"[..], true).unwrap();
        assert!(Body::new(&head, early, Box::new(io::repeat(0)), true).unwrap().read_all(1000).is_err());
    }
}
