//! The life of a whole data hall: `billet-lab bench fleet`.
//!
//! Every machine of a fleet is enrolled, managed, cleaned, deployed, taken back and cleaned again, through the API, with real RMCP+ to its
//! BMC, and with an agent that looks up, beats and obeys over TLS. So many are under way at one time; the next one is asked for as soon as
//! one has come where it should.

mod phase;
mod watch;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use super::connection::Connection;
use super::server::{Server, pause};
use crate::error::{Error, Result};
use crate::fleet::{self, Fleet, Rates, Times};
pub use phase::Phases;
use phase::{Phase, Progress};
use watch::Meter;

/// Between two looks at where the nodes are.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// A phase in which nothing has come to its end for so long is broken off.
const PATIENCE: Duration = Duration::from_secs(300);

/// What to rehearse.
#[derive(Debug, Clone)]
pub struct RehearsalOptions {
    /// The server's binary.
    pub billet: PathBuf,
    /// Where the state directory is made; the disk counts.
    pub directory: PathBuf,
    /// Simulated machines.
    pub nodes: u32,
    /// Number of the first of them.
    pub first: u32,
    /// Machines under way at one time.
    pub at_once: usize,
    /// How long a machine takes for what it does.
    pub times: Times,
    /// How many of a thousand machines have which fault.
    pub rates: Rates,
}

/// A verb, where it leads to, and what it is called here.
struct Verb {
    name: &'static str,
    target: &'static str,
    goal: &'static str,
}

const VERBS: &[Verb] = &[
    Verb { name: "manage", target: "manage", goal: "manageable" },
    Verb { name: "provide (cleaned)", target: "provide", goal: "available" },
    Verb { name: "deploy", target: "active", goal: "active" },
    Verb { name: "delete (cleaned)", target: "deleted", goal: "available" },
];

/// Takes a fleet through its life; `progress` hears what is being done.
///
/// # Errors
/// When the server or the fleet can't be started, a request is refused, or nothing comes to its end any more; `phases` has what was
/// measured until then. Machines that fail are counted.
pub fn rehearsal(
    options: &RehearsalOptions,
    phases: &mut Phases,
    progress: &mut dyn FnMut(&str),
) -> Result<()> {
    let failed = Error::io("creating a directory in", &options.directory);
    let dir = tempfile::tempdir_in(&options.directory).map_err(failed)?;
    let ramdisk = dir.path().join("state/ramdisk");
    std::fs::create_dir_all(&ramdisk).map_err(Error::io("creating", &ramdisk))?;
    for file in ["vmlinuz", "initramfs"] {
        // Nobody boots them: a simulated machine has its agent inside.
        std::fs::write(ramdisk.join(file), "not looked at")
            .map_err(Error::io("writing", ramdisk.join(file)))?;
    }
    let room = options.at_once + 1;
    let conductor = format!("max_concurrent_deploy = {room}\nmax_concurrent_clean = {room}\n");
    let server = Server::start_conductor(&options.billet, dir.path(), &conductor)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::io("starting", "the runtime"))?;
    let config = fleet::Config {
        nodes: options.nodes,
        first: options.first,
        api: vec![server.address],
        times: options.times,
        rates: options.rates,
        seed: 1,
    };
    progress("switching the machines on");
    let fleet = runtime.block_on(Fleet::start(config))?;
    let entries: Vec<_> = fleet.entries().collect();
    let mut names: Vec<String> = entries.iter().map(|entry| entry.name.clone()).collect();

    progress("enrol");
    let meter = Meter::start(&server)?;
    let count = runtime.block_on(fleet::enrol(vec![server.address], None, entries))?;
    phases.push(meter.end("enrol (node and port)", count, Vec::new(), 0, &server)?);

    let mut connection = server.connect()?;
    for verb in VERBS {
        progress(verb.name);
        if verb.target == "active" {
            let meter = Meter::start(&server)?;
            for name in &names {
                instruct(&mut connection, name)?;
            }
            phases.push(meter.end(
                "say what to deploy (one PATCH each)",
                names.len(),
                Vec::new(),
                0,
                &server,
            )?);
        }
        let phase = run(&server, &mut connection, verb, &mut names, options.at_once)?;
        phases.push(phase);
    }
    phases.written =
        (0..options.nodes as usize).filter_map(|index| fleet.diary(index)).map(|diary| diary.writes).sum();
    drop(connection);
    drop(server);
    drop(fleet);
    runtime.shutdown_background();
    Ok(())
}

/// Says what is to be put on a node.
fn instruct(connection: &mut Connection, name: &str) -> Result<()> {
    let image = json!([{"op": "add", "path": "/instance_info", "value": {
        "image_source": format!("http://127.0.0.1:9/{name}.img"), "image_checksum": "0".repeat(32),
    }}]);
    connection.succeed("PATCH", &format!("/v1/nodes/{name}"), image.to_string().as_bytes()).map(drop)
}

/// Gives every node the verb, so many at a time, and waits until all have come to the goal or failed; those that failed are out of `names`.
fn run(
    server: &Server,
    connection: &mut Connection,
    verb: &Verb,
    names: &mut Vec<String>,
    at_once: usize,
) -> Result<Phase> {
    let mut meter = Meter::start(server)?;
    let mut progress = Progress::new(std::mem::take(names));
    let body = json!({"target": verb.target}).to_string();
    let mut last_move = Instant::now();
    while !progress.is_over() {
        while let Some(name) = progress.next(at_once) {
            let path = format!("/v1/nodes/{name}/states/provision");
            let answer = connection.ask("PUT", &path, body.as_bytes())?;
            match answer.status {
                202 => progress.begin(name),
                // Locked, or too many at once: later.
                409 | 503 => {
                    progress.put_off(name);
                    break;
                }
                _ => return Err(answer.success(&path).map_or_else(|error| error, |_| Error::Invalid(path))),
            }
        }
        // Those that moved last: all that are under way are among them.
        let path = format!(
            "/v1/nodes?fields=name,provision_state,last_error&sort_key=provision_updated_at&sort_dir=desc&limit={}",
            (2 * at_once).min(1000)
        );
        let listed = connection.succeed("GET", &path, b"")?.json()?;
        let before = progress.ended();
        for node in listed["nodes"].as_array().map(Vec::as_slice).unwrap_or_default() {
            if let (Some(name), Some(state)) = (node["name"].as_str(), node["provision_state"].as_str()) {
                progress.see(name, state, verb.goal, node["last_error"].as_str());
            }
        }
        meter.sample(server)?;
        if progress.ended() > before {
            last_move = Instant::now();
        }
        if last_move.elapsed() > PATIENCE {
            return Err(Error::Timeout {
                what: format!("{}: {}", verb.name, progress.shown()),
                seconds: PATIENCE.as_secs(),
                hint: "the server's log says more".to_owned(),
            });
        }
        pause(LOOK_AGAIN);
    }
    let (done, failures) = progress.split();
    *names = done.iter().map(|(name, _)| name.clone()).collect();
    let waits = done.into_iter().map(|(_, took)| took.as_secs_f64()).collect();
    let mut phase = meter.end(verb.name, names.len(), waits, failures.len(), server)?;
    phase.reason = failures.into_iter().next();
    Ok(phase)
}
