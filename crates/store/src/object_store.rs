//! The object store's accounts, containers and objects.
//!
//! What lies in the backend and what the rows say are kept together by `object_bodies`: a body is written there before its first byte
//! is, leaves it in the transaction that gives it to an object, and comes back in the one that takes it away. So whatever a crash
//! leaves behind is listed there.

mod account;
mod body;
mod container;
mod object;

pub use object::Replaced;

use crate::{Result, Store, StoreError};
use model::object_store::TempUrlKeys;
use serde::de::DeserializeOwned;

/// What errors call a container.
const CONTAINER: &str = "Container";
/// What errors call an object.
const OBJECT: &str = "Object";

impl Store {
    /// Seals the keys of temporary URLs; none: there are none.
    fn seal_keys(&self, of: &str, keys: &TempUrlKeys) -> Result<Option<Vec<u8>>> {
        if keys.is_empty() {
            return Ok(None);
        }
        self.sealer().seal(of, encode(of, keys)?.as_bytes()).map(Some)
    }

    fn open_keys(&self, of: &str, sealed: Option<Vec<u8>>) -> Result<TempUrlKeys> {
        let Some(sealed) = sealed else { return Ok(TempUrlKeys::default()) };
        let plain = self.sealer().open_sealed(of, &sealed)?;
        serde_json::from_slice(&plain).map_err(|source| StoreError::Corrupt { what: of.to_owned(), source })
    }
}

fn encode(what: &str, value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|source| StoreError::Corrupt { what: what.to_owned(), source })
}

fn decode<T: DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|source| StoreError::Corrupt { what: what.to_owned(), source })
}
