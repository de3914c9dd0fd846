//! Names of stored bytes.

use crate::error::{Result, StorageError};
use std::fmt;
use uuid::Uuid;

/// Longest name, in bytes.
const LONGEST: usize = 200;

/// A name in the storage: a namespace and a key, as in `images/8d3b…`. Can't leave the storage's directory, whatever it was made from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The bytes of an image.
    pub fn image(image: Uuid) -> Self {
        Self(format!("images/{image}"))
    }

    /// Takes a namespace and a key, each of letters, digits, `-`, `_` and `.`, none beginning with a dot.
    pub fn new(namespace: &str, key: &str) -> Result<Self> {
        let plain = |part: &str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            !part.is_empty() && !part.starts_with('.') && part.bytes().all(is_plain)
        };
        let name = format!("{namespace}/{key}");
        // `unfinished` is where uploads are until they have a name.
        if name.len() > LONGEST
            || !plain(namespace)
            || !plain(key)
            || namespace == crate::directory::UNFINISHED
        {
            return Err(StorageError::BadName { name: name.chars().take(LONGEST).collect() });
        }
        Ok(Self(name))
    }

    /// Reads `namespace/key`.
    pub fn parse(text: &str) -> Result<Self> {
        match text.split_once('/') {
            Some((namespace, key)) => Self::new(namespace, key),
            None => Err(StorageError::BadName { name: text.chars().take(LONGEST).collect() }),
        }
    }

    /// `namespace/key`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key behind the namespace.
    pub fn key(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, key)| key)
    }

    pub(crate) fn namespace(&self) -> &str {
        self.0.split_once('/').map_or("", |(namespace, _)| namespace)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_the_storage() {
        assert_eq!(Name::new("images", "a-b_c.1").unwrap().as_str(), "images/a-b_c.1");
        let long = "x".repeat(LONGEST);
        for (namespace, key) in [
            ("images", ".."),
            ("..", "x"),
            ("images", ""),
            ("", "x"),
            ("images", "a/b"),
            ("images", "a\0"),
            ("images", ".hidden"),
            ("unfinished", "x"),
            ("images", long.as_str()),
        ] {
            assert!(Name::new(namespace, key).is_err(), "{namespace}/{key}");
        }
        assert!(Name::parse("images").is_err() && Name::parse("images/../x").is_err());
    }
}
