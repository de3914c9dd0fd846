//! The one door to stored bytes, whatever keeps them.

use crate::batch::Pool;
use crate::directory::Directory;
use crate::error::{Result, StorageError};
use crate::name::Name;
use crate::reading::Reading;
#[cfg(feature = "s3")]
use crate::s3::{Bucket, S3Settings};
use crate::upload::{Sink, Upload};
use disk::Algorithm;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// Where bytes are kept. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Backend {
    kind: Arc<Kind>,
}

#[derive(Debug)]
enum Kind {
    Directory(Directory),
    #[cfg(feature = "s3")]
    Bucket(Bucket),
}

impl Backend {
    /// Keeps bytes in a directory, which is made if need be; uploads that a dead process left are removed. One process at a time may
    /// use it.
    pub fn directory(root: &Path) -> Result<Self> {
        Ok(Self { kind: Arc::new(Kind::Directory(Directory::open(root)?)) })
    }

    /// Keeps bytes in a bucket of S3-compatible storage. Asks nobody yet.
    #[cfg(feature = "s3")]
    pub fn s3(settings: &S3Settings) -> Result<Self> {
        Ok(Self { kind: Arc::new(Kind::Bucket(Bucket::open(settings)?)) })
    }

    /// Begins an upload of at most `limit` bytes. `announced` is its size, where the sender said it. The digests of `algorithms` are
    /// computed on the way. What has this name already stays until the upload is finished.
    pub async fn upload(
        &self,
        name: &Name,
        announced: Option<u64>,
        limit: u64,
        algorithms: &[Algorithm],
    ) -> Result<Upload> {
        if announced.is_some_and(|size| size > limit) {
            return Err(StorageError::TooLarge { limit });
        }
        let pool = Pool::new();
        let sink = match &*self.kind {
            Kind::Directory(_) => {
                let (name, pool) = (name.clone(), Arc::clone(&pool));
                Sink::File(self.blocking(move |directory| directory.create(&name, announced, pool)).await?)
            }
            #[cfg(feature = "s3")]
            Kind::Bucket(bucket) => Sink::Object(bucket.create(name).await?),
        };
        Ok(Upload::new(sink, pool, algorithms, limit))
    }

    /// Opens a stretch of stored bytes; the whole without one. A stretch beyond the end is cut.
    pub async fn read(&self, name: &Name, range: Option<Range<u64>>) -> Result<Reading> {
        match &*self.kind {
            Kind::Directory(_) => {
                let name = name.clone();
                let (file, size) = self.blocking(move |directory| directory.read(&name)).await?;
                let range = range.unwrap_or(0..size);
                let start = range.start.min(size);
                let end = range.end.clamp(start, size);
                Ok(Reading::file(file, start, end - start))
            }
            #[cfg(feature = "s3")]
            Kind::Bucket(bucket) => bucket.read(name, range).await,
        }
    }

    /// Bytes under this name.
    pub async fn size(&self, name: &Name) -> Result<u64> {
        match &*self.kind {
            Kind::Directory(_) => {
                let name = name.clone();
                self.blocking(move |directory| directory.read(&name).map(|(_, size)| size)).await
            }
            #[cfg(feature = "s3")]
            Kind::Bucket(bucket) => bucket.size(name).await,
        }
    }

    /// Removes what has this name; it is no error if nothing has.
    pub async fn delete(&self, name: &Name) -> Result<()> {
        match &*self.kind {
            Kind::Directory(_) => {
                let name = name.clone();
                self.blocking(move |directory| directory.delete(&name)).await
            }
            #[cfg(feature = "s3")]
            Kind::Bucket(bucket) => bucket.delete(name).await,
        }
    }

    /// Every name of a namespace: for finding what nobody owns any more.
    pub async fn list(&self, namespace: &'static str) -> Result<Vec<Name>> {
        match &*self.kind {
            Kind::Directory(_) => self.blocking(move |directory| directory.list(namespace)).await,
            #[cfg(feature = "s3")]
            Kind::Bucket(bucket) => bucket.list(namespace).await,
        }
    }

    /// The file with these bytes, where they are in a file of this host.
    pub fn path(&self, name: &Name) -> Option<PathBuf> {
        match &*self.kind {
            Kind::Directory(directory) => Some(directory.path(name)),
            #[cfg(feature = "s3")]
            Kind::Bucket(_) => None,
        }
    }

    /// Does something with the directory on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Directory) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let kind = Arc::clone(&self.kind);
        let done = spawn_blocking(move || match &*kind {
            Kind::Directory(directory) => act(directory),
            #[cfg(feature = "s3")]
            Kind::Bucket(_) => Err(StorageError::lost("reading a directory")),
        });
        done.await.map_err(|_| StorageError::lost("reading a directory"))?
    }
}
