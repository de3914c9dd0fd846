//! Serves user images over HTTP, with ranges and checksums, and with faults on request.
//!
//! `GET /NAME` (with `Range: bytes=…`, one range), `HEAD /NAME`, `GET /SHA256SUMS`. Faults are for tests of bad days.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path as UrlPath, State};
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::{StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use crate::error::{Error, Result};

/// Bytes read from a file at a time.
const CHUNK: usize = 256 * 1024;

/// A way to misbehave, for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Close the connection after this many body bytes, in the next `times` answers that would have been longer.
    CutAfter {
        /// Body bytes sent before the cut.
        bytes: u64,
        /// Answers still to be cut.
        times: u32,
    },
    /// Send the byte at this offset of the file inverted, always: right length, wrong content.
    WrongByte {
        /// Offset in the file.
        offset: u64,
    },
    /// Answer 503 to the next `times` requests.
    Unavailable {
        /// Requests still to be refused.
        times: u32,
    },
}

#[derive(Debug, Clone)]
struct Served {
    path: PathBuf,
    sha256: String,
    fault: Option<Fault>,
    /// Requests answered so far.
    requests: u64,
}

type Shared = Arc<Mutex<BTreeMap<String, Served>>>;

/// A running image server; dropping it closes it.
#[derive(Debug)]
pub struct ImageServer {
    address: SocketAddr,
    files: Shared,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for ImageServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ImageServer {
    /// Listens on `address` with nothing to serve yet.
    ///
    /// # Errors
    /// [`Error::Io`] when the address can't be had.
    pub async fn start(address: SocketAddr) -> Result<Self> {
        let at = address.to_string();
        let listener =
            tokio::net::TcpListener::bind(address).await.map_err(Error::io("listening on", &at))?;
        let address = listener.local_addr().map_err(Error::io("listening on", &at))?;
        let files = Shared::default();
        let router = Router::new()
            .route("/SHA256SUMS", get(checksums))
            .route("/{name}", get(serve).head(serve))
            .with_state(files.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the image server stopped");
            }
        });
        Ok(Self { address, files, task })
    }

    /// Serves the file at `path` under its own name. Reads all of it once, for the checksum.
    ///
    /// # Errors
    /// [`Error::Io`] when it can't be read.
    pub async fn add(&self, path: &Path) -> Result<String> {
        let name = path.file_name().and_then(|name| name.to_str()).map(str::to_string);
        let name =
            name.ok_or_else(|| Error::Invalid(format!("{} has no name to serve it under", path.display())))?;
        let owned = path.to_path_buf();
        let hashed = tokio::task::spawn_blocking(move || sha256(&owned)).await;
        let sha256 =
            hashed.map_err(|error| Error::Invalid(format!("hashing {}: {error}", path.display())))??;
        let served = Served { path: path.to_path_buf(), sha256, fault: None, requests: 0 };
        lock(&self.files).insert(name.clone(), served);
        Ok(self.url(&name))
    }

    /// Serves all plain files of a directory, hidden ones and sub-directories left out.
    ///
    /// # Errors
    /// As [`ImageServer::add`].
    pub async fn add_directory(&self, dir: &Path) -> Result<()> {
        for entry in std::fs::read_dir(dir).map_err(Error::io("listing", dir))?.flatten() {
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if entry.path().is_file() && !is_hidden {
                self.add(&entry.path()).await?;
            }
        }
        Ok(())
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the file served under `name`.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    /// The SHA-256 of the file's right content, in hexadecimal, whatever its fault.
    #[must_use]
    pub fn sha256(&self, name: &str) -> Option<String> {
        lock(&self.files).get(name).map(|served| served.sha256.clone())
    }

    /// How many requests for the file have been answered.
    #[must_use]
    pub fn requests(&self, name: &str) -> u64 {
        lock(&self.files).get(name).map_or(0, |served| served.requests)
    }

    /// Sets or clears a file's fault.
    ///
    /// # Errors
    /// [`Error::Invalid`] when no file of that name is served.
    pub fn set_fault(&self, name: &str, fault: Option<Fault>) -> Result<()> {
        match lock(&self.files).get_mut(name) {
            Some(served) => {
                served.fault = fault;
                Ok(())
            }
            None => Err(Error::Invalid(format!("no file `{name}` is served"))),
        }
    }
}

/// The SHA-256 of a file, in hexadecimal. Blocking.
///
/// # Errors
/// [`Error::Io`].
pub fn sha256(path: &Path) -> Result<String> {
    let mut file = std::fs::File::open(path).map_err(Error::io("opening", path))?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = file.read(&mut chunk).map_err(Error::io("reading", path))?;
        if count == 0 {
            break;
        }
        hash.update(&chunk[..count]);
    }
    Ok(hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

fn lock(files: &Mutex<BTreeMap<String, Served>>) -> MutexGuard<'_, BTreeMap<String, Served>> {
    files.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn checksums(State(files): State<Shared>) -> String {
    lock(&files).iter().fold(String::new(), |mut text, (name, served)| {
        let _ = writeln!(text, "{}  {name}", served.sha256);
        text
    })
}

async fn serve(
    State(files): State<Shared>,
    UrlPath(name): UrlPath<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let Some(served) = lock(&files).get_mut(&name).map(|served| {
        served.requests += 1;
        served.clone()
    }) else {
        return (StatusCode::NOT_FOUND, format!("no file `{name}` here; see /SHA256SUMS\n")).into_response();
    };
    if let Some(Fault::Unavailable { times: 1.. }) = served.fault {
        use_up(&files, &name);
        return (StatusCode::SERVICE_UNAVAILABLE, "told to be unavailable\n").into_response();
    }
    let mut file = match tokio::fs::File::open(&served.path).await {
        Ok(file) => file,
        Err(error) => return (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    };
    let length = match file.metadata().await {
        Ok(data) => data.len(),
        Err(error) => return (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    };
    let range = match headers.get(RANGE).map(|value| parse_range(value.to_str().unwrap_or_default(), length))
    {
        None => None,
        Some(Some(range)) => Some(range),
        Some(None) => {
            let whole = [(CONTENT_RANGE, format!("bytes */{length}"))];
            return (StatusCode::RANGE_NOT_SATISFIABLE, whole).into_response();
        }
    };
    let (start, end) = range.unwrap_or((0, length));
    let mut response = Response::builder()
        .header(ACCEPT_RANGES, "bytes")
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_LENGTH, end - start);
    if range.is_some() {
        let part = format!("bytes {start}-{}/{length}", end - 1);
        response = response.status(StatusCode::PARTIAL_CONTENT).header(CONTENT_RANGE, part);
    }
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        if let Err(error) = file.seek(std::io::SeekFrom::Start(start)).await {
            return (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response();
        }
        let cut = match served.fault {
            Some(Fault::CutAfter { bytes, times: 1.. }) if bytes < end - start => {
                use_up(&files, &name);
                Some(bytes)
            }
            _ => None,
        };
        let wrong = match served.fault {
            Some(Fault::WrongByte { offset }) => offset.checked_sub(start),
            _ => None,
        };
        body(file, end - start, cut, wrong)
    };
    response
        .body(body)
        .unwrap_or_else(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response())
}

/// Counts one use of a fault that is limited in number.
fn use_up(files: &Shared, name: &str) {
    if let Some(served) = lock(files).get_mut(name) {
        match &mut served.fault {
            Some(Fault::CutAfter { times, .. } | Fault::Unavailable { times }) => {
                *times = times.saturating_sub(1)
            }
            Some(Fault::WrongByte { .. }) | None => {}
        }
    }
}

/// The file's next `length` bytes as a body, the one at `wrong` inverted, the connection broken after `cut` bytes.
fn body(file: tokio::fs::File, length: u64, cut: Option<u64>, wrong: Option<u64>) -> Body {
    let mut sent = 0u64;
    let chunks = ReaderStream::with_capacity(file.take(cut.unwrap_or(length)), CHUNK).map_ok(move |chunk| {
        let here = wrong.and_then(|wrong| wrong.checked_sub(sent)).filter(|&here| here < chunk.len() as u64);
        sent += chunk.len() as u64;
        let Some(here) = here.and_then(|here| usize::try_from(here).ok()) else { return chunk };
        let mut spoilt = chunk.to_vec();
        spoilt[here] = !spoilt[here];
        spoilt.into()
    });
    if cut.is_none() {
        return Body::from_stream(chunks);
    }
    let end = futures_util::stream::once(async {
        // Being pending once makes the server send what it has; an error at once would take the last bytes along.
        tokio::task::yield_now().await;
        Err(std::io::Error::other("told to cut the connection"))
    });
    Body::from_stream(chunks.chain(end))
}

/// `bytes=A-B`, `bytes=A-` or `bytes=-N` as a half-open interval within `length`; `None` when it can't be satisfied (RFC 9110, 14.1.2).
fn parse_range(text: &str, length: u64) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (start, end) = match (first.trim(), last.trim()) {
        ("", suffix) => (length.saturating_sub(suffix.parse().ok()?), length),
        (first, "") => (first.parse().ok()?, length),
        (first, last) => (first.parse().ok()?, last.parse::<u64>().ok()?.checked_add(1)?.min(length)),
    };
    (start < end).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn ranges_stay_within_the_file() {
        assert_eq!(parse_range("bytes=0-9", 100), Some((0, 10)));
        assert_eq!(parse_range("bytes=90-", 100), Some((90, 100)));
        assert_eq!(parse_range("bytes=90-1000", 100), Some((90, 100)));
        assert_eq!(parse_range("bytes=-10", 100), Some((90, 100)));
        for bad in [
            "bytes=100-",
            "bytes=5-4",
            "bytes=0-1,5-6",
            "bytes=a-b",
            "lines=0-1",
            "bytes=-0",
            "bytes=0-18446744073709551615x",
        ] {
            assert_eq!(parse_range(bad, 100), None, "{bad}");
        }
    }

    async fn get(server: &ImageServer, headers: &[(&str, &str)]) -> (StatusCode, Result<Vec<u8>, String>) {
        let stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = hyper::Request::get("/disk.raw").header("host", "lab");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = sender
            .send_request(request.body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap())
            .await
            .unwrap();
        let status = response.status();
        let body = http_body_util::BodyExt::collect(response.into_body()).await;
        (status, body.map(|body| body.to_bytes().to_vec()).map_err(|error| error.to_string()))
    }

    #[tokio::test]
    async fn whole_part_and_faults() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.raw");
        let content: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
        std::fs::File::create(&path).unwrap().write_all(&content).unwrap();
        let server = ImageServer::start(([127, 0, 0, 1], 0).into()).await.unwrap();
        server.add_directory(dir.path()).await.unwrap();
        assert_eq!(server.sha256("disk.raw").unwrap(), sha256(&path).unwrap());

        assert_eq!(get(&server, &[]).await, (StatusCode::OK, Ok(content.clone())));
        let (status, part) = get(&server, &[("range", "bytes=999990-")]).await;
        assert_eq!((status, part.unwrap()), (StatusCode::PARTIAL_CONTENT, content[999_990..].to_vec()));
        assert_eq!(get(&server, &[("range", "bytes=1000000-")]).await.0, StatusCode::RANGE_NOT_SATISFIABLE);

        server.set_fault("disk.raw", Some(Fault::CutAfter { bytes: 300_000, times: 1 })).unwrap();
        get(&server, &[]).await.1.expect_err("the first answer is cut");
        assert_eq!(get(&server, &[]).await.1.unwrap(), content, "the second is whole again");

        server.set_fault("disk.raw", Some(Fault::WrongByte { offset: 700_000 })).unwrap();
        let (_, spoilt) = get(&server, &[("range", "bytes=600000-")]).await;
        let differing: Vec<_> = spoilt
            .unwrap()
            .iter()
            .zip(&content[600_000..])
            .enumerate()
            .filter(|(_, (a, b))| a != b)
            .map(|(i, _)| i)
            .collect();
        assert_eq!(differing, [100_000]);

        server.set_fault("disk.raw", Some(Fault::Unavailable { times: 1 })).unwrap();
        assert_eq!(get(&server, &[]).await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(get(&server, &[]).await.0, StatusCode::OK);
        assert_eq!(server.requests("disk.raw"), 8);
    }
}
