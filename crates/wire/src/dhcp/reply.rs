//! What the server answers.

use std::net::{Ipv4Addr, SocketAddrV4};

use dhcproto::v4::borrowed::{DhcpOptionIterator, Message as View};
use dhcproto::v4::{DhcpOption, Flags, HType, Message, MessageType, Opcode};

use super::request::{address, encode, raw};
use super::{CLIENT_PORT, DhcpError, MAX_PACKET_BYTES, Mac, Request, SERVER_PORT, code};

/// The kinds of message that a server sends (RFC 2131 §3.1, option 53).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplyKind {
    /// This is what you would get.
    Offer,
    /// This is yours now.
    Ack,
    /// What you use or want is wrong here; start again.
    Nak,
}

/// What the machine loads first, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootFile {
    /// A name at a TFTP server: for PXE firmware, in the packet's own fields and in options 66, 67 and 150.
    Tftp {
        /// The TFTP server.
        server: Ipv4Addr,
        /// The file's name there; at most 127 octets.
        name: String,
    },
    /// A URL: for iPXE, which runs what it finds there.
    Url(String),
    /// A URL for UEFI's own HTTP boot, which wants its vendor class echoed (option 60 `HTTPClient`, UEFI 2.10 §24.7.3).
    HttpBoot(String),
}

/// A route that the client is told of (option 121).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub network: Ipv4Addr,
    /// Bits of the prefix; at most 32.
    pub prefix: u8,
    /// By which router; unspecified: the destination is on the same wire.
    pub router: Ipv4Addr,
}

/// PXE_DISCOVERY_CONTROL with bit 3 alone: load the file that the offer names, and look for no boot server (PXE 2.1 table 2-1).
const BOOT_THIS: &[u8] = &[6, 1, 8, 255];

/// A server's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What the server says.
    pub kind: ReplyKind,
    /// This server's address (option 54).
    pub server: Ipv4Addr,
    /// The client's address; unspecified in a NAK and in the answer to an INFORM.
    pub address: Ipv4Addr,
    /// How long the address may be used, in seconds (option 51); `None` in a NAK and in the answer to an INFORM.
    pub lease_seconds: Option<u32>,
    /// Option 1.
    pub mask: Option<Ipv4Addr>,
    /// Option 3.
    pub routers: Vec<Ipv4Addr>,
    /// Option 121. Clients that know it look at no other routers, so the default route belongs in it too (RFC 3442).
    pub routes: Vec<Route>,
    /// What a frame carries, in octets (option 26).
    pub mtu: Option<u16>,
    /// Option 6.
    pub dns: Vec<Ipv4Addr>,
    /// Option 12; at most 255 octets.
    pub hostname: Option<String>,
    /// Option 15; at most 255 octets.
    pub domain: Option<String>,
    /// What to load; `None` when the machine has nothing to load from the network.
    pub boot: Option<BootFile>,
    /// Another server gives the address, and this one says only what to load (ProxyDHCP, PXE 2.1 §2.2.3).
    pub is_proxy: bool,
    /// Tells iPXE not to wait for a ProxyDHCP server (option 175, within it 176).
    pub no_proxy_dhcp: bool,
    /// Option 56: why, in a NAK; at most 255 octets.
    pub message: Option<String>,
    /// Options by code and value that are none of the above; at most 255 octets each. Not read by [`Reply::parse`].
    pub others: Vec<(u8, Vec<u8>)>,
}

impl Reply {
    /// A reply of this kind from this server with all else empty.
    #[must_use]
    pub fn new(kind: ReplyKind, server: Ipv4Addr) -> Self {
        Self {
            kind,
            server,
            address: Ipv4Addr::UNSPECIFIED,
            lease_seconds: None,
            mask: None,
            routers: Vec::new(),
            routes: Vec::new(),
            mtu: None,
            dns: Vec::new(),
            hostname: None,
            domain: None,
            boot: None,
            is_proxy: false,
            no_proxy_dhcp: false,
            message: None,
            others: Vec::new(),
        }
    }

    /// The datagram that answers `request`. Client identifier and relay information are echoed (RFC 6842, RFC 3046).
    ///
    /// # Errors
    /// [`DhcpError::TooLong`] when a field does not fit, or the whole exceeds what the client said it takes.
    pub fn encode(&self, request: &Request) -> Result<Vec<u8>, DhcpError> {
        fits("the host name", self.hostname.as_deref(), 255)?;
        fits("the domain name", self.domain.as_deref(), 255)?;
        fits("the message", self.message.as_deref(), 255)?;
        let routes = encode_routes(&self.routes);
        for (field, size) in std::iter::once(("the routes", routes.len()))
            .chain(self.others.iter().map(|(_, value)| ("an option", value.len())))
        {
            if size > 255 {
                return Err(DhcpError::TooLong { field, size, limit: 255 });
            }
        }
        let keeps_address = self.kind == ReplyKind::Ack;
        let mut message = Message::new_with_id(
            request.xid,
            // RFC 2131 table 3: an ACK repeats the client's own address, OFFER and NAK do not.
            if keeps_address { request.ciaddr } else { Ipv4Addr::UNSPECIFIED },
            self.address,
            Ipv4Addr::UNSPECIFIED,
            request.giaddr,
            &request.mac.octets(),
        );
        message.set_opcode(Opcode::BootReply);
        // A NAK through a relay must be broadcast by it: the client has no usable address (RFC 2131 §4.3.2).
        let relayed_nak = self.kind == ReplyKind::Nak && !request.giaddr.is_unspecified();
        if request.broadcast || relayed_nak {
            message.set_flags(Flags::default().set_broadcast());
        }
        // First, so that they can't take the place of what the protocol and the boot need.
        for (code, value) in &self.others {
            message.opts_mut().insert(raw(*code, value.clone()));
        }
        if self.is_proxy {
            let options = message.opts_mut();
            options.insert(DhcpOption::ClassIdentifier(b"PXEClient".to_vec()));
            options.insert(raw(code::VENDOR_OPTIONS, BOOT_THIS.to_vec()));
            if let Some(machine) = request.machine {
                options.insert(raw(code::MACHINE_IDENTIFIER, [&[0][..], &machine].concat()));
            }
        }
        if let Some(boot) = &self.boot {
            put_boot(&mut message, boot)?;
        }
        let options = message.opts_mut();
        options.insert(DhcpOption::MessageType(match self.kind {
            ReplyKind::Offer => MessageType::Offer,
            ReplyKind::Ack => MessageType::Ack,
            ReplyKind::Nak => MessageType::Nak,
        }));
        options.insert(DhcpOption::ServerIdentifier(self.server));
        if let Some(seconds) = self.lease_seconds {
            options.insert(DhcpOption::AddressLeaseTime(seconds));
        }
        if let Some(mask) = self.mask {
            options.insert(DhcpOption::SubnetMask(mask));
        }
        if !self.routers.is_empty() {
            options.insert(DhcpOption::Router(self.routers.clone()));
        }
        if !routes.is_empty() {
            options.insert(raw(code::CLASSLESS_ROUTES, routes));
        }
        if let Some(mtu) = self.mtu {
            options.insert(raw(code::INTERFACE_MTU, mtu.to_be_bytes().to_vec()));
        }
        if !self.dns.is_empty() {
            options.insert(DhcpOption::DomainNameServer(self.dns.clone()));
        }
        if let Some(name) = &self.hostname {
            options.insert(DhcpOption::Hostname(name.clone()));
        }
        if let Some(name) = &self.domain {
            options.insert(DhcpOption::DomainName(name.clone()));
        }
        if let Some(text) = &self.message {
            options.insert(DhcpOption::Message(text.clone()));
        }
        if self.no_proxy_dhcp {
            options.insert(raw(code::IPXE, vec![code::IPXE_NO_PXEDHCP, 1, 1]));
        }
        if let Some(id) = &request.client_id {
            options.insert(DhcpOption::ClientIdentifier(id.clone()));
        }
        if let Some(info) = &request.relay_agent {
            options.insert(raw(code::RELAY_AGENT, info.clone()));
        }
        let bytes = encode(&message)?;
        // The size that a client gives counts the IP and UDP headers (28 octets).
        let limit = usize::from(request.max_message_bytes.max(576)) - 28;
        if bytes.len() > limit {
            return Err(DhcpError::TooLong { field: "the reply", size: bytes.len(), limit });
        }
        Ok(bytes)
    }

    /// Where the reply goes (RFC 2131 §4.1): to the relay, to the address the client already has, else to everyone.
    ///
    /// A client without an address gets a broadcast even where it did not ask for one: unicast to an address that does
    /// not answer ARP yet needs a raw socket, and RFC 2131 lets a server broadcast instead.
    #[must_use]
    pub fn destination(&self, request: &Request) -> SocketAddrV4 {
        if !request.giaddr.is_unspecified() {
            SocketAddrV4::new(request.giaddr, SERVER_PORT)
        } else if self.kind != ReplyKind::Nak && !request.ciaddr.is_unspecified() {
            SocketAddrV4::new(request.ciaddr, CLIENT_PORT)
        } else {
            SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT)
        }
    }

    /// Reads a datagram that arrived at a client's port: the transaction number, the client's Ethernet address and the
    /// reply. Meant for simulated machines; text that is not UTF-8 is taken as absent.
    ///
    /// # Errors
    /// [`DhcpError::Malformed`] and [`DhcpError::NotForUs`]; both mean: drop it.
    pub fn parse(bytes: &[u8]) -> Result<(u32, Mac, Self), DhcpError> {
        let malformed = |what| DhcpError::Malformed { what };
        if bytes.len() > MAX_PACKET_BYTES {
            return Err(malformed("longer than an Ethernet frame"));
        }
        let view = View::new(bytes).map_err(|_| malformed("shorter than the fixed part"))?;
        if view.opcode() != Opcode::BootReply || view.htype() != HType::Eth || view.hlen() != 6 {
            return Err(DhcpError::NotForUs { what: "not a reply to an Ethernet client" });
        }
        let mac =
            <[u8; 6]>::try_from(view.chaddr()).map(Mac::new).map_err(|_| malformed("hardware address"))?;
        let mut reply = Self::new(ReplyKind::Nak, Ipv4Addr::UNSPECIFIED);
        reply.address = view.yiaddr();
        let (mut kind, mut url, mut is_http_boot) = (None, None, false);
        for option in view.opts() {
            let data = option.data();
            let text = || String::from_utf8(data.to_vec()).ok();
            match u8::from(option.code()) {
                code::MESSAGE_TYPE => kind = server_kind(data),
                code::SERVER_IDENTIFIER => reply.server = address(data).unwrap_or(Ipv4Addr::UNSPECIFIED),
                code::LEASE_TIME => {
                    reply.lease_seconds = <[u8; 4]>::try_from(data).ok().map(u32::from_be_bytes)
                }
                1 => reply.mask = address(data),
                code::CLASSLESS_ROUTES => reply.routes = parse_routes(data),
                code::INTERFACE_MTU => reply.mtu = <[u8; 2]>::try_from(data).ok().map(u16::from_be_bytes),
                3 => reply.routers = data.chunks_exact(4).filter_map(address).collect(),
                6 => reply.dns = data.chunks_exact(4).filter_map(address).collect(),
                code::HOST_NAME => reply.hostname = text(),
                15 => reply.domain = text(),
                56 => reply.message = text(),
                code::CLASS_IDENTIFIER => {
                    is_http_boot = data.starts_with(b"HTTPClient");
                    reply.is_proxy |= data.starts_with(b"PXEClient");
                }
                code::VENDOR_OPTIONS => reply.is_proxy |= data == BOOT_THIS,
                67 => url = text(),
                code::IPXE => {
                    reply.no_proxy_dhcp = DhcpOptionIterator::new(data)
                        .any(|o| u8::from(o.code()) == code::IPXE_NO_PXEDHCP && o.data() == [1]);
                }
                _ => {}
            }
        }
        let file = String::from_utf8(view.fname().to_vec()).ok().filter(|f| !f.is_empty()).or(url);
        reply.boot = file.map(|file| match (is_http_boot, file.contains("://")) {
            (true, _) => BootFile::HttpBoot(file),
            (false, true) => BootFile::Url(file),
            (false, false) => BootFile::Tftp { server: view.siaddr(), name: file },
        });
        reply.kind = kind.ok_or_else(|| malformed("no server's message type (option 53)"))?;
        Ok((view.xid(), mac, reply))
    }
}

/// RFC 3442: the prefix's length, as many octets of the network as it needs, the router.
fn encode_routes(routes: &[Route]) -> Vec<u8> {
    let mut out = Vec::new();
    for route in routes {
        let significant = usize::from(route.prefix.min(32)).div_ceil(8);
        out.push(route.prefix.min(32));
        out.extend_from_slice(&route.network.octets()[..significant]);
        out.extend_from_slice(&route.router.octets());
    }
    out
}

/// The routes up to the first that is none.
fn parse_routes(mut data: &[u8]) -> Vec<Route> {
    let mut routes = Vec::new();
    while let [prefix @ 0..=32, rest @ ..] = data {
        let significant = usize::from(*prefix).div_ceil(8);
        let Some((octets, left)) = rest.split_at_checked(significant) else { break };
        let Some((router, left)) = left.split_at_checked(4) else { break };
        let mut network = [0; 4];
        network[..significant].copy_from_slice(octets);
        let Some(router) = address(router) else { break };
        routes.push(Route { network: network.into(), prefix: *prefix, router });
        data = left;
    }
    routes
}

fn server_kind(data: &[u8]) -> Option<ReplyKind> {
    match data {
        [2] => Some(ReplyKind::Offer),
        [5] => Some(ReplyKind::Ack),
        [6] => Some(ReplyKind::Nak),
        _ => None,
    }
}

/// Firmware reads either the fixed fields or the options, seldom both, so TFTP boot fills in both. UEFI's HTTP boot and
/// iPXE read option 67, where a URL may be longer than the fixed field.
fn put_boot(message: &mut Message, boot: &BootFile) -> Result<(), DhcpError> {
    match boot {
        BootFile::Tftp { server, name } => {
            fits("the boot file's name", Some(name), 127)?;
            message.set_siaddr(*server).set_fname(name.as_bytes());
            let options = message.opts_mut();
            options.insert(DhcpOption::TFTPServerName(server.to_string().into_bytes()));
            options.insert(DhcpOption::BootfileName(name.clone().into_bytes()));
            options.insert(DhcpOption::TFTPServerAddress(*server));
        }
        BootFile::Url(url) => {
            fits("the boot script's URL", Some(url), 255)?;
            message.opts_mut().insert(DhcpOption::BootfileName(url.clone().into_bytes()));
        }
        BootFile::HttpBoot(url) => {
            fits("the boot program's URL", Some(url), 255)?;
            let options = message.opts_mut();
            options.insert(DhcpOption::ClassIdentifier(b"HTTPClient".to_vec()));
            options.insert(DhcpOption::BootfileName(url.clone().into_bytes()));
        }
    }
    Ok(())
}

fn fits(field: &'static str, text: Option<&str>, limit: usize) -> Result<(), DhcpError> {
    match text.map_or(0, str::len) {
        size if size > limit => Err(DhcpError::TooLong { field, size, limit }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Arch, Kind, VendorClass};
    use super::*;
    use proptest::prelude::*;

    const MAC: Mac = Mac::new([0x52, 0x54, 0, 0x77, 0, 1]);
    const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

    fn offer() -> Reply {
        let mut reply = Reply::new(ReplyKind::Offer, SERVER);
        reply.address = Ipv4Addr::new(10, 77, 0, 130);
        reply.lease_seconds = Some(3600);
        reply.mask = Some(Ipv4Addr::new(255, 255, 255, 0));
        reply
    }

    fn discover() -> Request {
        let mut request = Request::new(Kind::Discover, MAC, 0x0102_0304);
        request.arch = Some(Arch::Bios);
        request.vendor_class = Some(VendorClass::Pxe);
        request
    }

    #[test]
    fn an_offer_to_a_pxe_rom_byte_by_byte() {
        let mut reply = offer();
        reply.boot = Some(BootFile::Tftp { server: SERVER, name: "undionly.kpxe".into() });
        let bytes = reply.encode(&discover()).unwrap();
        assert_eq!(&bytes[..12], &[2, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0, 0]);
        assert_eq!(&bytes[12..28], &[0, 0, 0, 0, 10, 77, 0, 130, 10, 77, 0, 1, 0, 0, 0, 0]);
        assert_eq!(&bytes[28..44], &[0x52, 0x54, 0, 0x77, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&bytes[108..122], b"undionly.kpxe\0");
        let mut options = vec![99, 130, 83, 99, 1, 4, 255, 255, 255, 0, 51, 4, 0, 0, 14, 16, 53, 1, 2];
        options.extend([54, 4, 10, 77, 0, 1, 66, 9]);
        options.extend(b"10.77.0.1\x43\x0dundionly.kpxe");
        options.extend([150, 4, 10, 77, 0, 1, 255]);
        assert_eq!(&bytes[236..236 + options.len()], options);
        assert!(bytes.len() >= 300);
    }

    #[test]
    fn ipxe_is_told_not_to_wait_for_a_proxy() {
        let mut reply = offer();
        reply.no_proxy_dhcp = true;
        reply.boot = Some(BootFile::Url("http://10.77.0.1:6385/boot/52:54:00:77:00:01/script.ipxe".into()));
        let bytes = reply.encode(&discover()).unwrap();
        assert!(bytes.windows(5).any(|w| w == [175, 3, 176, 1, 1]));
        assert!(bytes[108..236].iter().all(|&b| b == 0), "a URL is carried by option 67 alone");
        assert_eq!(Reply::parse(&bytes), Ok((0x0102_0304, MAC, reply)));
    }

    #[test]
    fn routes_mtu_and_others_are_octets_as_their_rfcs_have_them() {
        let route = |network: [u8; 4], prefix, router: [u8; 4]| Route {
            network: network.into(),
            prefix,
            router: router.into(),
        };
        let mut reply = offer();
        reply.mtu = Some(9000);
        // RFC 3442 §"Classless Route Option Format": only the significant octets of the destination.
        reply.routes = vec![
            route([0, 0, 0, 0], 0, [10, 77, 0, 254]),
            route([10, 17, 0, 0], 16, [10, 77, 0, 2]),
            route([169, 254, 169, 254], 32, [10, 77, 0, 1]),
        ];
        let bytes = reply.encode(&discover()).unwrap();
        assert!(bytes.windows(4).any(|w| w == [26, 2, 0x23, 0x28]));
        let mut option = vec![121, 5 + 7 + 9, 0, 10, 77, 0, 254, 16, 10, 17, 10, 77, 0, 2];
        option.extend([32, 169, 254, 169, 254, 10, 77, 0, 1]);
        assert!(bytes.windows(option.len()).any(|w| w == option));
        assert_eq!(Reply::parse(&bytes).unwrap().2, reply);

        reply.others = vec![(42, vec![10, 77, 0, 5]), (53, vec![9])];
        let bytes = reply.encode(&discover()).unwrap();
        assert!(bytes.windows(6).any(|w| w == [42, 4, 10, 77, 0, 5]));
        assert_eq!(
            Reply::parse(&bytes).unwrap().2.kind,
            ReplyKind::Offer,
            "the message's type is not theirs to say"
        );
        reply.others = vec![(42, vec![0; 256])];
        assert!(matches!(reply.encode(&discover()), Err(DhcpError::TooLong { size: 256, limit: 255, .. })));
        reply.others.clear();
        reply.routes = vec![route([10, 0, 0, 0], 32, [10, 77, 0, 1]); 29];
        assert!(matches!(reply.encode(&discover()), Err(DhcpError::TooLong { field: "the routes", .. })));
        assert_eq!(parse_routes(&[33, 1, 2]), []);
        assert_eq!(parse_routes(&[24, 10, 0, 0, 1, 2]), []);
    }

    #[test]
    fn a_proxy_gives_no_address_and_says_whom_it_speaks_to() {
        let mut reply = Reply::new(ReplyKind::Offer, SERVER);
        reply.is_proxy = true;
        reply.boot = Some(BootFile::Tftp { server: SERVER, name: "undionly.kpxe".into() });
        let mut request = discover();
        request.machine = Some([7; 16]);
        let bytes = reply.encode(&request).unwrap();
        assert_eq!(&bytes[16..20], &[0, 0, 0, 0]);
        assert!(bytes.windows(11).any(|w| w == b"\x3c\x09PXEClient"));
        assert!(bytes.windows(6).any(|w| w == [43, 4, 6, 1, 8, 255]));
        assert!(bytes.windows(19).any(|w| w[..3] == [97, 17, 0] && w[3..] == [7; 16]));
        assert_eq!(Reply::parse(&bytes).unwrap().2, reply);
    }

    #[test]
    fn uefi_http_boot_gets_its_class_back() {
        let mut reply = offer();
        reply.boot =
            Some(BootFile::HttpBoot("http://10.77.0.1:6385/boot/52:54:00:77:00:01/snponly.efi".into()));
        let bytes = reply.encode(&discover()).unwrap();
        assert!(bytes.windows(12).any(|w| w == b"\x3c\x0aHTTPClient"));
        assert_eq!(Reply::parse(&bytes).unwrap().2, reply);
    }

    #[test]
    fn goes_where_rfc_2131_says() {
        let mut request = discover();
        let reply = offer();
        assert_eq!(reply.destination(&request).to_string(), "255.255.255.255:68");
        request.ciaddr = Ipv4Addr::new(10, 77, 0, 130);
        assert_eq!(reply.destination(&request).to_string(), "10.77.0.130:68");
        assert_eq!(
            Reply::new(ReplyKind::Nak, SERVER).destination(&request).to_string(),
            "255.255.255.255:68"
        );
        request.giaddr = Ipv4Addr::new(10, 78, 0, 1);
        assert_eq!(reply.destination(&request).to_string(), "10.78.0.1:67");
    }

    #[test]
    fn a_nak_through_a_relay_asks_it_to_broadcast() {
        let mut request = discover();
        request.giaddr = Ipv4Addr::new(10, 78, 0, 1);
        let bytes = Reply::new(ReplyKind::Nak, SERVER).encode(&request).unwrap();
        assert_eq!(&bytes[10..12], &[0x80, 0]);
        assert_eq!(&bytes[24..28], &[10, 78, 0, 1]);
    }

    #[test]
    fn echoes_identifier_and_relay_information() {
        let mut request = discover();
        request.client_id = Some(vec![1, 2, 3]);
        request.relay_agent = Some(vec![1, 1, 9]);
        let bytes = offer().encode(&request).unwrap();
        assert!(bytes.windows(5).any(|w| w == [61, 3, 1, 2, 3]));
        // RFC 3046 §2.2: the relay's option is the last one.
        let end = bytes.iter().rposition(|&b| b == 255).unwrap();
        assert_eq!(&bytes[end - 5..end], &[82, 3, 1, 1, 9]);
    }

    #[test]
    fn says_what_is_too_long() {
        let mut reply = offer();
        reply.boot = Some(BootFile::Tftp { server: SERVER, name: "x".repeat(128) });
        assert!(matches!(reply.encode(&discover()), Err(DhcpError::TooLong { size: 128, limit: 127, .. })));
        reply.boot = Some(BootFile::Url("x".repeat(250)));
        reply.hostname = Some("h".repeat(250));
        assert!(matches!(reply.encode(&discover()), Err(DhcpError::TooLong { field: "the reply", .. })));
    }

    proptest! {
        #[test]
        fn parse_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = Reply::parse(&bytes);
        }

        #[test]
        fn encode_never_panics(host in "\\PC{0,300}", url in "\\PC{0,300}", dns in proptest::collection::vec(any::<u32>(), 0..200)) {
            let mut reply = offer();
            reply.hostname = Some(host);
            reply.boot = Some(BootFile::Url(url));
            reply.dns = dns.into_iter().map(Ipv4Addr::from).collect();
            let _ = reply.encode(&discover());
        }
    }
}
