//! MD5, which is what Swift's ETags are: a check against accidents, not against anybody.

use disk::{Algorithm, Hasher};

/// MD5 of the parts, one after another, in hex.
pub(super) fn md5(parts: &[&[u8]]) -> String {
    let mut hasher = Hasher::new(Algorithm::Md5);
    for part in parts {
        hasher.update(part);
    }
    hasher.finish().to_string()
}

/// An ETag without its quotes.
pub(super) fn plain_etag(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix("W/").unwrap_or(text).trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hash_as_the_whole() {
        assert_eq!(md5(&[b"a", b"", b"bc"]), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(md5(&[]), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(plain_etag(" \"ab\" "), "ab");
    }
}
