//! A look at what stored bytes are, before anybody may use them.

use crate::backend::Backend;
use crate::error::{Result, StorageError};
use crate::name::Name;
use disk::{Format, ImageInfo, ImageSource};
use futures_util::StreamExt;
use std::io::{self, Read};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

impl Backend {
    /// Lets `disk` look at stored bytes: their format, which must be the declared one if one is, and all of qcow2's metadata. The
    /// inner error is what is wrong with the image.
    pub async fn inspect(
        &self,
        name: &Name,
        declared: Option<Format>,
    ) -> Result<std::result::Result<ImageInfo, disk::Error>> {
        let size = self.size(name).await?;
        let mut source =
            StoredSource { backend: self.clone(), name: name.clone(), size, runtime: Handle::current() };
        let done = spawn_blocking(move || match source.backend.path(&source.name) {
            Some(path) => match disk::FileSource::open(&path) {
                Ok(mut file) => Ok(disk::inspect_image(&mut file, declared, &Format::ALL)),
                Err(error) => Err(StorageError::io(format!("reading {}", path.display()))(error)),
            },
            None => Ok(disk::inspect_image(&mut source, declared, &Format::ALL)),
        });
        done.await.map_err(|_| StorageError::lost("looking at an image"))?
    }

    /// The first bytes, at most `length`.
    pub async fn head(&self, name: &Name, length: u64) -> Result<Vec<u8>> {
        let mut reading = self.read(name, Some(0..length)).await?;
        let mut head = Vec::new();
        while let Some(piece) = reading.next().await {
            head.extend_from_slice(&piece.map_err(StorageError::io(format!("reading {name}")))?);
        }
        Ok(head)
    }
}

/// Stored bytes for a thread that may block.
struct StoredSource {
    backend: Backend,
    name: Name,
    size: u64,
    runtime: Handle,
}

impl ImageSource for StoredSource {
    fn size(&self) -> Option<u64> {
        Some(self.size)
    }

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let range = offset..offset.saturating_add(buf.len() as u64);
        self.runtime.block_on(async {
            let mut reading = self.backend.read(&self.name, Some(range)).await.map_err(io::Error::other)?;
            let mut rest = buf;
            while let Some(piece) = reading.next().await {
                let piece = piece?;
                let (now, later) = rest
                    .split_at_mut_checked(piece.len())
                    .ok_or_else(|| io::Error::other("more bytes came than were asked for"))?;
                now.copy_from_slice(&piece);
                rest = later;
            }
            if rest.is_empty() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
        })
    }

    fn stream(&mut self) -> io::Result<Box<dyn Read + '_>> {
        // Looking needs the metadata only.
        Err(io::ErrorKind::Unsupported.into())
    }
}
