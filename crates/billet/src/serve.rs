//! `billet serve`: opens the store, binds everything, says that it is ready, and drains at SIGTERM.
//!
//! Two listeners, by who may be trusted with what: the operators' API (loopback unless told otherwise), and one for machines on the
//! boot network, which serves boot files, lookup and heartbeat and nothing else.

use crate::bootstrap::{Reach, bootstrap};
use crate::configuration::{Auth, File};
use crate::database::Place;
use crate::listener::{self, Door};
use crate::machine_side::{self, MachineSide};
use crate::roles::{self, Roles};
use crate::tls;
use crate::traces::Traces;
use anyhow::{Context, Result, bail};
use api::ApiState;
use api::auth::{PasswordFile, ProjectName};
use bmc::Registry;
use conductor::{Conductor, Role};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::Store;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Ironic's port.
const API_PORT: u16 = 6385;
/// Requests under way have so long to end after SIGTERM.
const DRAIN: Duration = Duration::from_secs(10);
/// Connections of those who scrape.
const METRICS_CONNECTIONS: usize = 64;

/// Arguments of `billet serve`; all optional.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Address and port of the API [default: 127.0.0.1:6385].
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// Who may use the API [default: own].
    #[arg(long, value_enum)]
    auth: Option<Auth>,
    /// What this process does, where several share a database [default: api,conductor,netboot].
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROLE,…")]
    roles: Option<Vec<roles::Name>>,
    /// Name of this process among those that share a database [default: the host's].
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
}

/// Runs until SIGTERM or SIGINT.
pub fn main(arguments: Arguments) -> Result<()> {
    let started = Instant::now();
    let file = arguments.place.file()?;
    // One more than there are cores: one at a time may wait for the disk.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores() + 1)
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let machines = machine_side::runtime()?;
    let traces = Traces::start(&file.tracing, &host_name(&arguments, &file), runtime.handle())?;
    log_to_stderr(&traces);
    let outcome = runtime.block_on(serve(arguments, file, started, machines.handle()));
    traces.end();
    // A BMC or a resolver that hangs must not hold up the end.
    machines.shutdown_timeout(Duration::from_secs(1));
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// What this process is called.
fn host_name(arguments: &Arguments, file: &File) -> String {
    let name = arguments.hostname.clone().or_else(|| file.conductor.hostname.clone());
    name.unwrap_or_else(|| gethostname::gethostname().to_string_lossy().into_owned())
}

/// Lines go to stderr; spans, which would be repeated in each of them, only to where traces go.
fn log_to_stderr(traces: &Traces) {
    let filter = EnvFilter::try_from_env("BILLET_LOG").unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    let is_span = |metadata: &tracing::Metadata<'_>| metadata.target() == telemetry::SPANS;
    let filter = filter.and(filter_fn(move |metadata| !is_span(metadata)));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        lines.with_target(false).boxed()
    } else {
        lines.json().flatten_event(true).boxed()
    };
    // What happened to a node stands in the span that it happened in.
    let is_told =
        move |metadata: &tracing::Metadata<'_>| is_span(metadata) || metadata.target() == telemetry::EVENTS;
    let spans = traces.layer().map(|layer| layer.with_filter(filter_fn(is_told)));
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans).init();
}

async fn serve(arguments: Arguments, file: File, started: Instant, machines: &Handle) -> Result<()> {
    let listen = arguments.listen.or(file.api.listen).unwrap_or((Ipv4Addr::LOCALHOST, API_PORT).into());
    let auth = arguments.auth.or(file.api.auth).unwrap_or(Auth::Own);
    let roles = Roles::new(arguments.roles.as_deref().or(file.roles.as_deref()))?;
    if !roles.has(Role::Api) && arguments.listen.is_some() {
        bail!("--listen is for a process with the role api, and this one has {}", names(&roles));
    }
    if auth == Auth::None && !listen.ip().is_loopback() && !file.api.open_to_the_network {
        bail!(
            "{listen} can be reached by others and there is no authentication: use --auth own, basic or keystone, listen on \
             127.0.0.1, or set api.open_to_the_network = true in the configuration"
        );
    }
    let tls = tls::read(file.api.tls_certificate.as_deref(), file.api.tls_key.as_deref())?;
    if tls.is_none() && file.netboot.https_port.is_some() {
        bail!("netboot.https_port needs api.tls_certificate and api.tls_key");
    }
    let mut api_settings = api_settings(auth, &file)?;
    let state_dir = arguments.place.state_dir(&file)?;
    let mut settings = conductor_settings(&arguments, &file, &state_dir)?;
    settings.roles = roles.list();
    settings.drivers = Some(driver_names(&api_settings));

    let (for_operators, for_machines) = listener::raise_file_limit();
    let door = Door::new("api", file.api.max_connections.unwrap_or(for_operators));
    // Before anybody can see that it runs, and ask it to end.
    let end = end_signals()?;
    // The port first: a second start by mistake should say so, and not that the state directory is in use.
    let listener = if roles.has(Role::Api) { Some(bind(listen).await?) } else { None };
    let listen = listener.as_ref().and_then(|listener| listener.local_addr().ok()).unwrap_or(listen);
    let metrics = match file.metrics.listen {
        Some(address) => Some(bind(address).await.context("metrics.listen")?),
        None => None,
    };
    let store = arguments.place.open(&file, &state_dir).await?;
    roles.check(store.is_shared())?;
    if !store.is_shared() {
        // Whoever held nodes of it is dead.
        store.release_all().await.context("state directory")?;
    }
    let scheme = if tls.is_some() { "https" } else { "http" };
    api_settings.cloud = auth == Auth::Own;
    if auth == Auth::Own && roles.has(Role::Api) {
        if tls.is_none() && !listen.ip().is_loopback() {
            tracing::warn!(
                "passwords and tokens travel over plain HTTP to {listen}: set api.tls_certificate and api.tls_key, or put TLS in front"
            );
        }
        let certificate = file.api.tls_certificate.clone();
        let reach = Reach { base_url: format!("{scheme}://{}", from_here(listen)), certificate };
        bootstrap(&store, &state_dir, &reach).await.context("state directory")?;
        api_settings.auth = own(&file, &store, &state_dir)?;
    }
    if api_settings.cloud {
        settings.storage = Some(file.image.backend(&state_dir)?);
    }
    let conductor =
        Conductor::new(store.clone(), settings, Arc::new(Registry::new(bmc::ipmi::Limits::default())));
    conductor.join().await?;
    let (stop, gone) = (CancellationToken::new(), CancellationToken::new());
    let tasks = TaskTracker::new();
    let kept = tokio::spawn({
        let (conductor, gone) = (conductor.clone(), gone.clone());
        async move { conductor.keep(gone).await }
    });

    let state = Arc::new(ApiState {
        store: store.clone(),
        conductor: conductor.clone(),
        settings: api_settings,
        started_at: jiff::Timestamp::now(),
        shown_nodes: api::baremetal::ShownNodes::default(),
    });
    // Of an earlier run, perhaps with other interfaces.
    store.put_own_addresses(conductor.hostname(), &[]).await.context("the network service")?;
    if roles.has(Role::Netboot) {
        let side = MachineSide {
            runtime: machines,
            door: Door::new("machines", file.netboot.max_connections.unwrap_or(for_machines)),
            stop: &stop,
            tasks: &tasks,
        };
        machine_side::start(&file.netboot, tls.as_ref(), &conductor, &store, &state, &side).await?;
    }
    if roles.has(Role::Conductor) {
        let (conductor, until) = (conductor.clone(), stop.clone());
        tasks.spawn(async move { conductor.work(until).await });
        tasks.spawn(api::upkeep::run(state.clone(), stop.clone()));
    }
    telemetry::table::BUILD.set([env!("CARGO_PKG_VERSION")], 1.0);
    if let Some(listener) = metrics {
        let door = Door::new("metrics", METRICS_CONNECTIONS);
        let router = api::metrics::router(state.clone());
        tasks.spawn(listener::serve(listener, None, router, door, stop.clone()));
    }
    let api = listener.as_ref().map(|_| format!("{scheme}://{listen}"));
    if let Some(listener) = listener {
        let router = api::operator_router(state.clone());
        tasks.spawn(listener::serve(listener, tls, router, door, stop.clone()));
        tasks.spawn(greet_keystone(state, stop.clone()));
    }

    tracing::info!(
        api = api.as_deref().unwrap_or("none"),
        roles = names(&roles),
        hostname = conductor.hostname(),
        state_dir = %state_dir.display(),
        ready_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "ready"
    );
    let mut kept = kept;
    let ousted = tokio::select! {
        () = end => None,
        // It ends by itself only where another process has this one's name.
        kept = &mut kept => Some(kept),
    };
    tracing::info!("draining");
    stop.cancel();
    tasks.close();
    if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
        tracing::warn!(
            left = tasks.len(),
            "some requests did not end in time; their work goes on at the next start"
        );
    }
    gone.cancel();
    let kept = match ousted {
        Some(kept) => kept,
        None => kept.await,
    };
    conductor.leave().await;
    store.close().await;
    tracing::info!("stopped");
    Ok(kept.context("keeping this process's place among the others")??)
}

fn conductor_settings(arguments: &Arguments, file: &File, state_dir: &Path) -> Result<conductor::Settings> {
    file.conductor_settings(host_name(arguments, file), state_dir)
}

/// Every driver that a node served from here may have: hardware types and the classic names that stand for them.
fn driver_names(settings: &api::Settings) -> Vec<String> {
    let types = settings.drivers.hardware_types().into_iter().map(|hardware| hardware.name);
    let classic = model::driver::CLASSIC_DRIVERS.iter().map(|driver| driver.name);
    let classic = classic.filter(|name| settings.drivers.serves(name).is_some());
    types.chain(classic).map(str::to_owned).collect()
}

fn names(roles: &Roles) -> String {
    roles.list().iter().map(|role| role.as_str()).collect::<Vec<_>>().join(",")
}

fn api_settings(auth: Auth, file: &File) -> Result<api::Settings> {
    let section = &file.api;
    let auth = match (auth, &section.htpasswd) {
        (Auth::Keystone, _) => api::auth::Auth::Keystone(Box::new(section.keystone(file.keystone.as_ref())?)),
        // Its own has yet to find its key and its users, in the state directory.
        (Auth::None | Auth::Own, _) => api::auth::Auth::None,
        (Auth::Basic, Some(path)) => api::auth::Auth::Basic(PasswordFile::open(path)?),
        (Auth::Basic, None) => {
            bail!("--auth basic needs api.htpasswd = \"FILE\" in the configuration (htpasswd -B makes one)")
        }
    };
    let images = file.image.settings()?;
    let gates = section.gates()?;
    let mut settings =
        api::Settings { auth, drivers: section.drivers()?, images, gates, ..api::Settings::default() };
    if let Some(may) = section.project_admin_can_manage_own_nodes {
        settings.project_admin_can_manage_own_nodes = may;
    }
    Ok(settings)
}

/// The site's own identity service.
fn own(file: &File, store: &Store, state_dir: &Path) -> Result<api::auth::Auth> {
    let service = file.api.service_project.clone().unwrap_or_else(|| ProjectName::new("service"));
    let own = api::auth::Own::open(store.clone(), state_dir, file.api.operator_projects(), Some(service))?;
    Ok(api::auth::Auth::Own(Box::new(own)))
}

/// The address by which this host reaches its own listener.
fn from_here(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(address) if address.is_unspecified() => (Ipv4Addr::LOCALHOST, listen.port()).into(),
        IpAddr::V6(address) if address.is_unspecified() => (Ipv6Addr::LOCALHOST, listen.port()).into(),
        _ => listen,
    }
}

/// Logs in at Keystone once, so that the operator reads at the start what would otherwise be the first user's 503. Keystone may come up
/// later: that is no reason not to start.
async fn greet_keystone(state: Arc<ApiState>, stop: CancellationToken) {
    let api::auth::Auth::Keystone(keystone) = &state.settings.auth else { return };
    let outcome = tokio::select! {
        outcome = keystone.log_in() => outcome,
        () = stop.cancelled() => return,
    };
    match outcome {
        Ok(()) => tracing::info!("Keystone knows the service user"),
        Err(reason) => tracing::error!("tokens can't be validated yet, users get 503: {reason}"),
    }
}

pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("can't listen on {address}"))
}

/// Where state is kept if nobody says: by the user that runs it.
pub fn default_state_dir() -> Result<PathBuf> {
    if is_root() {
        return Ok(PathBuf::from("/var/lib/billet"));
    }
    if let Some(dir) = std::env::var_os("XDG_STATE_HOME").filter(|dir| Path::new(dir).is_absolute()) {
        return Ok(PathBuf::from(dir).join("billet"));
    }
    let home = std::env::var_os("HOME").context("neither --state-dir nor HOME is set")?;
    Ok(PathBuf::from(home).join(".local/state/billet"))
}

/// Root owns what it starts: the effective user of this process owns `/proc/self`.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// Takes over SIGTERM and SIGINT; what it returns ends with the first of them.
fn end_signals() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
