//! Whose address it is: the pool's, a port's, or nobody's to give.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use netboot::{
    Boot, FixedLease, Foreign, Ipv4Net, Lease, LeaseError, LeaseStore, Mac, MemoryLeases, Pending, Route,
    Seen,
};
use wire::dhcp::{Kind, Request};

use crate::dhcp::{client_socket, exchange, udhcpc};
use crate::place::{Cable, Running, programs};
use crate::source::{Known, MAC, ramdisk};

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn netns_an_instance_gets_its_ports_address_and_its_ramdisk_does_not() {
    let cable = Cable::new();
    let (dir, boot_programs) = (tempfile::tempdir().unwrap(), programs(1000));
    let source = Known::new([(MAC, Boot::LocalDisk)]);
    let router = Ipv4Addr::new(10, 99, 0, 254);
    source.set_lease(
        MAC,
        Lease::Fixed(Box::new(FixedLease {
            address: [10, 99, 0, 20].into(),
            net: "10.99.0.0/24".parse().unwrap(),
            routers: vec![router],
            routes: vec![
                Route { network: [10, 17, 0, 0].into(), prefix: 16, router: [10, 99, 0, 2].into() },
                Route { network: Ipv4Addr::UNSPECIFIED, prefix: 0, router },
            ],
            dns: vec![[10, 99, 0, 53].into()],
            domain: Some("rack.example".into()),
            mtu: Some(1400),
            others: vec![(42, vec![10, 99, 0, 5])],
        })),
    );
    let leases = Arc::new(MemoryLeases::default());
    let _running =
        Running::start(&cable.server, "srv0", vec![], boot_programs.path(), source.clone(), leases.clone());
    cable.client.command(&format!("ip link set cli0 address {MAC}"));
    let told = udhcpc(&cable.client, dir.path(), "-O mtu -O ntpsrv -O staticroutes");
    for line in [
        "ip=10.99.0.20",
        "mask=24",
        "router=10.99.0.254",
        "dns=10.99.0.53",
        "domain=rack.example",
        "mtu=1400",
        "ntpsrv=10.99.0.5",
        "staticroutes=10.17.0.0/16 10.99.0.2 0.0.0.0/0 10.99.0.254",
        "hostname=node-1",
    ] {
        assert!(told.lines().any(|l| l == line), "{line} is not in:\n{told}");
    }
    let kept =
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(leases.leases()).unwrap();
    assert_eq!(kept, [], "whoever decided over the address keeps it");

    // The same machine under its ramdisk, and then where DHCP is off.
    source.set(MAC, ramdisk(Path::new("/k"), Path::new("/i")));
    std::fs::remove_file(dir.path().join("told.bound")).unwrap();
    let told = udhcpc(&cable.client, dir.path(), "");
    let address: Ipv4Addr = told.lines().find_map(|l| l.strip_prefix("ip=")).unwrap().parse().unwrap();
    assert!(address.octets()[3] >= 128 && !told.contains("router="), "{told}");
    source.set(MAC, Boot::LocalDisk);
    source.set_lease(MAC, Lease::Silence);
    std::fs::remove_file(dir.path().join("told.bound")).unwrap();
    assert_eq!(udhcpc(&cable.client, dir.path(), ""), "");
    source.wait(LIMIT, |seen| matches!(seen, Seen::Unanswered { reason } if reason.contains("config drive")));
}

/// Leases of which some turn out to be others' when they are written down.
#[derive(Default)]
struct Contested {
    taken: BTreeSet<Ipv4Addr>,
    refuses: Mutex<u32>,
    asked: Mutex<Vec<Ipv4Addr>>,
    is_down: Mutex<bool>,
}

impl LeaseStore for Contested {
    fn leases(&self) -> Pending<'_, Result<Vec<(Mac, Ipv4Addr)>, LeaseError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn save(&self, _mac: Mac, address: Ipv4Addr) -> Pending<'_, Result<bool, LeaseError>> {
        self.asked.lock().unwrap().push(address);
        let mut left = self.refuses.lock().unwrap();
        let refuses = *left > 0;
        *left = left.saturating_sub(1);
        Box::pin(async move { Ok(!refuses) })
    }

    fn foreign(&self, _net: Ipv4Net) -> Pending<'_, Result<Foreign, LeaseError>> {
        if *self.is_down.lock().unwrap() {
            return Box::pin(async { Err(LeaseError("the disk is gone".into())) });
        }
        // What was refused is known from now on, as a database would know it.
        let mut taken = self.taken.clone();
        taken.extend(self.asked.lock().unwrap().iter());
        Box::pin(async { Ok(Foreign { taken, avoided: Vec::new() }) })
    }
}

#[test]
fn netns_what_is_anothers_is_not_offered() {
    let cable = Cable::new();
    let boot_programs = programs(1000);
    let source = Known::new([(MAC, Boot::LocalDisk)]);
    let but_three = (128..=251).map(|last| Ipv4Addr::new(10, 99, 0, last)).collect();
    let leases = Arc::new(Contested { taken: but_three, refuses: Mutex::new(2), ..Contested::default() });
    *leases.is_down.lock().unwrap() = true;
    let _running =
        Running::start(&cable.server, "srv0", vec![], boot_programs.path(), source.clone(), leases.clone());
    cable.client.run(|| {
        let socket = client_socket(68);
        socket
            .send_to(&Request::new(Kind::Discover, MAC, 1).encode().unwrap(), "255.255.255.255:67")
            .unwrap();
    });
    source.wait(
        LIMIT,
        |seen| matches!(seen, Seen::Unanswered { reason } if reason.contains("the disk is gone")),
    );
    *leases.is_down.lock().unwrap() = false;
    let offer = cable
        .client
        .run(|| exchange(&client_socket(68), &Request::new(Kind::Discover, MAC, 2), LIMIT).unwrap());
    let asked = leases.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert_eq!(asked.last(), Some(&offer.address));
    assert!(asked.iter().all(|address| (252..=254).contains(&address.octets()[3])), "{asked:?}");
    assert_eq!(asked.iter().collect::<BTreeSet<_>>().len(), 3);
}
