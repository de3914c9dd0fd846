//! Which DHCP answer a machine gets. Pure.

use std::net::Ipv4Addr;

use wire::Mac;
use wire::dhcp::{Arch, BootFile, Kind, Reply, ReplyKind, Request, Route, VendorClass};

use crate::{Boot, Client, FixedLease, Lease, METADATA_ADDRESS, Machine, Network, Programs};

/// The place that a machine asks from, and what it is served with there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Here<'a> {
    /// Our address.
    pub(crate) server: Ipv4Addr,
    /// The machine's address there, and what belongs to it.
    pub(crate) terms: &'a Terms,
    pub(crate) lease_seconds: u32,
    /// Where our HTTP server is reached from there, without a final slash.
    pub(crate) base_url: &'a str,
    pub(crate) programs: &'a Programs,
    /// We serve metadata.
    pub(crate) metadata: bool,
}

/// An address with what is handed out with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) address: Ipv4Addr,
    mask: Ipv4Addr,
    routers: Vec<Ipv4Addr>,
    routes: Vec<Route>,
    dns: Vec<Ipv4Addr>,
    domain: Option<String>,
    mtu: Option<u16>,
    others: Vec<(u8, Vec<u8>)>,
}

impl Terms {
    /// An address of a network's own pool.
    pub(crate) fn pool(network: &Network, address: Ipv4Addr) -> Self {
        Self {
            address,
            mask: network.net.netmask(),
            routers: network.routers.clone(),
            routes: Vec::new(),
            dns: network.dns.clone(),
            domain: network.domain.clone(),
            mtu: None,
            others: Vec::new(),
        }
    }

    /// An address decided elsewhere.
    pub(crate) fn fixed(lease: &FixedLease) -> Self {
        Self {
            address: lease.address,
            mask: lease.net.netmask(),
            routers: lease.routers.clone(),
            routes: lease.routes.clone(),
            dns: lease.dns.clone(),
            domain: lease.domain.clone(),
            mtu: lease.mtu,
            others: lease.others.clone(),
        }
    }
}

/// The address that is decided elsewhere, if the program that asks is to get it; `None`: one of the pool. Else why it gets no answer.
///
/// `network`: what is served where it asks; `relay`: the relay that it asks through.
pub(crate) fn fixed<'a>(
    lease: &'a Lease,
    client: Client,
    network: Option<&Network>,
    relay: Option<Ipv4Addr>,
) -> Result<Option<&'a FixedLease>, String> {
    let is_system = client == Client::System;
    match lease {
        Lease::Pool => Ok(None),
        Lease::Silence if is_system => {
            Err("its port has no address that DHCP may hand out; the config drive tells its system".into())
        }
        Lease::Silence => Ok(None),
        Lease::Fixed(fixed) => match relay {
            // A wire may carry several subnets, and only the port says which is the machine's. A relay says it too.
            None if is_system => Ok(Some(fixed)),
            Some(relay) if is_system && !fixed.net.contains(&relay) => Err(format!(
                "its port has {} of {}, and it asks through the relay {relay} of another network",
                fixed.address, fixed.net
            )),
            Some(relay) if fixed.net.contains(&relay) => Ok(Some(fixed)),
            // Firmware must reach us, so it needs an address of the network that we are in.
            _ => Ok(network.filter(|network| network.net.contains(&fixed.address)).map(|_| &**fixed)),
        },
    }
}

/// What is to be done about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Send(Box<Reply>),
    /// The machine takes this other server's offer.
    OtherServer(Ipv4Addr),
    /// The machine finds this address in use.
    Declined(Ipv4Addr),
    /// There is nothing to say.
    Nothing,
    /// There is nothing that this firmware could load.
    NoProgram(Arch),
}

/// The program that sends a message.
pub(crate) fn client(request: &Request) -> Client {
    // iPXE also sends the vendor class of firmware. One that can't fetch by HTTP is treated as the firmware that it poses
    // as, and so gets our iPXE.
    if request.ipxe.is_some_and(|ipxe| ipxe.can_http) {
        return Client::Ipxe;
    }
    let arch = request.arch.unwrap_or(Arch::Bios);
    match request.vendor_class {
        Some(VendorClass::Http) => Client::HttpBoot(arch),
        Some(VendorClass::Pxe) if arch.is_http() => Client::HttpBoot(arch),
        Some(VendorClass::Pxe) => Client::Pxe(arch),
        Some(VendorClass::Other) | None if request.ipxe.is_some() => Client::Pxe(arch),
        Some(VendorClass::Other) | None => Client::System,
    }
}

/// The answer to a known machine.
pub(crate) fn answer(request: &Request, machine: &Machine, here: Here<'_>) -> Answer {
    let terms = here.terms;
    let address = terms.address;
    let kind = match request.kind {
        Kind::Discover => ReplyKind::Offer,
        Kind::Inform => ReplyKind::Ack,
        Kind::Decline => {
            return match request.requested {
                Some(declined) => Answer::Declined(declined),
                None => Answer::Nothing,
            };
        }
        // Addresses stay with their machines: there is nothing to give back.
        Kind::Release => return Answer::Nothing,
        Kind::Request => {
            if let Some(other) = request.server.filter(|s| *s != here.server) {
                return Answer::OtherServer(other);
            }
            let wanted = request.requested.unwrap_or(request.ciaddr);
            if wanted.is_unspecified() {
                return Answer::Nothing;
            }
            if wanted != address {
                let mut nak = Reply::new(ReplyKind::Nak, here.server);
                nak.message = Some(format!("your address here is {address}"));
                return Answer::Send(Box::new(nak));
            }
            ReplyKind::Ack
        }
    };
    let client = client(request);
    let boot = match boot_file(client, &machine.boot, request.mac, here.server, here.base_url, here.programs)
    {
        Ok(boot) => boot,
        Err(arch) => return Answer::NoProgram(arch),
    };
    let mut reply = Reply::new(kind, here.server);
    if request.kind != Kind::Inform {
        reply.address = address;
        reply.lease_seconds = Some(here.lease_seconds);
    }
    reply.mask = Some(terms.mask);
    reply.routers.clone_from(&terms.routers);
    reply.routes.clone_from(&terms.routes);
    if here.metadata && client == Client::System {
        reply.routes = with_metadata(terms, here.server);
    }
    reply.mtu = terms.mtu;
    reply.dns.clone_from(&terms.dns);
    reply.domain.clone_from(&terms.domain);
    reply.others.clone_from(&terms.others);
    reply.hostname = machine.hostname.clone().filter(|name| is_hostname(name));
    reply.boot = boot;
    reply.no_proxy_dhcp = request.ipxe.is_some();
    Answer::Send(Box::new(reply))
}

/// What a machine is told on a wire where another server gives the addresses; at the proxy's own port (`is_second`) it asks again, once
/// it has one. Nothing where it has nothing to load: what its system asks is the other server's business.
pub(crate) fn proxy_answer(
    request: &Request,
    machine: &Machine,
    is_second: bool,
    server: Ipv4Addr,
    base_url: &str,
    programs: &Programs,
) -> Answer {
    let kind = match (request.kind, is_second) {
        (Kind::Discover, false) => ReplyKind::Offer,
        (Kind::Request | Kind::Inform, true) => ReplyKind::Ack,
        _ => return Answer::Nothing,
    };
    match boot_file(client(request), &machine.boot, request.mac, server, base_url, programs) {
        Ok(None) => Answer::Nothing,
        Ok(boot) => {
            let mut reply = Reply::new(kind, server);
            reply.is_proxy = true;
            reply.boot = boot;
            Answer::Send(Box::new(reply))
        }
        Err(arch) => Answer::NoProgram(arch),
    }
}

/// The routes, and the way to the metadata by us, where the machine reaches us without a router. Whoever is told any route ignores
/// the routers that it is told beside them (RFC 3442), so the default route is one of them then.
fn with_metadata(terms: &Terms, server: Ipv4Addr) -> Vec<Route> {
    let mut routes = terms.routes.clone();
    let is_near = (u32::from(terms.address) ^ u32::from(server)) & u32::from(terms.mask) == 0;
    let is_told = routes.iter().any(|route| route.network == METADATA_ADDRESS && route.prefix == 32);
    if !is_near || is_told {
        return routes;
    }
    if let Some(router) = terms.routers.first().filter(|_| routes.iter().all(|route| route.prefix > 0)) {
        routes.push(Route { network: Ipv4Addr::UNSPECIFIED, prefix: 0, router: *router });
    }
    routes.push(Route { network: METADATA_ADDRESS, prefix: 32, router: server });
    routes
}

/// What the client is to load, if anything; the architecture if there is no program for it.
fn boot_file(
    client: Client,
    boot: &Boot,
    mac: Mac,
    server: Ipv4Addr,
    base: &str,
    programs: &Programs,
) -> Result<Option<BootFile>, Arch> {
    match (client, boot) {
        (Client::System, _) => Ok(None),
        (Client::Ipxe, _) => Ok(Some(BootFile::Url(format!("{base}/boot/{mac}/script.ipxe")))),
        (Client::Pxe(_) | Client::HttpBoot(_), Boot::LocalDisk) => Ok(None),
        (Client::Pxe(arch), Boot::Ramdisk { .. }) => {
            let name = programs.name_for(arch).ok_or(arch)?.to_owned();
            Ok(Some(BootFile::Tftp { server, name }))
        }
        (Client::HttpBoot(arch), Boot::Ramdisk { .. }) => {
            let name = programs.name_for(arch).ok_or(arch)?;
            Ok(Some(BootFile::HttpBoot(format!("{base}/boot/{mac}/{name}"))))
        }
    }
}

/// RFC 1123 §2.1, with dots.
fn is_hostname(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Artifact, ProgramNames};
    use uuid::Uuid;
    use wire::dhcp::Ipxe;

    pub(crate) const MAC: Mac = Mac::new([0x52, 0x54, 0, 0x77, 0, 1]);
    const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 130);

    pub(crate) fn programs() -> Programs {
        let dir = tempfile::tempdir().unwrap();
        for name in ["undionly.kpxe", "snponly.efi"] {
            std::fs::write(dir.path().join(name), name.repeat(1000)).unwrap();
        }
        Programs::load(ProgramNames { directory: dir.path().into(), ..ProgramNames::default() }).unwrap()
    }

    pub(crate) fn machine(boot: Boot) -> Machine {
        Machine { node: Uuid::nil(), hostname: Some("node-1".into()), lease: Lease::Pool, boot }
    }

    pub(crate) fn ramdisk() -> Boot {
        Boot::Ramdisk {
            kernel: Artifact::Url("http://10.77.0.1/k".into()),
            initramfs: Artifact::Url("http://10.77.0.1/i".into()),
            cmdline: "quiet".into(),
        }
    }

    fn ask(request: &Request, machine: &Machine) -> Answer {
        let network = network();
        let terms = match fixed(&machine.lease, client(request), Some(&network), None).unwrap() {
            Some(lease) => Terms::fixed(lease),
            None => Terms::pool(&network, ADDRESS),
        };
        let here = Here {
            server: SERVER,
            terms: &terms,
            lease_seconds: 3600,
            base_url: "http://10.77.0.1:6385",
            programs: &programs(),
            metadata: false,
        };
        answer(request, machine, here)
    }

    fn network() -> Network {
        Network::upper_half("10.77.0.1/24".parse().unwrap()).unwrap()
    }

    /// A port's address, and what its subnet says.
    fn lease(address: [u8; 4], net: &str) -> FixedLease {
        let router = Ipv4Addr::new(10, 77, 0, 254);
        FixedLease {
            address: address.into(),
            net: net.parse().unwrap(),
            routers: vec![router],
            routes: vec![Route { network: Ipv4Addr::UNSPECIFIED, prefix: 0, router }],
            dns: vec![[10, 77, 0, 53].into()],
            domain: Some("rack.example".into()),
            mtu: Some(9000),
            others: vec![(42, vec![10, 77, 0, 5])],
        }
    }

    fn reply(request: &Request, machine: &Machine) -> Reply {
        match ask(request, machine) {
            Answer::Send(reply) => *reply,
            other => panic!("{other:?}"),
        }
    }

    fn firmware(arch: Arch, class: VendorClass) -> Request {
        let mut request = Request::new(Kind::Discover, MAC, 7);
        request.arch = Some(arch);
        request.vendor_class = Some(class);
        request
    }

    #[test]
    fn each_firmware_gets_its_own_program() {
        let machine = machine(ramdisk());
        let tftp = |name: &str| Some(BootFile::Tftp { server: SERVER, name: name.into() });
        let url = |name| format!("http://10.77.0.1:6385/boot/52:54:00:77:00:01/{name}");
        assert_eq!(reply(&firmware(Arch::Bios, VendorClass::Pxe), &machine).boot, tftp("undionly.kpxe"));
        assert_eq!(reply(&firmware(Arch::X64, VendorClass::Pxe), &machine).boot, tftp("snponly.efi"));
        assert_eq!(
            reply(&firmware(Arch::X64Http, VendorClass::Http), &machine).boot,
            Some(BootFile::HttpBoot(url("snponly.efi")))
        );
        let mut ipxe = firmware(Arch::X64, VendorClass::Pxe);
        ipxe.ipxe = Some(Ipxe { can_http: true });
        let to_ipxe = reply(&ipxe, &machine);
        assert_eq!(to_ipxe.boot, Some(BootFile::Url(url("script.ipxe"))));
        assert!(to_ipxe.no_proxy_dhcp);
        ipxe.ipxe = Some(Ipxe { can_http: false });
        assert_eq!(reply(&ipxe, &machine).boot, tftp("snponly.efi"), "an iPXE without HTTP is chained");
        let arm = firmware(Arch::Arm64, VendorClass::Pxe);
        assert_eq!(ask(&arm, &machine), Answer::NoProgram(Arch::Arm64));
        let system = Request::new(Kind::Discover, MAC, 7);
        assert_eq!(reply(&system, &machine).boot, None);
    }

    #[test]
    fn a_machine_with_a_system_gets_an_address_only() {
        let machine = machine(Boot::LocalDisk);
        let offer = reply(&firmware(Arch::Bios, VendorClass::Pxe), &machine);
        assert_eq!((offer.kind, offer.address, &offer.boot), (ReplyKind::Offer, ADDRESS, &None));
        assert_eq!(offer.hostname.as_deref(), Some("node-1"));
        assert_eq!(reply(&firmware(Arch::Arm64, VendorClass::Pxe), &machine).boot, None);
    }

    #[test]
    fn requests_are_confirmed_refused_or_left_to_others() {
        let machine = machine(ramdisk());
        let mut request = Request::new(Kind::Request, MAC, 7);
        assert_eq!(ask(&request, &machine), Answer::Nothing, "wants nothing");
        request.requested = Some(ADDRESS);
        request.server = Some(SERVER);
        assert_eq!(reply(&request, &machine).kind, ReplyKind::Ack);
        request.server = Some(Ipv4Addr::new(10, 77, 0, 9));
        assert_eq!(ask(&request, &machine), Answer::OtherServer(Ipv4Addr::new(10, 77, 0, 9)));
        request.server = None;
        request.requested = Some(Ipv4Addr::new(10, 77, 0, 131));
        let nak = reply(&request, &machine);
        assert_eq!((nak.kind, nak.address, nak.lease_seconds), (ReplyKind::Nak, Ipv4Addr::UNSPECIFIED, None));
        request.requested = None;
        request.ciaddr = ADDRESS;
        assert_eq!(reply(&request, &machine).kind, ReplyKind::Ack, "renewal");
        request.kind = Kind::Inform;
        assert_eq!(reply(&request, &machine).lease_seconds, None);
        request.kind = Kind::Decline;
        request.requested = Some(ADDRESS);
        assert_eq!(ask(&request, &machine), Answer::Declined(ADDRESS));
        request.kind = Kind::Release;
        assert_eq!(ask(&request, &machine), Answer::Nothing);
    }

    #[test]
    fn a_ports_address_brings_all_that_its_subnet_says() {
        let mut machine = machine(Boot::LocalDisk);
        machine.hostname = Some("not a name".into());
        let of_port = lease([10, 77, 0, 20], "10.77.0.0/23");
        machine.lease = Lease::Fixed(Box::new(of_port.clone()));
        let offer = reply(&Request::new(Kind::Discover, MAC, 7), &machine);
        assert_eq!((offer.address, offer.mask), (of_port.address, Some([255, 255, 254, 0].into())));
        assert_eq!((&offer.routers, &offer.routes), (&of_port.routers, &of_port.routes));
        assert_eq!((&offer.dns, &offer.domain, offer.mtu), (&of_port.dns, &of_port.domain, Some(9000)));
        assert_eq!((offer.hostname, offer.others), (None, of_port.others));
        let mut request = Request::new(Kind::Request, MAC, 7);
        request.requested = Some(ADDRESS);
        assert_eq!(
            reply(&request, &machine).kind,
            ReplyKind::Nak,
            "the pool's address is over with the ramdisk"
        );
        request.requested = Some(of_port.address);
        assert_eq!(reply(&request, &machine).kind, ReplyKind::Ack);
    }

    #[test]
    fn firmware_gets_an_address_from_which_it_reaches_us() {
        let (system, rom) = (Client::System, Client::Pxe(Arch::Bios));
        let network = network();
        let given = |lease: &Lease, client, relay: Option<[u8; 4]>| {
            let given = fixed(lease, client, Some(&network), relay.map(Into::into));
            given.map(|lease| lease.map(|lease| lease.address.octets()[3])).map_err(|_| ())
        };
        let inside = Lease::Fixed(Box::new(lease([10, 77, 0, 20], "10.77.0.0/24")));
        let outside = Lease::Fixed(Box::new(lease([192, 0, 2, 21], "192.0.2.0/24")));
        assert_eq!(given(&inside, system, None), Ok(Some(20)));
        assert_eq!(given(&inside, rom, None), Ok(Some(20)));
        assert_eq!(given(&outside, system, None), Ok(Some(21)), "a second subnet on the same wire");
        assert_eq!(given(&outside, rom, None), Ok(None));
        assert_eq!(given(&outside, system, Some([192, 0, 2, 1])), Ok(Some(21)));
        assert_eq!(given(&outside, rom, Some([192, 0, 2, 1])), Ok(Some(21)));
        assert_eq!(given(&inside, system, Some([192, 0, 2, 1])), Err(()), "plugged in elsewhere");
        assert_eq!(given(&Lease::Silence, system, None), Err(()));
        assert_eq!(given(&Lease::Silence, rom, None), Ok(None));
        assert_eq!(given(&Lease::Pool, system, None), Ok(None));
    }

    #[test]
    fn a_proxy_speaks_to_firmware_that_has_something_to_load() {
        let told = |request: &Request, boot: Boot, is_second| {
            let base = "http://10.77.0.1:6385";
            match proxy_answer(request, &machine(boot), is_second, SERVER, base, &programs()) {
                Answer::Send(reply) => {
                    assert!(
                        reply.is_proxy && reply.address.is_unspecified() && reply.lease_seconds.is_none()
                    );
                    reply.boot.map(|boot| (reply.kind, boot))
                }
                Answer::Nothing => None,
                other => panic!("{other:?}"),
            }
        };
        let rom = firmware(Arch::Bios, VendorClass::Pxe);
        let file = BootFile::Tftp { server: SERVER, name: "undionly.kpxe".into() };
        assert_eq!(told(&rom, ramdisk(), false), Some((ReplyKind::Offer, file.clone())));
        assert_eq!(told(&rom, ramdisk(), true), None, "that is the other server's port's question");
        assert_eq!(told(&rom, Boot::LocalDisk, false), None);
        let mut again = rom.clone();
        again.kind = Kind::Request;
        assert_eq!(told(&again, ramdisk(), true), Some((ReplyKind::Ack, file)));
        assert_eq!(told(&again, ramdisk(), false), None, "the address is not ours to confirm");
        assert_eq!(told(&Request::new(Kind::Discover, MAC, 7), ramdisk(), false), None);
    }

    #[test]
    fn a_bad_host_name_is_left_out() {
        let mut machine = machine(Boot::LocalDisk);
        machine.hostname = Some("not a name".into());
        assert_eq!(reply(&Request::new(Kind::Discover, MAC, 7), &machine).hostname, None);
    }

    #[test]
    fn an_instance_is_told_the_way_to_its_metadata_where_it_reaches_us() {
        let metadata = Route { network: METADATA_ADDRESS, prefix: 32, router: SERVER };
        let mut near = lease([10, 77, 0, 20], "10.77.0.0/24");
        let default = near.routes[0];
        assert_eq!(with_metadata(&Terms::fixed(&near), SERVER), [default, metadata]);
        // The router's own option is ignored beside routes, so it becomes one.
        near.routes.clear();
        let router = Route { router: near.routers[0], ..default };
        assert_eq!(with_metadata(&Terms::fixed(&near), SERVER), [router, metadata]);
        near.routes = vec![Route { router: Ipv4Addr::new(10, 77, 0, 9), ..metadata }];
        assert_eq!(with_metadata(&Terms::fixed(&near), SERVER), near.routes);
        let far = lease([192, 0, 2, 21], "192.0.2.0/24");
        assert_eq!(with_metadata(&Terms::fixed(&far), SERVER), far.routes);
    }
}
