//! A node that this process holds, and the gate before everything that is done under its claim.

use super::session::Session;
use crate::Conductor;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use store::{Claim, StoreError};

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
