//! Whose business a node's power is.

use super::sweep::Sweeper;
use store::PowerRow;

impl Sweeper {
    /// Is this node's BMC asked by this process? One process holds the state directory, under its lock: every node is its own.
    pub(super) fn is_ours(&self, _node: &PowerRow) -> bool {
        true
    }
}
