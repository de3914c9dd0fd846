//! One visit to a claimed node: the working copy, and the doors to the store, the BMC and the agent.

use crate::Conductor;
use crate::agent::AgentClient;
use crate::hardware;
use crate::outcome::Failure;
use bmc::{Bmc, BmcError};
use jiff::Timestamp;
use model::event::{EventKind, LogEvent};
use model::node::Node;
use std::future::Future;
use std::sync::Arc;
use store::{Claim, Guard};

/// A claimed node while a handler works on it.
pub struct Visit<'a> {
    /// The conductor at work.
    pub conductor: &'a Conductor,
    /// The claim that every write checks.
    pub claim: &'a Claim,
    /// The node as of the last read or write, secrets included.
    pub node: Node,
}

impl Visit<'_> {
    /// Now.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Changes the node on disk and in hand, with events in the same transaction.
    pub async fn edit(&mut self, change: impl FnOnce(&mut store::Edit)) -> Result<(), Failure> {
        let now = self.now();
        let (_, node) = self
            .conductor
            .store()
            .edit_node(self.node.uuid, Guard::Held(self.claim), now, |edit| {
                change(edit);
                Ok::<_, store::StoreError>(())
            })
            .await?;
        self.node = node;
        Ok(())
    }

    /// Writes one line into the node's event log.
    pub async fn note(&self, event: LogEvent) -> Result<(), Failure> {
        Ok(self.conductor.store().record(std::slice::from_ref(&event)).await?)
    }

    /// The node's BMC.
    pub fn bmc(&self) -> Result<Arc<dyn Bmc>, Failure> {
        hardware::bmc_of(self.conductor, &self.node).map_err(Failure::last)
    }

    /// Asks the BMC something and leaves an event with the time it took and what came of it.
    pub async fn ask<T>(
        &self,
        doing: &'static str,
        call: impl Future<Output = Result<T, BmcError>>,
        tell: impl FnOnce(&T) -> String,
    ) -> Result<T, Failure> {
        let started = self.now();
        let answer = call.await;
        let event = |detail: String| {
            LogEvent::new(Some(self.node.uuid), started, EventKind::Bmc, doing, detail).until(self.now())
        };
        match answer {
            Ok(value) => {
                self.note(event(tell(&value))).await?;
                Ok(value)
            }
            Err(source) => {
                self.note(event(source.to_string()).failed()).await?;
                Err(Failure::Bmc { doing, source })
            }
        }
    }

    /// The node's agent.
    pub fn agent(&self) -> Result<AgentClient, Failure> {
        Ok(AgentClient::new(&self.node.agent, self.conductor.settings().agent_timeout)?)
    }
}
