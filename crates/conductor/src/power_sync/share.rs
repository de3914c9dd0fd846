//! Whose business a node's power is.

use super::sweep::Sweeper;
use store::PowerRow;

impl Sweeper {
    /// Is this node's BMC asked by this process? The conductors of its group share the nodes out among themselves.
    pub(super) fn is_ours(&self, node: &PowerRow) -> bool {
        self.conductor.share().is_ours(node.uuid, &node.conductor_group, &node.driver)
    }
}
