//! The agent's life: look up, serve, heartbeat, until a command ends it.

use crate::bell::{Bell, lock, pause};
use crate::command::Registry;
use crate::http::{Client, HttpError, Request, ServerIdentity, Url, client_config};
use crate::machine::Machine;
use crate::options::Options;
use crate::say;
use crate::server::Server;
use model::Secret;
use model::agent::{
    AgentConfig, Heartbeat, Inspection, LookupNode, LookupResponse, MASKED_TOKEN, MIN_TOKEN_LENGTH,
    PartitionUuids,
};
use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Largest body of an API answer that is read.
const LONGEST_ANSWER: usize = 4 << 20;
/// The highest microversion whose ramdisk calls this agent knows (1.68: `agent_verify_ca`).
const KNOWN_MINOR: u32 = 68;
/// The lowest that today's Ironic still answers with what is needed (1.62: tokens).
const LEAST_MINOR: u32 = 62;
/// Heartbeats are at least so far apart: one that comes at once after a short command finds the conductor done with the last.
const LEAST_INTERVAL: Duration = Duration::from_millis(200);
/// After a refused heartbeat (a conductor that holds the node answers 409) the next one comes after one second, two, four …
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(10);
/// The ironic-python-agent release whose protocol this is, then the own one.
const VERSION: &str = concat!("13.0.0+billet.", env!("CARGO_PKG_VERSION"));

/// How the machine shall end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// `standby.power_off`.
    PowerOff,
    /// `standby.run_image`.
    RebootNow,
    /// Something is wrong; reboot after a while.
    Reboot,
    /// `system.lockdown`, or the token is in other hands.
    Lockdown,
}

/// What the lookup said.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// The node.
    pub node: LookupNode,
    /// The configuration.
    pub config: AgentConfig,
}

/// Everything the threads share.
pub struct Agent {
    /// How it was started.
    pub options: Options,
    /// What it runs on.
    pub machine: Machine,
    /// Its HTTP client.
    pub client: Client,
    /// Its commands.
    pub commands: Registry,
    /// Partition identifiers of the image that was written; `None` before.
    pub partitions: Mutex<Option<PartitionUuids>>,
    session: Mutex<Session>,
    token: Mutex<Option<Secret>>,
    bell: Bell,
    is_forced: Mutex<bool>,
    ending: Mutex<Option<Ending>>,
    started_at: f64,
}

/// Why a run ended without an [`Ending`]; another run may succeed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no API to talk to.
    #[error("no ipa-api-url on the kernel's command line: this machine was booted without instructions")]
    NoApi,
    /// The lookup took too long.
    #[error(
        "lookup: no node of the API at {urls} has one of the addresses {macs} ({last}); is its port created?"
    )]
    Lookup {
        /// The API.
        urls: String,
        /// The machine's MAC addresses.
        macs: String,
        /// What the last attempt said.
        last: String,
    },
    /// A socket, certificate or thread could not be had.
    #[error("{attempt}: {source}")]
    System {
        /// What was tried.
        attempt: String,
        /// What came back.
        source: io::Error,
    },
}

fn system(attempt: impl Into<String>) -> impl FnOnce(io::Error) -> RunError {
    let attempt = attempt.into();
    move |source| RunError::System { attempt, source }
}

impl Agent {
    /// An agent that does nothing yet. Fails when the CA file cannot be read.
    pub fn new(options: Options, machine: Machine) -> Result<Arc<Self>, RunError> {
        let tls = client_config(&options.ca_file, options.is_insecure)
            .map_err(system(format!("reading the CA file {}", options.ca_file.display())))?;
        let started_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        Ok(Arc::new(Self {
            client: Client::new(tls, options.request_timeout),
            token: Mutex::new(options.agent_token.clone()),
            options,
            machine,
            commands: Registry::default(),
            partitions: Mutex::default(),
            session: Mutex::default(),
            bell: Bell::default(),
            is_forced: Mutex::new(false),
            ending: Mutex::new(None),
            started_at,
        }))
    }

    /// The version that goes into heartbeats: the protocol's release first, since conductors compare it.
    pub fn version() -> &'static str {
        VERSION
    }

    /// Seconds since 1970 at the start.
    pub fn started_at(&self) -> f64 {
        self.started_at
    }

    /// What the lookup said; empty before.
    pub fn session(&self) -> Session {
        lock(&self.session).clone()
    }

    /// Takes over a newer view of the node, such as commands carry.
    pub fn refresh_node(&self, node: &serde_json::Map<String, serde_json::Value>) {
        let mut session = lock(&self.session);
        let object = |key: &str| node.get(key).and_then(|value| value.as_object().cloned());
        if let Some(properties) = object("properties") {
            session.node.properties = properties;
        }
        if let Some(info) = object("instance_info") {
            session.node.instance_info = info;
        }
        if let Some(info) = object("driver_internal_info") {
            session.node.driver_internal_info = info;
        }
    }

    /// Compares a token in constant time; without an own token nothing is right.
    pub fn is_token(&self, offered: &str) -> bool {
        use subtle::ConstantTimeEq;
        match lock(&self.token).as_ref() {
            Some(own) if !offered.is_empty() => own.expose().as_bytes().ct_eq(offered.as_bytes()).into(),
            _ => false,
        }
    }

    /// A text with the token struck out: the kernel logs its command line, which may hold one.
    pub fn without_token(&self, text: &str) -> String {
        match lock(&self.token).as_ref() {
            Some(token) if !token.expose().is_empty() => text.replace(token.expose(), "***"),
            _ => text.to_owned(),
        }
    }

    /// Makes the next heartbeat come soon.
    pub fn force_heartbeat(&self) {
        *lock(&self.is_forced) = true;
        self.bell.ring();
    }

    /// Ends the run; answers that are on their way are still sent.
    pub fn end(&self, ending: Ending) {
        lock(&self.ending).get_or_insert(ending);
        self.bell.ring();
    }

    /// How the run is to end, once something said so.
    pub fn ending(&self) -> Option<Ending> {
        *lock(&self.ending)
    }
}

/// Runs the agent until a command ends it.
pub fn run(agent: &Arc<Agent>) -> Result<Ending, RunError> {
    let options = &agent.options;
    if options.api_urls.is_empty() {
        return Err(RunError::NoApi);
    }
    let mut api = Api { urls: Vec::new(), minor: None, agent };
    for text in &options.api_urls {
        match Url::parse(text) {
            Some(url) => api.urls.push(url),
            None => say!("ipa-api-url {text:?} is no http URL"),
        }
    }
    if let Some(url) = &options.inspection_url {
        api.inspect(url);
    }
    let lookup = api.look_up()?;
    say!("node {}", lookup.node.uuid);
    if !accept_token(agent, &lookup) {
        say!("the API has given this node's token to someone else before: locking down");
        return Ok(Ending::Lockdown);
    }
    let heartbeat_timeout = Duration::from_secs(lookup.config.heartbeat_timeout.clamp(1, 86_400));
    let uuid = lookup.node.uuid.clone();
    *lock(&agent.session) = Session { node: lookup.node, config: lookup.config };

    let host = match &options.advertise_host {
        Some(host) => host.parse().map_err(io::Error::other),
        None => api.source_address(),
    }
    .map_err(system("finding this machine's address towards the API"))?;
    let identity = ServerIdentity::generate(host).map_err(system("making a certificate"))?;
    let server = Server::start(agent, identity.config.clone())
        .map_err(system(format!("listening on port {}", options.listen.1)))?;
    let port = options.advertise_port.unwrap_or(server.port());
    let host = if host.is_ipv6() { format!("[{host}]") } else { host.to_string() };
    let beat = Heartbeat {
        callback_url: format!("https://{host}:{port}"),
        agent_version: Some(VERSION.to_owned()),
        agent_token: lock(&agent.token).clone(),
        agent_verify_ca: Some(identity.certificate_pem),
        ..Heartbeat::default()
    };
    say!("serving commands at {}", beat.callback_url);
    let ending = heartbeat(&mut api, &uuid, &beat, heartbeat_timeout);
    server.stop();
    Ok(ending)
}

/// Whether there is a token to go on with.
fn accept_token(agent: &Agent, lookup: &LookupResponse) -> bool {
    let mut own = lock(&agent.token);
    match &lookup.config.agent_token {
        Some(token) if token.expose() == MASKED_TOKEN => own.is_some(),
        Some(token) if token.expose().len() >= MIN_TOKEN_LENGTH => {
            *own = Some(token.clone());
            true
        }
        Some(_) => {
            say!("the API sent a token that is too short; it is not used");
            own.is_some()
        }
        None => own.is_some() || !lookup.config.agent_token_required,
    }
}

/// Heartbeats until the end: every timeout × 0.3 to 0.6, soon after a command ended, soon after an error.
fn heartbeat(api: &mut Api<'_>, uuid: &str, beat: &Heartbeat, timeout: Duration) -> Ending {
    let agent = api.agent;
    let mut due = Instant::now();
    let mut last = None;
    let mut failures = 0u32;
    loop {
        if let Some(ending) = agent.ending() {
            return ending;
        }
        if *lock(&agent.is_forced) {
            due = due.min(last.map_or_else(Instant::now, |last| last + LEAST_INTERVAL));
        }
        let left = due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            agent.bell.wait(left);
            continue;
        }
        *lock(&agent.is_forced) = false;
        match api.beat(uuid, beat) {
            Ok(()) => {
                if failures > 0 || last.is_none() {
                    say!("heartbeat accepted");
                }
                failures = 0;
                due = Instant::now() + timeout.mul_f64(0.3 + 0.3 * fraction());
            }
            Err(error) => {
                failures += 1;
                if failures.is_power_of_two() {
                    say!("heartbeat: {error}");
                }
                let retry = FIRST_RETRY * 2u32.saturating_pow(failures.min(8) - 1);
                due = Instant::now() + retry.min(LAST_RETRY).min(timeout / 4).mul_f64(0.8 + 0.4 * fraction());
            }
        }
        last = Some(Instant::now());
    }
}

/// A number from 0 to 1, so that a rack that was switched on at once does not call at once.
fn fraction() -> f64 {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    f64::from(clock.subsec_micros() % 1000) / 999.0
}

/// The bare-metal API, as the agent calls it.
struct Api<'a> {
    urls: Vec<Url>,
    minor: Option<u32>,
    agent: &'a Arc<Agent>,
}

impl Api<'_> {
    /// Looks this machine up by its MAC addresses until it is known.
    fn look_up(&mut self) -> Result<LookupResponse, RunError> {
        let options = &self.agent.options;
        let end = Instant::now() + options.lookup_timeout;
        let mut delay = options.lookup_interval.max(Duration::from_millis(10));
        let mut said = String::new();
        loop {
            let interfaces = self.agent.machine.interfaces();
            let macs: Vec<String> =
                interfaces.into_iter().filter_map(|interface| interface.mac_address).collect();
            let macs = macs.join(",");
            let last = match self.look_up_once(&macs) {
                Ok(found) => return Ok(found),
                Err(error) => error.to_string(),
            };
            if last != said {
                say!("lookup: {last}; trying again");
                said.clone_from(&last);
            }
            if Instant::now() + delay >= end {
                let urls = options.api_urls.join(", ");
                return Err(RunError::Lookup { urls, macs, last });
            }
            pause(delay);
            delay = (delay * 2).min(Duration::from_secs(15)).mul_f64(0.8 + 0.4 * fraction());
        }
    }

    fn look_up_once(&mut self, macs: &str) -> Result<LookupResponse, HttpError> {
        let minor = self.minor().min(LEAST_MINOR);
        let body = self.call("GET", &format!("/v1/lookup?addresses={macs}"), minor, None)?;
        let found: LookupResponse = serde_json::from_slice(&body)
            .map_err(|error| HttpError::Malformed(format!("lookup: {error}")))?;
        let is_uuid = uuid::Uuid::try_parse(&found.node.uuid).is_ok();
        is_uuid.then_some(found).ok_or_else(|| HttpError::Malformed("the node's UUID is none".to_owned()))
    }

    fn beat(&mut self, uuid: &str, beat: &Heartbeat) -> Result<(), HttpError> {
        let minor = self.minor();
        let mut beat = beat.clone();
        if minor < 36 {
            beat.agent_version = None;
        }
        if minor < LEAST_MINOR {
            beat.agent_token = None;
        }
        if minor < KNOWN_MINOR {
            beat.agent_verify_ca = None;
        }
        let content = serde_json::to_vec(&beat).map_err(io::Error::other)?;
        self.call("POST", &format!("/v1/heartbeat/{uuid}"), minor.min(KNOWN_MINOR), Some(content)).map(|_| ())
    }

    /// The API's newest microversion, asked once; unknown ones are taken for the oldest that works.
    fn minor(&mut self) -> u32 {
        if let Some(minor) = self.minor {
            return minor;
        }
        let answer = self.call("GET", "/", LEAST_MINOR, None);
        let value = answer.ok().and_then(|body| serde_json::from_slice::<serde_json::Value>(&body).ok());
        let minor = value
            .and_then(|root| root["default_version"]["version"].as_str()?.split_once('.')?.1.parse().ok());
        self.minor = minor;
        minor.unwrap_or(LEAST_MINOR)
    }

    /// Tries all URLs; the one that answers is the first next time.
    fn call(
        &mut self,
        method: &str,
        path: &str,
        minor: u32,
        content: Option<Vec<u8>>,
    ) -> Result<Vec<u8>, HttpError> {
        let mut fields = vec![
            ("Accept", "application/json".to_owned()),
            ("X-OpenStack-Ironic-API-Version", format!("1.{minor}")),
        ];
        if let Some(id) = &self.agent.options.request_id {
            fields.push(("X-OpenStack-Request-ID", id.clone()));
        }
        let request = Request { method, fields, authorization: None, content };
        let mut last = HttpError::Malformed("ipa-api-url names no http URL".to_owned());
        for index in 0..self.urls.len() {
            let mut url = self.urls[index].clone();
            url.target = format!("{}{path}", url.target.trim_end_matches('/'));
            match self.agent.client.send(&url, &request) {
                Ok(response) => {
                    self.urls.rotate_left(index);
                    return response.ok()?.body.read_all(LONGEST_ANSWER);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn source_address(&self) -> io::Result<std::net::IpAddr> {
        let mut last = io::Error::other("no API");
        for url in &self.urls {
            match crate::network::source_address(&url.host, url.port) {
                Ok(address) => return Ok(address),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Sends the inventory for inspection. What fails is said; the lookup comes all the same.
    fn inspect(&self, url: &str) {
        let Some(target) = Url::parse(url) else { return say!("ipa-inspection-callback-url is no http URL") };
        let agent = self.agent;
        let inventory = agent.machine.inventory(agent.options.boot_mac.as_deref(), true);
        let hints = None;
        let root_disk = model::hints::choose(hints, &inventory.disks).ok().map(|choice| choice.disk.clone());
        let boot_interface = agent.options.boot_mac.clone();
        let inspection = Inspection { inventory, root_disk, boot_interface, ..Inspection::default() };
        let content = serde_json::to_vec(&inspection).ok();
        let request = Request { method: "POST", content, ..Request::default() };
        let mut text = String::new();
        for _ in 0..5 {
            match agent.client.send(&target, &request).and_then(crate::http::Response::ok) {
                Ok(_) => return say!("inventory sent to {target}"),
                Err(error) => {
                    text.clear();
                    // Writing to a String cannot fail.
                    let _ = write!(text, "{error}");
                    pause(Duration::from_secs(2));
                }
            }
        }
        say!("sending the inventory to {target} failed: {text}");
    }
}
