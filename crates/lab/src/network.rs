//! The rack's wires, inside its network namespace: one bridge, one tap a machine, one loopback address a BMC.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::process::Command;

use crate::error::{Error, Result};
use crate::{isolation, process};

/// The rack's bridge, on which machines and the conductor meet.
pub const BRIDGE: &str = "br0";
/// The bridge's address: DHCP, TFTP, HTTP and the API are here.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// Most machines a rack can have; the addresses below are counted in one octet.
pub const MAX_NODES: usize = 200;

/// The tap device of the machine with this index.
#[must_use]
pub fn tap(index: usize) -> String {
    format!("tap{index}")
}

/// The BMC's address of the machine with this index: 10.77.1.11, 10.77.1.12, …
#[must_use]
pub fn bmc_address(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 1, octet(11, index))
}

/// An address for the operating system of the machine with this index, free for tests to use: 10.77.0.11, 10.77.0.12, …
#[must_use]
pub fn machine_address(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, octet(11, index))
}

/// The MAC of the first network card of the machine with this index.
#[must_use]
pub fn mac(index: usize) -> String {
    let [high, low] = u16::try_from(index + 1).unwrap_or(u16::MAX).to_be_bytes();
    format!("52:54:00:77:{high:02x}:{low:02x}")
}

/// Sets the namespace up for `nodes` machines.
///
/// # Errors
/// [`Error::Invalid`] outside a lab's namespaces or with more than [`MAX_NODES`]; [`Error::Command`] when `ip` fails.
pub fn configure(nodes: usize) -> Result<()> {
    if !isolation::is_inside() {
        return Err(Error::Invalid(
            "a rack must run in namespaces of its own (isolation::enter or isolation::test)".into(),
        ));
    }
    if nodes > MAX_NODES {
        return Err(Error::Invalid(format!("{nodes} machines asked for; one rack has room for {MAX_NODES}")));
    }
    process::feed(Command::new("ip").args(["-batch", "-"]), script(nodes).as_bytes())?;
    Ok(())
}

fn script(nodes: usize) -> String {
    let mut script = String::from("link set lo up\n");
    // A fixed MAC: otherwise the bridge takes the lowest of its ports' and changes it when a machine is added.
    let _ = writeln!(
        script,
        "link add {BRIDGE} address 52:54:00:77:ff:01 type bridge stp_state 0 forward_delay 0"
    );
    let _ = writeln!(script, "addr add {GATEWAY}/24 dev {BRIDGE}");
    // Without nodad the address would stay tentative until the first machine is on, and Router Advertisements need it.
    let _ = writeln!(script, "link set {BRIDGE} addrgenmode none up\naddr add fe80::1/64 dev {BRIDGE} nodad");
    for index in 0..nodes {
        let tap = tap(index);
        let _ = writeln!(script, "tuntap add dev {tap} mode tap");
        let _ = writeln!(script, "link set {tap} master {BRIDGE} addrgenmode none up");
        let _ = writeln!(script, "addr add {}/32 dev lo", bmc_address(index));
    }
    script
}

/// `base + index` as an address octet. [`configure`] refuses racks for which this would not fit.
fn octet(base: u8, index: usize) -> u8 {
    u8::try_from(usize::from(base) + index).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_distinct_for_a_full_rack() {
        let all: std::collections::HashSet<_> =
            (0..MAX_NODES).flat_map(|i| [bmc_address(i), machine_address(i)]).collect();
        assert_eq!(all.len(), 2 * MAX_NODES);
        assert_eq!(mac(0), "52:54:00:77:00:01");
        assert_eq!(mac(255), "52:54:00:77:01:00");
    }

    #[test]
    fn outside_its_namespaces_nothing_is_touched() {
        assert!(configure(1).unwrap_err().to_string().contains("namespaces"));
    }
}
