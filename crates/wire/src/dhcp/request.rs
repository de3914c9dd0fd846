//! What a machine says to a DHCP server.

use std::net::Ipv4Addr;

use dhcproto::v4::borrowed::{DhcpOptionIterator, Message as View};
use dhcproto::v4::{
    DhcpOption, Encodable, Encoder, Flags, HType, Message, MessageType, Opcode, OptionCode, UnknownOption,
};

use super::{DhcpError, MAX_PACKET_BYTES, Mac, code};

/// The kinds of message that a client sends (RFC 2131 §3.1, option 53).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Who can give me an address?
    Discover,
    /// I take this one, I want to go on using this one.
    Request,
    /// Someone else already uses what you gave me.
    Decline,
    /// I need the address no longer.
    Release,
    /// I have an address; tell me the rest.
    Inform,
}

/// A client system architecture (option 93, RFC 4578 §2.1; values: IANA "Processor Architecture Types").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arch {
    /// 0: PC BIOS.
    Bios,
    /// 6: 32-bit UEFI.
    Ia32,
    /// 7, and 9 as much firmware says: 64-bit UEFI.
    X64,
    /// 11: 64-bit ARM UEFI.
    Arm64,
    /// 15: 32-bit UEFI that boots from HTTP.
    Ia32Http,
    /// 16: 64-bit UEFI that boots from HTTP.
    X64Http,
    /// 19: 64-bit ARM UEFI that boots from HTTP.
    Arm64Http,
    /// Any other number.
    Other(u16),
}

impl Arch {
    /// Whether this is firmware that loads its first program by HTTP.
    #[must_use]
    pub const fn is_http(self) -> bool {
        matches!(self, Self::Ia32Http | Self::X64Http | Self::Arm64Http)
    }
}

impl From<u16> for Arch {
    fn from(number: u16) -> Self {
        match number {
            0 => Self::Bios,
            6 => Self::Ia32,
            7 | 9 => Self::X64,
            11 => Self::Arm64,
            15 => Self::Ia32Http,
            16 => Self::X64Http,
            19 => Self::Arm64Http,
            other => Self::Other(other),
        }
    }
}

impl From<Arch> for u16 {
    fn from(arch: Arch) -> Self {
        match arch {
            Arch::Bios => 0,
            Arch::Ia32 => 6,
            Arch::X64 => 7,
            Arch::Arm64 => 11,
            Arch::Ia32Http => 15,
            Arch::X64Http => 16,
            Arch::Arm64Http => 19,
            Arch::Other(other) => other,
        }
    }
}

/// What option 60 says about the firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VendorClass {
    /// `PXEClient…`: network boot firmware that loads by TFTP (PXE 2.1 §2.2.3).
    Pxe,
    /// `HTTPClient…`: UEFI firmware that loads by HTTP (UEFI 2.10 §24.7.2).
    Http,
    /// Any other, e.g. an operating system's client.
    Other,
}

/// The client is iPXE, as its user class (option 77) or its own option 175 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ipxe {
    /// Whether this build can fetch by HTTP. A build that lists its features without HTTP can't; one that lists none
    /// is taken to, as every default build can.
    pub can_http: bool,
}

/// A client's message, checked and reduced to what a netboot server needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What the client wants.
    pub kind: Kind,
    /// The client's Ethernet address.
    pub mac: Mac,
    /// The transaction number that the reply must carry.
    pub xid: u32,
    /// Relays passed so far.
    pub hops: u8,
    /// Seconds since the client began, by its own count.
    pub secs: u16,
    /// The client can't receive unicast before it is configured (RFC 2131 §2, flag B).
    pub broadcast: bool,
    /// The address that the client has and answers to; unspecified when it has none.
    pub ciaddr: Ipv4Addr,
    /// The relay that passed the message on; unspecified when it came from this segment.
    pub giaddr: Ipv4Addr,
    /// Option 50: the address that the client would like, or takes.
    pub requested: Option<Ipv4Addr>,
    /// Option 54: the server whose offer the client takes.
    pub server: Option<Ipv4Addr>,
    /// Option 93, the first one listed.
    pub arch: Option<Arch>,
    /// Option 60.
    pub vendor_class: Option<VendorClass>,
    /// Set when the client is iPXE.
    pub ipxe: Option<Ipxe>,
    /// Option 97, type 0: the machine's UUID, in the order in which it came over the wire.
    pub machine: Option<[u8; 16]>,
    /// Option 61, to be echoed (RFC 6842).
    pub client_id: Option<Vec<u8>>,
    /// Option 82, to be echoed (RFC 3046 §2.2).
    pub relay_agent: Option<Vec<u8>>,
    /// Option 57: the largest message that the client takes, in octets; at least 576.
    pub max_message_bytes: u16,
}

impl Request {
    /// A message of this kind with all else empty, for clients to fill in.
    #[must_use]
    pub fn new(kind: Kind, mac: Mac, xid: u32) -> Self {
        Self {
            kind,
            mac,
            xid,
            hops: 0,
            secs: 0,
            broadcast: false,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            giaddr: Ipv4Addr::UNSPECIFIED,
            requested: None,
            server: None,
            arch: None,
            vendor_class: None,
            ipxe: None,
            machine: None,
            client_id: None,
            relay_agent: None,
            max_message_bytes: 576,
        }
    }

    /// Reads a datagram that arrived at a server's port.
    ///
    /// An option that is malformed (wrong length) is taken as absent; what a client must send is checked.
    ///
    /// # Errors
    /// [`DhcpError::Malformed`] and [`DhcpError::NotForUs`]; both mean: drop it.
    pub fn parse(bytes: &[u8]) -> Result<Self, DhcpError> {
        let malformed = |what| DhcpError::Malformed { what };
        if bytes.len() > MAX_PACKET_BYTES {
            return Err(malformed("longer than an Ethernet frame"));
        }
        let view = View::new(bytes).map_err(|_| malformed("shorter than the fixed part"))?;
        if view.opcode() != Opcode::BootRequest {
            return Err(DhcpError::NotForUs { what: "not a request" });
        }
        // Checked before chaddr(), which trusts the length field.
        if view.htype() != HType::Eth || view.hlen() != 6 {
            return Err(DhcpError::NotForUs { what: "hardware other than Ethernet" });
        }
        let mac =
            <[u8; 6]>::try_from(view.chaddr()).map(Mac::new).map_err(|_| malformed("hardware address"))?;
        if !mac.is_unicast() {
            return Err(malformed("a group address as the client's own"));
        }
        let mut kind = None;
        // The real kind is set below; without option 53 there is none and the packet is refused.
        let mut request = Self::new(Kind::Discover, mac, view.xid());
        request.hops = view.hops();
        request.secs = view.secs();
        request.broadcast = view.flags().broadcast();
        request.ciaddr = view.ciaddr();
        request.giaddr = view.giaddr();
        let mut is_ipxe = false;
        let mut features = None;
        for option in view.opts() {
            let data = option.data();
            match u8::from(option.code()) {
                code::MESSAGE_TYPE => kind = Some(client_kind(data)?),
                code::REQUESTED_ADDRESS => request.requested = address(data),
                code::SERVER_IDENTIFIER => request.server = address(data),
                code::ARCHITECTURE => {
                    request.arch = data.first_chunk::<2>().map(|b| Arch::from(u16::from_be_bytes(*b)));
                }
                code::CLASS_IDENTIFIER => request.vendor_class = Some(vendor_class(data)),
                code::USER_CLASS => is_ipxe |= is_ipxe_user_class(data),
                code::IPXE => {
                    is_ipxe = true;
                    features = Some(DhcpOptionIterator::new(data).any(|o| {
                        u8::from(o.code()) == code::IPXE_FEATURE_HTTP && o.data().iter().any(|&b| b != 0)
                    }));
                }
                code::MACHINE_IDENTIFIER => {
                    request.machine = data.strip_prefix(&[0]).and_then(|uuid| uuid.try_into().ok());
                }
                // An identifier longer than one option is nobody's (RFC 2132 §9.14) and would be echoed to all.
                code::CLIENT_IDENTIFIER if (2..=255).contains(&data.len()) => {
                    request.client_id = Some(data.to_vec())
                }
                code::RELAY_AGENT if data.len() <= 255 => request.relay_agent = Some(data.to_vec()),
                code::MAX_MESSAGE_SIZE => {
                    let size = <[u8; 2]>::try_from(data).map_or(576, u16::from_be_bytes);
                    request.max_message_bytes = size.max(576);
                }
                _ => {}
            }
        }
        request.kind = kind.ok_or_else(|| malformed("no message type (option 53)"))?;
        request.ipxe = is_ipxe.then(|| Ipxe { can_http: features.unwrap_or(true) });
        Ok(request)
    }

    /// The datagram a client would send.
    ///
    /// # Errors
    /// [`DhcpError::TooLong`] when an option does not fit.
    pub fn encode(&self) -> Result<Vec<u8>, DhcpError> {
        let mut message = Message::new_with_id(
            self.xid,
            self.ciaddr,
            Ipv4Addr::UNSPECIFIED,
            Ipv4Addr::UNSPECIFIED,
            self.giaddr,
            &self.mac.octets(),
        );
        message.set_opcode(Opcode::BootRequest).set_hops(self.hops).set_secs(self.secs);
        if self.broadcast {
            message.set_flags(Flags::default().set_broadcast());
        }
        let options = message.opts_mut();
        options.insert(DhcpOption::MessageType(match self.kind {
            Kind::Discover => MessageType::Discover,
            Kind::Request => MessageType::Request,
            Kind::Decline => MessageType::Decline,
            Kind::Release => MessageType::Release,
            Kind::Inform => MessageType::Inform,
        }));
        options.insert(DhcpOption::MaxMessageSize(self.max_message_bytes));
        if let Some(address) = self.requested {
            options.insert(DhcpOption::RequestedIpAddress(address));
        }
        if let Some(address) = self.server {
            options.insert(DhcpOption::ServerIdentifier(address));
        }
        if let Some(arch) = self.arch {
            options.insert(DhcpOption::ClientSystemArchitecture(u16::from(arch).into()));
        }
        match self.vendor_class {
            Some(VendorClass::Pxe) => {
                options.insert(DhcpOption::ClassIdentifier(b"PXEClient".to_vec()));
            }
            Some(VendorClass::Http) => {
                options.insert(DhcpOption::ClassIdentifier(b"HTTPClient".to_vec()));
            }
            Some(VendorClass::Other) | None => {}
        }
        if let Some(ipxe) = self.ipxe {
            options.insert(DhcpOption::UserClass(b"iPXE".to_vec()));
            let features = vec![code::IPXE_FEATURE_HTTP, 1, u8::from(ipxe.can_http)];
            options.insert(raw(code::IPXE, features));
        }
        if let Some(machine) = self.machine {
            let mut data = vec![0];
            data.extend_from_slice(&machine);
            options.insert(DhcpOption::ClientMachineIdentifier(data));
        }
        if let Some(id) = &self.client_id {
            options.insert(DhcpOption::ClientIdentifier(id.clone()));
        }
        if let Some(info) = &self.relay_agent {
            options.insert(raw(code::RELAY_AGENT, info.clone()));
        }
        encode(&message)
    }
}

/// An option given by its number and bytes.
pub(super) fn raw(number: u8, data: Vec<u8>) -> DhcpOption {
    DhcpOption::Unknown(UnknownOption::new(OptionCode::from(number), data))
}

/// The bytes of a message, padded to BOOTP's 300 octets, below which old relays and ROMs drop it (RFC 1542 §2.1).
pub(super) fn encode(message: &Message) -> Result<Vec<u8>, DhcpError> {
    let mut bytes = Vec::with_capacity(576);
    message
        .encode(&mut Encoder::new(&mut bytes))
        .map_err(|_| DhcpError::Malformed { what: "can't be encoded" })?;
    if bytes.len() > MAX_PACKET_BYTES {
        return Err(DhcpError::TooLong { field: "the message", size: bytes.len(), limit: MAX_PACKET_BYTES });
    }
    if bytes.len() < dhcproto::v4::MIN_PACKET_SIZE {
        bytes.resize(dhcproto::v4::MIN_PACKET_SIZE, 0);
    }
    Ok(bytes)
}

pub(super) fn address(data: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(data).ok().map(Ipv4Addr::from)
}

fn client_kind(data: &[u8]) -> Result<Kind, DhcpError> {
    let &[number] = data else {
        return Err(DhcpError::Malformed { what: "message type of another length than one" });
    };
    match MessageType::from(number) {
        MessageType::Discover => Ok(Kind::Discover),
        MessageType::Request => Ok(Kind::Request),
        MessageType::Decline => Ok(Kind::Decline),
        MessageType::Release => Ok(Kind::Release),
        MessageType::Inform => Ok(Kind::Inform),
        MessageType::Offer | MessageType::Ack | MessageType::Nak => {
            Err(DhcpError::NotForUs { what: "a server's message" })
        }
        _ => Err(DhcpError::NotForUs { what: "a message type that we do not speak" }),
    }
}

fn vendor_class(data: &[u8]) -> VendorClass {
    if data.starts_with(b"PXEClient") {
        VendorClass::Pxe
    } else if data.starts_with(b"HTTPClient") {
        VendorClass::Http
    } else {
        VendorClass::Other
    }
}

/// iPXE sends its user class as plain text, not as RFC 3004's list of counted strings; other clients send the list.
fn is_ipxe_user_class(data: &[u8]) -> bool {
    data == b"iPXE" || data.strip_prefix(&[4]).is_some_and(|rest| rest.starts_with(b"iPXE"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAC: Mac = Mac::new([0x52, 0x54, 0, 0x77, 0, 1]);

    /// A DISCOVER as firmware lays it out, with these options after the message type.
    fn discover(options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 240];
        bytes[..4].copy_from_slice(&[1, 1, 6, 0]);
        bytes[4..8].copy_from_slice(&[0xde, 0xad, 0xbe, 0xef]);
        bytes[10] = 0x80;
        bytes[28..34].copy_from_slice(&MAC.octets());
        bytes[236..].copy_from_slice(&[99, 130, 83, 99]);
        bytes.extend([53, 1, 1]);
        bytes.extend(options);
        bytes.push(255);
        bytes
    }

    #[test]
    fn reads_what_a_pxe_rom_says() {
        let mut options = vec![93, 2, 0, 0, 94, 3, 1, 2, 1, 60, 32];
        options.extend(b"PXEClient:Arch:00000:UNDI:002001");
        options.extend([97, 17, 0]);
        options.extend([7; 16]);
        let request = Request::parse(&discover(&options)).unwrap();
        assert_eq!(request.kind, Kind::Discover);
        assert_eq!(request.mac, MAC);
        assert_eq!(request.xid, 0xdead_beef);
        assert!(request.broadcast);
        assert_eq!(request.arch, Some(Arch::Bios));
        assert_eq!(request.vendor_class, Some(VendorClass::Pxe));
        assert_eq!(request.machine, Some([7; 16]));
        assert_eq!(request.ipxe, None);
    }

    #[test]
    fn tells_ipxe_by_user_class_and_by_its_own_option() {
        let by_class = Request::parse(&discover(b"\x4d\x04iPXE")).unwrap();
        assert_eq!(by_class.ipxe, Some(Ipxe { can_http: true }));
        let listed = Request::parse(&discover(b"\x4d\x05\x04iPXE")).unwrap();
        assert_eq!(listed.ipxe, Some(Ipxe { can_http: true }));
        let with_http = Request::parse(&discover(&[175, 6, 19, 1, 1, 21, 1, 1])).unwrap();
        assert_eq!(with_http.ipxe, Some(Ipxe { can_http: true }));
        let without = Request::parse(&discover(&[175, 3, 21, 1, 1])).unwrap();
        assert_eq!(without.ipxe, Some(Ipxe { can_http: false }));
        let other = Request::parse(&discover(b"\x4d\x04gPXE")).unwrap();
        assert_eq!(other.ipxe, None);
    }

    #[test]
    fn one_bad_option_does_not_hide_the_next() {
        // A host name that is not UTF-8, a network interface option of the wrong length (94), a route with a
        // prefix of 33 (121): each stops or panics a decoder that interprets all options.
        let request = Request::parse(&discover(&[
            12, 2, 0xff, 0xfe, 94, 1, 1, 121, 6, 33, 1, 2, 3, 4, 5, 50, 3, 1, 2, 3, 93, 2, 0, 16,
        ]))
        .unwrap();
        assert_eq!(request.arch, Some(Arch::X64Http));
        assert_eq!(request.requested, None);
    }

    #[test]
    fn refuses_what_can_not_be_a_client() {
        let mut reply = discover(&[]);
        reply[0] = 2;
        assert!(matches!(Request::parse(&reply), Err(DhcpError::NotForUs { .. })));
        let mut long_address = discover(&[]);
        long_address[2] = 255;
        assert!(matches!(Request::parse(&long_address), Err(DhcpError::NotForUs { .. })));
        let mut group = discover(&[]);
        group[28] = 1;
        assert!(matches!(Request::parse(&group), Err(DhcpError::Malformed { .. })));
        let mut no_cookie = discover(&[]);
        no_cookie[236] = 0;
        assert!(matches!(Request::parse(&no_cookie), Err(DhcpError::Malformed { .. })));
        let mut offer = discover(&[]);
        offer[242] = 2;
        assert!(matches!(Request::parse(&offer), Err(DhcpError::NotForUs { .. })));
        assert!(matches!(Request::parse(&[0; 2000]), Err(DhcpError::Malformed { .. })));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = Request::parse(&bytes);
        }

        #[test]
        fn never_panics_on_any_options(options in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Request::parse(&discover(&options));
        }

        #[test]
        fn round_trips(
            xid: u32, secs: u16, broadcast: bool, hops in 0u8..16, arch in 0u16..40, ip: u32, http: bool,
            id in proptest::collection::vec(any::<u8>(), 2..40),
        ) {
            let mut request = Request::new(Kind::Request, MAC, xid);
            request.secs = secs;
            request.broadcast = broadcast;
            request.hops = hops;
            request.arch = Some(Arch::from(arch));
            request.requested = Some(Ipv4Addr::from(ip));
            request.server = Some(Ipv4Addr::from(!ip));
            request.vendor_class = Some(if http { VendorClass::Http } else { VendorClass::Pxe });
            request.ipxe = Some(Ipxe { can_http: http });
            request.machine = Some([9; 16]);
            request.relay_agent = Some(id.clone());
            request.client_id = Some(id);
            prop_assert_eq!(Request::parse(&request.encode().unwrap()), Ok(request));
        }
    }
}
