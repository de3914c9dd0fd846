//! Identity: who there is, who may do what where, and the catalog.
//!
//! [`Store::identity`] lends all of it. Whoever changes anything goes through [`Identity::change`], which counts up the
//! [generation](Identity::generation): what was worked out from identity data, like the meaning of a token, holds for one generation.

mod assignment;
mod bootstrap;
mod cascade;
mod login;
mod member;
mod record;
mod resources;
mod revocation;

pub use bootstrap::FirstData;
pub use record::IdentityRecord;

use crate::transaction::Write;
use crate::{Result, Store};

/// Identity data of a store.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    store: &'a Store,
}

impl Store {
    /// Identity data.
    pub fn identity(&self) -> Identity<'_> {
        Identity { store: self }
    }
}

impl Identity<'_> {
    /// A number that grows with every change of identity data. It begins anew with each process.
    pub fn generation(&self) -> u64 {
        self.store.identity_generation()
    }

    /// Ends a change: once what is written is safe, nothing that was known before counts any more.
    async fn commit(&self, tx: Write) -> Result<()> {
        let outcome = tx.commit().await;
        // Also where it failed: whether it did is not always known.
        self.store.identity_has_changed();
        outcome
    }
}
