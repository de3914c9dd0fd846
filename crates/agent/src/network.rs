//! The machine's network: addresses by DHCP, set through the kernel's oldest interface (netdevice(7), rtnetlink's elder).

mod dhcp;
mod kernel;

use crate::bell::pause;
use crate::machine::Machine;
use crate::options::Options;
use crate::say;
use model::agent::Interface;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

pub use dhcp::{Client, Lease, Message, MessageKind};
pub use kernel::{addresses, set_link_up};

/// Switches an interface off.
pub fn set_link_down(name: &str) -> io::Result<()> {
    kernel::set_link(name, false)
}

/// How long a link may take after its interface was switched on: 10GBASE-T with autonegotiation needs some seconds.
const CARRIER_LIMIT: Duration = Duration::from_secs(8);

/// The address that leads to `host`, and the one that goes into the callback URL. Nothing is sent.
pub fn source_address(host: &str, port: u16) -> io::Result<IpAddr> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
    for to in (host, port).to_socket_addrs()? {
        let any: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
        match UdpSocket::bind(any).and_then(|socket| socket.connect(to).and_then(|()| socket.local_addr())) {
            Ok(local) if !local.ip().is_unspecified() => return Ok(local.ip()),
            Ok(_) => {}
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Gets an address for the interface that booted the machine, or for the first that gets one; tries until it has one.
/// Starts the thread that renews it.
pub fn configure(options: &Options, machine: &Machine) {
    set_link_up("lo").unwrap_or_else(|error| say!("switching lo on failed: {error}"));
    let mut round = 0u64;
    loop {
        round += 1;
        let candidates = candidates(options, machine.interfaces());
        if candidates.is_empty() && round % 20 == 1 {
            say!("no network interface yet (no driver for it in this ramdisk?)");
        }
        for interface in &candidates {
            match attempt(interface, Duration::from_secs(12)) {
                Ok(lease) => {
                    keep(interface.clone(), lease);
                    return;
                }
                Err(error) => say!("{}: {error}", interface.name),
            }
        }
        pause(if candidates.is_empty() { Duration::from_millis(250) } else { Duration::from_secs(1) });
    }
}

/// The interface asked for alone; else that of `BOOTIF` first; else all.
fn candidates(options: &Options, mut interfaces: Vec<Interface>) -> Vec<Interface> {
    if let Some(name) = &options.network_interface {
        interfaces.retain(|interface| interface.name == *name);
    }
    if let Some(mac) = &options.boot_mac {
        interfaces.sort_by_key(|interface| interface.mac_address.as_deref() != Some(mac));
    }
    interfaces
}

fn attempt(interface: &Interface, limit: Duration) -> io::Result<Lease> {
    let mac =
        interface.mac_address.as_deref().and_then(parse_mac).ok_or_else(|| io::Error::other("has no MAC"))?;
    set_link_up(&interface.name)?;
    let carrier = Path::new("/sys/class/net").join(&interface.name).join("carrier");
    let end = Instant::now() + CARRIER_LIMIT;
    while std::fs::read(&carrier).ok().as_deref() != Some(b"1\n") {
        if Instant::now() > end {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "no link (cable or switch port)"));
        }
        pause(Duration::from_millis(50));
    }
    let mut client = Client::open(&interface.name, mac)?;
    let lease = client.acquire(limit)?;
    apply(&interface.name, &lease)?;
    say!(
        "{}: {}/{} by DHCP from {}, lease {} s",
        interface.name,
        lease.address,
        lease.prefix_length(),
        lease.server,
        lease.seconds
    );
    Ok(lease)
}

fn apply(name: &str, lease: &Lease) -> io::Result<()> {
    kernel::set_address(name, lease.address, lease.netmask)?;
    if let Some(mtu) = lease.mtu {
        kernel::set_mtu(name, mtu).unwrap_or_else(|error| say!("{name}: MTU {mtu} refused: {error}"));
    }
    // Routes to a router itself come first in well-made lists; a second pass serves the others.
    for pass in 0..2 {
        for route in &lease.routes {
            match kernel::add_route(name, route.destination, route.netmask, route.gateway) {
                Err(error) if error.raw_os_error() != Some(libc::EEXIST) && pass == 1 => {
                    say!("{name}: route to {} refused: {error}", route.destination);
                }
                _ => {}
            }
        }
    }
    let resolvers: String = lease.resolvers.iter().map(|address| format!("nameserver {address}\n")).collect();
    if !resolvers.is_empty() {
        std::fs::create_dir_all("/etc")?;
        std::fs::write("/etc/resolv.conf", resolvers)?;
    }
    if let Some(name) = &lease.host_name {
        kernel::set_host_name(name);
    }
    Ok(())
}

/// Renews the lease at half of its time, for as long as the agent lives.
fn keep(interface: Interface, mut lease: Lease) {
    let Some(mac) = interface.mac_address.as_deref().and_then(parse_mac) else { return };
    let renew = move || {
        loop {
            pause(Duration::from_secs(u64::from(lease.seconds / 2).max(30)));
            let renewed = Client::open(&interface.name, mac)
                .and_then(|mut client| client.renew(&lease, Duration::from_secs(20)));
            match renewed {
                Ok(new) if new.address == lease.address => lease = new,
                Ok(new) => {
                    say!(
                        "{}: DHCP changed the address from {} to {}",
                        interface.name,
                        lease.address,
                        new.address
                    );
                    apply(&interface.name, &new).unwrap_or_else(|error| say!("{}: {error}", interface.name));
                    lease = new;
                }
                Err(error) => {
                    say!("{}: renewing {} failed: {error}", interface.name, lease.address);
                    lease.seconds = (lease.seconds / 2).max(60);
                }
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name("dhcp".into()).spawn(renew) {
        say!("the DHCP lease will not be renewed: {error}");
    }
}

fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0u8; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    parts.next().is_none().then_some(mac)
}

/// Length of a netmask's prefix.
fn prefix_length(mask: Ipv4Addr) -> u32 {
    u32::from(mask).leading_ones()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_that_booted_comes_first() {
        let interface = |name: &str, mac: &str| Interface {
            name: name.into(),
            mac_address: Some(mac.into()),
            ..Interface::default()
        };
        let all = vec![interface("eth0", "52:54:00:00:00:01"), interface("eth1", "52:54:00:00:00:02")];
        let names = |options: &Options| -> Vec<String> {
            candidates(options, all.clone()).into_iter().map(|i| i.name).collect()
        };
        assert_eq!(names(&Options::parse(["BOOTIF=01-52-54-00-00-00-02"])), ["eth1", "eth0"]);
        assert_eq!(names(&Options::parse(["ipa-network-interface=eth0"])), ["eth0"]);
        assert_eq!(names(&Options::default()), ["eth0", "eth1"]);
    }

    #[test]
    fn loopback_leads_to_itself() {
        assert_eq!(source_address("127.0.0.1", 80).unwrap(), IpAddr::from([127, 0, 0, 1]));
    }

    #[test]
    fn macs_are_six_bytes() {
        assert_eq!(parse_mac("52:54:00:77:00:0a"), Some([0x52, 0x54, 0, 0x77, 0, 10]));
        assert_eq!(parse_mac("52:54:00:77:00"), None);
        assert_eq!(parse_mac("52:54:00:77:00:0a:0b"), None);
    }
}
