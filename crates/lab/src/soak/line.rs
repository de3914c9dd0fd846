//! The way from one process to the database, which can be cut: then nothing comes through in either direction, connections stay
//! as they are and new ones wait, as when a network fails. What was under way arrives when it is mended.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::error::{Error, Result};
use crate::postgres::SOCKET;

/// Bytes that are on their way at most, each way.
const ROOM: usize = 64 * 1024;

/// One process's way; it ends when it is dropped.
pub(super) struct Line {
    dir: PathBuf,
    is_cut: watch::Sender<bool>,
    _end: DropGuard,
}

impl Line {
    /// Listens in a directory that it makes, as PostgreSQL does, and passes on to the server's socket.
    pub fn start(dir: PathBuf, server: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&dir).map_err(Error::io("creating", &dir))?;
        let path = dir.join(SOCKET);
        let listener = UnixListener::bind(&path).map_err(Error::io("listening on", &path))?;
        let (is_cut, state) = watch::channel(false);
        let end = CancellationToken::new();
        tokio::spawn(end.clone().run_until_cancelled_owned(pass_on(listener, server, state, end.clone())));
        Ok(Self { dir, is_cut, _end: end.drop_guard() })
    }

    /// Where the process finds its database's socket.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// From now on nothing comes through.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// Everything comes through again.
    pub fn mend(&self) {
        self.is_cut.send_replace(false);
    }

    /// Does nothing come through?
    pub fn is_cut(&self) -> bool {
        *self.is_cut.borrow()
    }
}

async fn pass_on(
    listener: UnixListener,
    server: PathBuf,
    mut is_cut: watch::Receiver<bool>,
    end: CancellationToken,
) {
    while let Ok((client, _)) = listener.accept().await {
        if is_cut.wait_for(|is_cut| !is_cut).await.is_err() {
            return;
        }
        // A server that is not there is one that hangs up.
        let Ok(server) = UnixStream::connect(&server).await else { continue };
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        for (from, to) in [(from_client, to_server), (from_server, to_client)] {
            tokio::spawn(end.clone().run_until_cancelled_owned(pump(from, to, is_cut.clone())));
        }
    }
}

/// Copies until one end is closed, and closes the other.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut is_cut: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut bytes = vec![0; ROOM];
    loop {
        let count = from.read(&mut bytes).await.unwrap_or(0);
        if is_cut.wait_for(|is_cut| !is_cut).await.is_err() || count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&bytes[..count]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn what_is_said_while_it_is_cut_arrives_when_it_is_mended() {
        let dir = tempfile::tempdir().unwrap();
        let server = dir.path().join("server");
        let listener = UnixListener::bind(&server).unwrap();
        let line = Line::start(dir.path().join("line"), server).unwrap();
        let mut client = UnixStream::connect(line.dir().join(SOCKET)).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let mut byte = [0];
        client.write_all(b"a").await.unwrap();
        server.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"a");

        line.cut();
        client.write_all(b"b").await.unwrap();
        server.write_all(b"c").await.unwrap();
        let mut late = UnixStream::connect(line.dir().join(SOCKET)).await.unwrap();
        let nothing = Duration::from_millis(50);
        assert!(timeout(nothing, server.read_exact(&mut byte)).await.is_err());
        assert!(timeout(nothing, client.read_exact(&mut byte)).await.is_err());
        assert!(timeout(nothing, listener.accept()).await.is_err());

        line.mend();
        server.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"b");
        client.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"c");
        let (server, _) = listener.accept().await.unwrap();
        drop(server);
        assert_eq!(late.read(&mut byte).await.unwrap(), 0, "who hangs up is heard");
    }
}
