//! A DHCP client (RFC 2131, 2132, 3442): discover, request, renew.
//!
//! Own codec and not `dhcproto`, whose domain names bring Unicode tables of more bytes than this whole agent has; a client
//! needs a dozen options.

use crate::say;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const COOKIE: [u8; 4] = [99, 130, 83, 99];
const HEADER: usize = 236;
const LEAST_MESSAGE: usize = 300;
const MOST_ROUTES: usize = 64;

/// Options asked for: mask, router, resolvers, host name, MTU, lease time, server, classless routes.
const WANTED: [u8; 8] = [1, 3, 6, 12, 26, 51, 54, 121];

/// Kind of a DHCP message (option 53).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// Who has an address for me?
    Discover = 1,
    /// I have.
    Offer = 2,
    /// I take it.
    Request = 3,
    /// It is yours.
    Ack = 5,
    /// It is not.
    Nak = 6,
}

/// A route that the server gave; `gateway` unspecified means on the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Destination network.
    pub destination: Ipv4Addr,
    /// Its mask.
    pub netmask: Ipv4Addr,
    /// Where to send it.
    pub gateway: Ipv4Addr,
}

/// What the server gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The machine's address.
    pub address: Ipv4Addr,
    /// Its network's mask.
    pub netmask: Ipv4Addr,
    /// Who gave it.
    pub server: Ipv4Addr,
    /// For how many seconds.
    pub seconds: u32,
    /// Routes: the classless ones, or the default by the first router.
    pub routes: Vec<Route>,
    /// Name servers.
    pub resolvers: Vec<Ipv4Addr>,
    /// Largest packet of the link.
    pub mtu: Option<u16>,
    /// The machine's name.
    pub host_name: Option<String>,
}

impl Lease {
    /// Length of the netmask.
    pub fn prefix_length(&self) -> u32 {
        super::prefix_length(self.netmask)
    }
}

/// A message, as far as a client reads and writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its kind.
    pub kind: MessageKind,
    /// Chosen by the client, repeated by the server.
    pub transaction: u32,
    /// The client's hardware address.
    pub mac: [u8; 6],
    /// The address the client has already (renewing).
    pub client_address: Ipv4Addr,
    /// The address the server gives.
    pub your_address: Ipv4Addr,
    /// Options in order, without padding.
    pub options: Vec<(u8, Vec<u8>)>,
}

impl Message {
    /// The message as a server or client puts it on the wire. `is_reply` sets BOOTREPLY.
    pub fn encode(&self, is_reply: bool) -> Vec<u8> {
        let mut bytes = vec![0u8; HEADER];
        bytes[..4].copy_from_slice(&[if is_reply { 2 } else { 1 }, 1, 6, 0]);
        bytes[4..8].copy_from_slice(&self.transaction.to_be_bytes());
        // Answers must be broadcast: there is no address yet that they could be sent to.
        bytes[10] = 0x80;
        bytes[12..16].copy_from_slice(&self.client_address.octets());
        bytes[16..20].copy_from_slice(&self.your_address.octets());
        bytes[28..34].copy_from_slice(&self.mac);
        bytes.extend(COOKIE);
        bytes.extend([53, 1, self.kind as u8]);
        for (code, value) in &self.options {
            for part in value.chunks(255) {
                bytes.extend([*code, part.len() as u8]);
                bytes.extend(part);
            }
        }
        bytes.push(255);
        bytes.resize(bytes.len().max(LEAST_MESSAGE), 0);
        bytes
    }

    /// Reads a message; `None` where it is none of DHCP. Options that are split are joined (RFC 3396).
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?));
        if bytes.get(1..3)? != [1, 6] || bytes.get(HEADER..HEADER + 4)? != COOKIE {
            return None;
        }
        let mut options: Vec<(u8, Vec<u8>)> = Vec::new();
        let mut rest = bytes.get(HEADER + 4..)?;
        loop {
            match rest {
                [0, tail @ ..] => rest = tail,
                [255, ..] | [] => break,
                [code, length, tail @ ..] => {
                    let value = tail.get(..usize::from(*length))?;
                    match options.iter_mut().find(|(known, _)| known == code) {
                        Some((_, known)) => known.extend(value),
                        None => options.push((*code, value.to_vec())),
                    }
                    rest = &tail[usize::from(*length)..];
                }
                [_] => return None,
            }
        }
        let position = options.iter().position(|(code, _)| *code == 53)?;
        let kind = match options.remove(position).1[..] {
            [1] => MessageKind::Discover,
            [2] => MessageKind::Offer,
            [3] => MessageKind::Request,
            [5] => MessageKind::Ack,
            [6] => MessageKind::Nak,
            _ => return None,
        };
        Some(Self {
            kind,
            transaction: u32::from_be_bytes(bytes.get(4..8)?.try_into().ok()?),
            mac: bytes.get(28..34)?.try_into().ok()?,
            client_address: address(12)?,
            your_address: address(16)?,
            options,
        })
    }

    fn option(&self, code: u8) -> Option<&[u8]> {
        self.options.iter().find(|(known, _)| *known == code).map(|(_, value)| value.as_slice())
    }

    fn addresses(&self, code: u8) -> Vec<Ipv4Addr> {
        let value = self.option(code).unwrap_or_default();
        value.chunks_exact(4).take(8).map(|b| Ipv4Addr::new(b[0], b[1], b[2], b[3])).collect()
    }

    /// The lease that an ACK gives; `None` when it gives no usable address or names no server.
    fn lease(&self) -> Option<Lease> {
        let address = self.your_address;
        if address.is_unspecified()
            || address.is_broadcast()
            || address.is_multicast()
            || address.is_loopback()
        {
            return None;
        }
        let netmask = self.addresses(1).first().copied().unwrap_or(Ipv4Addr::new(255, 255, 255, 0));
        if u32::from(netmask).leading_ones() + u32::from(netmask).trailing_zeros() < 32 {
            return None;
        }
        // RFC 3442: classless routes put the router option out of force.
        let routes = match self.option(121).map(classless_routes) {
            Some(routes) => routes,
            None => self.addresses(3).first().map(|router| default_route(*router)).into_iter().collect(),
        };
        let seconds = self.option(51).and_then(|b| Some(u32::from_be_bytes(b.try_into().ok()?)));
        let mtu = self.option(26).and_then(|b| Some(u16::from_be_bytes(b.try_into().ok()?)));
        let name = self.option(12).map(|b| String::from_utf8_lossy(b).trim_end_matches('\0').to_owned());
        Some(Lease {
            address,
            netmask,
            server: *self.addresses(54).first()?,
            seconds: seconds.unwrap_or(3600),
            routes,
            resolvers: self.addresses(6),
            mtu: mtu.filter(|mtu| *mtu >= 576),
            host_name: name.filter(|name| {
                !name.is_empty()
                    && name.len() < 64
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c))
            }),
        })
    }
}

fn default_route(gateway: Ipv4Addr) -> Route {
    Route { destination: Ipv4Addr::UNSPECIFIED, netmask: Ipv4Addr::UNSPECIFIED, gateway }
}

/// Width, as many bytes of the destination as it needs, gateway.
fn classless_routes(mut value: &[u8]) -> Vec<Route> {
    let mut routes = Vec::new();
    while let [width, rest @ ..] = value {
        let length = usize::from(width.div_ceil(8));
        let (Some(destination), Some(gateway)) = (rest.get(..length), rest.get(length..length + 4)) else {
            break;
        };
        if *width > 32 || routes.len() == MOST_ROUTES {
            break;
        }
        let mut octets = [0u8; 4];
        octets[..length].copy_from_slice(destination);
        let mask = u32::MAX.checked_shl(32 - u32::from(*width)).unwrap_or(0);
        routes.push(Route {
            destination: Ipv4Addr::from(u32::from_be_bytes(octets) & mask),
            netmask: Ipv4Addr::from(mask),
            gateway: Ipv4Addr::new(gateway[0], gateway[1], gateway[2], gateway[3]),
        });
        value = &rest[length + 4..];
    }
    routes
}

/// A client on one interface.
#[derive(Debug)]
pub struct Client {
    socket: UdpSocket,
    server: SocketAddrV4,
    mac: [u8; 6],
}

impl Client {
    /// Opens port 68 on an interface. Fails without CAP_NET_ADMIN.
    pub fn open(interface: &str, mac: [u8; 6]) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 68))?;
        super::kernel::bind_to_device(&socket, interface)?;
        socket.set_broadcast(true)?;
        Ok(Self::new(socket, SocketAddrV4::new(Ipv4Addr::BROADCAST, 67), mac))
    }

    /// A client over a socket that is ready, talking to `server`. For tests.
    pub fn new(socket: UdpSocket, server: SocketAddrV4, mac: [u8; 6]) -> Self {
        Self { socket, server, mac }
    }

    /// Discover, offer, request, acknowledge; again and again until `limit`.
    pub fn acquire(&mut self, limit: Duration) -> io::Result<Lease> {
        let end = Instant::now() + limit;
        let mut patience = Duration::from_secs(1);
        while Instant::now() < end {
            let discover = self.message(MessageKind::Discover, Vec::new());
            if let Some(offer) = self.exchange(&discover, &[MessageKind::Offer], patience, end)? {
                let Some(server) = offer.option(54).map(<[u8]>::to_vec) else { continue };
                let mut request = self.message(
                    MessageKind::Request,
                    vec![(50, offer.your_address.octets().to_vec()), (54, server)],
                );
                request.transaction = discover.transaction;
                match self.exchange(&request, &[MessageKind::Ack, MessageKind::Nak], patience, end)? {
                    Some(answer) if answer.kind == MessageKind::Ack => {
                        if let Some(lease) = answer.lease() {
                            return Ok(lease);
                        }
                        say!("a DHCP server acknowledged without a usable address");
                    }
                    Some(_) => say!("a DHCP server took its offer of {} back", offer.your_address),
                    None => {}
                }
            }
            patience = (patience * 2).min(Duration::from_secs(8));
        }
        let text = format!("no DHCP server answered within {} s", limit.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    }

    /// Asks for more time for an address; any server may answer.
    pub fn renew(&mut self, lease: &Lease, limit: Duration) -> io::Result<Lease> {
        let end = Instant::now() + limit;
        let mut request = self.message(MessageKind::Request, Vec::new());
        request.client_address = lease.address;
        while Instant::now() < end {
            let answers = [MessageKind::Ack, MessageKind::Nak];
            if let Some(answer) = self.exchange(&request, &answers, Duration::from_secs(4), end)? {
                let lease = (answer.kind == MessageKind::Ack).then(|| answer.lease()).flatten();
                return lease
                    .ok_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, "the server refused"));
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "no DHCP server answered"))
    }

    fn message(&self, kind: MessageKind, mut options: Vec<(u8, Vec<u8>)>) -> Message {
        // Only to tell answers apart. The kernel's random numbers may not be ready this early.
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let own = u32::from_be_bytes([self.mac[2], self.mac[3], self.mac[4], self.mac[5]]);
        // The same client identifier as iPXE's, so that the firmware's lease is found again.
        options.push((61, [&[1], &self.mac[..]].concat()));
        options.push((57, 1472u16.to_be_bytes().to_vec()));
        options.push((60, b"billet-agent".to_vec()));
        options.push((55, WANTED.to_vec()));
        Message {
            kind,
            transaction: own.rotate_left(16)
                ^ clock.subsec_nanos().wrapping_mul(0x9e37_79b9)
                ^ clock.as_secs() as u32,
            mac: self.mac,
            client_address: Ipv4Addr::UNSPECIFIED,
            your_address: Ipv4Addr::UNSPECIFIED,
            options,
        }
    }

    /// Sends, and waits for an answer to this very message.
    fn exchange(
        &mut self,
        message: &Message,
        kinds: &[MessageKind],
        patience: Duration,
        end: Instant,
    ) -> io::Result<Option<Message>> {
        self.socket.send_to(&message.encode(false), self.server)?;
        let until = end.min(Instant::now() + patience);
        let mut buffer = [0u8; 2048];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            let count = match self.socket.recv(&mut buffer) {
                Ok(count) => count,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let is_reply = buffer[0] == 2;
            let answer = Message::decode(&buffer[..count]).filter(|answer| {
                is_reply
                    && answer.transaction == message.transaction
                    && answer.mac == self.mac
                    && kinds.contains(&answer.kind)
            });
            if answer.is_some() {
                return Ok(answer);
            }
        }
    }
}

#[cfg(test)]
mod tests;
