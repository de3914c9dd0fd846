//! Fake hardware through its life: managed, provided (cleaned), deployed, taken back (cleaned).

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::json;

use super::comparison::Figure;
use super::meter::Meter;
use super::product::Running;
use crate::bench::connection::Connection;
use crate::bench::server::pause;
use crate::error::{Error, Result};

/// What is asked for in turn, and the state that it leads to.
const VERBS: &[(&str, &str)] =
    &[("manage", "manageable"), ("provide", "available"), ("active", "active"), ("deleted", "available")];
/// Nodes under way at one time: below Ironic's limits (50 cleanings, 250 deployments).
const NODES: usize = 40;
/// By which the list finds them among all.
const CLASS: &str = "cycle";
/// A round takes at least so long.
const ROUND: Duration = Duration::from_secs(1);
/// A verb must have led all nodes to its end by then.
const LIMIT: Duration = Duration::from_secs(600);
/// After a look the client waits so many times as long as that took: looks shall be a small part of what the server does.
const LOOK_SELDOM: u32 = 10;
/// But not longer than this, so that nobody closes the connection.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Makes the nodes.
///
/// # Errors
/// A refused request.
pub(super) fn register(running: &Running) -> Result<()> {
    let mut connection = running.server.connect()?;
    for number in 0..NODES {
        let body = json!({
            "name": format!("cycle-{number}"), "driver": "fake-hardware", "resource_class": CLASS,
            "instance_info": {"image_source": "http://127.0.0.1:9/image", "image_checksum": "0".repeat(32)},
        });
        connection.succeed("POST", "/v1/nodes", body.to_string().as_bytes())?;
    }
    Ok(())
}

/// Forgets them, so that they are not in the way of what is measured next.
///
/// # Errors
/// A refused request.
pub(super) fn forget(running: &Running) -> Result<()> {
    let mut connection = running.server.connect()?;
    (0..NODES).try_for_each(|number| {
        connection.succeed("DELETE", &format!("/v1/nodes/cycle-{number}"), b"").map(drop)
    })
}

/// Takes all nodes through whole cycles; out come cycles a second.
///
/// # Errors
/// [`Error::Invalid`] when a node fails or a request is refused, [`Error::Timeout`].
pub(super) fn cycles(running: &Running, rounds: usize) -> Result<Figure> {
    let mut connection = running.server.connect()?;
    let mut meter = Meter::default();
    for _ in 0..rounds {
        meter.round(running, || {
            let (began, mut cycles) = (Instant::now(), 0);
            while cycles == 0 || began.elapsed() < ROUND {
                for (verb, state) in VERBS {
                    lead(&mut connection, verb, state)?;
                }
                cycles += NODES as u64;
            }
            Ok(cycles)
        })?;
    }
    Ok(meter.rate())
}

/// Gives all nodes a verb, and waits until all have come to the state.
fn lead(connection: &mut Connection, verb: &str, state: &str) -> Result<()> {
    let body = json!({"target": verb}).to_string();
    let deadline = Instant::now() + LIMIT;
    for number in 0..NODES {
        let path = format!("/v1/nodes/cycle-{number}/states/provision");
        connection.succeed("PUT", &path, body.as_bytes())?;
    }
    loop {
        let path =
            format!("/v1/nodes?resource_class={CLASS}&fields=uuid,provision_state,reservation&limit=1000");
        let answer = connection.succeed("GET", &path, b"")?;
        let took = answer.took;
        let answer = answer.json()?;
        let nodes = answer["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let states: HashSet<_> = nodes.iter().filter_map(|node| node["provision_state"].as_str()).collect();
        if let Some(failed) = states.iter().find(|state| state.ends_with("failed") || **state == "error") {
            return Err(Error::Invalid(format!("{verb}: a node of fake hardware came to {failed}")));
        }
        // A node that is still held would refuse the next verb.
        let has_come = nodes
            .iter()
            .filter(|node| node["provision_state"] == state && node["reservation"].is_null())
            .count();
        if has_come == NODES {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Error::Timeout {
                what: format!("{verb}: {has_come} of {NODES} nodes are {state}"),
                seconds: LIMIT.as_secs(),
                hint: "the server's log says more".to_owned(),
            });
        }
        pause((took * LOOK_SELDOM).min(LONGEST_WAIT));
    }
}
