//! The DHCP server of one segment.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::dhcp::{
    Arch, BootFile, Kind, MAX_PACKET_BYTES, PROXY_PORT, Reply, ReplyKind, Request, SERVER_PORT,
};

use crate::answer::{Answer, Here, Terms, answer, client, fixed, proxy_answer};
use crate::directory::unpoisoned;
use crate::flood::Gate;
use crate::server::Shared;
use crate::{FloodLimits, Machine, NetbootError, Observation, Offer, Seen, Segment};

/// Messages that are looked at together, of machines that have a lease and of those that have none: a source that is slow
/// must not pile up work, and strangers must not take the places of the others.
const AT_ONCE: usize = 64;

/// One segment's server.
pub(crate) struct Server {
    socket: UdpSocket,
    /// The proxy's own port, where another server gives the addresses.
    second: Option<UdpSocket>,
    desk: Arc<Desk>,
}

/// What the handling of a message needs.
struct Desk {
    segment: Segment,
    base_url: String,
    shared: Arc<Shared>,
    /// Another server gives the addresses.
    is_proxy: bool,
    gate: Mutex<Gate>,
}

impl Server {
    pub(crate) fn bind(
        segment: Segment,
        base_url: String,
        flood: FloodLimits,
        shared: Arc<Shared>,
    ) -> Result<Self, NetbootError> {
        let bind = |port| {
            open(&segment, port).map_err(|error| {
                NetbootError::bind("DHCP", format!("{} (UDP port {port})", segment.interface), error)
            })
        };
        let is_proxy = shared.proxies.contains(&segment.address);
        let (socket, second) = (bind(SERVER_PORT)?, is_proxy.then(|| bind(PROXY_PORT)).transpose()?);
        let gate = Mutex::new(Gate::new(flood, Instant::now()));
        Ok(Self { socket, second, desk: Arc::new(Desk { segment, base_url, shared, is_proxy, gate }) })
    }

    pub(crate) async fn run(self, stop: CancellationToken, tasks: TaskTracker) {
        let Self { socket, second, desk } = self;
        if let Some(second) = second {
            tasks.spawn(Self { socket: second, second: None, desk: desk.clone() }.listen(
                true,
                stop.clone(),
                tasks.clone(),
            ));
        }
        Self { socket, second: None, desk }.listen(false, stop, tasks).await;
    }

    /// Answers what comes to one port; `is_second`: the proxy's own.
    async fn listen(self, is_second: bool, stop: CancellationToken, tasks: TaskTracker) {
        let Self { socket, desk, .. } = self;
        let socket = Arc::new(socket);
        let familiar_places = Arc::new(Semaphore::new(AT_ONCE));
        let stranger_places = Arc::new(Semaphore::new(AT_ONCE));
        // One octet more than is accepted, to tell what was cut off.
        let mut buffer = vec![0; MAX_PACKET_BYTES + 1];
        loop {
            let received = tokio::select! {
                () = stop.cancelled() => return,
                received = socket.recv_from(&mut buffer) => received,
            };
            let (length, peer) = match received {
                Ok(received) => received,
                Err(error) => {
                    tracing::warn!(interface = &*desk.segment.interface, %error, "DHCP can't receive");
                    pause(&stop).await;
                    continue;
                }
            };
            let request = match Request::parse(&buffer[..length]) {
                Ok(request) => request,
                Err(error) => {
                    tracing::trace!(interface = &*desk.segment.interface, %error, "dropped");
                    continue;
                }
            };
            let is_familiar = desk.shared.directory.is_familiar(request.mac);
            if !unpoisoned(&desk.gate).admit(request.mac, is_familiar, Instant::now()) {
                tracing::trace!(mac = %request.mac, "dropped, too many");
                continue;
            }
            let places = if is_familiar { &familiar_places } else { &stranger_places };
            let Ok(place) = places.clone().try_acquire_owned() else {
                tracing::trace!(mac = %request.mac, "dropped, too many at once");
                continue;
            };
            let (desk, socket) = (desk.clone(), socket.clone());
            tasks.spawn(async move {
                let peer = is_second.then_some(peer);
                desk.handle(&request, &socket, peer).await;
                drop(place);
            });
        }
    }
}

impl Desk {
    /// Answers a message; `peer` is where it came from, if it came to the proxy's own port.
    async fn handle(&self, request: &Request, socket: &UdpSocket, peer: Option<SocketAddr>) {
        let mac = request.mac;
        let machine = match self.shared.boot(mac).await {
            Ok(Some(machine)) => machine,
            Ok(None) => {
                if let Some(untold) = unpoisoned(&self.gate).report(mac, Instant::now()) {
                    self.shared.observe(Observation {
                        mac: Some(mac),
                        node: None,
                        interface: Some(self.segment.interface.clone()),
                        seen: Seen::UnknownMachine { client: client(request), untold },
                    });
                }
                return;
            }
            Err(error) => {
                tracing::warn!(%mac, %error, "DHCP message not answered");
                return;
            }
        };
        if self.is_proxy {
            return self.answer_as_proxy(request, &machine, socket, peer).await;
        }
        let terms = match self.terms(request, &machine).await {
            Ok(terms) => terms,
            Err(reason) => {
                self.saw(request, &machine, Seen::Unanswered { reason });
                return;
            }
        };
        let here = Here {
            server: self.segment.address,
            terms: &terms,
            lease_seconds: self.shared.lease_seconds,
            base_url: &self.base_url,
            programs: &self.shared.programs,
            metadata: self.shared.metadata,
        };
        match answer(request, &machine, here) {
            Answer::Send(reply) => {
                let to = SocketAddr::from(reply.destination(request));
                self.send(request, &machine, terms.address, &reply, socket, to).await;
            }
            Answer::OtherServer(server) => self.saw(request, &machine, Seen::OtherServer { server }),
            Answer::Declined(address) => {
                if self.shared.directory.decline(mac, address, Instant::now()) {
                    self.saw(request, &machine, Seen::AddressInUse { address });
                }
            }
            Answer::NoProgram(arch) => self.saw(request, &machine, no_program(arch)),
            Answer::Nothing => {}
        }
    }

    /// Tells firmware what to load, and follows which address the other server has given it: TFTP knows its peers by that.
    async fn answer_as_proxy(
        &self,
        request: &Request,
        machine: &Machine,
        socket: &UdpSocket,
        peer: Option<SocketAddr>,
    ) {
        let taken = request.requested.filter(|_| peer.is_none()).unwrap_or(request.ciaddr);
        if request.kind == Kind::Request && !taken.is_unspecified() {
            self.shared.directory.learn(request.mac, taken, Instant::now());
        }
        let (server, programs) = (self.segment.address, &self.shared.programs);
        match proxy_answer(request, machine, peer.is_some(), server, &self.base_url, programs) {
            Answer::Send(reply) => {
                let to = peer.unwrap_or_else(|| SocketAddr::from(reply.destination(request)));
                self.send(request, machine, taken, &reply, socket, to).await;
            }
            Answer::NoProgram(arch) => self.saw(request, machine, no_program(arch)),
            Answer::OtherServer(_) | Answer::Declined(_) | Answer::Nothing => {}
        }
    }

    /// The address that the machine gets, with what belongs to it. Else why it gets none.
    async fn terms(&self, request: &Request, machine: &Machine) -> Result<Terms, String> {
        let is_relayed = !request.giaddr.is_unspecified();
        let at = if is_relayed { request.giaddr } else { self.segment.address };
        let network = self.shared.directory.network(at);
        if let Some(fixed) = fixed(&machine.lease, client(request), network, is_relayed.then_some(at))? {
            self.shared
                .directory
                .pin(request.mac, fixed.address, Instant::now())
                .map_err(|error| format!("no address: {error}"))?;
            return Ok(Terms::fixed(fixed));
        }
        let network = network.ok_or_else(|| {
            format!("the relay {at} is in no configured network; configure the network behind it")
        })?;
        let address = self.shared.lease(network, request.mac).await;
        Ok(Terms::pool(network, address.map_err(|error| format!("no address: {error}"))?))
    }

    async fn send(
        &self,
        request: &Request,
        machine: &Machine,
        address: Ipv4Addr,
        reply: &Reply,
        socket: &UdpSocket,
        to: SocketAddr,
    ) {
        let sent = match reply.encode(request) {
            Ok(bytes) => socket
                .send_to(&bytes, to)
                .await
                .map_err(|error| format!("the DHCP reply could not be sent: {error}")),
            Err(error) => Err(format!("no DHCP reply could be made: {error}")),
        };
        if let Err(reason) = sent {
            return self.saw(request, machine, Seen::Unanswered { reason });
        }
        let file = reply.boot.as_ref().map(|boot| match boot {
            BootFile::Tftp { name, .. } => name.clone(),
            BootFile::Url(url) | BootFile::HttpBoot(url) => url.clone(),
        });
        let offer = Offer { client: client(request), address, file };
        let wanted = request.requested.unwrap_or(request.ciaddr);
        self.saw(
            request,
            machine,
            match reply.kind {
                ReplyKind::Offer => Seen::Offered(offer),
                ReplyKind::Ack => Seen::Leased(offer),
                ReplyKind::Nak => Seen::AddressRefused { wanted, address },
            },
        );
    }

    fn saw(&self, request: &Request, machine: &Machine, seen: Seen) {
        self.shared.saw(request.mac, machine, Some(&self.segment.interface), seen);
    }
}

fn no_program(arch: Arch) -> Seen {
    let number = u16::from(arch);
    let reason = format!("no boot program is configured for firmware of architecture {number} (option 93)");
    Seen::Unanswered { reason }
}

/// Without SO_REUSEADDR, so that another DHCP server on the same interface is noticed and not silently robbed. Sockets of
/// other interfaces do not collide since each is tied to its own before it is bound.
fn open(segment: &Segment, port: u16) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind_device(Some(segment.interface.as_bytes()))?;
    socket.set_broadcast(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)).into())?;
    UdpSocket::from_std(socket.into())
}

/// An error that stays must not become a busy loop.
pub(crate) async fn pause(stop: &CancellationToken) {
    let second = tokio::time::sleep(std::time::Duration::from_secs(1));
    tokio::select! {
        () = stop.cancelled() => {}
        () = second => {}
    }
}
