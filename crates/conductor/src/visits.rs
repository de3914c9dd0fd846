//! The visits of this process, and how what is asked for here becomes one without a detour.

use crate::Conductor;
use crate::members::Held;
use crate::request::RequestError;
use crate::runner::{self, ROUND};
use jiff::Timestamp;
use store::{Edit, Guard, NodeVersion, StoreError};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Where visits run, and until when. Cheap to clone.
#[derive(Clone)]
pub struct Visits {
    tracker: TaskTracker,
    runtime: Handle,
    stop: CancellationToken,
}

impl Visits {
    /// Of the runtime that this runs in.
    pub fn new(stop: CancellationToken) -> Self {
        Self { tracker: TaskTracker::new(), runtime: Handle::current(), stop }
    }

    /// Attends to a node that was just claimed.
    pub fn begin(&self, conductor: Conductor, held: Held, version: Result<NodeVersion, StoreError>) {
        self.tracker.spawn_on(runner::attend(conductor, held, version, self.stop.clone()), &self.runtime);
    }

    /// Returns when those under way have come to their next record.
    pub async fn end(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// May one begin that nobody looked for?
    fn has_room(&self) -> bool {
        !self.stop.is_cancelled() && self.tracker.len() < ROUND
    }
}

impl Conductor {
    /// Changes a free node that is in hand as it was read last. If that makes it due, and this process serves it, it is taken up with the
    /// same change: nobody has to be woken to look for it. [`StoreError::Locked`] where somebody holds it.
    pub(crate) async fn ask(
        &self,
        known: &NodeVersion,
        change: impl Fn(&mut Edit) -> Result<(), RequestError>,
    ) -> Result<(), RequestError> {
        let session = self.members().session();
        let takes = !session.is_over() && self.serves(&known.node) && self.store().backlog() < ROUND;
        let visits = self.visits().filter(|visits| takes && visits.has_room());
        let taker = visits.as_ref().map(|_| self.holder(&session));
        let known = (&known.node, known.revision);
        let changed = self.store().edit_known(Guard::Free, known, taker.as_ref(), Timestamp::now(), change);
        let (version, claim) = changed.await?;
        if let (Some(visits), Some(claim)) = (visits, claim) {
            visits.begin(self.clone(), Held::new(self.clone(), session, claim), Ok(version));
        }
        Ok(())
    }
}
