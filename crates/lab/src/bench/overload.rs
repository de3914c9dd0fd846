//! More than the server can do: `billet-lab bench overload`.
//!
//! A crowd of clients asks for the largest listing, again and again, while ramdisks send their heartbeats and one client makes changes. What is
//! to be seen: that heartbeats and changes are served as if nobody else were there, that those who are refused are so at once, and
//! that memory stays where it was. Clients, crowd and server share the machine, so what the crowd costs is in every wait.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use uuid::Uuid;

use super::connection::Connection;
use super::server::{Server, pause};
use super::site::Site;
use super::table::{Bar, Table, median, milliseconds, percentile};
use super::{Options, SETTLE, SMALL, crowd, equip, fleet, patch, register, uuids};
use crate::error::{Error, Result};

/// Clients that ask for listings.
const CROWD: usize = 256;
/// One that was refused asks again after this time, which is much sooner than it was told.
const IMPATIENCE: Duration = Duration::from_millis(50);
/// Machines whose ramdisks heartbeat, in turn.
const MACHINES: usize = 32;
/// From one heartbeat to the next: as many as two thousand machines under way make.
const BEAT: Duration = Duration::from_millis(5);
/// How long each part lasts.
const PART: Duration = Duration::from_secs(8);
/// Machines come to their wait state within this time.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// Measures overload into a table; `progress` hears what is being done.
///
/// # Errors
/// When the server or a request that should succeed fails.
pub fn overload(options: &Options, table: &mut Table, progress: &mut dyn FnMut(&str)) -> Result<()> {
    let failed = Error::io("creating a directory in", &options.directory);
    let dir = tempfile::tempdir_in(&options.directory).map_err(failed)?;
    let site = Site::new(options)?;
    let server = site.start(dir.path())?;
    progress("registering a thousand nodes");
    register(&server, 0..SMALL)?;
    equip(&server, 0..SMALL)?;
    progress("bringing machines to where their ramdisks call");
    let machines = (0..MACHINES).map(|number| Machine::begin(&server, number)).collect::<Result<Vec<_>>>()?;
    let nodes = uuids(&server)?;
    pause(SETTLE);

    progress("heartbeats and changes, and nobody else");
    let stop = AtomicBool::new(false);
    let quiet = std::thread::scope(|scope| {
        let end = scope.spawn(|| {
            pause(PART);
            stop.store(true, Ordering::Relaxed);
        });
        let outcome = calm(&server, &machines, &nodes, &stop);
        let _ = end.join();
        outcome
    })?;
    quiet.tell(table, "with nobody else there");
    let memory = server.memory_mib("VmHWM")?;

    progress("the same in a crowd");
    stop.store(false, Ordering::Relaxed);
    let (storm, crowd) = std::thread::scope(|scope| {
        let stop = &stop;
        let crowd = scope.spawn(|| rush(&server, stop));
        let outcome = scope.spawn(|| calm(&server, &machines, &nodes, stop));
        pause(PART);
        stop.store(true, Ordering::Relaxed);
        let panicked = |_| Error::Invalid("a client panicked".into());
        Ok::<_, Error>((outcome.join().map_err(panicked)??, crowd.join().map_err(panicked)??))
    })?;
    storm.tell(table, &format!("in a crowd of {CROWD}"));
    crowd.tell(table);
    table.push("memory, most before the crowd (VmHWM)", memory, "MiB", Bar::None);
    table.push("memory, most in the crowd (VmHWM)", server.memory_mib("VmHWM")?, "MiB", Bar::None);
    Ok(())
}

/// What those see who should not notice the crowd; waits in milliseconds.
struct Calm {
    heartbeats: Vec<f64>,
    changes: Vec<f64>,
}

impl Calm {
    fn tell(mut self, table: &mut Table, when: &str) {
        for (what, waits) in [("heartbeat", &mut self.heartbeats), ("change", &mut self.changes)] {
            table.push(format!("{what} {when}, median"), median(waits), "ms", Bar::None);
            table.push("  99 in 100 below", percentile(waits, 99), "ms", Bar::None);
        }
    }
}

/// Heartbeats and changes until `stop`. None may be refused.
fn calm(server: &Server, machines: &[Machine], nodes: &[String], stop: &AtomicBool) -> Result<Calm> {
    let heartbeats = |connection: &mut Connection| {
        let mut waits = Vec::new();
        for machine in machines.iter().cycle() {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            waits.push(milliseconds(machine.beat(connection)?));
            pause(BEAT);
        }
        Ok(waits)
    };
    let changes = |connection: &mut Connection| {
        let mut waits = Vec::new();
        for (count, node) in nodes.iter().cycle().enumerate() {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let answer =
                connection.succeed("PATCH", &format!("/v1/nodes/{node}"), patch(count).as_bytes())?;
            waits.push(milliseconds(answer.took));
            pause(BEAT);
        }
        Ok(waits)
    };
    let (_, mut said) = crowd::each(server, 2, |connection, client| match client {
        0 => heartbeats(connection),
        _ => changes(connection),
    })?;
    let changes = said.pop().unwrap_or_default();
    Ok(Calm { heartbeats: said.pop().unwrap_or_default(), changes })
}

/// What the crowd sees.
struct Crowd {
    took: Duration,
    served: Vec<f64>,
    refused: Vec<f64>,
}

impl Crowd {
    fn tell(mut self, table: &mut Table) {
        let seconds = self.took.as_secs_f64();
        table.push(
            "listings of 1000 served to the crowd",
            self.served.len() as f64 / seconds,
            "/s",
            Bar::None,
        );
        table.push("  wait, median", median(&mut self.served), "ms", Bar::None);
        table.push("  wait, 99 in 100 below", percentile(&mut self.served, 99), "ms", Bar::None);
        table.push("listings refused", self.refused.len() as f64 / seconds, "/s", Bar::AtLeast(1.0));
        table.push("  wait for the refusal, median", median(&mut self.refused), "ms", Bar::None);
        table.push(
            "  wait for the refusal, 99 in 100 below",
            percentile(&mut self.refused, 99),
            "ms",
            Bar::None,
        );
    }
}

/// The crowd asks for listings until `stop`.
fn rush(server: &Server, stop: &AtomicBool) -> Result<Crowd> {
    let (took, said) = crowd::each(server, CROWD, |connection, _| {
        let (mut served, mut refused) = (Vec::new(), Vec::new());
        while !stop.load(Ordering::Relaxed) {
            let answer = connection.ask("GET", "/v1/nodes/detail?limit=1000", b"")?;
            let (status, took) = (answer.status, milliseconds(answer.took));
            match status {
                200 => served.push(took),
                503 if connection.header("retry-after").is_some() => {
                    refused.push(took);
                    pause(IMPATIENCE);
                }
                other => return Err(Error::Invalid(format!("a listing was answered {other}"))),
            }
        }
        Ok((served, refused))
    })?;
    let (served, refused): (Vec<_>, Vec<_>) = said.into_iter().unzip();
    Ok(Crowd { took, served: served.concat(), refused: refused.concat() })
}

/// A machine whose ramdisk called, and whose agent can't be reached: the conductor is patient with it for longer than this lasts.
struct Machine {
    path: String,
    heartbeat: String,
}

impl Machine {
    /// Registers a machine and has it cleaned, as far as that its ramdisk looked it up.
    fn begin(server: &Server, number: usize) -> Result<Self> {
        let mut connection = server.connect()?;
        let uuid = Uuid::new_v4();
        let mut node = fleet::node(SMALL + number);
        node["uuid"] = json!(uuid);
        node["name"] = json!(format!("machine-{number}"));
        node["deploy_interface"] = json!("direct");
        node["boot_interface"] = json!("pxe");
        for key in ["deploy_kernel", "deploy_ramdisk"] {
            node["driver_info"][key] = json!("http://127.0.0.1:9/nothing");
        }
        connection.succeed("POST", "/v1/nodes", node.to_string().as_bytes())?;
        let mac = format!("52:54:00:00:{:02x}:{:02x}", number >> 8, number & 255);
        let port = json!({"node_uuid": uuid, "address": mac}).to_string();
        connection.succeed("POST", "/v1/ports", port.as_bytes())?;
        let path = format!("/v1/nodes/{uuid}");
        for (verb, state) in [("manage", "manageable"), ("provide", "clean wait")] {
            let target = json!({"target": verb}).to_string();
            connection.succeed("PUT", &format!("{path}/states/provision"), target.as_bytes())?;
            reach(&mut connection, &path, state)?;
        }
        let found = connection.succeed("GET", &format!("/v1/lookup?node_uuid={uuid}"), b"")?.json()?;
        let heartbeat = json!({
            "callback_url": "https://127.0.0.1:9",
            "agent_version": "11.0.0",
            "agent_token": found["config"]["agent_token"],
        });
        Ok(Self { path: format!("/v1/heartbeat/{uuid}"), heartbeat: heartbeat.to_string() })
    }

    /// One heartbeat; out comes how long it took.
    fn beat(&self, connection: &mut Connection) -> Result<Duration> {
        Ok(connection.succeed("POST", &self.path, self.heartbeat.as_bytes())?.took)
    }
}

fn reach(connection: &mut Connection, path: &str, state: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        let shown =
            connection.succeed("GET", &format!("{path}?fields=provision_state,last_error"), b"")?.json()?;
        match shown["provision_state"].as_str() {
            Some(found) if found == state => return Ok(()),
            Some(found) if found.ends_with("failed") => {
                return Err(Error::Invalid(format!("{path} came to {shown}")));
            }
            _ if began.elapsed() > READY_LIMIT => {
                let what = format!("{path} in state \"{state}\"");
                return Err(Error::Timeout { what, seconds: READY_LIMIT.as_secs(), hint: shown.to_string() });
            }
            _ => pause(BEAT),
        }
    }
}
