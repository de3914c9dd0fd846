//! The `billet-lab` command.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand, ValueEnum};
use lab::image::{Format, Kind};
use lab::isolation::Network;
use lab::postgres::{Cluster, Durability};
use lab::qemu::{DiskBus, Firmware};
use lab::rack::{NodeConfig, Rack, RackConfig, RackInfo};
use lab::{bench, demo, image, isolation, network, state_dir};

/// As `println!`, but a closed pipe is no reason to panic and leave the rack's clean-up undone.
macro_rules! say {
    ($($text:tt)*) => {
        drop(writeln!(std::io::stdout().lock(), $($text)*))
    };
}

mod bench_command;
mod fleet_command;
mod soak_command;

/// Virtual bare metal: machines with real firmware behind simulated BMCs.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Bring a rack up and keep it until Ctrl-C.
    Rack(RackArguments),
    /// Run a command inside a running rack's namespaces: ipmitool, ssh, curl, billet serve…
    Exec {
        /// The rack's directory or process id; not needed while only one runs.
        #[arg(long)]
        rack: Option<String>,
        /// The command and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Walk through it all: from a fresh start to `ssh` and back, with the clients of 2017 and with today's.
    Demo(DemoArguments),
    /// Thousands of pretended machines in one process: real RMCP+ on loopback, agents that obey, faults as asked for.
    Fleet(fleet_command::Arguments),
    /// Run a command beside a PostgreSQL server of its own, which BILLET_TEST_DATABASE names: the tests, on that database.
    Postgres {
        /// The command and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Several servers on one database, which are killed while they deploy a fleet; then looks whether anything was lost.
    Soak(soak_command::Arguments),
    /// User images.
    #[command(subcommand)]
    Image(ImageVerb),
    /// Measure the server.
    #[command(subcommand)]
    Bench(BenchVerb),
}

#[derive(Subcommand)]
enum BenchVerb {
    /// Speed and size of the API, beside what is wanted of them. A missed bar is said, and is no failure.
    Api(BenchArguments),
    /// The services around it: first start, tokens, images, a thousand servers.
    Cloud(BenchArguments),
    /// What heartbeats and changes notice of a crowd that asks for more than the server can do.
    Overload(BenchArguments),
    /// The synchronisation of power over a fleet of simulated BMCs.
    Power(bench_command::PowerArguments),
    /// Beside the real Ironic: the same requests, cycles and power sweeps with both, in one table.
    Beside(bench_command::BesideArguments),
    /// A fleet's whole life: enrolled, cleaned, deployed, taken back.
    Fleet(bench_command::FleetArguments),
}

#[derive(clap::Args)]
struct BenchArguments {
    /// The server's binary; by default `billet` beside this one.
    #[arg(long, value_name = "FILE")]
    billet: Option<PathBuf>,
    /// Where the server keeps its state meanwhile: the disk to measure [default: the temporary directory].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Nodes of the large fleet.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(2000..=1_000_000))]
    nodes: u32,
    /// On PostgreSQL, in a cluster of its own, and not on SQLite.
    #[arg(long)]
    postgres: bool,
}

#[derive(Subcommand)]
enum ImageVerb {
    /// Build an image, or find it in the cache, and print its path.
    Build {
        /// Which one.
        #[arg(value_enum)]
        kind: KindChoice,
        /// Copy it here too; a name that ends in .qcow2 asks for that format.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum KindChoice {
    /// Kernel, busybox and dropbear: 64 MiB.
    Tiny,
    /// Debian with cloud-init and OpenSSH.
    Debian,
    /// The tiny system as a bare file system; kernel and ramdisk are beside it (.vmlinuz, .initrd).
    TinyPartition,
    /// Debian as a bare file system; kernel and ramdisk are beside it.
    DebianPartition,
}

#[derive(clap::Args)]
struct RackArguments {
    /// Machines in the rack.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=network::MAX_NODES as i64))]
    nodes: u16,
    /// What they boot with; mixed: BIOS and UEFI in turn.
    #[arg(long, value_enum, default_value_t = FirmwareChoice::Bios)]
    firmware: FirmwareChoice,
    /// Memory of each, MiB.
    #[arg(long, value_name = "MB", default_value_t = 512, value_parser = clap::value_parser!(u32).range(64..=65536))]
    memory: u32,
    /// Disk of each, GiB (sparse); repeat for several disks.
    #[arg(long, value_name = "GiB", default_value = "8", value_parser = clap::value_parser!(u64).range(1..=65536))]
    disk: Vec<u64>,
    /// How disks are attached.
    #[arg(long, value_enum, default_value_t = BusChoice::Virtio)]
    bus: BusChoice,
    /// Keep the rack's state here instead of in a temporary directory.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Serve the files of this directory from http://10.77.0.1:8000/ inside the rack.
    #[arg(long, value_name = "DIR")]
    serve_images: Option<PathBuf>,
}

#[derive(clap::Args)]
struct DemoArguments {
    /// The image to deploy with today's clients.
    #[arg(long, env = "IMAGE", value_enum, default_value_t = KindChoice::Debian)]
    image: KindChoice,
    /// What the machine that gets it boots with; by default UEFI, standalone with a tiny image BIOS.
    #[arg(long, env = "FIRMWARE", value_enum)]
    firmware: Option<DemoFirmware>,
    /// Which part of the walk.
    #[arg(long, value_enum, default_value_t = PartChoice::Both)]
    part: PartChoice,
    /// Ironic's API alone, without authentication, in place of the walk: enrol, clean, deploy, ssh, take back.
    #[arg(long, conflicts_with = "part")]
    standalone: bool,
    /// Leave the machine deployed and everything running until Ctrl-C.
    #[arg(long, env = "KEEP", value_parser = clap::builder::BoolishValueParser::new(), default_value_t = false, num_args = 0..=1, default_missing_value = "true")]
    keep: bool,
    /// The server's binary; by default `billet` beside this one.
    #[arg(long, value_name = "FILE")]
    billet: Option<PathBuf>,
    /// Kill the server (SIGKILL) in the middle of cleaning, booting and writing: the story goes on all the same.
    #[arg(long, requires = "standalone")]
    crash: bool,
    /// Boot a partition image over the network even where it brings a boot loader.
    #[arg(long, requires = "standalone")]
    netboot: bool,
    /// Only download and build what the story needs.
    #[arg(long)]
    prepare: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PartChoice {
    /// The clients of 2017, a machine that boots by BIOS, a tiny partition image.
    #[value(name = "2017")]
    Of2017,
    /// Today's clients, and the image of a whole disk unless `--image` names a partition's.
    Today,
    /// One after the other.
    Both,
}

#[derive(Clone, Copy, ValueEnum)]
enum DemoFirmware {
    Bios,
    Uefi,
}

#[derive(Clone, Copy, ValueEnum)]
enum FirmwareChoice {
    Bios,
    Uefi,
    Mixed,
}

#[derive(Clone, Copy, ValueEnum)]
enum BusChoice {
    Virtio,
    Nvme,
    Ahci,
}

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(Cli::parse().verb) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("billet-lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Rack(arguments) => {
            // Before the runtime: namespaces are entered by the process while it has one thread.
            isolation::enter(Network::Own)?;
            runtime()?.block_on(rack(arguments))
        }
        Verb::Exec { rack, command } => exec(rack.as_deref(), &command),
        Verb::Demo(arguments) => demo(arguments),
        Verb::Fleet(arguments) => {
            raise_file_limit();
            runtime()?.block_on(fleet_command::run(arguments))
        }
        Verb::Soak(arguments) => runtime()?.block_on(soak_command::run(arguments)),
        Verb::Postgres { command } => runtime()?.block_on(beside_postgres(&command)),
        Verb::Image(ImageVerb::Build { kind, output }) => build_image(kind, output),
        Verb::Bench(BenchVerb::Api(arguments)) => measure(arguments, bench::api),
        Verb::Bench(BenchVerb::Cloud(arguments)) => measure(arguments, bench::cloud),
        Verb::Bench(BenchVerb::Overload(arguments)) => measure(arguments, bench::overload),
        Verb::Bench(BenchVerb::Power(arguments)) => bench_command::power(arguments),
        Verb::Bench(BenchVerb::Beside(arguments)) => bench_command::beside(arguments),
        Verb::Bench(BenchVerb::Fleet(arguments)) => bench_command::fleet(arguments),
    }
}

fn build_image(kind: KindChoice, output: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    isolation::enter(Network::Shared)?;
    let kind = Kind::from(kind);
    let is_qcow2 =
        output.as_ref().is_some_and(|path| path.extension().is_some_and(|extension| extension == "qcow2"));
    let format = if is_qcow2 { Format::Qcow2 } else { Format::Raw };
    let path = image::build(kind, format, &mut |step| eprintln!("{}: {step}", kind.name()))?;
    match output {
        Some(output) => {
            // cp keeps holes and shares blocks where the file system can.
            let mut copy = std::process::Command::new("cp");
            lab::process::output(copy.args(["--sparse=always", "--reflink=auto"]).arg(&path).arg(&output))?;
            say!("{}", output.display());
            if kind.is_partition() {
                let (from, to) = (image::BootFiles::beside(&path), image::BootFiles::beside(&output));
                for (from, to) in [(from.kernel, to.kernel), (from.ramdisk, to.ramdisk)] {
                    std::fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
                    say!("{}", to.display());
                }
            }
        }
        None => say!("{}", path.display()),
    }
    Ok(ExitCode::SUCCESS)
}

impl From<KindChoice> for Kind {
    fn from(choice: KindChoice) -> Self {
        match choice {
            KindChoice::Tiny => Self::Tiny,
            KindChoice::Debian => Self::Debian,
            KindChoice::TinyPartition => Self::TinyPartition,
            KindChoice::DebianPartition => Self::DebianPartition,
        }
    }
}

fn demo(arguments: DemoArguments) -> anyhow::Result<ExitCode> {
    let image = Kind::from(arguments.image);
    let firmware = match (arguments.firmware, image) {
        (Some(DemoFirmware::Bios), _) => Firmware::Bios,
        (None, Kind::Tiny | Kind::TinyPartition) if arguments.standalone => Firmware::Bios,
        (Some(DemoFirmware::Uefi) | None, _) => Firmware::Uefi,
    };
    let tale = if arguments.standalone {
        demo::Tale::Standalone
    } else {
        let (of_2017, today) = (arguments.part != PartChoice::Today, arguments.part != PartChoice::Of2017);
        demo::Tale::Walk { of_2017, today }
    };
    let billet = server_binary(arguments.billet)?;
    let (crash, netboot) = (arguments.crash, arguments.netboot);
    let options = demo::Options { tale, image, firmware, billet, crash, netboot };
    let screen = demo::Screen::default();
    if arguments.prepare {
        isolation::enter(Network::Shared)?;
        demo::prepare(&options, &screen)?;
        return Ok(ExitCode::SUCCESS);
    }
    // A rack's network has no way to the package mirrors: what has to be downloaded is downloaded before, into the cache.
    let code = isolation::run_before("--prepare")?;
    if code != 0 {
        return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
    }
    isolation::enter(Network::Own)?;
    let prepared = demo::prepared(&options)?;
    runtime()?.block_on(async {
        let mut stop = StopSignal::listen()?;
        let mut until_stopped = StopSignal::listen()?;
        let keep = arguments.keep.then(|| until_stopped.wait());
        tokio::select! {
            played = demo::play(&options, &prepared, &screen, keep) => played?,
            () = stop.wait(), if !arguments.keep => {
                say!("stopped; taking everything down");
                return Ok(ExitCode::from(130));
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The one that was named, or the one beside this program.
fn server_binary(named: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    match named {
        Some(path) => Ok(path),
        None => Ok(std::env::current_exe().context("finding this program")?.with_file_name("billet")),
    }
}

/// A benchmark's function.
type Benchmark = fn(&bench::Options, &mut bench::Table, &mut dyn FnMut(&str)) -> lab::error::Result<()>;

fn measure(arguments: BenchArguments, benchmark: Benchmark) -> anyhow::Result<ExitCode> {
    let options = bench::Options {
        billet: server_binary(arguments.billet)?,
        directory: arguments.dir.unwrap_or_else(std::env::temp_dir),
        nodes: usize::try_from(arguments.nodes)?,
        is_on_postgres: arguments.postgres,
    };
    let mut table = bench::Table::default();
    let outcome = benchmark(&options, &mut table, &mut |step| eprintln!("{step} …"));
    report(&table, outcome)
}

/// Prints what was measured; a missed bar is said, and is no failure.
fn report(table: &bench::Table, outcome: lab::error::Result<()>) -> anyhow::Result<ExitCode> {
    say!("{table}");
    outcome?;
    match table.missed() {
        0 => say!("every bar is met"),
        missed => say!("{missed} of the bars are missed"),
    }
    Ok(ExitCode::SUCCESS)
}

/// A fleet has a socket for each BMC: as many files as the system allows.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")
}

async fn rack(arguments: RackArguments) -> anyhow::Result<ExitCode> {
    let mut stop = StopSignal::listen()?;
    let bus = match arguments.bus {
        BusChoice::Virtio => DiskBus::Virtio,
        BusChoice::Nvme => DiskBus::Nvme,
        BusChoice::Ahci => DiskBus::Ahci,
    };
    let node = |index: u16| NodeConfig {
        firmware: match arguments.firmware {
            FirmwareChoice::Bios => Firmware::Bios,
            FirmwareChoice::Uefi => Firmware::Uefi,
            FirmwareChoice::Mixed if index.is_multiple_of(2) => Firmware::Bios,
            FirmwareChoice::Mixed => Firmware::Uefi,
        },
        memory_mib: arguments.memory,
        disks: arguments.disk.iter().map(|gib| (gib << 30, bus)).collect(),
    };
    let config = RackConfig {
        nodes: (0..arguments.nodes).map(node).collect(),
        state_dir: arguments.state_dir,
        images: arguments.serve_images,
    };
    let rack = tokio::select! {
        rack = Rack::start(config) => rack?,
        () = stop.wait() => return Ok(ExitCode::SUCCESS),
    };
    print(rack.info());
    stop.wait().await;
    say!("stopping");
    rack.stop().await;
    Ok(ExitCode::SUCCESS)
}

fn print(info: &RackInfo) {
    say!(
        "{:<8} {:<8} {:<18} {:<12} {:<6} {:<11} console",
        "name",
        "firmware",
        "MAC",
        "BMC",
        "user",
        "password"
    );
    for node in &info.nodes {
        say!(
            "{:<8} {:<8} {:<18} {:<12} {:<6} {:<11} {}",
            node.name,
            format!("{:?}", node.firmware).to_lowercase(),
            node.mac,
            node.bmc_address,
            node.bmc_user,
            node.bmc_password,
            node.console_log.display()
        );
    }
    say!("\nimages   {}SHA256SUMS", info.images_url);
    say!("details  {}", info.state_dir.join("rack.json").display());
    say!("inside   billet-lab exec --rack {} -- COMMAND", info.pid);
    say!("\nCtrl-C takes the rack down.");
}

/// SIGINT, SIGTERM and SIGHUP. As process 1 this program would ignore them unless it listened.
struct StopSignal(Vec<tokio::signal::unix::Signal>);

impl StopSignal {
    fn listen() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        Ok(Self(kinds.map(signal).into_iter().collect::<Result<_, _>>().context("listening for signals")?))
    }

    async fn wait(&mut self) {
        let [interrupt, terminate, hangup] = self.0.as_mut_slice() else { return };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

fn exec(rack: Option<&str>, command: &[std::ffi::OsString]) -> anyhow::Result<ExitCode> {
    let pid = match rack {
        Some(text) => match text.parse::<i32>() {
            Ok(pid) => pid,
            Err(_) => running(text.as_ref())?.pid,
        },
        None => match state_dir::running().as_slice() {
            [] => bail!(
                "no rack runs in a temporary directory; start one with `billet-lab rack`, or name one with --rack"
            ),
            [one] => running(one)?.pid,
            several => {
                let names: Vec<_> = several.iter().map(|path| path.display().to_string()).collect();
                bail!("several racks run; choose one with --rack: {}", names.join(", "))
            }
        },
    };
    isolation::join(pid)?;
    let [program, arguments @ ..] = command else { bail!("no command given") };
    let mut command = std::process::Command::new(program);
    command.args(arguments);
    let status = command.status().map_err(|source| lab::process::spawn_error(&command, source))?;
    Ok(code(status))
}

/// What a shell would make of how a command ended.
fn code(status: std::process::ExitStatus) -> ExitCode {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// Runs a command beside a database server that lasts as long as it does.
async fn beside_postgres(command: &[std::ffi::OsString]) -> anyhow::Result<ExitCode> {
    let [program, arguments @ ..] = command else { bail!("no command given") };
    let cluster = Cluster::start(Durability::None).await?;
    // Ctrl-C reaches the command too; this program stays for as long as it does.
    let _stop = StopSignal::listen()?;
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).env("BILLET_TEST_DATABASE", cluster.url());
    let status =
        command.status().await.map_err(|error| lab::process::spawn_error(command.as_std(), error))?;
    Ok(code(status))
}

fn running(dir: &std::path::Path) -> anyhow::Result<RackInfo> {
    if !state_dir::is_locked(dir) {
        bail!("no rack runs in {}", dir.display());
    }
    Ok(RackInfo::read(dir)?)
}
