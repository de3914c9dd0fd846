//! What machines call: DHCP, TFTP, HTTP on their networks, and the metadata service.

use crate::configuration::Netboot as NetbootSection;
use crate::listener::{self, Door};
use crate::metadata;
use crate::serve::{bind, cores};
use anyhow::{Context, Result, bail};
use api::ApiState;
use conductor::{Conductor, NodeBootSource, StoredLeases};
use netboot::{Config as NetbootConfig, Netboot, ProgramNames, Programs, Segment};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use store::Store;
use tokio::net::TcpListener;
use tokio::runtime::{Handle, Runtime};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The machines' port beside it.
const MACHINE_PORT: u16 = 6386;
/// Connections of those who ask the metadata service.
const METADATA_CONNECTIONS: usize = 1024;

/// What machines call runs on threads of its own: the kernel shares the cores between them and those of the operators' API, so that
/// heartbeats are served however many listings are worked on.
pub fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads((cores() / 2).max(1))
        .thread_name("machines")
        .enable_all()
        .build()
        .context("starting the runtime of machines")
}

/// Where what machines call is served.
pub struct MachineSide<'a> {
    /// Their threads.
    pub runtime: &'a Handle,
    /// Their connections.
    pub door: Door,
    /// Ends everything.
    pub stop: &'a CancellationToken,
    /// What is to be waited for then.
    pub tasks: &'a TaskTracker,
}

impl MachineSide<'_> {
    /// Listens, and serves on the machines' own threads; the socket belongs to those too, so that nobody else has to be awake for it.
    async fn serve(&self, address: SocketAddr, tls: Option<TlsAcceptor>, router: axum::Router) -> Result<()> {
        let listener = self.runtime.spawn(bind(address)).await??;
        let serving = listener::serve(listener, tls, router, self.door.clone(), self.stop.clone());
        self.tasks.spawn_on(serving, self.runtime);
        Ok(())
    }
}

/// DHCP, TFTP and the machines' HTTP listener. Where nothing was configured and this host can't serve them, that is a warning and
/// the API goes on; where they were asked for, it is an error.
pub async fn start(
    section: &NetbootSection,
    tls: Option<&TlsAcceptor>,
    conductor: &Conductor,
    store: &Store,
    state: &Arc<ApiState>,
    side: &MachineSide<'_>,
) -> Result<()> {
    let &MachineSide { stop, tasks, .. } = side;
    if section.enabled == Some(false) {
        return Ok(());
    }
    let asked_for = section.enabled == Some(true) || section.interfaces.is_some();
    let port = section.http_port.unwrap_or(MACHINE_PORT);
    let over_tls = match (section.https_port, tls) {
        (Some(port), Some(tls)) => Some((port, tls)),
        _ => None,
    };
    let (mut source, scribe) = NodeBootSource::new(conductor.clone(), port, stop.clone());
    if let Some((port, _)) = over_tls {
        source = source.with_tls(port);
    }
    let (servers, metadata) = match bind_netboot(section, port, source, store).await {
        Ok(bound) => bound,
        Err(error) if !asked_for => {
            tracing::warn!("machines can't be booted over the network from here: {error:#}");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let ramdisks = api::ramdisk_router(state.clone());
    // Where tokens travel over TLS, they don't also travel without.
    let own = servers.segments().iter().map(|segment| (segment.interface.to_string(), segment.address));
    store
        .put_own_addresses(conductor.hostname(), &own.collect::<Vec<_>>())
        .await
        .context("the network service")?;
    let router = servers.router().merge(if over_tls.is_some() {
        // What machines boot may be an image.
        api::image::machines::router(state.clone())
    } else {
        ramdisks.clone()
    });
    // Only where machines are: a token is handed to the first that asks, so nobody else should be able to.
    for segment in servers.segments() {
        side.serve(SocketAddr::new(IpAddr::V4(segment.address), port), None, router.clone()).await?;
        if let Some((port, tls)) = over_tls {
            let address = SocketAddr::new(IpAddr::V4(segment.address), port);
            side.serve(address, Some(tls.clone()), ramdisks.clone()).await?;
        }
    }
    let door = Door::new("metadata", METADATA_CONNECTIONS);
    for listener in metadata {
        let listener = TcpListener::from_std(listener).context("the metadata service")?;
        let router = api::metadata::router(state.clone());
        tasks.spawn(listener::serve(listener, None, router, door.clone(), stop.clone()));
    }
    tasks.spawn(scribe);
    tasks.spawn(servers.run(stop.clone()));
    Ok(())
}

async fn bind_netboot(
    section: &NetbootSection,
    port: u16,
    source: NodeBootSource,
    store: &Store,
) -> Result<(Netboot, Vec<std::net::TcpListener>)> {
    let mut names = ProgramNames::default();
    if let Some(directory) = &section.programs {
        names.directory.clone_from(directory);
    }
    let programs = Programs::load(names)?;
    let segments = match &section.interfaces {
        Some(names) => Segment::named(names.iter().map(String::as_str))?,
        None => Segment::detect()?,
    };
    for segment in &segments {
        tracing::info!(interface = %segment.interface, address = %segment.address, "boots known machines");
    }
    let metadata = metadata::listeners(section, &segments);
    let mut config = NetbootConfig::new(segments, port, programs);
    // What nobody named may be unusable: an interface where another DHCP server runs here already.
    config.may_leave_out = section.interfaces.is_none();
    for name in &section.proxy_interfaces {
        if !config.segments.iter().any(|segment| *segment.interface == **name) {
            bail!(
                "netboot.proxy_interfaces has {name}, which is not served: `ip address` shows what has an address"
            );
        }
        config.proxied.insert(name.clone());
    }
    config.metadata = !metadata.is_empty();
    let netboot = Netboot::bind(config, Arc::new(source), Arc::new(StoredLeases::new(store.clone()))).await?;
    Ok((netboot, metadata))
}
