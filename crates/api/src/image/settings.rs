//! What can be set of the image service. Defaults are Glance's where Glance has the option, but for the digests.

use images::Algorithm;
use ipnet::IpNet;

/// Settings of the image service.
#[derive(Debug, Clone)]
pub struct ImageSettings {
    /// Bytes that one image may have (`[DEFAULT] image_size_cap`).
    pub size_limit: u64,
    /// Algorithm of `os_hash_value` (`[DEFAULT] hashing_algorithm`). SHA-256 where Glance has SHA-512: processors compute it three
    /// times as fast, so that an upload is as fast as the disk.
    pub hashing_algorithm: Algorithm,
    /// Compute the MD5 in `checksum` too. No client of today needs it, and nothing computes it as fast as a disk writes.
    pub md5_checksum: bool,
    /// Networks that `web-download` may fetch from beside public addresses.
    pub download_networks: Vec<IpNet>,
}

impl Default for ImageSettings {
    fn default() -> Self {
        Self {
            size_limit: 1 << 40,
            hashing_algorithm: Algorithm::Sha256,
            md5_checksum: false,
            download_networks: Vec::new(),
        }
    }
}

impl ImageSettings {
    /// The digests that are computed of an image.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let mut algorithms = vec![self.hashing_algorithm];
        if self.md5_checksum && self.hashing_algorithm != Algorithm::Md5 {
            algorithms.push(Algorithm::Md5);
        }
        algorithms
    }
}
