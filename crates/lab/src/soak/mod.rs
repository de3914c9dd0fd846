//! Processes that die: `billet-lab soak`.
//!
//! Several `billet serve` share a PostgreSQL database and deploy a fleet of simulated machines, asked by a client that goes to another
//! process when one does not answer. All the while one of them is killed, or stopped or cut off from the database until its session is
//! over, every few seconds; once the database itself is killed. Machines are deployed anew until each kind of act has been. In the end
//! every machine must be active and on, with exactly what was asked for on its disk, nothing that was acknowledged may be lost, what a
//! victim held must have been taken over in time, and no node may have been held by two at one time, which the event log tells.

mod chaos;
mod client;
mod line;
mod process;
mod takeover;
mod verdict;

pub use takeover::Takeover;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::fleet::{self, Api, Fleet, Rates, Times};
use crate::postgres::{Cluster, Durability};
use chaos::Chaos;
use client::{Order, Requests, Wish};
use process::Site;
use store::Store;
use takeover::Watch;

/// The number of the first machine: other fleets on this host begin at 0.
const FIRST: u32 = 500_000;
/// The database's name.
const DATABASE: &str = "site";

/// What to try.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server's binary.
    pub billet: PathBuf,
    /// Where state directories and logs go.
    pub directory: PathBuf,
    /// Processes.
    pub processes: usize,
    /// Simulated machines.
    pub machines: u32,
    /// Decides who is killed when.
    pub seed: u64,
    /// Between two acts of violence.
    pub every: Duration,
    /// Each kind of act comes to pass once, and no more.
    pub once: bool,
    /// All machines have to be active within this time.
    pub limit: Duration,
    /// How long a machine takes for what it does.
    pub times: Times,
}

/// What it came to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Outcome {
    /// From the first order to the last machine's being active.
    pub took: Duration,
    /// How often all machines were deployed.
    pub rounds: u64,
    /// Processes that were killed and started again soon.
    pub restarts: u32,
    /// Processes that were killed and stayed away until others had what they held.
    pub crashes: u32,
    /// Processes that were stopped until others had what they held.
    pub stops: u32,
    /// Processes that were cut off from the database until others had what they held.
    pub cuts: u32,
    /// Times that the database was killed.
    pub database_kills: u32,
    /// How long nodes of processes waited that were started again soon.
    pub restarted: Takeover,
    /// Of those that stayed away.
    pub crashed: Takeover,
    /// Of those that were stopped.
    pub stopped: Takeover,
    /// Of those that were cut off.
    pub cut_off: Takeover,
    /// Requests that were acknowledged.
    pub acknowledged: u64,
    /// Requests that had to be sent again.
    pub repeated: u64,
    /// Images that were written more than once.
    pub rewritten: u64,
    /// Claims of which the event log tells; no two of a node overlap.
    pub claims: u64,
    /// The most memory that a process had, MiB.
    pub memory_mib: f64,
}

/// Runs it; `say` hears what is being done.
///
/// # Errors
/// What was found wrong in the end, or what kept it from running.
pub async fn soak(options: &Options, say: &mut (dyn FnMut(&str) + Send)) -> Result<Outcome> {
    let dir = tempfile::tempdir_in(&options.directory)
        .map_err(Error::io("creating a directory in", &options.directory))?;
    let outcome = run(options, dir.path(), say).await;
    if let Err(error) = &outcome {
        let kept = dir.keep();
        say(&format!("the logs are kept in {}: {error}", kept.display()));
    }
    outcome
}

async fn run(
    options: &Options,
    dir: &std::path::Path,
    say: &mut (dyn FnMut(&str) + Send),
) -> Result<Outcome> {
    say("starting the database");
    let mut cluster = Cluster::start(Durability::Full).await?;
    let url = cluster.create_database(DATABASE)?;
    say("starting the processes");
    let mut site = Site::new(dir, &cluster, options)?;
    site.start_all().await?;
    let addresses = site.addresses();
    let fleet = Fleet::start(fleet::Config {
        nodes: options.machines,
        first: FIRST,
        api: addresses.clone(),
        times: options.times,
        rates: Rates::default(),
        seed: options.seed,
    })
    .await?;
    let api = Api::new(addresses.clone());
    say("enrolling the machines");
    fleet::enrol(addresses, None, fleet.entries().collect()).await?;
    let orders = || fleet.entries().map(|entry| Order::new(&entry.name)).collect::<Vec<_>>();
    client::make_available(&api, &orders()).await?;
    let store =
        Store::connect(&site.state_dir(), &url).await.map_err(|error| Error::Invalid(error.to_string()))?;

    say("deploying, and killing");
    let began = Instant::now();
    let (complete, stop) = (CancellationToken::new(), CancellationToken::new());
    let chaos = Chaos::new(options, &mut site, &mut cluster, Watch::new(store.clone()));
    let violence = chaos.run(complete.clone(), stop.clone());
    let deploying = async {
        let _stopped = stop.drop_guard();
        let mut done = Deployed { orders: orders(), rounds: 1, ..Deployed::default() };
        let mut wish = Wish::Deploy;
        loop {
            let left = options.limit.saturating_sub(began.elapsed());
            done.add(client::deploy_all(&api, &done.orders, wish, left).await?);
            if complete.is_cancelled() {
                return Ok(done);
            }
            // Something has to go on for as long as somebody is yet to be killed.
            (wish, done.orders) = (Wish::Rebuild, orders());
            done.rounds += 1;
        }
    };
    let (deployed, mut outcome): (Deployed, Outcome) = tokio::try_join!(deploying, violence)?;
    outcome.took = began.elapsed();
    outcome.rounds = deployed.rounds;
    outcome.acknowledged = deployed.requests.acknowledged;
    outcome.repeated = deployed.requests.repeated;
    say("looking at what came of it");
    site.start_all().await?;
    let seen = verdict::check(&api, &fleet, &deployed.orders, &site).await?;
    outcome.rewritten = seen.writes.saturating_sub(deployed.rounds * u64::from(options.machines));
    outcome.memory_mib = site.memory_mib();
    outcome.claims =
        store.claim_spans().await.map_err(|error| Error::Invalid(error.to_string()))?.len() as u64;
    store.close().await;
    verdict::in_time(&outcome)?;
    Ok(outcome)
}

/// What the client got done.
#[derive(Default)]
struct Deployed {
    /// What every machine was asked to be in the end.
    orders: Vec<Order>,
    rounds: u64,
    requests: Requests,
}

impl Deployed {
    fn add(&mut self, requests: Requests) {
        self.requests.acknowledged += requests.acknowledged;
        self.requests.repeated += requests.repeated;
    }
}
