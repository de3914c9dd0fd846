//! What a handler says; only the runner writes it down.

use crate::agent::AgentError;
use bmc::BmcError;
use jiff::Timestamp;
use model::node::{Fault, Node};
use model::state::Event;
use store::StoreError;

/// A change of the node that is written together with an event of the state machine.
pub type Change = Box<dyn Fn(&mut Node) + Send + Sync>;

/// What comes next for a node.
pub enum Outcome {
    /// The state machine moves on.
    Next(Event, Change),
    /// Progress was saved; the same state's handler runs again at once.
    Again,
    /// Nothing to do before this time, or before a nudge.
    Wait(Option<Timestamp>),
}

impl Outcome {
    /// The state machine moves on and nothing else changes.
    pub fn next(event: Event) -> Self {
        Outcome::Next(event, Box::new(|_| {}))
    }

    /// The state machine moves on with a change.
    pub fn next_with(event: Event, change: impl Fn(&mut Node) + Send + Sync + 'static) -> Self {
        Outcome::Next(event, Box::new(change))
    }
}

/// Why a handler could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The work failed for good; the text becomes `last_error`.
    #[error("{text}")]
    Final {
        /// What was tried, what came back, what to do.
        text: String,
        /// Fault to set, with maintenance.
        fault: Option<Fault>,
    },
    /// The steps that were asked for don't fit the node; the text is the whole `last_error`.
    #[error("{0}")]
    Steps(String),
    /// Nobody called in time; the text is the whole `last_error`.
    #[error("{0}")]
    TimedOut(String),
    /// The user's abort takes effect; the text is the whole `last_error`.
    #[error("{0}")]
    Aborted(String),
    /// Nothing failed: the node is to be looked at again at this time.
    #[error("not before {0}")]
    Later(Timestamp),
    /// The BMC failed. The runner is patient with those that may recover.
    #[error("{doing}: {source}")]
    Bmc {
        /// What was being done.
        doing: &'static str,
        /// What came back.
        source: BmcError,
    },
    /// The agent failed. The runner is patient with those that may recover.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The database failed or the claim was lost: stop here; whoever claims the node next goes on.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure {
    /// A failure for good.
    pub fn last(text: impl Into<String>) -> Self {
        Failure::Final { text: text.into(), fault: None }
    }

    /// Is it for the runner alone, rather than a failure of the work?
    pub fn is_runners(&self) -> bool {
        matches!(self, Failure::Later(_) | Failure::Store(_))
    }
}
