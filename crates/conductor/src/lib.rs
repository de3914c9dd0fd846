//! Claims nodes and moves them.
//!
//! The API records what a user wants ([`Conductor::provision`], [`Conductor::power`]); reconcilers do it. A reconciler takes no
//! input: it is woken by a nudge or by the clock, asks the store which nodes are due, claims each, runs the small handler of its
//! state, and writes outcome and event in one transaction. So the path after a crash and the normal path are one code.

mod agent;
mod allocation;
mod boot;
mod boot_source;
mod claim;
mod config_drive;
mod errand;
mod fail;
pub mod fake;
pub mod glance;
mod hardware;
mod history;
mod image;
pub mod inspection;
mod lease;
mod lookup;
mod measure;
pub mod members;
mod outcome;
mod partition_image;
mod power;
mod power_sync;
mod provision;
pub mod request;
mod rescue_password;
mod runner;
pub mod servers;
mod settings;
mod states;
mod steps;
mod validation;
mod visit;
mod visits;
mod wording;

pub use agent::causes;
pub use boot_source::{NodeBootSource, StoredLeases};
pub use claim::{LOCK_PAUSE, LOCK_TRIES, patiently};
pub use members::{Held, JoinError, Role, Share};
pub use power_sync::{PowerSync, Sweep};
pub use request::*;
pub use servers::{RebootKind, Rebuild, Requester, ServerMetadata};
pub use settings::Settings;

use bmc::Registry;
use members::Members;
use model::node::Node;
use std::sync::{Arc, Mutex, PoisonError};
use store::{Served, Store};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use visits::Visits;

/// The conductor of this process. Cheap to clone.
#[derive(Clone)]
pub struct Conductor {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    settings: Settings,
    bmcs: Arc<Registry>,
    members: Members,
    /// Somebody wants a node.
    wishes: Notify,
    power: power_sync::Tally,
    /// None: no visits are paid here, or not any more.
    visits: Mutex<Option<Visits>>,
}

impl Conductor {
    /// Makes a conductor over a store; it moves nothing until [`Conductor::run`].
    pub fn new(store: Store, settings: Settings, bmcs: Arc<Registry>) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                settings,
                bmcs,
                members: Members::new(),
                wishes: Notify::new(),
                power: power_sync::Tally::default(),
                visits: Mutex::default(),
            }),
        }
    }

    /// Joins the site, works until `stop`, and leaves it.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), JoinError> {
        if !self.members().session().is_joined() {
            self.join().await?;
        }
        let end = CancellationToken::new();
        let work = async {
            self.work(stop.clone()).await;
            end.cancel();
        };
        let (kept, ()) =
            tokio::join!(async { self.keep(end.clone()).await.inspect_err(|_| stop.cancel()) }, work);
        self.leave().await;
        kept
    }

    /// Moves nodes and servers, finds nodes for allocations and keeps an eye on power, until `stop`; returns when the visits under way
    /// have come to their next record. The conductor has to be kept a member meanwhile ([`Conductor::join`], [`Conductor::keep`]).
    pub async fn work(&self, stop: CancellationToken) {
        tokio::join!(
            runner::run(self.clone(), stop.clone()),
            allocation::run(self.clone(), stop.clone()),
            servers::run(self.clone(), stop.clone()),
            power_sync::run(self.clone(), stop)
        );
    }

    /// Name of this conductor, as nodes show it.
    pub fn hostname(&self) -> &str {
        &self.inner.settings.hostname
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    /// What this conductor was told at its start.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// What the synchronisation of power has come to so far.
    pub fn power_sweeps(&self) -> Sweep {
        self.inner.power.read()
    }

    pub(crate) fn power_tally(&self) -> &power_sync::Tally {
        &self.inner.power
    }

    pub(crate) fn members(&self) -> &Members {
        &self.inner.members
    }

    pub(crate) fn wishes(&self) -> &Notify {
        &self.inner.wishes
    }

    /// Where visits are paid, if they are.
    pub(crate) fn visits(&self) -> Option<Visits> {
        self.inner.visits.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_visits(&self, visits: Option<Visits>) {
        *self.inner.visits.lock().unwrap_or_else(PoisonError::into_inner) = visits;
    }

    /// Which nodes are this conductor's to serve.
    pub(crate) fn served(&self) -> Served {
        let Settings { conductor_group, drivers, .. } = self.settings();
        Served { conductor_group: conductor_group.clone(), drivers: drivers.clone() }
    }

    /// Is it one of them?
    pub(crate) fn serves(&self, node: &Node) -> bool {
        let Settings { conductor_group, drivers, .. } = self.settings();
        *conductor_group == node.conductor_group
            && drivers.as_ref().is_none_or(|drivers| drivers.contains(&node.driver))
    }

    pub(crate) fn bmcs(&self) -> &Registry {
        &self.inner.bmcs
    }
}
