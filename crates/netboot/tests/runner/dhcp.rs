//! DHCP against busybox's client and raw packets.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netboot::{Boot, LeaseStore, MemoryLeases, Network, Seen};
use socket2::{Domain, Protocol, Socket, Type};
use wire::dhcp::{BootFile, Kind, Reply, ReplyKind, Request};

use crate::place::{Cable, Place, Running, programs};
use crate::source::{Known, MAC, OTHER, ramdisk};

const LIMIT: Duration = Duration::from_secs(10);

/// A socket of a client, or of a relay, on `cli0`.
pub fn client_socket(port: u16) -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
    socket.bind_device(Some(b"cli0")).unwrap();
    socket.set_broadcast(true).unwrap();
    socket.bind(&std::net::SocketAddr::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)).into()).unwrap();
    socket.into()
}

/// Sends a message once a second until it is answered, or not for `limit`.
pub fn exchange(socket: &UdpSocket, request: &Request, limit: Duration) -> Option<Reply> {
    let to = if request.giaddr.is_unspecified() { Ipv4Addr::BROADCAST } else { Ipv4Addr::new(10, 99, 0, 1) };
    let deadline = Instant::now() + limit;
    let mut buffer = [0; 1500];
    while Instant::now() < deadline {
        socket.send_to(&request.encode().unwrap(), (to, 67)).unwrap();
        let again = (Instant::now() + Duration::from_secs(1)).min(deadline);
        while let Some(left) = again.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()) {
            socket.set_read_timeout(Some(left)).unwrap();
            let Ok(length) = socket.recv(&mut buffer) else { break };
            if let Ok((xid, mac, reply)) = Reply::parse(&buffer[..length])
                && (xid, mac) == (request.xid, request.mac)
            {
                return Some(reply);
            }
        }
    }
    None
}

/// Runs busybox's client once, with firmware's options, and returns what its script was told.
pub fn udhcpc(client: &Place, dir: &Path, arguments: &str) -> String {
    let script = dir.join("script");
    let told = dir.join("told");
    std::fs::write(&script, format!("#!/bin/sh\nenv > {}.$1\n", told.display())).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let line = format!("busybox udhcpc -i cli0 -f -n -q -t 3 -T 1 -s {} {arguments}", script.display());
    drop(client.output(&line));
    std::fs::read_to_string(dir.join("told.bound")).unwrap_or_default()
}

#[test]
fn netns_busybox_gets_its_lease_and_the_unknown_get_silence() {
    let cable = Cable::new();
    let (dir, boot_programs) = (tempfile::tempdir().unwrap(), programs(1000));
    let source = Known::new([(MAC, ramdisk(Path::new("/k"), Path::new("/i")))]);
    let leases = Arc::new(MemoryLeases::default());
    let _running =
        Running::start(&cable.server, "srv0", vec![], boot_programs.path(), source.clone(), leases.clone());

    cable.client.command(&format!("ip link set cli0 address {MAC}"));
    let told = udhcpc(&cable.client, dir.path(), "-V PXEClient:Arch:00007 -x 0x5d:0007 -O 66 -O 67");
    let has = |line: &str| assert!(told.lines().any(|l| l == line), "{line} is not in:\n{told}");
    has("serverid=10.99.0.1");
    has("siaddr=10.99.0.1");
    has("boot_file=snponly.efi");
    has("mask=24");
    has("hostname=node-1");
    has("lease=3600");
    let address: Ipv4Addr = told.lines().find_map(|l| l.strip_prefix("ip=")).unwrap().parse().unwrap();
    assert!(address.octets()[3] >= 128, "{address} is not in the upper half");
    let kept =
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(leases.leases()).unwrap();
    assert_eq!(kept, [(MAC, address)]);
    source.wait(LIMIT, |seen| matches!(seen, Seen::Leased(offer) if offer.address == address));

    // An operating system on the same port: the same address, nothing to load.
    source.set(MAC, Boot::LocalDisk);
    std::fs::remove_file(dir.path().join("told.bound")).unwrap();
    let told = udhcpc(&cable.client, dir.path(), "");
    assert!(told.contains(&format!("ip={address}\n")) && !told.contains("boot_file="), "{told}");
    std::fs::remove_file(dir.path().join("told.bound")).unwrap();

    cable.client.command(&format!("ip link set cli0 address {OTHER}"));
    assert_eq!(udhcpc(&cable.client, dir.path(), "-V PXEClient"), "", "an unknown machine got a lease");
    let unknown = source.wait(LIMIT, |seen| matches!(seen, Seen::UnknownMachine { .. }));
    assert_eq!((unknown.mac, unknown.node, unknown.interface.as_deref()), (Some(OTHER), None, Some("srv0")));
}

#[test]
fn netns_wrong_addresses_relays_and_other_servers() {
    let cable = Cable::new();
    let boot_programs = programs(1000);
    let source = Known::new([(MAC, Boot::LocalDisk), (OTHER, ramdisk(Path::new("/k"), Path::new("/i")))]);
    let mut behind = Network::upper_half("10.88.0.0/24".parse().unwrap()).unwrap();
    behind.routers = vec![Ipv4Addr::new(10, 88, 0, 1)];
    cable.server.command("ip route add 10.88.0.0/24 dev srv0");
    let _running = Running::start(
        &cable.server,
        "srv0",
        vec![behind],
        boot_programs.path(),
        source.clone(),
        Arc::new(MemoryLeases::default()),
    );

    let (offer, nak) = cable.client.run(|| {
        let socket = client_socket(68);
        let offer = exchange(&socket, &Request::new(Kind::Discover, MAC, 1), LIMIT).unwrap();
        let mut request = Request::new(Kind::Request, MAC, 2);
        request.requested = Some(Ipv4Addr::new(192, 168, 1, 5));
        let nak = exchange(&socket, &request, LIMIT).unwrap();
        request.xid = 3;
        request.server = Some(Ipv4Addr::new(10, 99, 0, 9));
        socket.send_to(&request.encode().unwrap(), "255.255.255.255:67").unwrap();
        (offer, nak)
    });
    assert_eq!((offer.kind, nak.kind), (ReplyKind::Offer, ReplyKind::Nak));
    source.wait(LIMIT, |seen| matches!(seen, Seen::OtherServer { server } if server.octets()[3] == 9));
    source.wait(
        LIMIT,
        |seen| matches!(seen, Seen::AddressRefused { address, .. } if *address == offer.address),
    );

    // What a machine finds in use, it does not get again.
    let (address, next) = (offer.address, Duration::from_secs(10));
    let second = cable.client.run(move || {
        let socket = client_socket(68);
        let mut decline = Request::new(Kind::Decline, MAC, 4);
        decline.requested = Some(address);
        socket.send_to(&decline.encode().unwrap(), "255.255.255.255:67").unwrap();
        exchange(&socket, &Request::new(Kind::Discover, MAC, 5), next).unwrap()
    });
    assert_ne!(second.address, offer.address);

    cable.client.command("ip address add 10.88.0.1/24 dev cli0");
    cable.client.command("ip route add 10.99.0.0/24 dev cli0");
    let relayed = cable.client.run(|| {
        let mut request = Request::new(Kind::Discover, OTHER, 6);
        request.giaddr = Ipv4Addr::new(10, 88, 0, 1);
        request.hops = 1;
        request.arch = Some(wire::dhcp::Arch::Bios);
        request.vendor_class = Some(wire::dhcp::VendorClass::Pxe);
        request.relay_agent = Some(vec![1, 2, 7, 7]);
        exchange(&client_socket(67), &request, LIMIT).unwrap()
    });
    assert_eq!(&relayed.address.octets()[..3], [10, 88, 0]);
    assert_eq!(
        (relayed.server, relayed.routers),
        (Ipv4Addr::new(10, 99, 0, 1), vec![Ipv4Addr::new(10, 88, 0, 1)])
    );
    let file = BootFile::Tftp { server: Ipv4Addr::new(10, 99, 0, 1), name: "undionly.kpxe".into() };
    assert_eq!(relayed.boot, Some(file));
}

#[test]
fn netns_a_port_in_use_is_said() {
    let place = Place::new();
    place.command("ip link add srv0 type veth peer name cli0");
    place.command("ip address add 10.99.0.1/24 dev srv0");
    place.command("ip link set srv0 up");
    let (text, left) = place.run(|| {
        let _other = UdpSocket::bind("0.0.0.0:67").unwrap();
        let dir = programs(10);
        let names =
            netboot::ProgramNames { directory: dir.path().into(), ..netboot::ProgramNames::default() };
        let segments = netboot::Segment::named(["srv0"]).unwrap();
        let mut config = netboot::Config::new(segments, 6385, netboot::Programs::load(names).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let bind = |config| {
            let leases = Arc::new(MemoryLeases::default());
            runtime.block_on(netboot::Netboot::bind(config, Known::new([]), leases))
        };
        let refused = bind(config.clone()).err().map(|error| error.to_string()).unwrap_or_default();
        config.may_leave_out = true;
        (refused, bind(config).unwrap().segments().to_vec())
    });
    assert!(text.contains("DHCP") && text.contains("srv0") && text.contains("ss -lnup"), "{text}");
    assert_eq!(left, []);
}
