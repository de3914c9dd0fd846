//! `billet-lab soak`: processes that die under load.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use lab::fleet::{MAX_NODES, Times};
use lab::soak::{self, Options};

use crate::{StopSignal, raise_file_limit, server_binary};

/// Arguments of `billet-lab soak`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The server's binary; by default `billet` beside this one.
    #[arg(long, value_name = "FILE")]
    billet: Option<PathBuf>,
    /// Where state directories and logs go [default: the temporary directory].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Processes that share the database.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=16))]
    processes: u8,
    /// Simulated machines.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_NODES)))]
    machines: u32,
    /// Between two acts of violence, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 2000)]
    every: u64,
    /// Do each kind of act once, and no more.
    #[arg(long)]
    once: bool,
    /// All machines have to be active within this time, seconds.
    #[arg(long, value_name = "S", default_value_t = 1800)]
    limit: u64,
    /// From power-on to the ramdisk's first call, and writing an image, milliseconds each.
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    machine_time: u64,
    /// Decides who is killed when.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs it, and says what it came to.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    raise_file_limit();
    let time = Duration::from_millis(arguments.machine_time);
    let options = Options {
        billet: server_binary(arguments.billet)?,
        directory: arguments.dir.unwrap_or_else(std::env::temp_dir),
        processes: arguments.processes.into(),
        machines: arguments.machines,
        seed: arguments.seed,
        every: Duration::from_millis(arguments.every),
        once: arguments.once,
        limit: Duration::from_secs(arguments.limit),
        times: Times { boot: time, write: time, ..Times::default() },
    };
    let mut stop = StopSignal::listen()?;
    let mut told = |step: &str| say!("{step} …");
    let outcome = tokio::select! {
        outcome = soak::soak(&options, &mut told) => outcome?,
        // The processes and the database end with what is dropped here.
        () = stop.wait() => bail!("broken off by a signal"),
    };
    say!(
        "{} machines are active after {:.0} s ({} times over), each disk as it was asked for; {} claims, no two of one node at one time",
        options.machines,
        outcome.took.as_secs_f64(),
        outcome.rounds,
        outcome.claims
    );
    say!(
        "{} processes were killed, {} of them for good; {} were stopped and {} cut off from the database until their session was over; \
         the database was killed {} times",
        outcome.restarts + outcome.crashes,
        outcome.crashes,
        outcome.stops,
        outcome.cuts,
        outcome.database_kills
    );
    for (kind, takeover) in [
        ("killed for good", outcome.crashed),
        ("stopped", outcome.stopped),
        ("cut off", outcome.cut_off),
        ("killed and started again", outcome.restarted),
    ] {
        say!(
            "{} nodes of those {kind} were others' after {:.1} s (median) and at most {:.1} s",
            takeover.nodes,
            takeover.median.as_secs_f64(),
            takeover.longest.as_secs_f64()
        );
    }
    say!(
        "{} requests were acknowledged and none lost ({} were sent again); {} images were written more than once",
        outcome.acknowledged,
        outcome.repeated,
        outcome.rewritten
    );
    say!("a process had at most {:.0} MiB of memory", outcome.memory_mib);
    Ok(ExitCode::SUCCESS)
}
