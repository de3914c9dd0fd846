//! An image on an HTTP server: by ranges, and as one stream that goes on where it broke.

use crate::bell::pause;
use crate::http::{Body, Client, HttpError, Request, Response, Url};
use crate::options::Options;
use crate::say;
use disk::ImageSource;
use model::Secret;
use std::io::{self, Read};
use std::time::Duration;

/// The image at a URL.
pub struct HttpSource {
    client: Client,
    url: Url,
    authorization: Option<Secret>,
    size: Option<u64>,
    /// A strong validator: says that a range is of the same image.
    validator: Option<String>,
    has_ranges: bool,
    retries: u32,
    interval: Duration,
}

impl HttpSource {
    /// Asks the server for the image's size and whether it serves ranges. Fails when it does not have the image.
    pub fn open(
        client: &Client,
        options: &Options,
        url: &Url,
        authorization: Option<Secret>,
    ) -> Result<Self, HttpError> {
        let mut source = Self {
            client: client.with_timeout(options.download_timeout),
            url: url.clone(),
            authorization,
            size: None,
            validator: None,
            has_ranges: false,
            retries: options.download_retries,
            interval: options.download_retry_interval,
        };
        let response = source.retried(|source| source.get(Some((0, Some(0)))))?;
        source.has_ranges = response.head.status == 206;
        source.size = if source.has_ranges {
            content_range(&response).map(|(_, size)| size)
        } else {
            response.body.length()
        };
        // An entity tag, unless weak; a date only tells whole seconds (RFC 9110, 8.8.2.2).
        source.validator = response.head.field("etag").filter(|tag| tag.starts_with('"')).map(str::to_owned);
        Ok(source)
    }

    fn get(&self, range: Option<(u64, Option<u64>)>) -> Result<Response, HttpError> {
        let mut request =
            Request { method: "GET", authorization: self.authorization.clone(), ..Request::default() };
        if let Some((from, to)) = range {
            let to = to.map(|to| to.to_string()).unwrap_or_default();
            request.fields.push(("Range", format!("bytes={from}-{to}")));
            if let Some(validator) = self.validator.as_ref().filter(|_| from > 0) {
                request.fields.push(("If-Range", validator.clone()));
            }
        }
        self.client.send(&self.url, &request)?.ok()
    }

    /// Tries until it goes well, the fault is not one that passes, or the retries are used up.
    fn retried<T>(&self, mut attempt: impl FnMut(&Self) -> Result<T, HttpError>) -> Result<T, HttpError> {
        let mut failures = 0;
        loop {
            match attempt(self) {
                Ok(done) => return Ok(done),
                Err(error) if !passes(&error) || failures == self.retries => return Err(error),
                Err(error) => {
                    failures += 1;
                    self.wait(failures, &error);
                }
            }
        }
    }

    fn wait(&self, failures: u32, error: &dyn std::fmt::Display) {
        say!("{}: {error}; retry {failures} of {}", self.url, self.retries);
        pause(self.interval.min(Duration::from_millis(250) * 2u32.saturating_pow(failures.min(16))));
    }

    /// The body from `at` on.
    fn body_from(&self, at: u64) -> Result<Body, HttpError> {
        if at == 0 {
            return Ok(self.get(None)?.body);
        }
        let response = self.get(Some((at, None)))?;
        if response.head.status == 206 {
            return match content_range(&response) {
                Some((from, size)) if from == at && self.size.is_none_or(|known| known == size) => {
                    Ok(response.body)
                }
                _ => Err(HttpError::Malformed(
                    "the server sent another range than it was asked for".to_owned(),
                )),
            };
        }
        let tag = response.head.field("etag").filter(|tag| tag.starts_with('"')).map(str::to_owned);
        if tag != self.validator {
            return Err(HttpError::Malformed(
                "the image was replaced on the server while it was downloaded".to_owned(),
            ));
        }
        // A server without ranges sends everything again.
        let mut body = response.body;
        let skipped = io::copy(&mut (&mut body).take(at), &mut io::sink())?;
        if skipped < at {
            return Err(HttpError::Malformed("the image became shorter while it was downloaded".to_owned()));
        }
        Ok(body)
    }
}

/// Whether a fault may pass by itself.
fn passes(error: &HttpError) -> bool {
    match error {
        HttpError::Transport(_) => true,
        HttpError::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
        HttpError::Malformed(_) => false,
    }
}

fn to_io(error: HttpError) -> io::Error {
    match error {
        HttpError::Transport(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}

/// First byte and whole size of `Content-Range: bytes 0-499/1234`.
fn content_range(response: &Response) -> Option<(u64, u64)> {
    let (range, size) =
        response.head.field("content-range")?.strip_prefix("bytes")?.trim().split_once('/')?;
    Some((range.split_once('-')?.0.trim().parse().ok()?, size.trim().parse().ok()?))
}

impl ImageSource for HttpSource {
    fn size(&self) -> Option<u64> {
        self.size
    }

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        if buf.is_empty() {
            return Ok(());
        }
        if !self.has_ranges {
            // The beginning can be had without.
            if offset == 0 {
                return self.retried(|source| Ok(source.get(None)?.body.read_exact(buf)?)).map_err(to_io);
            }
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the image server has no range requests"));
        }
        self.retried(|source| {
            let response = source.get(Some((offset, Some(offset + buf.len() as u64 - 1))))?;
            if response.head.status != 206 || content_range(&response).is_none_or(|(from, _)| from != offset)
            {
                return Err(HttpError::Malformed(
                    "the server sent another range than it was asked for".to_owned(),
                ));
            }
            let mut body = response.body;
            Ok(body.read_exact(buf)?)
        })
        .map_err(to_io)
    }

    fn stream(&mut self) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(Download { source: self, at: 0, body: None, failures: 0 }))
    }
}

/// One pass over the image. Retries are counted from the last byte that came, so that a long download over a bad line ends well,
/// and one that does not move on ends.
struct Download<'a> {
    source: &'a HttpSource,
    at: u64,
    body: Option<Body>,
    failures: u32,
}

impl Download<'_> {
    fn step(&mut self, buf: &mut [u8]) -> Result<usize, HttpError> {
        let body = match &mut self.body {
            Some(body) => body,
            None => self.body.insert(self.source.body_from(self.at)?),
        };
        let count = body.read(buf)?;
        match self.source.size {
            Some(size) if count == 0 && self.at < size => {
                let text = format!("the server ended at byte {} of {size}", self.at);
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, text).into())
            }
            _ => Ok(count),
        }
    }
}

impl Read for Download<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            match self.step(buf) {
                Ok(count) => {
                    self.at += count as u64;
                    self.failures = 0;
                    return Ok(count);
                }
                Err(error) => {
                    self.body = None;
                    self.failures += 1;
                    if !passes(&error) || self.failures > self.source.retries {
                        return Err(to_io(error));
                    }
                    self.source.wait(self.failures, &format!("at byte {}: {error}", self.at));
                }
            }
        }
    }
}
