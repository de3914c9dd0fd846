//! The node's event log: what `why` and the timeline are told from.

use crate::state::words;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

words! {
    /// What kind of thing happened.
    EventKind, "event kind" {
        /// The provision state changed.
        Transition => "transition",
        /// A step started, ended or failed.
        Step => "step",
        /// The BMC was asked something.
        Bmc => "bmc",
        /// DHCP was answered or not.
        Dhcp => "dhcp",
        /// A file went out by TFTP.
        Tftp => "tftp",
        /// A file went out by HTTP.
        Http => "http",
        /// The agent called, or was called.
        Agent => "agent",
        /// A user asked for something.
        Request => "request",
    }
}

/// One thing that happened, with its time, its duration and its reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogEvent {
    /// Node that it happened to; none for a stranger's packet.
    pub node_uuid: Option<Uuid>,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in microseconds; none for an instant.
    pub duration_us: Option<i64>,
    /// Kind.
    pub kind: EventKind,
    /// Short name: `power on`, `deploy.write_image`, `available → deploying`.
    pub name: String,
    /// Did it succeed?
    pub ok: bool,
    /// The rest, for people: addresses, bytes, errors.
    pub detail: String,
}

impl LogEvent {
    /// An instant that went well.
    pub fn new(
        node: Option<Uuid>,
        at: Timestamp,
        kind: EventKind,
        name: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            node_uuid: node,
            at,
            duration_us: None,
            kind,
            name: name.into(),
            ok: true,
            detail: detail.into(),
        }
    }

    /// The same with the time it took, measured to `end`.
    pub fn until(mut self, end: Timestamp) -> Self {
        self.duration_us = Some(end.as_microsecond().saturating_sub(self.at.as_microsecond()));
        self
    }

    /// The same as a failure.
    pub fn failed(mut self) -> Self {
        self.ok = false;
        self
    }
}
