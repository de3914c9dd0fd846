//! `billet-lab fleet`: thousands of pretended machines, until Ctrl-C.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lab::fleet::{self, Config, Fleet, Rates, Times};

use crate::StopSignal;

/// Arguments of `billet-lab fleet`. Rates are machines of a thousand.
#[derive(clap::Args)]
pub struct Arguments {
    /// Machines.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(fleet::MAX_NODES)))]
    nodes: u32,
    /// Number of the first machine, where several fleets share a host.
    #[arg(long, default_value_t = 0)]
    first: u32,
    /// Address and port of the bare-metal API, without TLS.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:6385")]
    api: SocketAddr,
    /// Enrol the machines there.
    #[arg(long)]
    enrol: bool,
    /// Token to enrol them with, where the API wants one.
    #[arg(long, env = "OS_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// From power-on to the ramdisk's first call, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 2000)]
    boot_time: u64,
    /// Writing an image, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 2000)]
    write_time: u64,
    /// Another step of the ramdisk, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 200)]
    step_time: u64,
    /// BMCs that hear nothing.
    #[arg(long, value_name = "RATE", default_value_t = 0)]
    dead: u16,
    /// BMCs that open sessions and answer nothing in them.
    #[arg(long, value_name = "RATE", default_value_t = 0)]
    hanging: u16,
    /// BMCs with another password.
    #[arg(long, value_name = "RATE", default_value_t = 0)]
    wrong_password: u16,
    /// BMCs that take a second for each answer.
    #[arg(long, value_name = "RATE", default_value_t = 0)]
    slow: u16,
    /// BMCs to which every fifth datagram is lost.
    #[arg(long, value_name = "RATE", default_value_t = 0)]
    lossy: u16,
    /// Machines whose agent dies in the middle of the first image.
    #[arg(long, value_name = "RATE", default_value_t = 0)]
    dying_agent: u16,
    /// Decides which machines have which fault.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs until a signal.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mut stop = StopSignal::listen()?;
    let milliseconds = Duration::from_millis;
    let began = Instant::now();
    let fleet = Fleet::start(Config {
        nodes: arguments.nodes,
        first: arguments.first,
        api: vec![arguments.api],
        times: Times {
            boot: milliseconds(arguments.boot_time),
            write: milliseconds(arguments.write_time),
            step: milliseconds(arguments.step_time),
            ..Times::default()
        },
        rates: Rates {
            dead: arguments.dead,
            hanging: arguments.hanging,
            wrong_password: arguments.wrong_password,
            slow: arguments.slow,
            lossy: arguments.lossy,
            dying_agent: arguments.dying_agent,
        },
        seed: arguments.seed,
    })
    .await?;
    say!("{} machines are up after {:.1} s", arguments.nodes, began.elapsed().as_secs_f64());
    if arguments.enrol {
        let began = Instant::now();
        let enrolling =
            fleet::enrol(vec![arguments.api], arguments.token.as_deref(), fleet.entries().collect());
        let new = tokio::select! {
            new = enrolling => new?,
            () = stop.wait() => return Ok(ExitCode::SUCCESS),
        };
        say!("{new} of them are newly enrolled after {:.1} s", began.elapsed().as_secs_f64());
    }
    if let (Some(first), Some(last)) = (fleet.entries().next(), fleet.entries().last()) {
        say!(
            "{} to {}, BMCs at {} to {}, port {}",
            first.name,
            last.name,
            first.bmc,
            last.bmc,
            fleet::BMC_PORT
        );
    }
    say!("user {}, password {}; Ctrl-C ends the fleet", fleet::BMC_USER, fleet::BMC_PASSWORD);
    stop.wait().await;
    Ok(ExitCode::SUCCESS)
}
