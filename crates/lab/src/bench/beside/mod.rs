//! Billet beside the real Ironic: `billet-lab bench beside`.
//!
//! Both run here, each over a database of its own, first SQLite and then a network database (MariaDB behind Ironic, PostgreSQL behind
//! Billet), and get the same requests of the same client in turn, as many nodes on both sides, and the same simulated BMCs. Beside the
//! clock stands what the kernel counts of processor time for each server's tree of processes (`tree.rs`): the number that does not
//! depend on how many cores there are or on what else runs.

mod comparison;
mod cycle;
mod mariadb;
mod meter;
mod power;
mod product;
mod requests;
mod tree;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use comparison::Comparison;
use comparison::{Better, Figure, Goal};
use mariadb::MariaDb;
use product::{Database, Product, Running};

use super::server::pause;
use super::table::{median, milliseconds};
use super::{CLIENTS, patch};
use crate::error::{Error, Result};
use crate::fleet::{self, Entry, Fleet, Rates, Times};
use crate::postgres::{Cluster, Durability};
use crate::process;

/// Servers that have nothing to do settle in this time.
const SETTLE: Duration = Duration::from_secs(3);
/// The database for Billet.
const DATABASE: &str = "billet";

/// What is wanted, as times better than Ironic.
const REQUESTS: Goal = Goal::Cpu(100.0);
const CYCLES: Goal = Goal::Cpu(100.0);
const POLLS: Goal = Goal::Cpu(200.0);
const MEMORY: Goal = Goal::Value(10.0);
const START: Goal = Goal::Value(50.0);

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// From the start of the program to the first good answer.
    Start,
    /// Memory without nodes, and with all.
    Memory,
    /// Registering nodes.
    Create,
    /// A page of a thousand in the short list.
    List,
    /// A page of a thousand in the detailed list.
    Detail,
    /// One node.
    Show,
    /// A change of one node.
    Patch,
    /// Whole cycles of fake hardware.
    Cycles,
    /// The sweep of power over simulated BMCs.
    Power,
    /// A walk through the pages of all nodes.
    Walk,
}

/// Where the nodes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Databases {
    /// Both on SQLite.
    Sqlite,
    /// Ironic on MariaDB, Billet on PostgreSQL.
    Network,
}

/// What to measure.
#[derive(Debug, Clone)]
pub struct BesideOptions {
    /// Billet's binary.
    pub billet: PathBuf,
    /// Where the servers' directories are made; the disk counts.
    pub directory: PathBuf,
    /// Nodes, each with a simulated BMC.
    pub nodes: u32,
    /// Nodes of the walk.
    pub walk: u32,
    /// Rounds of which the median is taken.
    pub rounds: usize,
    /// What is measured; everything where this is empty.
    pub only: Vec<Scenario>,
}

impl BesideOptions {
    fn wants(&self, scenario: Scenario) -> bool {
        self.only.is_empty() || self.only.contains(&scenario)
    }
}

/// Measures both on one kind of database; `progress` hears what is being done.
///
/// # Errors
/// When a server, a database or a BMC can't be started, or a request fails. What was measured until then stands in the table, which
/// comes in any case.
pub fn beside(
    options: &BesideOptions,
    databases: Databases,
    progress: &mut dyn FnMut(&str),
) -> (Option<Comparison>, Result<()>) {
    let mut table = None;
    let outcome = prepare(options, databases, &mut table, progress);
    (table, outcome)
}

fn prepare(
    options: &BesideOptions,
    databases: Databases,
    table: &mut Option<Comparison>,
    progress: &mut dyn FnMut(&str),
) -> Result<()> {
    let failed = Error::io("creating a directory in", &options.directory);
    let dir = tempfile::tempdir_in(&options.directory).map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::io("starting", "the runtime"))?;
    process::find("ipmitool")?;
    progress("preparing Ironic");
    // They outlast the servers that use them.
    let (servers, for_ironic, for_billet, places);
    match databases {
        Databases::Sqlite => {
            (servers, for_ironic, for_billet) = (None, None, None);
            places = "both on SQLite".to_owned();
        }
        Databases::Network => {
            let mariadb = MariaDb::start()?;
            let postgres = runtime.block_on(Cluster::start(Durability::Full))?;
            let url = postgres.create_database(DATABASE)?;
            places = format!("Ironic on MariaDB {}, Billet on PostgreSQL", mariadb.version()?);
            for_ironic = Some((mariadb.url(), mariadb.pid()));
            for_billet = postgres.pid().map(|pid| (url, pid));
            servers = Some((mariadb, postgres));
        }
    }
    let (products, version) = products(options, dir.path(), for_ironic, for_billet)?;
    let title = format!("Ironic {version} and Billet, {places}; {} nodes", options.nodes);
    let site = Site { options, products, fleet: runtime.block_on(Fleet::start(config(options.nodes)))? };
    let outcome = site.measure(table.insert(Comparison::new(title)), progress);
    drop(site);
    drop(servers);
    runtime.shutdown_background();
    outcome
}

fn products(
    options: &BesideOptions,
    dir: &Path,
    for_ironic: Database,
    for_billet: Database,
) -> Result<([Product; 2], String)> {
    let (ironic, version) = Product::ironic(dir, for_ironic)?;
    Ok(([ironic, Product::billet(dir, &options.billet, for_billet)?], version))
}

/// A fleet whose machines have no server to call: none of them boots a ramdisk.
fn config(nodes: u32) -> fleet::Config {
    let api = SocketAddr::from(([127, 0, 0, 1], 9));
    fleet::Config {
        nodes,
        first: 0,
        api: vec![api],
        times: Times::default(),
        rates: Rates::default(),
        seed: 1,
    }
}

struct Site<'a> {
    options: &'a BesideOptions,
    /// Ironic first, as in every pair.
    products: [Product; 2],
    fleet: Fleet,
}

impl Site<'_> {
    fn measure(&self, table: &mut Comparison, progress: &mut dyn FnMut(&str)) -> Result<()> {
        let BesideOptions { rounds, nodes, .. } = *self.options;
        let wants = |scenario| self.options.wants(scenario);
        if wants(Scenario::Start) {
            progress("starting both, several times");
            let mut figures = [Figure::plain(0.0); 2];
            for (product, figure) in self.products.iter().zip(&mut figures) {
                let starts = (0..rounds).map(|_| Ok(milliseconds(product.start(0)?.server.started_in)));
                *figure = Figure::plain(median(&mut starts.collect::<Result<Vec<_>>>()?));
            }
            table.push("cold start to the first good answer", "ms", Better::Less, START, figures);
        }
        let running = self.start_both()?;
        pause(SETTLE);
        if wants(Scenario::Memory) {
            memory(table, "idle", &running)?;
        }

        progress("registering nodes");
        let entries: Vec<Entry> = self.fleet.entries().collect();
        let (first, second) = entries.split_at(entries.len() / 2);
        for (clients, entries, number, goal) in
            [(1, first, 0, Goal::None), (CLIENTS, second, first.len(), REQUESTS)]
        {
            let created = both(&running, |one| requests::create(one, rounds, clients, number, entries))?;
            if wants(Scenario::Create) {
                let name = format!("create a node, {clients} at once");
                table.push(name, "ms", Better::Less, goal, created);
            }
        }
        self.reads(&running, table, progress)?;
        if wants(Scenario::Cycles) {
            progress("full cycles of fake hardware");
            let cycles = both(&running, |one| {
                cycle::register(one)?;
                let cycles = cycle::cycles(one, rounds)?;
                cycle::forget(one)?;
                Ok(cycles)
            })?;
            table.push("full cycles of fake hardware", "/s", Better::More, CYCLES, cycles);
        }
        drop(running);
        if wants(Scenario::Power) {
            progress("sweeping power");
            self.power(table)?;
        }
        if wants(Scenario::Walk) || (wants(Scenario::Memory) && self.options.walk > nodes) {
            progress("walking the pages");
            self.walk(table)?;
        }
        Ok(())
    }

    fn start_both(&self) -> Result<[Running; 2]> {
        let [ironic, billet] = &self.products;
        Ok([ironic.start(0)?, billet.start(0)?])
    }

    /// Requests of one kind, one after the other.
    fn reads(
        &self,
        running: &[Running; 2],
        table: &mut Comparison,
        progress: &mut dyn FnMut(&str),
    ) -> Result<()> {
        let rounds = self.options.rounds;
        let page = self.options.nodes.min(1000);
        for (scenario, name, path) in [
            (Scenario::List, "list", "/v1/nodes?limit=1000"),
            (Scenario::Detail, "detail", "/v1/nodes/detail?limit=1000"),
        ] {
            if self.options.wants(scenario) {
                progress(name);
                let figures = both(running, |one| {
                    requests::ask(one, rounds, |_| ("GET", path.to_owned(), String::new()))
                })?;
                table.push(format!("{name} of {page} nodes"), "ms", Better::Less, REQUESTS, figures);
            }
        }
        type Request = fn(String, usize) -> (&'static str, String, String);
        let show: Request = |path, _| ("GET", path, String::new());
        let change: Request = |path, count| ("PATCH", path, patch(count));
        for (scenario, name, request) in
            [(Scenario::Show, "show a node", show), (Scenario::Patch, "patch a node", change)]
        {
            if self.options.wants(scenario) {
                progress(name);
                let figures = both(running, |one| {
                    let uuids = requests::uuids(one)?;
                    let path = |count: usize| format!("/v1/nodes/{}", uuids[count % uuids.len()]);
                    requests::ask(one, rounds, |count| request(path(count), count))
                })?;
                table.push(name, "ms", Better::Less, REQUESTS, figures);
            }
        }
        Ok(())
    }

    fn power(&self, table: &mut Comparison) -> Result<()> {
        let nodes = self.options.nodes;
        let (mut polls, mut sizes) = ([Figure::plain(0.0); 2], [Figure::plain(0.0); 2]);
        for ((product, polls), size) in self.products.iter().zip(&mut polls).zip(&mut sizes) {
            product.settle()?;
            let (rate, running) = power::sweep(product, self.options.rounds, &self.fleet, nodes as usize)?;
            (*polls, *size) = (rate, Figure::plain(running.memory()?.proportional));
        }
        table.push(format!("power polls over IPMI, {nodes} BMCs"), "/s", Better::More, POLLS, polls);
        table.push("memory meanwhile, shared out (PSS)", "MiB", Better::Less, MEMORY, sizes);
        Ok(())
    }

    fn walk(&self, table: &mut Comparison) -> Result<()> {
        let BesideOptions { nodes, walk: all, rounds, .. } = *self.options;
        let all = all.max(nodes);
        let mut is_filled = Vec::new();
        for product in &self.products {
            is_filled.push(product.copy_rows(all as usize)?);
        }
        let running = self.start_both()?;
        for (one, is_filled) in running.iter().zip(is_filled) {
            if !is_filled {
                requests::fill(one, nodes as usize..all as usize)?;
            }
        }
        if self.options.wants(Scenario::Walk) {
            let walks = both(&running, |one| requests::walk(one, rounds, all as usize))?;
            table.push(format!("walk of {all} nodes, 100 a page"), "ms", Better::Less, Goal::None, walks);
        }
        if self.options.wants(Scenario::Memory) {
            memory(table, &format!("with {all} nodes"), &running)?;
        }
        Ok(())
    }
}

/// The same with one after the other.
fn both(running: &[Running; 2], work: impl Fn(&Running) -> Result<Figure>) -> Result<[Figure; 2]> {
    let [ironic, billet] = running;
    Ok([work(ironic)?, work(billet)?])
}

fn memory(table: &mut Comparison, when: &str, running: &[Running; 2]) -> Result<()> {
    let [ironic, billet] = running;
    let sizes = [ironic.memory()?, billet.memory()?];
    let resident = sizes.map(|size| Figure::plain(size.resident));
    let proportional = sizes.map(|size| Figure::plain(size.proportional));
    table.push(format!("memory {when}, all processes (RSS)"), "MiB", Better::Less, Goal::None, resident);
    table.push(format!("memory {when}, shared out (PSS)"), "MiB", Better::Less, MEMORY, proportional);
    if let (Some(ironic), Some(billet)) = (ironic.database_memory()?, billet.database_memory()?) {
        let sizes = [ironic, billet].map(|size| Figure::plain(size.proportional));
        table.push(format!("memory {when} of the database (PSS)"), "MiB", Better::Less, Goal::None, sizes);
    }
    Ok(())
}
