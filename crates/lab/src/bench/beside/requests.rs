//! Single requests over one connection that is kept open, one after the other.

use std::ops::Range;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::comparison::Figure;
use super::meter::Meter;
use super::product::Running;
use crate::bench::{CLIENTS, crowd, fleet};
use crate::error::{Error, Result};
use crate::fleet::{BMC_PASSWORD, BMC_PORT, BMC_USER, Entry};

/// A round lasts at least so long: the kernel counts processor time in hundredths of a second.
const ROUND: Duration = Duration::from_secs(1);
/// The last microversion at which a new node is available at once, so that its power is asked for.
const AVAILABLE_AT_ONCE: &str = "1.10";

/// Asks in rounds; `request` makes method, path and body of each.
///
/// # Errors
/// The first request that is refused.
pub(super) fn ask(
    running: &Running,
    rounds: usize,
    request: impl Fn(usize) -> (&'static str, String, String),
) -> Result<Figure> {
    let mut connection = running.server.connect()?;
    let (mut meter, mut count) = (Meter::default(), 0);
    for _ in 0..rounds {
        meter.round(running, || {
            let (began, first) = (Instant::now(), count);
            while count == first || began.elapsed() < ROUND {
                let (method, path, body) = request(count);
                connection.succeed(method, &path, body.as_bytes())?;
                count += 1;
            }
            Ok((count - first) as u64)
        })?;
    }
    Ok(meter.each())
}

/// Registers machines over so many connections at once, in as many rounds as are asked for; `first` is the first one's number.
///
/// # Errors
/// The first request that is refused.
pub(super) fn create(
    running: &Running,
    rounds: usize,
    clients: usize,
    first: usize,
    entries: &[Entry],
) -> Result<Figure> {
    let bodies: Vec<_> =
        (first..).zip(entries).map(|(number, entry)| body(number, entry).to_string()).collect();
    let mut meter = Meter::default();
    for round in 0..rounds {
        let share = &bodies[share(bodies.len(), rounds, round)];
        meter.round(running, || {
            register(running, clients, share)?;
            Ok(share.len() as u64)
        })?;
    }
    Ok(meter.each())
}

fn register(running: &Running, clients: usize, bodies: &[String]) -> Result<()> {
    crowd::share(&running.server, clients, bodies.len(), |connection, number| {
        connection.speak(AVAILABLE_AT_ONCE);
        connection.succeed("POST", "/v1/nodes", bodies[number].as_bytes()).map(drop)
    })
    .map(drop)
}

/// The part of `count` things that is one round's.
fn share(count: usize, rounds: usize, round: usize) -> Range<usize> {
    count * round / rounds..count * (round + 1) / rounds
}

/// A node as a site has it, whose BMC is that of a simulated machine.
fn body(number: usize, entry: &Entry) -> Value {
    let mut body = fleet::node(number);
    body["name"] = json!(entry.name);
    body["driver"] = json!("ipmi");
    body["driver_info"] = json!({
        "ipmi_address": entry.bmc.to_string(), "ipmi_port": BMC_PORT, "ipmi_username": BMC_USER,
        "ipmi_password": BMC_PASSWORD,
    });
    // The old microversion has neither.
    if let Some(fields) = body.as_object_mut() {
        fields.remove("resource_class");
        fields.remove("owner");
    }
    body
}

/// Registers nodes of no machine until there are so many, over several connections; not measured.
///
/// # Errors
/// The first request that is refused.
pub(super) fn fill(running: &Running, numbers: Range<usize>) -> Result<()> {
    let bodies: Vec<_> = numbers
        .map(|number| {
            let entry =
                Entry { name: format!("copy-{number:06}"), mac: String::new(), bmc: [127, 0, 0, 1].into() };
            body(number, &entry).to_string()
        })
        .collect();
    register(running, CLIENTS, &bodies)
}

/// The first nodes' UUIDs, a thousand at most.
///
/// # Errors
/// [`Error::Invalid`] when there are none.
pub(super) fn uuids(running: &Running) -> Result<Vec<String>> {
    let answer = running.server.connect()?.succeed("GET", "/v1/nodes?fields=uuid&limit=1000", b"")?.json()?;
    let nodes = answer["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let uuids: Vec<_> = nodes.iter().filter_map(|node| node["uuid"].as_str().map(str::to_owned)).collect();
    if uuids.is_empty() {
        return Err(Error::Invalid("the list of nodes is empty".to_owned()));
    }
    Ok(uuids)
}

/// Walks the pages of the list of all nodes, in rounds of one walk or as many as a second holds, and sees that none is missing.
///
/// # Errors
/// [`Error::Invalid`] when the pages have another number of nodes.
pub(super) fn walk(running: &Running, rounds: usize, nodes: usize) -> Result<Figure> {
    let mut connection = running.server.connect()?;
    let mut meter = Meter::default();
    for _ in 0..rounds {
        meter.round(running, || {
            let (began, mut walks) = (Instant::now(), 0);
            while walks == 0 || began.elapsed() < ROUND {
                let mut seen = 0;
                let mut path = Some("/v1/nodes?limit=100".to_owned());
                while let Some(page) = path {
                    let answer = connection.succeed("GET", &page, b"")?.json()?;
                    seen += answer["nodes"].as_array().map_or(0, Vec::len);
                    let next = answer["next"].as_str();
                    path = next.and_then(|url| url.find("/v1/").map(|at| url[at..].to_owned()));
                }
                if seen != nodes {
                    return Err(Error::Invalid(format!(
                        "a walk of the pages met {seen} nodes; there are {nodes}"
                    )));
                }
                walks += 1;
            }
            Ok(walks)
        })?;
    }
    Ok(meter.each())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_share_everything_and_nothing_twice() {
        for (count, rounds) in [(1000, 5), (7, 5), (13, 3)] {
            let shares: Vec<_> = (0..rounds).flat_map(|round| share(count, rounds, round)).collect();
            assert_eq!(shares, (0..count).collect::<Vec<_>>());
        }
    }
}
