//! How fast the API is, and how large: `billet-lab bench api`.
//!
//! Starts a server of its own over an empty state directory and asks it, with clients that share its machine, what a site asks. Costs are
//! medians of several rounds. What counts against a bar is processor time for single requests (the kernel's count of the server's
//! process, the only number that other work on the machine does not change much) and the clock for rates and waits.

mod beside;
mod cloud;
mod connection;
mod crowd;
mod cycle;
mod fleet;
mod overload;
mod power;
mod rehearsal;
mod server;
mod site;
mod table;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
pub use beside::{BesideOptions, Comparison, Databases, Scenario, beside};
pub use cloud::cloud;
use connection::Connection;
pub use overload::overload;
pub use power::{PowerOptions, power};
pub use rehearsal::{Phases, RehearsalOptions, rehearsal};
use server::{Server, pause};
use site::Site;
pub use table::Table;
use table::{Bar, median, milliseconds, percentile};

/// Rounds of which the median is taken.
const ROUNDS: usize = 5;
/// Clients that register nodes and drive cycles.
const CLIENTS: usize = 8;
/// Clients that write at once.
const WRITERS: usize = 64;
/// Changes that each of them makes.
const WRITES: usize = 50;
/// Nodes that go through their cycle in one round.
const CYCLES: usize = 400;
/// Nodes of the small fleet, over which single requests are measured.
const SMALL: usize = 1000;
/// A round of one kind of request lasts at least so long: the kernel counts processor time in hundredths of a second.
const ROUND: Duration = Duration::from_secs(1);
/// A server that has nothing to do settles in this time.
const SETTLE: Duration = Duration::from_secs(1);

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server's binary.
    pub billet: PathBuf,
    /// Where the state directory is made; the disk counts.
    pub directory: PathBuf,
    /// Nodes of the large fleet.
    pub nodes: usize,
    /// On PostgreSQL, in a cluster of its own, and not on SQLite.
    pub is_on_postgres: bool,
}

/// Measures the API into a table; `progress` hears what is being done.
///
/// # Errors
/// When the server or a request fails; the table has what was measured until then. A missed bar is no error.
pub fn api(options: &Options, table: &mut Table, progress: &mut dyn FnMut(&str)) -> Result<()> {
    let failed = Error::io("creating a directory in", &options.directory);
    let dir = tempfile::tempdir_in(&options.directory).map_err(failed)?;
    let nodes = options.nodes.max(2 * SMALL);
    let site = Site::new(options)?;

    progress("starting over an empty directory");
    let first_start = site.first_start(dir.path(), Site::start)?;
    table.push("cold start, empty directory", first_start, "ms", Bar::None);
    let server = site.start(dir.path())?;
    pause(SETTLE);
    table.push("memory, idle (VmRSS)", server.memory_mib("VmRSS")?, "MiB", Bar::None);

    progress("registering a thousand nodes");
    register(&server, 0..SMALL)?;
    equip(&server, 0..SMALL)?;
    progress("reading");
    single_requests(&server, table)?;

    progress("registering the rest");
    let mut rates = Vec::new();
    let mut first = SMALL;
    for left in (1..=ROUNDS).rev() {
        let last = first + (nodes - first) / left;
        let took = register(&server, first..last)?;
        rates.push((last - first) as f64 / took.as_secs_f64());
        equip(&server, first..last)?;
        first = last;
    }
    let name = format!("create a node, {CLIENTS} connections, each durable");
    table.push(name, median(&mut rates), "/s", Bar::AtLeast(2000.0));

    progress("walking the pages");
    let (whole, growth) = walk(&server, nodes)?;
    table.push(format!("page walk of {nodes}, 100 a page"), whole, "ms", Bar::None);
    table.push("  its last pages beside its first ones", growth, "times", Bar::Below(1.5));
    let cost = requests(&server, "GET", |_| ("/v1/nodes/detail?limit=1000".to_owned(), String::new()))?;
    table.push(format!("detail, limit=1000 of {nodes}"), cost.cpu_ms, "ms CPU", Bar::Below(12.0));
    let name = format!("memory with {nodes} nodes, after the walk (VmRSS)");
    table.push(name, server.memory_mib("VmRSS")?, "MiB", Bar::Below(60.0));

    progress("full cycles on fake hardware");
    let mut rates = Vec::new();
    let before = server.cpu()?;
    for _ in 0..ROUNDS {
        rates.push(CYCLES as f64 / cycle::round(&server, CLIENTS, CYCLES)?.as_secs_f64());
    }
    let cpu = milliseconds(server.cpu()? - before) / (ROUNDS * CYCLES) as f64;
    table.push(
        format!("full fake cycles, {} at once", CLIENTS * cycle::AT_ONCE),
        median(&mut rates),
        "/s",
        Bar::AtLeast(200.0),
    );
    table.push("a full fake cycle", cpu, "ms CPU", Bar::None);

    progress("many writers");
    writers(&server, table)?;
    pause(SETTLE);
    table.push("memory at the end (VmRSS)", server.memory_mib("VmRSS")?, "MiB", Bar::Below(60.0));
    table.push("memory, most (VmHWM)", server.memory_mib("VmHWM")?, "MiB", Bar::None);
    drop(server);

    progress("starting over a full directory");
    let mut starts = Vec::new();
    for _ in 0..ROUNDS {
        starts.push(milliseconds(site.start(dir.path())?.started_in));
    }
    table.push(format!("cold start with {nodes} nodes"), median(&mut starts), "ms", Bar::None);
    Ok(())
}

/// Requests that one client makes one after the other.
fn single_requests(server: &Server, table: &mut Table) -> Result<()> {
    let read = |path: &'static str| move |_| (path.to_owned(), String::new());
    let listed = requests(server, "GET", read("/v1/nodes?limit=100"))?;
    table.push("list, limit=100", listed.cpu_ms, "ms CPU", Bar::None);
    let detail = requests(server, "GET", read("/v1/nodes/detail?limit=1000"))?;
    table.push("detail, limit=1000", detail.cpu_ms, "ms CPU", Bar::Below(12.0));
    table.push("  the same by the client's clock", detail.wall_ms, "ms", Bar::None);
    table.push("  its size", detail.bytes as f64 / 1e6, "MB", Bar::None);
    let uuids = uuids(server)?;
    let one = |count: usize| format!("/v1/nodes/{}", uuids[count % uuids.len()]);
    let shown = requests(server, "GET", |count| (one(count), String::new()))?;
    table.push("show one node", shown.cpu_ms, "ms CPU", Bar::Below(0.2));
    table.push("  the same by the client's clock", shown.wall_ms, "ms", Bar::None);
    let patched = requests(server, "PATCH", |count| (one(count), patch(count)))?;
    table.push("patch a node", patched.cpu_ms, "ms CPU", Bar::None);
    table.push("  the same by the client's clock, durable", patched.wall_ms, "ms", Bar::None);
    Ok(())
}

fn patch(count: usize) -> String {
    format!("[{{\"op\": \"add\", \"path\": \"/extra/note\", \"value\": \"note {count}\"}}]")
}

/// What a kind of request costs.
struct Cost {
    cpu_ms: f64,
    wall_ms: f64,
    bytes: usize,
}

/// Asks one request after the other, in rounds; `request` makes path and body of each.
fn requests(server: &Server, method: &str, request: impl Fn(usize) -> (String, String)) -> Result<Cost> {
    let mut connection = server.connect()?;
    let (mut cpu, mut wall) = (Vec::new(), Vec::new());
    let (mut count, mut bytes) = (0, 0);
    for _ in 0..ROUNDS {
        let (began, before, first) = (Instant::now(), server.cpu()?, count);
        while began.elapsed() < ROUND {
            let (path, body) = request(count);
            let answer = connection.succeed(method, &path, body.as_bytes())?;
            bytes = answer.body.len();
            wall.push(milliseconds(answer.took));
            count += 1;
        }
        cpu.push(milliseconds(server.cpu()? - before) / (count - first) as f64);
    }
    Ok(Cost { cpu_ms: median(&mut cpu), wall_ms: median(&mut wall), bytes })
}

fn register(server: &Server, numbers: std::ops::Range<usize>) -> Result<Duration> {
    let bodies: Vec<_> = numbers.map(|number| fleet::node(number).to_string()).collect();
    crowd::share(server, CLIENTS, bodies.len(), |connection, number| {
        connection.succeed("POST", "/v1/nodes", bodies[number].as_bytes()).map(drop)
    })
}

/// Sets what can't be set when a node is registered.
fn equip(server: &Server, numbers: std::ops::Range<usize>) -> Result<()> {
    let traits = fleet::traits().to_string();
    let first = numbers.start;
    crowd::share(server, CLIENTS, numbers.len(), |connection, number| {
        let path = format!("/v1/nodes/{}/traits", fleet::name(first + number));
        connection.succeed("PUT", &path, traits.as_bytes()).map(drop)
    })?;
    Ok(())
}

/// Follows the pages of the list of all nodes, and sees that none is missing; out come the median time of a whole walk in milliseconds,
/// and how many times the first quarter's pages those of the last one take.
fn walk(server: &Server, nodes: usize) -> Result<(f64, f64)> {
    let mut connection = server.connect()?;
    let (mut whole, mut early, mut late) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let (mut seen, mut pages) = (0, Vec::new());
        let mut path = Some("/v1/nodes?limit=100".to_owned());
        while let Some(page) = path {
            let answer = connection.succeed("GET", &page, b"")?;
            pages.push(milliseconds(answer.took));
            let answer = answer.json()?;
            seen += answer["nodes"].as_array().map_or(0, Vec::len);
            let next = answer["next"].as_str();
            path = next.and_then(|url| url.find("/v1/").map(|at| url[at..].to_owned()));
        }
        whole.push(milliseconds(began.elapsed()));
        if seen != nodes {
            return Err(Error::Invalid(format!("a walk of the pages met {seen} nodes; there are {nodes}")));
        }
        // The page that may be short or empty doesn't count.
        pages.pop();
        let quarter = pages.len() / 4;
        early.extend_from_slice(&pages[..quarter]);
        late.extend_from_slice(&pages[pages.len() - quarter..]);
    }
    Ok((median(&mut whole), median(&mut late) / median(&mut early)))
}

/// The first thousand nodes.
fn uuids(server: &Server) -> Result<Vec<String>> {
    let answer = server.connect()?.succeed("GET", "/v1/nodes?fields=uuid&limit=1000", b"")?.json()?;
    let nodes = answer["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let uuids: Vec<_> = nodes.iter().filter_map(|node| node["uuid"].as_str().map(str::to_owned)).collect();
    if uuids.is_empty() {
        return Err(Error::Invalid("the list of nodes is empty".to_owned()));
    }
    Ok(uuids)
}

/// Many clients that change nodes at once.
fn writers(server: &Server, table: &mut Table) -> Result<()> {
    let uuids = uuids(server)?;
    let work = |connection: &mut Connection, client: usize| -> Result<(Vec<f64>, usize)> {
        let (mut waits, mut refused) = (Vec::new(), 0);
        for write in 0..WRITES {
            let path = format!("/v1/nodes/{}", uuids[(client + write * WRITERS) % uuids.len()]);
            let answer = connection.ask("PATCH", &path, patch(write).as_bytes())?;
            refused += usize::from(answer.status != 200);
            waits.push(milliseconds(answer.took));
        }
        Ok((waits, refused))
    };
    let (mut middle, mut p99, mut most, mut rates, mut refused) = (vec![], vec![], 0.0_f64, vec![], 0);
    for _ in 0..ROUNDS {
        let (took, said) = crowd::each(server, WRITERS, work)?;
        let mut waits: Vec<f64> = said.iter().flat_map(|(waits, _)| waits.iter().copied()).collect();
        refused += said.iter().map(|(_, refused)| refused).sum::<usize>();
        middle.push(median(&mut waits));
        p99.push(percentile(&mut waits, 99));
        most = most.max(percentile(&mut waits, 100));
        rates.push(waits.len() as f64 / took.as_secs_f64());
    }
    table.push(format!("{WRITERS} writers at once: changes"), median(&mut rates), "/s", Bar::None);
    table.push("  wait, median", median(&mut middle), "ms", Bar::None);
    table.push("  wait, 99 in 100 below", median(&mut p99), "ms", Bar::Below(50.0));
    table.push("  wait, longest of all rounds", most, "ms", Bar::None);
    table.push("  refused (locked and others)", refused as f64, "", Bar::Below(1.0));
    Ok(())
}
