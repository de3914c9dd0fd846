//! Answers IPv6 router solicitations: there is no router here.
//!
//! iPXE asks for an IPv6 router before it does anything else, and where nobody answers it waits for one. An answer that
//! names no router (lifetime 0), no prefix and no DHCPv6 (RFC 4861 §4.2) ends the wait at once and configures nothing.

use std::io;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket as StdUdpSocket};
use std::os::fd::OwnedFd;
use std::time::Instant;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use crate::Segment;
use crate::dhcp::pause;
use crate::flood::Bucket;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

const SOLICITATION: u8 = 133;
const ADVERTISEMENT: u8 = 134;

/// Answers: this many at once, and this many a second.
const BURST: u32 = 50;
const RATE: u32 = 20;

/// One segment's answers.
pub(crate) struct Advertiser {
    socket: UdpSocket,
    segment: Segment,
}

impl Advertiser {
    pub(crate) fn bind(segment: Segment) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        socket.bind_device(Some(segment.interface.as_bytes()))?;
        socket.join_multicast_v6(&ALL_ROUTERS, segment.index)?;
        socket.set_multicast_if_v6(segment.index)?;
        // RFC 4861 §6.1.2: hosts drop what has passed a router.
        socket.set_multicast_hops_v6(255)?;
        socket.set_unicast_hops_v6(255)?;
        socket.set_multicast_loop_v6(false)?;
        socket.set_nonblocking(true)?;
        // A raw socket is received from and sent to with the same calls and addresses as a datagram socket; the kernel
        // fills in the ICMPv6 checksum (RFC 3542 §3.1).
        let socket = UdpSocket::from_std(StdUdpSocket::from(OwnedFd::from(socket)))?;
        if !segment.has_link_local() {
            tracing::warn!(
                interface = &*segment.interface,
                "no IPv6 link-local address yet: router solicitations can't be answered until there is one"
            );
        }
        Ok(Self { socket, segment })
    }

    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut buffer = [0; 1500];
        let mut answers = Bucket::full(BURST, Instant::now());
        loop {
            let received = tokio::select! {
                () = stop.cancelled() => return,
                received = self.socket.recv_from(&mut buffer) => received,
            };
            let (length, from) = match received {
                Ok((length, SocketAddr::V6(from))) => (length, from),
                Ok((_, SocketAddr::V4(_))) => continue,
                Err(error) => {
                    tracing::warn!(interface = &*self.segment.interface, %error, "ICMPv6 can't receive");
                    pause(&stop).await;
                    continue;
                }
            };
            let Some(to) = reply_to(&buffer[..length], *from.ip()) else { continue };
            if !answers.take(BURST, RATE, Instant::now()) {
                continue;
            }
            let to = SocketAddrV6::new(to, 0, 0, self.segment.index);
            match self.socket.send_to(&advertisement(), to).await {
                Ok(_) => {
                    tracing::trace!(interface = &*self.segment.interface, %from, "answered a router solicitation")
                }
                Err(error) => {
                    tracing::debug!(interface = &*self.segment.interface, %error, "router solicitation not answered");
                }
            }
        }
    }
}

/// Where the answer to an ICMPv6 message goes, if it is a router solicitation (RFC 4861 §6.1.1) from this link. That it has
/// passed no router is not checked by its hop limit but by the scope of its source, which suffices for an answer that
/// changes nothing and is no larger than the question.
fn reply_to(message: &[u8], from: Ipv6Addr) -> Option<Ipv6Addr> {
    let is_solicitation = message.len() >= 8 && message[0] == SOLICITATION && message[1] == 0;
    if !is_solicitation {
        None
    } else if from.is_unspecified() {
        Some(ALL_NODES)
    } else {
        from.is_unicast_link_local().then_some(from)
    }
}

/// Type, code, checksum (the kernel's), hop limit unspecified, no flags (no DHCPv6), router lifetime 0, reachable time and
/// retransmission timer unspecified, no options.
fn advertisement() -> [u8; 16] {
    let mut message = [0; 16];
    message[0] = ADVERTISEMENT;
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_solicitations_of_this_link_only() {
        let near: Ipv6Addr = "fe80::1".parse().unwrap();
        let far: Ipv6Addr = "2001:db8::1".parse().unwrap();
        let solicitation = [133, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(reply_to(&solicitation, near), Some(near));
        assert_eq!(reply_to(&solicitation, Ipv6Addr::UNSPECIFIED), Some(ALL_NODES));
        assert_eq!(reply_to(&solicitation, far), None);
        assert_eq!(reply_to(&solicitation[..7], near), None);
        assert_eq!(reply_to(&[134, 0, 0, 0, 0, 0, 0, 0], near), None, "our own kind");
        assert_eq!(reply_to(&[], near), None);
    }

    #[test]
    fn the_advertisement_names_no_router() {
        let message = advertisement();
        assert_eq!(message[5] & 0xc0, 0, "no DHCPv6");
        assert_eq!(&message[6..8], &[0, 0], "router lifetime");
    }
}
