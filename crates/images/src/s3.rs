//! Bytes in a bucket of S3-compatible storage.

use crate::error::{Result, StorageError};
use crate::name::Name;
use crate::reading::Reading;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use model::Secret;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, UploadPart,
};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Parts that a multipart upload may have.
const PARTS: usize = 10_000;
/// The first half of the parts is this large, the second half four times as large: 200 GB in all, and never more in memory than
/// two parts and what is being gathered.
const PART: usize = 8 << 20;
const LARGE_PART: usize = 4 * PART;
/// Bytes on their way to the storage at once.
const IN_FLIGHT: usize = 2 * PART;

/// Where the bucket is, and who we are to it.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// Bucket.
    pub bucket: String,
    /// What names begin with within it, without slashes around it; may be empty.
    pub prefix: String,
    /// URL of the service; Amazon's without one. Plain `http` is for storage on the same host or a network of its own.
    pub endpoint: Option<String>,
    /// Region.
    pub region: String,
    /// Who we are.
    pub access_key: String,
    /// What proves it.
    pub secret_key: Secret,
}

#[derive(Debug)]
pub(crate) struct Bucket {
    store: Arc<AmazonS3>,
    name: String,
    prefix: String,
}

impl Bucket {
    pub(crate) fn open(settings: &S3Settings) -> Result<Self> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&settings.bucket)
            .with_region(&settings.region)
            .with_access_key_id(&settings.access_key)
            .with_secret_access_key(settings.secret_key.expose())
            // One request an object: not every service has the other kind.
            .with_disable_bulk_delete(true);
        if let Some(endpoint) = &settings.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        let store = builder.build().map_err(|error| remote("opening", &settings.bucket, &error))?;
        Ok(Self {
            store: Arc::new(store),
            name: settings.bucket.clone(),
            prefix: settings.prefix.trim_matches('/').to_owned(),
        })
    }

    fn path(&self, name: &str) -> Path {
        if self.prefix.is_empty() { Path::from(name) } else { Path::from(format!("{}/{name}", self.prefix)) }
    }

    fn failed(&self, verb: &str, name: &Name, error: &object_store::Error) -> StorageError {
        match error {
            object_store::Error::NotFound { .. } => StorageError::NotFound { name: name.to_string() },
            other => remote(verb, &format!("{name} in bucket {}", self.name), other),
        }
    }

    pub(crate) async fn create(&self, name: &Name) -> Result<NewObject> {
        let path = self.path(name.as_str());
        let upload =
            self.store.put_multipart(&path).await.map_err(|error| self.failed("beginning", name, &error))?;
        Ok(NewObject {
            upload: Some(upload),
            what: format!("{name} in bucket {}", self.name),
            gathered: Vec::new(),
            gathered_bytes: 0,
            parts: 0,
            under_way: JoinSet::new(),
        })
    }

    pub(crate) async fn read(&self, name: &Name, range: Option<Range<u64>>) -> Result<Reading> {
        let size = self.size(name).await?;
        let range = range.unwrap_or(0..size);
        let start = range.start.min(size);
        let end = range.end.clamp(start, size);
        if start == end {
            return Ok(Reading::object(0, futures_util::stream::empty()));
        }
        let options = GetOptions { range: Some(GetRange::Bounded(start..end)), ..GetOptions::default() };
        let path = self.path(name.as_str());
        let result = self
            .store
            .get_opts(&path, options)
            .await
            .map_err(|error| self.failed("reading", name, &error))?;
        Ok(Reading::object(end - start, result.into_stream().map_err(io::Error::other)))
    }

    pub(crate) async fn size(&self, name: &Name) -> Result<u64> {
        let path = self.path(name.as_str());
        let about = self.store.head(&path).await.map_err(|error| self.failed("reading", name, &error))?;
        Ok(about.size)
    }

    pub(crate) async fn delete(&self, name: &Name) -> Result<()> {
        match self.store.delete(&self.path(name.as_str())).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("removing", name, &error)),
        }
    }

    pub(crate) async fn list(&self, namespace: &str) -> Result<Vec<Name>> {
        let mut entries = self.store.list(Some(&self.path(namespace)));
        let mut names = Vec::new();
        while let Some(entry) = entries.next().await {
            let entry = entry.map_err(|error| remote("listing", &self.name, &error))?;
            if let Some(name) = entry.location.filename().and_then(|key| Name::new(namespace, key).ok()) {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// The service's error with its causes, in one line.
fn remote(verb: &str, what: &str, error: &dyn std::error::Error) -> StorageError {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !reason.contains(&text) {
            reason = format!("{reason}: {text}");
        }
        source = cause.source();
    }
    StorageError::Remote { attempt: format!("{verb} {what}"), reason }
}

/// An object that is not there yet: its parts are, which the service forgets when the upload is given up.
pub(crate) struct NewObject {
    upload: Option<Box<dyn MultipartUpload>>,
    what: String,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    parts: usize,
    under_way: JoinSet<object_store::Result<()>>,
}

impl NewObject {
    fn part_size(&self) -> usize {
        if self.parts < PARTS / 2 { PART } else { LARGE_PART }
    }

    /// Takes a copy: a part is larger than all batches of an upload.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.gathered_bytes += bytes.len();
        self.gathered.push(Bytes::copy_from_slice(bytes));
        while self.gathered_bytes >= self.part_size() {
            self.send().await?;
        }
        Ok(())
    }

    /// Sends one part of what was gathered.
    async fn send(&mut self) -> Result<()> {
        let at_once = (IN_FLIGHT / self.part_size()).max(1);
        while self.under_way.len() >= at_once {
            self.settle_one().await?;
        }
        if self.parts == PARTS {
            let half = (PARTS / 2) as u64;
            return Err(StorageError::TooLarge { limit: half * PART as u64 + half * LARGE_PART as u64 });
        }
        let payload = self.take_part();
        let part: UploadPart = match &mut self.upload {
            Some(upload) => upload.put_part(payload),
            None => return Err(StorageError::lost(format!("writing {}", self.what))),
        };
        self.parts += 1;
        self.under_way.spawn(part);
        Ok(())
    }

    /// Exactly a part's size where there is so much: some services want all parts but the last alike.
    fn take_part(&mut self) -> PutPayload {
        let mut room = self.part_size().min(self.gathered_bytes);
        let mut taken = Vec::new();
        let mut rest = std::mem::take(&mut self.gathered).into_iter();
        for mut bytes in rest.by_ref() {
            if bytes.len() > room {
                taken.push(bytes.split_to(room));
                self.gathered.push(bytes);
                break;
            }
            room -= bytes.len();
            taken.push(bytes);
        }
        self.gathered.extend(rest);
        let payload = PutPayload::from_iter(taken);
        self.gathered_bytes -= payload.content_length();
        payload
    }

    async fn settle_one(&mut self) -> Result<()> {
        match self.under_way.join_next().await {
            Some(Ok(done)) => done.map_err(|error| remote("writing", &self.what, &error)),
            Some(Err(_)) => Err(StorageError::lost(format!("writing {}", self.what))),
            None => Ok(()),
        }
    }

    pub(crate) async fn finish(mut self) -> Result<()> {
        // An upload has one part at least, be it empty.
        if self.gathered_bytes > 0 || self.parts == 0 {
            self.send().await?;
        }
        while !self.under_way.is_empty() {
            self.settle_one().await?;
        }
        let Some(upload) = &mut self.upload else {
            return Err(StorageError::lost(format!("writing {}", self.what)));
        };
        upload.complete().await.map_err(|error| remote("finishing", &self.what, &error))?;
        self.upload = None;
        Ok(())
    }
}

impl Drop for NewObject {
    fn drop(&mut self) {
        let Some(mut upload) = self.upload.take() else { return };
        self.under_way.abort_all();
        let what = std::mem::take(&mut self.what);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = upload.abort().await {
                    tracing::warn!(what, %error, "an unfinished upload could not be given up");
                }
            });
        }
    }
}
