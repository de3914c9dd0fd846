//! How fast power is synchronised, and what it costs: `billet-lab bench power`.
//!
//! Thousands of simulated BMCs in this process, on loopback addresses and with real RMCP+ sessions, and a server that keeps an eye on them
//! from its own. When a BMC was asked is read at the BMC, so that nobody's word is taken for it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use super::server::{Server, own_cpu, pause};
use super::table::{Bar, Table};
use super::{CLIENTS, crowd};
use crate::error::{Error, Result};
use crate::fleet::{self, BMC_PASSWORD, BMC_PORT, BMC_USER, Fleet, Rates, Times};

/// A sweep must be over by then.
const LIMIT: Duration = Duration::from_secs(180);
/// Between two looks at the BMCs' counters.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// For so long sweeps follow each other, and for so long nothing is to be done.
const WINDOW: Duration = Duration::from_secs(10);
/// Sweeps follow each other with a pause of at most a second.
const AT_ONCE: &str = "sync_power_state_interval = 1\n";
const NEVER: &str = "sync_power_state_interval = 0\n";

/// What to measure.
#[derive(Debug, Clone)]
pub struct PowerOptions {
    /// The server's binary.
    pub billet: PathBuf,
    /// Where the state directory is made.
    pub directory: PathBuf,
    /// Simulated BMCs.
    pub nodes: u32,
    /// Number of the first of them.
    pub first: u32,
    /// How many of them are dead in the last part.
    pub dead: u32,
    /// How long the server is watched at the default interval, seconds.
    pub idle: u64,
}

/// Measures the synchronisation of power into a table; `progress` hears what is being done.
///
/// # Errors
/// When the server or a BMC can't be started, or a sweep does not come to its end; the table has what was measured until then.
pub fn power(options: &PowerOptions, table: &mut Table, progress: &mut dyn FnMut(&str)) -> Result<()> {
    let failed = Error::io("creating a directory in", &options.directory);
    let dir = tempfile::tempdir_in(&options.directory).map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::io("starting", "the runtime"))?;
    progress("switching the machines on");
    let fleet = runtime.block_on(Fleet::start(config(options)))?;
    let site = Site { options, dir: dir.path().to_owned(), fleet };
    let everyone: Vec<usize> = (0..options.nodes as usize).collect();
    let count = everyone.len() as f64;

    progress("registering them");
    {
        let server = site.start(NEVER)?;
        table.push("memory, no node (VmRSS)", server.memory_mib("VmRSS")?, "MiB", Bar::None);
        let took = site.register(&server)?;
        table.push(format!("register {count} nodes"), count / took.as_secs_f64(), "/s", Bar::None);
    }
    progress("the first sweep: every session is opened, every state is recorded");
    {
        let server = site.start(AT_ONCE)?;
        let first = site.until_asked(&server, &everyone)?;
        table.push(format!("first sweep of {count}, power recorded"), first.seconds, "s", Bar::None);
    }
    progress("a sweep after a restart: every session is opened");
    let server = site.start(AT_ONCE)?;
    let cold = site.until_asked(&server, &everyone)?;
    table.push(format!("sweep of {count}, sessions to be opened"), cold.seconds, "s", Bar::Below(10.0));
    table.push("  of the server, each BMC", cold.server * 1e6 / count, "µs CPU", Bar::None);
    table.push("  of the BMC, each", cold.fleet * 1e6 / count, "µs CPU", Bar::None);
    progress("sweeps in open sessions");
    let warm = site.window(&server, WINDOW)?;
    table.push(
        format!("sweep of {count}, open sessions"),
        warm.seconds * count / warm.asked,
        "s",
        Bar::Below(10.0),
    );
    table.push("  of the server, each BMC", warm.server * 1e6 / warm.asked, "µs CPU", Bar::None);
    table.push("  of the BMC, each", warm.fleet * 1e6 / warm.asked, "µs CPU", Bar::None);
    table.push("  answers per CPU second of the server", warm.asked / warm.server, "/s", Bar::None);
    table.push(
        format!("memory with {count} sessions (VmRSS)"),
        server.memory_mib("VmRSS")?,
        "MiB",
        Bar::Below(105.0),
    );
    table.push("  most (VmHWM)", server.memory_mib("VmHWM")?, "MiB", Bar::None);
    drop(server);

    progress("the interval that is the default");
    let server = site.start("")?;
    site.until_asked(&server, &everyone)?;
    let idle = site.window(&server, Duration::from_secs(options.idle))?;
    table.push("interval of 120 s: BMCs asked", idle.asked / idle.seconds, "/s", Bar::None);
    table.push("  of the server", idle.server / idle.seconds * 100.0, "% of a CPU", Bar::None);
    table.push("  memory (VmRSS)", server.memory_mib("VmRSS")?, "MiB", Bar::None);
    drop(server);

    progress("some are dead");
    let every = (options.nodes / options.dead.max(1)).max(1) as usize;
    let (dead, alive): (Vec<_>, Vec<_>) = everyone.iter().partition(|index| **index % every == every / 2);
    for index in &dead {
        if let Some(bmc) = site.fleet.bmc(*index) {
            bmc.set_faults(|faults| faults.is_dead = true);
        }
    }
    let server = site.start(AT_ONCE)?;
    let others = site.until_asked(&server, &alive)?;
    let name = format!("sweep with {} dead, until the other {} have answered", dead.len(), alive.len());
    table.push(name, others.seconds, "s", Bar::Below(15.0));
    let warm = site.window(&server, WINDOW)?;
    table.push(
        "  in open sessions, dead ones retried",
        warm.seconds * alive.len() as f64 / warm.asked,
        "s",
        Bar::Below(15.0),
    );
    table.push("  memory (VmRSS)", server.memory_mib("VmRSS")?, "MiB", Bar::Below(105.0));
    table.push("  most (VmHWM)", server.memory_mib("VmHWM")?, "MiB", Bar::None);
    drop(server);
    // Its tasks end with the fleet.
    drop(site);
    runtime.shutdown_background();
    Ok(())
}

/// A fleet whose machines have no server to call: none of them boots a ramdisk.
fn config(options: &PowerOptions) -> fleet::Config {
    let api = SocketAddr::from(([127, 0, 0, 1], 9));
    fleet::Config {
        nodes: options.nodes,
        first: options.first,
        api: vec![api],
        times: Times::default(),
        rates: Rates::default(),
        seed: 1,
    }
}

struct Site<'a> {
    options: &'a PowerOptions,
    dir: PathBuf,
    fleet: Fleet,
}

/// What a while has cost, processor time in seconds.
struct Cost {
    seconds: f64,
    server: f64,
    fleet: f64,
    /// BMCs that answered.
    asked: f64,
}

impl Site<'_> {
    fn start(&self, conductor: &str) -> Result<Server> {
        Server::start_conductor(&self.options.billet, &self.dir, conductor)
    }

    /// Registers every machine, `available` at once, as the API's microversions before 1.11 do.
    fn register(&self, server: &Server) -> Result<Duration> {
        let bodies: Vec<_> = self
            .fleet
            .entries()
            .map(|entry| {
                let info = json!({
                    "ipmi_address": entry.bmc, "ipmi_port": BMC_PORT, "ipmi_username": BMC_USER,
                    "ipmi_password": BMC_PASSWORD,
                });
                json!({"name": entry.name, "driver": "ipmi", "driver_info": info}).to_string()
            })
            .collect();
        crowd::share(server, CLIENTS, bodies.len(), |connection, number| {
            connection.speak("1.10");
            connection.succeed("POST", "/v1/nodes", bodies[number].as_bytes()).map(drop)
        })
    }

    fn asked(&self, index: usize) -> u64 {
        self.fleet.power_asked(index).unwrap_or_default()
    }

    /// From now (the server has just started) until each of these has answered once more.
    fn until_asked(&self, server: &Server, machines: &[usize]) -> Result<Cost> {
        let before: Vec<_> = machines.iter().map(|index| self.asked(*index)).collect();
        self.cost(server, |began| {
            let mut next = 0;
            while next < machines.len() {
                if self.asked(machines[next]) > before[next] {
                    next += 1;
                    continue;
                }
                if began.elapsed() > LIMIT {
                    return Err(Error::Timeout {
                        what: format!("a sweep: {} of {} BMCs were asked", next, machines.len()),
                        seconds: LIMIT.as_secs(),
                        hint: format!("the server's log is {}", self.dir.join("log").display()),
                    });
                }
                pause(LOOK_AGAIN);
            }
            Ok(())
        })
    }

    /// What `time` costs.
    fn window(&self, server: &Server, time: Duration) -> Result<Cost> {
        self.cost(server, |_| {
            pause(time);
            Ok(())
        })
    }

    fn cost(&self, server: &Server, work: impl FnOnce(Instant) -> Result<()>) -> Result<Cost> {
        let all = || (0..self.options.nodes as usize).map(|index| self.asked(index)).sum::<u64>();
        let (asked, server_before, fleet_before) = (all(), server.cpu()?, own_cpu()?);
        let began = Instant::now();
        work(began)?;
        let seconds = began.elapsed().as_secs_f64();
        Ok(Cost {
            seconds,
            server: (server.cpu()? - server_before).as_secs_f64(),
            fleet: (own_cpu()? - fleet_before).as_secs_f64(),
            asked: (all() - asked) as f64,
        })
    }
}
