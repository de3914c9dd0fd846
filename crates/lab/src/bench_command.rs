//! Arguments of the benchmarks that take more than a number of nodes.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use lab::bench::{self, BesideOptions, Databases, Phases, PowerOptions, RehearsalOptions, Scenario, Table};
use lab::fleet::{MAX_NODES, Rates, Times};

use crate::{raise_file_limit, report, server_binary};

/// Arguments of `billet-lab bench power`.
#[derive(clap::Args)]
pub struct PowerArguments {
    /// The server's binary; by default `billet` beside this one.
    #[arg(long, value_name = "FILE")]
    billet: Option<PathBuf>,
    /// Where the server keeps its state meanwhile [default: the temporary directory].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Simulated BMCs; each is an open file of this program and one of the server.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_NODES)))]
    nodes: u32,
    /// Number of the first machine, where several fleets share a host.
    #[arg(long, default_value_t = 0)]
    first: u32,
    /// How many of them are dead in the last part.
    #[arg(long, default_value_t = 500)]
    dead: u32,
    /// How long the server is watched at the default interval, seconds.
    #[arg(long, value_name = "S", default_value_t = 80)]
    idle: u64,
}

/// Measures the synchronisation of power.
pub fn power(arguments: PowerArguments) -> anyhow::Result<ExitCode> {
    raise_file_limit();
    let options = PowerOptions {
        billet: server_binary(arguments.billet)?,
        directory: arguments.dir.unwrap_or_else(std::env::temp_dir),
        nodes: arguments.nodes,
        first: arguments.first,
        dead: arguments.dead,
        idle: arguments.idle,
    };
    let mut table = Table::default();
    let outcome = bench::power(&options, &mut table, &mut |step| eprintln!("{step} …"));
    report(&table, outcome)
}

/// Arguments of `billet-lab bench fleet`. Rates are machines of a thousand.
#[derive(clap::Args)]
pub struct FleetArguments {
    /// The server's binary; by default `billet` beside this one.
    #[arg(long, value_name = "FILE")]
    billet: Option<PathBuf>,
    /// Where the server keeps its state meanwhile: the disk to measure [default: the temporary directory].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Simulated machines.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_NODES)))]
    nodes: u32,
    /// Number of the first machine, where several fleets share a host.
    #[arg(long, default_value_t = 0)]
    first: u32,
    /// Machines under way at one time.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    at_once: u16,
    /// From power-on to the ramdisk's first call, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 2000)]
    boot_time: u64,
    /// Writing an image, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 2000)]
    write_time: u64,
    /// Another step of the ramdisk, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 200)]
    step_time: u64,
    /// BMCs to which every fifth datagram is lost.
    #[arg(long, value_name = "RATE", default_value_t = 0)]
    lossy: u16,
    /// BMCs that take a second for each answer.
    #[arg(long, value_name = "RATE", default_value_t = 0)]
    slow: u16,
    /// Machines whose agent dies in the middle of the first image.
    #[arg(long, value_name = "RATE", default_value_t = 0)]
    dying_agent: u16,
}

/// Rehearses the life of a fleet.
pub fn fleet(arguments: FleetArguments) -> anyhow::Result<ExitCode> {
    raise_file_limit();
    let milliseconds = Duration::from_millis;
    let options = RehearsalOptions {
        billet: server_binary(arguments.billet)?,
        directory: arguments.dir.unwrap_or_else(std::env::temp_dir),
        nodes: arguments.nodes,
        first: arguments.first,
        at_once: arguments.at_once.into(),
        times: Times {
            boot: milliseconds(arguments.boot_time),
            write: milliseconds(arguments.write_time),
            step: milliseconds(arguments.step_time),
            ..Times::default()
        },
        rates: Rates {
            lossy: arguments.lossy,
            slow: arguments.slow,
            dying_agent: arguments.dying_agent,
            ..Rates::default()
        },
    };
    let mut phases = Phases::default();
    let outcome = bench::rehearsal(&options, &mut phases, &mut |step| eprintln!("{step} …"));
    say!("{phases}");
    outcome?;
    Ok(ExitCode::SUCCESS)
}

/// Arguments of `billet-lab bench beside`.
#[derive(clap::Args)]
pub struct BesideArguments {
    /// The server's binary; by default `billet` beside this one.
    #[arg(long, value_name = "FILE")]
    billet: Option<PathBuf>,
    /// Where both keep their state meanwhile: the disk to measure [default: the temporary directory].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Nodes on either side, each with a simulated BMC. Registering one takes Ironic about 60 ms.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    nodes: u32,
    /// Nodes of the page walk; those beyond --nodes are put into Ironic's database as copies, to save a quarter of an hour.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    walk: u32,
    /// Rounds of which the median is taken.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=99))]
    rounds: u8,
    /// Measure only this; may be repeated or separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SCENARIO")]
    only: Vec<Scenario>,
    /// On which databases; by default on one after the other. `network` needs MariaDB and PostgreSQL.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Databases::Sqlite, Databases::Network])]
    database: Vec<Databases>,
}

/// Measures beside the real Ironic.
pub fn beside(arguments: BesideArguments) -> anyhow::Result<ExitCode> {
    raise_file_limit();
    let options = BesideOptions {
        billet: server_binary(arguments.billet)?,
        directory: arguments.dir.unwrap_or_else(std::env::temp_dir),
        nodes: arguments.nodes,
        walk: arguments.walk,
        rounds: arguments.rounds.into(),
        only: arguments.only,
    };
    for databases in arguments.database {
        let (table, outcome) = bench::beside(&options, databases, &mut |step| eprintln!("{step} …"));
        if let Some(table) = table {
            say!("{table}");
        }
        outcome?;
    }
    Ok(ExitCode::SUCCESS)
}
