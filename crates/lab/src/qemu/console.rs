//! A machine's serial console: everything it prints goes to `console.log` and to whoever listens.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::sync::{Mutex, broadcast, mpsc, watch};

use crate::error::{Error, Result};

/// The log stops growing here, in bytes: a guest that prints for ever must not fill the disk.
const MAX_LOG: u64 = 32 << 20;
/// Chunks kept for a listener that is late.
const CHUNKS_KEPT: usize = 1024;

/// The serial console of one machine, across its boots. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Console {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    log: Mutex<tokio::fs::File>,
    written: watch::Sender<u64>,
    output: broadcast::Sender<Bytes>,
    /// Towards the running guest, if there is one.
    input: std::sync::Mutex<Option<mpsc::Sender<Bytes>>>,
}

impl Console {
    /// Starts a console that logs to `path`, emptied first.
    pub(super) async fn create(path: &Path) -> Result<Self> {
        let log = tokio::fs::File::create(path).await.map_err(Error::io("creating", path))?;
        let shared = Shared {
            path: path.to_path_buf(),
            log: Mutex::new(log),
            written: watch::Sender::new(0),
            output: broadcast::Sender::new(CHUNKS_KEPT),
            input: std::sync::Mutex::new(None),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The log file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Bytes logged so far; a mark for [`Console::wait_for`].
    #[must_use]
    pub fn position(&self) -> u64 {
        *self.shared.written.borrow()
    }

    /// What the machine prints from now on. A listener that falls far behind loses chunks.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Bytes> {
        self.shared.output.subscribe()
    }

    /// Types into the console. Lost when the machine is off or does not read, as on a real serial line.
    pub fn type_in(&self, bytes: impl Into<Bytes>) {
        let input = self.shared.input.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(input) = &*input {
            let _ = input.try_send(bytes.into());
        }
    }

    /// Waits until the machine has printed `text` at or after `position` and returns the position behind it.
    ///
    /// # Errors
    /// [`Error::Timeout`] after `limit`, quoting the console's last lines.
    pub async fn wait_for(&self, text: &str, position: u64, limit: Duration) -> Result<u64> {
        let mut written = self.shared.written.subscribe();
        let mut start = position;
        let search = async {
            loop {
                let end = *written.borrow_and_update();
                let bytes = self.read(start, end).await?;
                if let Some(at) = find(&bytes, text.as_bytes()) {
                    return Ok(start + (at + text.len()) as u64);
                }
                // The text may straddle what is there and what comes.
                start = start.max(end.saturating_sub(text.len() as u64));
                if written.changed().await.is_err() {
                    return Err(Error::Invalid("the console is closed".into()));
                }
            }
        };
        match tokio::time::timeout(limit, search).await {
            Ok(found) => found,
            Err(_) => Err(Error::Timeout {
                what: format!("{text:?} on the console"),
                seconds: limit.as_secs(),
                hint: format!("the last it printed ({}):\n{}", self.path().display(), self.tail().await),
            }),
        }
    }

    /// All that was printed from `position` on, up to `end`, as bytes.
    async fn read(&self, position: u64, end: u64) -> Result<Vec<u8>> {
        let path = self.path();
        let mut file = tokio::fs::File::open(path).await.map_err(Error::io("opening", path))?;
        file.seek(std::io::SeekFrom::Start(position)).await.map_err(Error::io("reading", path))?;
        let mut bytes = Vec::new();
        file.take(end.saturating_sub(position))
            .read_to_end(&mut bytes)
            .await
            .map_err(Error::io("reading", path))?;
        Ok(bytes)
    }

    /// The last thousand bytes, readable.
    pub async fn tail(&self) -> String {
        let end = self.position();
        let bytes = self.read(end.saturating_sub(1000), end).await.unwrap_or_default();
        String::from_utf8_lossy(&bytes).chars().filter(|c| *c == '\n' || !c.is_control()).collect()
    }

    /// Connects the console to a guest that has just been started; returns when the guest's side closes.
    pub(super) async fn carry(
        self,
        mut from_guest: impl tokio::io::AsyncRead + Unpin,
        mut to_guest: impl tokio::io::AsyncWrite + Unpin,
    ) {
        let (sender, mut typed) = mpsc::channel::<Bytes>(64);
        *self.shared.input.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(sender);
        let mut chunk = vec![0; 8192];
        loop {
            tokio::select! {
                read = from_guest.read(&mut chunk) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(count) => self.record(Bytes::copy_from_slice(&chunk[..count])).await,
                },
                Some(bytes) = typed.recv() => {
                    if to_guest.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Notes something of the lab's own in the log, on a line of its own.
    pub(super) async fn note(&self, text: &str) {
        self.record(Bytes::from(format!("\r\n[billet-lab] {text}\r\n"))).await;
    }

    async fn record(&self, bytes: Bytes) {
        let mut log = self.shared.log.lock().await;
        if self.position() + bytes.len() as u64 <= MAX_LOG {
            let written = async {
                log.write_all(&bytes).await?;
                log.flush().await
            };
            match written.await {
                Ok(()) => self.shared.written.send_modify(|count| *count += bytes.len() as u64),
                Err(error) => tracing::warn!(%error, path = %self.path().display(), "console output lost"),
            }
        }
        let _ = self.shared.output.send(bytes);
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len().max(1)).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn console() -> (tempfile::TempDir, Console) {
        let dir = tempfile::tempdir().unwrap();
        let console = Console::create(&dir.path().join("console.log")).await.unwrap();
        (dir, console)
    }

    #[tokio::test]
    async fn text_is_found_across_chunks_and_only_behind_the_mark() {
        let (_dir, console) = console().await;
        console.record(Bytes::from_static(b"login: ")).await;
        let mark = console.position();
        let limit = Duration::from_secs(5);
        assert_eq!(console.wait_for("login:", 0, limit).await.unwrap(), 6);
        let (found, ()) = tokio::join!(console.wait_for("login:", mark, limit), async {
            console.record(Bytes::from_static(b"Debian log")).await;
            tokio::task::yield_now().await;
            console.record(Bytes::from_static(b"in: ")).await;
        });
        assert_eq!(found.unwrap(), mark + 13);
    }

    #[tokio::test]
    async fn silence_is_an_error_that_quotes_the_last_words() {
        let (_dir, console) = console().await;
        console.record(Bytes::from_static(b"Kernel panic - not syncing\r\n")).await;
        let error = console.wait_for("login:", 0, Duration::from_millis(20)).await.unwrap_err().to_string();
        assert!(error.contains("login:") && error.contains("Kernel panic"), "{error}");
    }

    #[tokio::test]
    async fn it_carries_both_ways() {
        let (_dir, console) = console().await;
        let (lab, mut guest) = tokio::io::duplex(64);
        let (read, write) = tokio::io::split(lab);
        let carried = tokio::spawn(console.clone().carry(read, write));
        let mut heard = console.subscribe();
        guest.write_all(b"boot").await.unwrap();
        assert_eq!(&heard.recv().await.unwrap()[..], b"boot");
        console.type_in("root\n");
        let mut typed = [0; 5];
        guest.read_exact(&mut typed).await.unwrap();
        assert_eq!(&typed, b"root\n");
        drop(guest);
        carried.await.unwrap();
    }
}
