//! `[image]`: where the bytes of images and objects are kept, and what images may be.

use anyhow::{Context, Result, bail};
use api::image::ImageSettings;
use images::{Algorithm, Backend, S3Settings};
use ipnet::IpNet;
use model::Secret;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// `[image]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Image {
    /// A directory, or `s3://BUCKET/PREFIX`; `storage` in the state directory by default. Objects of the object store are kept there too.
    pub storage: Option<String>,
    /// Who we are to the S3-compatible storage, and where it is.
    pub s3: Option<S3>,
    /// Bytes that one image may have (`image_size_cap`).
    pub size_limit: Option<u64>,
    /// Algorithm of `os_hash_value`: `sha256` or `sha512` (`hashing_algorithm`).
    pub hashing_algorithm: Option<String>,
    /// Compute the MD5 in `checksum` too.
    pub md5_checksum: bool,
    /// Networks, as in `10.1.0.0/16`, that `web-download` may fetch from beside public addresses.
    pub download_networks: Vec<IpNet>,
}

/// `[image.s3]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3 {
    /// URL of the service; Amazon's by default.
    pub endpoint: Option<String>,
    /// Region; `us-east-1` by default.
    pub region: Option<String>,
    /// Who we are.
    pub access_key: String,
    /// What proves it.
    pub secret_key: Secret,
}

impl Image {
    /// The image service's settings.
    pub fn settings(&self) -> Result<ImageSettings> {
        let mut settings = ImageSettings {
            md5_checksum: self.md5_checksum,
            download_networks: self.download_networks.clone(),
            ..ImageSettings::default()
        };
        if let Some(limit) = self.size_limit {
            settings.size_limit = limit;
        }
        settings.hashing_algorithm = match self.hashing_algorithm.as_deref() {
            None | Some("sha256") => Algorithm::Sha256,
            Some("sha512") => Algorithm::Sha512,
            Some(other) => {
                bail!("image.hashing_algorithm is \"{other}\"; it may be \"sha256\" or \"sha512\"")
            }
        };
        Ok(settings)
    }

    /// Opens the storage.
    pub fn backend(&self, state_dir: &Path) -> Result<Backend> {
        let place = self.storage.as_deref();
        let Some(bucket) = place.and_then(|place| place.strip_prefix("s3://")) else {
            let root = place.map_or_else(|| state_dir.join("storage"), PathBuf::from);
            return Backend::directory(&root).context("image.storage");
        };
        let Some(s3) = &self.s3 else {
            bail!("image.storage is in S3: [image.s3] needs access_key and secret_key")
        };
        let (bucket, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
        if bucket.is_empty() {
            bail!("image.storage needs a bucket, as in s3://BUCKET/PREFIX");
        }
        let settings = S3Settings {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: s3.endpoint.clone(),
            region: s3.region.clone().unwrap_or_else(|| "us-east-1".to_owned()),
            access_key: s3.access_key.clone(),
            secret_key: s3.secret_key.clone(),
        };
        Backend::s3(&settings).context("image.storage")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::File;

    fn image(text: &str) -> Result<Image> {
        Ok(toml::from_str::<File>(text)?.image)
    }

    #[test]
    fn storage_is_a_directory_or_a_bucket() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        image("").unwrap().backend(dir.path()).unwrap();
        assert!(dir.path().join("storage").is_dir());
        let s3 = "[image]\nstorage = \"s3://b/p\"\n[image.s3]\naccess_key = \"a\"\nsecret_key = \"s3cr3t\"\n";
        let section = image(s3).unwrap();
        assert!(!format!("{section:?}").contains("s3cr3t"));
        section.backend(dir.path()).unwrap();
        for (wrong, named) in [
            ("[image]\nstorage = \"s3://b\"\n", "image.s3"),
            (
                "[image]\nstorage = \"s3:///p\"\n[image.s3]\naccess_key = \"a\"\nsecret_key = \"b\"\n",
                "bucket",
            ),
        ] {
            let error = format!("{:#}", image(wrong).unwrap().backend(dir.path()).unwrap_err());
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn what_images_may_be_is_set_by_name() {
        let text =
            "[image]\nsize_limit = 5\nhashing_algorithm = \"sha512\"\ndownload_networks = [\"10.0.0.0/8\"]\n";
        let settings = image(text).unwrap().settings().unwrap();
        assert_eq!((settings.size_limit, settings.hashing_algorithm), (5, Algorithm::Sha512));
        assert_eq!(settings.download_networks.len(), 1);
        let error = image("[image]\nhashing_algorithm = \"md5\"\n").unwrap().settings().unwrap_err();
        assert!(error.to_string().contains("sha256"), "{error}");
        assert!(image("[image]\ndownload_networks = [\"10.0.0.1/8/9\"]\n").is_err());
    }
}
