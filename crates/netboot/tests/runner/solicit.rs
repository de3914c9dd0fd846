//! IPv6 router solicitations.

use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netboot::MemoryLeases;
use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, Socket, Type};

use crate::place::{Cable, Running, programs};
use crate::source::Known;

#[test]
fn netns_a_solicitation_is_answered_with_no_router() {
    let cable = Cable::new();
    let boot_programs = programs(1000);
    let leases = Arc::new(MemoryLeases::default());
    let _running =
        Running::start(&cable.server, "srv0", vec![], boot_programs.path(), Known::new([]), leases);
    let answer = cable.client.run(|| {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).unwrap();
        let index = if_nametoindex("cli0").unwrap();
        socket.set_multicast_hops_v6(255).unwrap();
        socket.set_multicast_if_v6(index).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let socket = UdpSocket::from(OwnedFd::from(socket));
        let all_routers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut buffer = [0; 1500];
        while Instant::now() < deadline {
            // May fail for the moment that it takes until the link-local address is there.
            drop(socket.send_to(&[133, 0, 0, 0, 0, 0, 0, 0], SocketAddrV6::new(all_routers, 0, 0, index)));
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                if buffer[0] == 134 {
                    return Some((buffer[..length].to_vec(), from));
                }
            }
        }
        None
    });
    let (message, _) = answer.expect("no router advertisement within 10 s (is IPv6 switched off here?)");
    assert_eq!(message.len(), 16, "options in it: {message:?}");
    assert_eq!((message[5], &message[6..8]), (0, &[0, 0][..]), "flags and router lifetime");
    // A host that accepts advertisements learns neither a default route nor a prefix from it.
    let routes = cable.client.command("ip -6 route show default");
    assert_eq!(routes, "");
}
