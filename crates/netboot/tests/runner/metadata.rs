//! The address at which machines ask for their metadata.

use crate::place::Cable;
use netboot::{METADATA_ADDRESS, add_metadata_address, listen_for_metadata};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

#[test]
fn netns_a_machine_reaches_the_metadata_address_by_us_and_on_its_own_wire() {
    let cable = Cable::new();
    let missing = cable.server.run(|| listen_for_metadata("srv0").map(drop).unwrap_err().kind());
    assert_eq!(missing, ErrorKind::AddrNotAvailable);
    let listener = cable.server.run(|| {
        add_metadata_address().unwrap();
        add_metadata_address().unwrap();
        let listener = listen_for_metadata("srv0").unwrap();
        listener.set_nonblocking(false).unwrap();
        listener
    });
    cable.client.command("ip address add 10.99.0.20/24 dev cli0");
    for route in ["via 10.99.0.1", "dev cli0 scope link"] {
        cable.client.command(&format!("ip route replace {METADATA_ADDRESS}/32 {route}"));
        cable.client.run(|| {
            let address = SocketAddr::from((METADATA_ADDRESS, 80));
            TcpStream::connect_timeout(&address, Duration::from_secs(10)).unwrap()
        });
        assert_eq!(listener.accept().unwrap().1.ip().to_string(), "10.99.0.20");
    }
}
