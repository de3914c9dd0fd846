//! The only room that knows SQL.
//!
//! A node is stored as one JSON document beside the columns that filters and claims need; the columns are projections of the
//! document, written by one function. All changes of a node go through [`Store::edit_node`]: read, change in memory, write,
//! in one short transaction that also writes the node's events; who holds a node does so by [`Store::edit_held`]. Claims have an epoch
//! ([`claim`]) and end with their process's session ([`conductor`]), so that a process that lost its node can't write to it any more.

mod aggregate;
mod allocation;
mod archive;
mod cells;
mod chassis;
mod check;
pub mod claim;
mod compute_quota;
pub mod conductor;
pub mod config_drive;
mod count;
mod database;
mod deploy_template;
pub mod dhcp_lease;
mod draft;
pub mod event;
mod flavor;
mod hardware;
mod history;
pub mod identity;
pub mod image;
mod inspection_rule;
pub mod inventory;
mod keypair;
pub mod lane;
pub mod listed;
mod measure;
mod migrations;
pub mod network;
mod network_address;
mod network_port;
mod network_quota;
mod network_security_group;
mod network_subnet;
pub mod node;
mod object_store;
mod port;
mod portgroup;
mod postgres;
pub mod power_sync;
mod readers;
pub mod record;
mod runbook;
mod seal;
mod select;
pub mod server;
mod server_group;
mod shard;
mod sqlite;
mod state_dir;
mod statements;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod transaction;
mod uptime;
mod volume;

pub use archive::ArchiveError;
pub use cells::Cells;
pub use check::Report;
pub use claim::{Claim, ClaimSpan, ClaimState, Holder, Served};
pub use conductor::{Joined, Member, Presence};
pub use database::{OpenError, Store};
pub use image::ImageQuery;
pub use inventory::Inventory;
pub use lane::Lane;
pub use listed::ListedNode;
pub use network::NetworkError;
pub use network_address::AddressWish;
pub use network_port::PortBinding;
pub use node::{Edit, Guard, NodeQuery, NodeRow, NodeVersion, Revision};
pub use object_store::Replaced;
pub use power_sync::PowerRow;
pub use record::{Query, Record, Scope};
pub use select::{Column, SortDirection};
pub use server::{DueServer, MachineEdit, NewServer, ServerEdit, ServerSecrets};
pub use uptime::uptime;

/// What can go wrong, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such row: tell the user.
    #[error("{what} {ident} could not be found")]
    NotFound {
        /// `Node`, `Port` …
        what: &'static str,
        /// What was asked for.
        ident: String,
    },
    /// Another row has this value already: the user chooses another one.
    #[error("{what} with {field} {value} already exists")]
    Duplicate {
        /// `node`, `port` …
        what: &'static str,
        /// Column.
        field: &'static str,
        /// The value that is taken.
        value: String,
    },
    /// Other rows belong to it: the user removes those first.
    #[error("{what} {ident} has {parts}")]
    InUse {
        /// `Chassis`, `Portgroup` …
        what: &'static str,
        /// Its identity.
        ident: String,
        /// What belongs to it: `nodes`, `ports`.
        parts: &'static str,
    },
    /// Somebody else holds the node: retry later.
    #[error("node {node} is locked by {holder}")]
    Locked {
        /// Node's name or UUID.
        node: String,
        /// Who holds it.
        holder: String,
    },
    /// This process held the node, and lost it: stop working on it.
    #[error("the claim on node {node} was lost to another process")]
    ClaimLost {
        /// Node's UUID.
        node: uuid::Uuid,
    },
    /// A sealed value could not be opened: the key file does not belong to this database.
    #[error("a stored secret of {what} can't be opened: the file seal.key does not belong to this database")]
    Seal {
        /// Whose secret.
        what: String,
    },
    /// There is no room for the change; nothing of it was written. Free some, then retry.
    #[error(
        "the disk of the state directory is full: free some space and try again; nothing of this change was written"
    )]
    Full,
    /// Another change, written together with this one, broke the transaction (a full disk, a failing one): nothing of either was
    /// written. Retry.
    #[error(
        "the change was dropped together with another one that could not be written; nothing of it was written, try again"
    )]
    Aborted,
    /// Too much is to be done at once: nothing of this was begun. Retry later.
    #[error(
        "the database has more to do than it gets through with in time; nothing of this was begun, try again"
    )]
    Busy,
    /// The database can't be reached, or was lost on the way. Retry, having looked whether a change was made.
    #[error("the database can't be reached: {0}")]
    Away(sqlx::Error),
    /// The database itself failed (file damaged, statement refused).
    #[error("database: {0}")]
    Database(sqlx::Error),
    /// A stored document can't be read by this version.
    #[error("stored {what} can't be read: {source}")]
    Corrupt {
        /// Whose document.
        what: String,
        /// Why.
        source: serde_json::Error,
    },
}

/// SQLite's result code for "no room left" (SQLITE_FULL), and PostgreSQL's SQLSTATE (disk_full).
const FULL: &[&str] = &["13", "53100"];

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|error| error.code());
        if code.is_some_and(|code| FULL.contains(&code.as_ref())) {
            Self::Full
        } else if postgres::is_worth_another_try(&error) {
            Self::Aborted
        } else if postgres::is_crowded(&error) {
            Self::Busy
        } else if postgres::is_away(&error) {
            Self::Away(error)
        } else {
            Self::Database(error)
        }
    }
}

/// Shorthand of this crate.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

pub(crate) fn micros(time: jiff::Timestamp) -> i64 {
    time.as_microsecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart_by_what_is_to_be_done() {
        assert!(matches!(sqlx::Error::PoolTimedOut.into(), StoreError::Away(_)));
        let lost = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert!(matches!(sqlx::Error::Io(lost).into(), StoreError::Away(_)));
        assert!(matches!(sqlx::Error::RowNotFound.into(), StoreError::Database(_)));
        let other = sqlx::Error::AnyDriverError("something else".into());
        assert!(matches!(other.into(), StoreError::Database(_)));
    }
}
