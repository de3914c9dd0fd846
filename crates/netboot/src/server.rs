//! All servers together.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::Mac;

use crate::directory::Directory;
use crate::{
    BootSource, FloodLimits, LeaseError, LeaseStore, Machine, NetbootError, Network, Observation, Pending,
    Pool, Programs, Seen, Segment, Unavailable, advertise, dhcp, http, tftp,
};

/// How long a [`BootSource`] may take.
const LOOKUP_LIMIT: Duration = Duration::from_secs(5);

/// How often another address is tried for a machine, where the one that was chosen is taken meanwhile.
const LEASE_TRIES: u32 = 4;

/// How long transfers that run go on after the stop before they are cut.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// What is served, and where.
#[derive(Debug, Clone)]
pub struct Config {
    /// The interfaces. With none, nothing is bound and only [`Netboot::router`] serves: for networks where something else
    /// answers DHCP.
    pub segments: Vec<Segment>,
    /// What is handed out in these networks, in place of [`Network::upper_half`]; also those behind relays.
    pub networks: Vec<Network>,
    /// Interfaces, by name, on which another server gives the addresses: there we say only what to load (ProxyDHCP).
    pub proxied: BTreeSet<String>,
    /// The port at which [`Netboot::router`] is reached on the segments' addresses.
    pub http_port: u16,
    /// The URL at which the router is reached, where it is not a segment's own address and `http_port`; without a final
    /// slash.
    pub base_url: Option<String>,
    /// The first programs.
    pub programs: Programs,
    /// How long an address may be used without asking again.
    pub lease: Duration,
    /// How much DHCP is too much.
    pub flood: FloodLimits,
    /// Answer IPv6 router solicitations, so that iPXE does not wait for a router that is not there. What is sent names no
    /// router and no prefix. Turn it off where hosts must not see any advertisement from here.
    pub advertise: bool,
    /// Tell instances the way to [`METADATA_ADDRESS`](crate::METADATA_ADDRESS): by us.
    pub metadata: bool,
    /// A segment whose ports can't be had is left out with a warning, and is not an error: for interfaces that were found
    /// and not named, of which one may belong to another DHCP server, and for running without root.
    pub may_leave_out: bool,
}

impl Config {
    /// The defaults: an hour's lease, addresses from the upper half of each segment's network.
    #[must_use]
    pub fn new(segments: Vec<Segment>, http_port: u16, programs: Programs) -> Self {
        Self {
            segments,
            networks: Vec::new(),
            proxied: BTreeSet::new(),
            http_port,
            base_url: None,
            programs,
            lease: Duration::from_secs(3600),
            flood: FloodLimits::default(),
            advertise: true,
            metadata: false,
            may_leave_out: false,
        }
    }
}

/// What a lease store answers, within the limit.
async fn in_time<T>(answer: Pending<'_, Result<T, LeaseError>>) -> Result<T, String> {
    match tokio::time::timeout(LOOKUP_LIMIT, answer).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the leases did not answer within {} s", LOOKUP_LIMIT.as_secs())),
    }
}

/// What the servers share.
pub(crate) struct Shared {
    source: Arc<dyn BootSource>,
    leases: Arc<dyn LeaseStore>,
    pub(crate) directory: Directory,
    pub(crate) programs: Programs,
    pub(crate) lease_seconds: u32,
    pub(crate) metadata: bool,
    /// Our addresses where another server gives the addresses.
    pub(crate) proxies: BTreeSet<Ipv4Addr>,
}

impl Shared {
    /// What this machine gets now.
    pub(crate) async fn boot(&self, mac: Mac) -> Result<Option<Machine>, Unavailable> {
        match tokio::time::timeout(LOOKUP_LIMIT, self.source.boot(mac)).await {
            Ok(answer) => answer,
            Err(_) => Err(Unavailable(format!("no answer within {} s", LOOKUP_LIMIT.as_secs()))),
        }
    }

    /// The machine's address from the pool of a network, written down. Else why there is none.
    pub(crate) async fn lease(&self, network: &Network, mac: Mac) -> Result<Ipv4Addr, String> {
        if let Some(held) = self.directory.held(network, mac, Instant::now())
            && (!held.must_keep || self.keep(mac, held.address).await?)
        {
            return Ok(held.address);
        }
        // What others have may grow between the look at it and the writing.
        for _ in 0..LEASE_TRIES {
            let foreign = in_time(self.leases.foreign(network.net)).await?;
            let leased = self.directory.lease(network, mac, &foreign, Instant::now());
            let address = leased.map_err(|error| error.to_string())?;
            if self.keep(mac, address).await? {
                return Ok(address);
            }
        }
        Err(format!("{LEASE_TRIES} addresses in turn were taken by others just then"))
    }

    /// Writes a lease down. False: the address is somebody else's, and not the machine's any more.
    async fn keep(&self, mac: Mac, address: Ipv4Addr) -> Result<bool, String> {
        let kept = in_time(self.leases.save(mac, address)).await;
        self.directory.settle(mac, address, *kept.as_ref().unwrap_or(&false), Instant::now());
        kept
    }

    pub(crate) fn observe(&self, observation: Observation) {
        tracing::debug!(node = ?observation.node, "{observation}");
        self.source.observe(observation);
    }

    /// Something was seen of a machine that is known.
    pub(crate) fn saw(&self, mac: Mac, machine: &Machine, interface: Option<&Arc<str>>, seen: Seen) {
        self.observe(Observation {
            mac: Some(mac),
            node: Some(machine.node),
            interface: interface.cloned(),
            seen,
        });
    }
}

/// The servers, bound and not yet running.
pub struct Netboot {
    shared: Arc<Shared>,
    segments: Vec<Segment>,
    dhcp: Vec<dhcp::Server>,
    tftp: Vec<tftp::Server>,
    advertisers: Vec<advertise::Advertiser>,
}

impl Netboot {
    /// Reads the kept leases and binds, on every segment, UDP ports 67 and 69 and a raw ICMPv6 socket. Needs a running
    /// tokio runtime.
    ///
    /// # Errors
    /// [`NetbootError`]: a port in use, no permission, networks that make no sense, leases that can't be read. Where IPv6
    /// is switched off, router solicitations are left unanswered with a warning.
    pub async fn bind(
        config: Config,
        source: Arc<dyn BootSource>,
        leases: Arc<dyn LeaseStore>,
    ) -> Result<Self, NetbootError> {
        let (directory, usable) = directory(&config)?;
        directory.restore(leases.leases().await?, Instant::now());
        let lease_seconds = u32::try_from(config.lease.as_secs()).unwrap_or(u32::MAX);
        let is_proxied = |segment: &&Segment| config.proxied.contains(&*segment.interface);
        let proxies = usable.iter().filter(is_proxied).map(|segment| segment.address).collect();
        let (programs, metadata) = (config.programs, config.metadata);
        let shared =
            Arc::new(Shared { source, leases, directory, programs, lease_seconds, metadata, proxies });
        let (mut segments, mut dhcp, mut tftp, mut advertisers) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for segment in &usable {
            let base_url = config
                .base_url
                .clone()
                .unwrap_or_else(|| format!("http://{}:{}", segment.address, config.http_port));
            let bound = match dhcp::Server::bind(segment.clone(), base_url, config.flood, shared.clone()) {
                Ok(server) => {
                    tftp::Server::bind(segment.clone(), shared.clone()).await.map(|tftp| (server, tftp))
                }
                Err(error) => Err(error),
            };
            match bound {
                Ok(servers) => {
                    dhcp.push(servers.0);
                    tftp.push(servers.1);
                }
                Err(error) if config.may_leave_out => {
                    tracing::warn!(interface = &*segment.interface, %error, "no network boot on this interface");
                    continue;
                }
                Err(error) => return Err(error),
            }
            segments.push(segment.clone());
            if config.advertise {
                match advertise::Advertiser::bind(segment.clone()) {
                    Ok(advertiser) => advertisers.push(advertiser),
                    Err(error) => tracing::warn!(
                        interface = &*segment.interface,
                        %error,
                        "IPv6 router solicitations are not answered: iPXE will wait for a router before each boot"
                    ),
                }
            }
        }
        Ok(Self { shared, segments, dhcp, tftp, advertisers })
    }

    /// The segments that are served.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The HTTP side, to be merged into the server that listens on `http_port`: `/boot/{mac}/…`. Served with
    /// `into_make_service_with_connect_info::<SocketAddr>()` it also refuses to give one machine what is another's.
    pub fn router(&self) -> Router {
        http::router(self.shared.clone())
    }

    /// Serves until `stop` is cancelled. New requests then go unanswered; transfers that run have five seconds more.
    pub async fn run(self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let cut = CancellationToken::new();
        for server in self.dhcp {
            tasks.spawn(server.run(stop.clone(), tasks.clone()));
        }
        for server in self.tftp {
            tasks.spawn(server.run(stop.clone(), cut.clone(), tasks.clone()));
        }
        for advertiser in self.advertisers {
            tasks.spawn(advertiser.run(stop.clone()));
        }
        stop.cancelled().await;
        tasks.close();
        if tokio::time::timeout(DRAIN_LIMIT, tasks.wait()).await.is_err() {
            tracing::info!(transfers = tasks.len(), "cutting transfers that still run");
            cut.cancel();
            tasks.wait().await;
        }
    }
}

/// The networks of all segments and relays, each with its pool, and the segments that have one.
fn directory(config: &Config) -> Result<(Directory, Vec<Segment>), NetbootError> {
    let mut networks: Vec<Network> = Vec::new();
    for configured in &config.networks {
        let network = Network { net: configured.net.trunc(), ..configured.clone() };
        add(&mut networks, network)?;
    }
    let mut segments = Vec::new();
    for segment in &config.segments {
        let has_network = networks.iter().any(|n| n.net == segment.network)
            || config.networks.iter().any(|n| n.net.contains(&segment.address));
        let added = if has_network {
            Ok(())
        } else {
            Network::upper_half(segment.network).and_then(|network| add(&mut networks, network))
        };
        match added {
            Ok(()) => segments.push(segment.clone()),
            Err(error) if config.may_leave_out => {
                tracing::warn!(interface = &*segment.interface, %error, "no network boot on this interface");
            }
            Err(error) => return Err(error),
        }
    }
    let own: BTreeSet<Ipv4Addr> = config.segments.iter().map(|s| s.address).collect();
    let pools = networks
        .iter()
        .map(|n| Pool::new(n, own.iter().copied(), config.lease))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((Directory::new(networks, pools), segments))
}

/// An address must not be two machines' in two networks, or TFTP could not tell who asks.
fn add(networks: &mut Vec<Network>, network: Network) -> Result<(), NetbootError> {
    let overlaps = |other: &&Network| other.net.contains(&network.net) || network.net.contains(&other.net);
    if let Some(other) = networks.iter().find(overlaps) {
        return Err(NetbootError::Network {
            network: network.net.to_string(),
            reason: format!("it overlaps {}; serve one of the two, or change an address", other.net),
        });
    }
    networks.push(network);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::tests::programs;

    fn segment(interface: &str, address: &str) -> Segment {
        let net: ipnet::Ipv4Net = address.parse().unwrap();
        Segment { interface: interface.into(), index: 1, address: net.addr(), network: net.trunc() }
    }

    fn served(config: &Config) -> Result<Vec<String>, NetbootError> {
        directory(config).map(|(_, segments)| segments.iter().map(|s| s.interface.to_string()).collect())
    }

    #[test]
    fn what_was_found_is_left_out_and_what_was_named_is_an_error() {
        let segments = vec![
            segment("br0", "10.77.0.1/24"),
            segment("cloud0", "192.0.2.7/32"),
            segment("eth0", "10.1.2.3/8"),
            segment("eth1", "10.77.0.2/24"),
        ];
        let mut config = Config::new(segments, 6385, programs());
        assert!(served(&config).unwrap_err().to_string().contains("192.0.2.7/32"));
        config.may_leave_out = true;
        assert_eq!(served(&config).unwrap(), ["br0", "eth1"]);
    }

    #[test]
    fn configured_networks_must_not_overlap() {
        let mut config = Config::new(vec![segment("br0", "10.77.0.1/24")], 6385, programs());
        config.networks = ["10.88.0.0/16", "10.88.1.0/24"]
            .map(|net| Network::upper_half(net.parse().unwrap()).unwrap())
            .to_vec();
        assert!(served(&config).unwrap_err().to_string().contains("overlaps"));
        config.networks.pop();
        assert_eq!(served(&config).unwrap(), ["br0"]);
    }
}
