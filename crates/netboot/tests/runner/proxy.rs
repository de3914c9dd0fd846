//! Where another server gives the addresses.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use netboot::{Boot, MemoryLeases, Seen};
use wire::dhcp::{Arch, BootFile, Kind, Reply, ReplyKind, Request, VendorClass};

use crate::dhcp::{client_socket, exchange};
use crate::place::{Cable, Running, programs};
use crate::source::{Known, MAC, OTHER, ramdisk};

const LIMIT: Duration = Duration::from_secs(10);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

fn firmware(kind: Kind, xid: u32) -> Request {
    let mut request = Request::new(kind, MAC, xid);
    request.arch = Some(Arch::X64);
    request.vendor_class = Some(VendorClass::Pxe);
    request.machine = Some([9; 16]);
    request
}

#[test]
fn netns_a_proxy_says_what_to_load_and_gives_no_address() {
    let cable = Cable::new();
    let boot_programs = programs(1000);
    let mut boot = ramdisk(Path::new("/k"), Path::new("/i"));
    if let Boot::Ramdisk { cmdline, .. } = &mut boot {
        *cmdline = "api=http://${netX/dhcp-server}:6385".into();
    }
    let source = Known::new([(MAC, boot), (OTHER, Boot::LocalDisk)]);
    let leases = Arc::new(MemoryLeases::default());
    let _running =
        Running::start_as(&cable.server, "srv0", boot_programs.path(), source.clone(), leases, |config| {
            config.proxied.insert("srv0".into());
        });
    let file = Some(BootFile::Tftp { server: SERVER, name: "snponly.efi".into() });
    let expected = file.clone();
    cable.client.run(move || {
        let socket = client_socket(68);
        let offer = exchange(&socket, &firmware(Kind::Discover, 1), LIMIT).unwrap();
        assert_eq!(
            (offer.kind, offer.address, offer.lease_seconds),
            (ReplyKind::Offer, Ipv4Addr::UNSPECIFIED, None)
        );
        assert!(offer.is_proxy);
        assert_eq!(offer.boot, expected);
        // What the other server gives it, its system and a machine with a system of its own are none of our business.
        let mut taken = firmware(Kind::Request, 2);
        taken.server = Some(Ipv4Addr::new(10, 99, 0, 9));
        taken.requested = Some(Ipv4Addr::new(10, 99, 0, 50));
        for (xid, silent) in
            [taken, Request::new(Kind::Discover, MAC, 3), Request::new(Kind::Discover, OTHER, 4)]
                .into_iter()
                .enumerate()
        {
            assert_eq!(exchange(&socket, &silent, Duration::from_millis(300)), None, "{xid}");
        }
    });
    cable.client.command("ip address add 10.99.0.50/24 dev cli0");
    let ack = cable.client.run(|| {
        let socket = UdpSocket::bind("10.99.0.50:68").unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let mut request = firmware(Kind::Request, 5);
        request.ciaddr = Ipv4Addr::new(10, 99, 0, 50);
        socket.send_to(&request.encode().unwrap(), (SERVER, 4011)).unwrap();
        let mut buffer = [0; 1500];
        let length = socket.recv(&mut buffer).unwrap();
        Reply::parse(&buffer[..length]).unwrap().2
    });
    assert_eq!((ack.kind, ack.is_proxy, ack.boot), (ReplyKind::Ack, true, file));
    let loaded = cable.client.command("curl --silent --show-error --output /dev/null --write-out %{size_download} tftp://10.99.0.1/snponly.efi");
    assert_eq!(loaded, "1000");
    source.wait(LIMIT, |seen| matches!(seen, Seen::TftpFinished { .. }));
    let script = cable
        .client
        .command(&format!("curl --silent --show-error http://10.99.0.1:6385/boot/{MAC}/script.ipxe"));
    assert!(script.starts_with("#!ipxe") && script.contains("api=http://10.99.0.1:6385 "), "{script}");
}
