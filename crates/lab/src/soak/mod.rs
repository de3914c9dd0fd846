//! Processes that die: `billet-lab soak`.
//!
//! Several `billet serve` share a PostgreSQL database and deploy a fleet of simulated machines, asked by a client that goes to another
//! process when one does not answer. All the while one of them is killed, or stopped for longer than a session lasts, every few seconds;
//! once the database itself is killed. In the end every machine must be active and on, with exactly what was asked for on its disk,
//! nothing that was acknowledged may be lost, and no node may have been held by two at one time, which the event log tells.

mod chaos;
mod client;
mod process;
mod verdict;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::fleet::{self, Api, Fleet, Rates, Times};
use crate::postgres::{Cluster, Durability};
use client::Order;
use process::Site;

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
    /// All machines have to be active within this time.
    pub limit: Duration,
    /// How long a machine takes for what it does.
    pub times: Times,
}

/// What it came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// From the first order to the last machine's being active.
    pub took: Duration,
    /// Processes that were killed.
    pub kills: u32,
    /// Processes that were stopped for longer than a session lasts.
    pub pauses: u32,
    /// Times that the database was killed.
    pub database_kills: u32,
    /// Requests that were acknowledged.
    pub acknowledged: u64,
    /// Requests that had to be sent again.
    pub repeated: u64,
    /// Images that were written more than once.
    pub rewritten: u64,
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
    cluster.create_database(DATABASE)?;
    let url = format!("{}/{DATABASE}", cluster.url());
    say("starting the processes");
    let mut site = Site::new(&options.billet, dir, url, options.processes, options.machines)?;
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
    let orders: Vec<_> = fleet.entries().map(|entry| Order::new(&entry.name)).collect();
    client::make_available(&api, &orders).await?;

    say("deploying, and killing");
    let began = Instant::now();
    let stop = CancellationToken::new();
    let deploying = client::deploy_all(&api, &orders, options.limit);
    let violence = chaos::run(&mut site, &mut cluster, options, stop.clone());
    let (deployed, violence) = tokio::join!(
        async {
            let deployed = deploying.await;
            stop.cancel();
            deployed
        },
        violence
    );
    let mut outcome = violence?;
    let requests = deployed?;
    outcome.took = began.elapsed();
    outcome.acknowledged = requests.acknowledged;
    outcome.repeated = requests.repeated;
    say("looking at what came of it");
    site.start_all().await?;
    outcome.rewritten = verdict::check(&api, &fleet, &orders, &site).await?;
    Ok(outcome)
}
