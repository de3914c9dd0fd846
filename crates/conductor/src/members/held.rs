//! A node that this process holds: how it comes to be held, and the gate before everything that is done under its claim.

use super::session::Session;
use crate::Conductor;
use jiff::Timestamp;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use store::{Claim, Holder, NodeVersion, Served, StoreError};
use uuid::Uuid;

/// A claim, and the session that it hangs on. One that is dropped is released soon after.
pub struct Held {
    conductor: Conductor,
    session: Arc<Session>,
    claim: Claim,
    /// The database knows that it has ended.
    is_settled: bool,
}

impl Held {
    pub(crate) fn new(conductor: Conductor, session: Arc<Session>, claim: Claim) -> Self {
        conductor.members().register(&claim);
        Self { conductor, session, claim, is_settled: false }
    }

    /// The claim that writes check.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// The gate: asked before anything is done outside. [`StoreError::ClaimLost`] once others may hold the node, by this machine's own
    /// clock: a process that was paused knows it before it hears of it.
    pub fn check(&self) -> Result<(), StoreError> {
        if self.session.is_over() { Err(StoreError::ClaimLost { node: self.claim.node }) } else { Ok(()) }
    }

    /// Does something for as long as the node is held. The gate is asked each time that the work goes on after it has waited, so that
    /// a process which wakes up sends nothing more, be it the retransmission of a command.
    pub async fn keep<T>(&self, work: impl Future<Output = T>) -> Result<T, StoreError> {
        let mut work = pin!(work);
        let mut ended = pin!(self.session.ended());
        poll_fn(|context| {
            if let Err(lost) = self.check() {
                return Poll::Ready(Err(lost));
            }
            if ended.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(StoreError::ClaimLost { node: self.claim.node }));
            }
            work.as_mut().poll(context).map(Ok)
        })
        .await
    }

    /// Ends the claim. Where that fails, it is tried again behind the scenes.
    pub async fn release(mut self) -> Result<(), StoreError> {
        self.conductor.store().release(&self.claim).await?;
        self.is_settled = true;
        Ok(())
    }

    /// The claim has ended with the last change that was made under it.
    pub fn settle(mut self) {
        self.is_settled = true;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.conductor.members().forget(&self.claim, !self.is_settled);
    }
}

impl Conductor {
    /// This process in a session, as it stands in its claims.
    pub(crate) fn holder(&self, session: &Session) -> Holder {
        Holder::new(self.hostname(), session.id())
    }

    /// Claims a node. [`StoreError::Locked`] where somebody holds it.
    pub async fn claim(&self, node: Uuid) -> Result<Held, StoreError> {
        let session = self.members().session();
        if session.is_over() {
            return Err(StoreError::ClaimLost { node });
        }
        let holder = self.holder(&session);
        let claim = self.store().claim(node, &holder).await?;
        Ok(Held::new(self.clone(), session, claim))
    }

    /// Claims those of the served nodes that are due and free; none: this process has no session just now.
    pub(crate) async fn claim_due(
        &self,
        served: &Served,
        now: Timestamp,
        limit: i64,
    ) -> Result<Option<Vec<(Held, Result<NodeVersion, StoreError>)>>, StoreError> {
        let session = self.members().session();
        if session.is_over() {
            return Ok(None);
        }
        let holder = self.holder(&session);
        let claimed = self.store().claim_due(&holder, served, now, limit).await?;
        let held = |(claim, node)| (Held::new(self.clone(), session.clone(), claim), node);
        Ok(Some(claimed.into_iter().map(held).collect()))
    }
}
