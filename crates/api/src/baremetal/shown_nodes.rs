//! What was made of nodes' documents for those who see all of them, kept for the next who asks.
//!
//! Whoever watches a fleet asks for the same nodes again and again, and few of them have changed. What is kept is known by the
//! revision of its row, which a list reads anyway, so nothing has to be told when a node changes, here or in another process.

use model::version::Microversion;
use std::sync::{Mutex, PoisonError};

/// Sets, each with a lock of its own.
const SETS: usize = 256;
/// Nodes in a set.
const WAYS: usize = 6;
/// The longest text that is kept, bytes: all of it together are 6 MiB at most.
const LONGEST: usize = 4 << 10;

/// `id` and `revision` of a row, and the microversion that its text speaks.
pub(super) type Identity = (i64, i64, Microversion);

/// The texts of about 1,500 nodes.
pub struct ShownNodes {
    sets: Box<[Mutex<Set>]>,
}

#[derive(Default)]
struct Set {
    kept: Vec<(Identity, Box<[u8]>)>,
    /// The last of the numbers by which is drawn who has to go. Those who ask for more than there is room for, in turn, would never
    /// meet what they asked for before if the oldest had to.
    lot: u32,
}

impl Default for ShownNodes {
    fn default() -> Self {
        Self { sets: (0..SETS).map(|_| Mutex::default()).collect() }
    }
}

impl std::fmt::Debug for ShownNodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShownNodes").finish_non_exhaustive()
    }
}

impl ShownNodes {
    /// Appends the text of this revision; `false` where it is not kept.
    pub(super) fn write(&self, identity: Identity, out: &mut Vec<u8>) -> bool {
        self.with(identity, |set| match set.kept.iter().find(|(own, _)| *own == identity) {
            Some((_, text)) => {
                out.extend_from_slice(text);
                true
            }
            None => false,
        })
    }

    /// Keeps the text of this revision: in place of an older one, else of another node's.
    pub(super) fn keep(&self, identity: Identity, text: &[u8]) {
        if text.len() > LONGEST {
            return;
        }
        let (id, _, version) = identity;
        self.with(identity, |set| {
            let entry = (identity, text.into());
            let same = |((own, _, spoken), _): &(Identity, _)| *own == id && *spoken == version;
            if let Some(place) = set.kept.iter().position(same) {
                set.kept[place] = entry;
            } else if set.kept.len() < WAYS {
                set.kept.push(entry);
            } else {
                // The generator of Numerical Recipes; its upper bits are the better ones.
                set.lot = set.lot.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                set.kept[(set.lot >> 16) as usize % WAYS] = entry;
            }
        });
    }

    fn with<T>(&self, (id, ..): Identity, work: impl FnOnce(&mut Set) -> T) -> T {
        // Identifiers are numbered in order, so that any so many of them in a row fill the sets evenly.
        let set = &self.sets[id.unsigned_abs() as usize % SETS];
        work(&mut set.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: Microversion = Microversion::MAX;

    fn shown(nodes: &ShownNodes, identity: Identity) -> Option<Vec<u8>> {
        let mut out = b"{".to_vec();
        nodes.write(identity, &mut out).then_some(out)
    }

    #[test]
    fn a_text_is_that_of_its_revision_and_its_microversion() {
        let nodes = ShownNodes::default();
        nodes.keep((7, 1, VERSION), b"one");
        assert_eq!(shown(&nodes, (7, 1, VERSION)).as_deref(), Some(b"{one".as_slice()));
        assert_eq!(shown(&nodes, (7, 2, VERSION)), None);
        assert_eq!(shown(&nodes, (7, 1, model::version::BASE)), None);
        assert_eq!(shown(&nodes, (7 + SETS as i64, 1, VERSION)), None);
        nodes.keep((7, 2, VERSION), b"two");
        assert_eq!(shown(&nodes, (7, 1, VERSION)), None, "an older revision is nothing to keep");
        assert_eq!(shown(&nodes, (7, 2, VERSION)).as_deref(), Some(b"{two".as_slice()));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let nodes = ShownNodes::default();
        nodes.keep((1, 0, VERSION), &vec![b'x'; LONGEST + 1]);
        assert_eq!(shown(&nodes, (1, 0, VERSION)), None);
        let all = (SETS * WAYS) as i64;
        for id in 0..2 * all {
            nodes.keep((id, 0, VERSION), b"x");
        }
        let kept = (0..2 * all).filter(|id| shown(&nodes, (*id, 0, VERSION)).is_some()).count();
        assert_eq!(kept, SETS * WAYS);
    }
}
