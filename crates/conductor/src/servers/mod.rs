//! Moves servers: finds each a node, gives it ports, has it deployed, and follows what becomes of it.
//!
//! Like the other reconcilers this one takes no input: servers that are due are read, looked at and put aside again. A server is due
//! when somebody asked for something, when its node changed (the store says so in the transaction that changed it), or by the clock.
//! All that is done here is done in the database, in transactions that check again what was read: hardware is the runner's, which hears
//! of it by the node's verbs. So a server needs no claim, and a process that dies anywhere leaves nothing half-made.

mod create;
mod interfaces;
mod metadata;
mod networking;
mod power;
mod reconcile;
mod remove;
mod request;
mod rescue;
mod retreat;
mod schedule;
mod spawn;
mod verbs;
mod visit;
mod watch;

pub use metadata::ServerMetadata;
pub use reconcile::run;
pub use request::{RebootKind, Rebuild, Requester};
