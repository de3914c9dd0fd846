//! Commands about channels and sessions (22.13 to 22.19).

use super::{Command, DecodeError, Privilege, at_least, netfn, u32_at};
use crate::ipmi::crypto::CipherSuite;

/// Channel number that means "the one this came in by".
const THIS_CHANNEL: u8 = 0x0e;

/// Get Channel Authentication Capabilities (22.13): the first thing asked of a BMC, outside any session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetChannelAuthCapabilities {
    /// Ask for IPMI v2.0 data as well.
    pub wants_v20: bool,
    /// Channel; 0Eh is the one in use.
    pub channel: u8,
    /// Privilege that the session will want.
    pub privilege: Privilege,
}

impl GetChannelAuthCapabilities {
    /// Asks about the channel in use, with IPMI v2.0 data.
    pub fn new(privilege: Privilege) -> Self {
        Self { wants_v20: true, channel: THIS_CHANNEL, privilege }
    }
}

/// The answer to [`GetChannelAuthCapabilities`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthCapabilities {
    /// Channel number.
    pub channel: u8,
    /// Authentication types of IPMI v1.5 (bit 7: v2.0 data follows).
    pub auth_types: u8,
    /// Byte 4: K_g set (bit 5), per-message and user authentication, who may log in without a name.
    pub status: u8,
    /// The channel speaks IPMI v2.0.
    pub has_v20: bool,
    /// The channel speaks IPMI v1.5.
    pub has_v15: bool,
}

impl AuthCapabilities {
    /// Is a BMC key (K_g) set, so that the client must know it?
    pub fn has_kg(&self) -> bool {
        self.status & 0x20 != 0
    }
}

impl Command for GetChannelAuthCapabilities {
    const NETFN: u8 = netfn::APP;
    const NUMBER: u8 = 0x38;
    const NAME: &'static str = "Get Channel Authentication Capabilities";
    type Response = AuthCapabilities;

    fn encode(&self) -> Vec<u8> {
        vec![u8::from(self.wants_v20) << 7 | self.channel & 0x0f, self.privilege.number()]
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        at_least("Get Channel Authentication Capabilities request", data, 2)?;
        Ok(Self {
            wants_v20: data[0] & 0x80 != 0,
            channel: data[0] & 0x0f,
            privilege: Privilege::from_number(data[1] & 0x0f)?,
        })
    }

    fn encode_response(r: &AuthCapabilities) -> Vec<u8> {
        let versions = u8::from(r.has_v15) | u8::from(r.has_v20) << 1;
        vec![r.channel, r.auth_types, r.status, versions, 0, 0, 0, 0]
    }

    fn decode_response(data: &[u8]) -> Result<AuthCapabilities, DecodeError> {
        at_least("Get Channel Authentication Capabilities response", data, 4)?;
        let extended = data[1] & 0x80 != 0;
        Ok(AuthCapabilities {
            channel: data[0] & 0x0f,
            auth_types: data[1],
            status: data[2],
            has_v15: !extended || data[3] & 0x01 != 0,
            has_v20: extended && data[3] & 0x02 != 0,
        })
    }
}

/// Get Channel Cipher Suites (22.15): sixteen bytes of suite records at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetChannelCipherSuites {
    /// Channel; 0Eh is the one in use.
    pub channel: u8,
    /// Payload type the suites are for; 0 is IPMI.
    pub payload_type: u8,
    /// Which sixteen bytes, 0–63.
    pub index: u8,
    /// List by suite, not by algorithm.
    pub by_suite: bool,
}

impl GetChannelCipherSuites {
    /// Asks for the `index`th sixteen bytes of the channel in use.
    pub fn new(index: u8) -> Self {
        Self { channel: THIS_CHANNEL, payload_type: 0, index: index & 0x3f, by_suite: true }
    }
}

/// One answer to [`GetChannelCipherSuites`]; fewer than sixteen bytes are the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CipherSuiteList {
    /// Channel number.
    pub channel: u8,
    /// Suite records, cut anywhere.
    pub records: Vec<u8>,
}

impl Command for GetChannelCipherSuites {
    const NETFN: u8 = netfn::APP;
    const NUMBER: u8 = 0x54;
    const NAME: &'static str = "Get Channel Cipher Suites";
    type Response = CipherSuiteList;

    fn encode(&self) -> Vec<u8> {
        vec![self.channel & 0x0f, self.payload_type & 0x3f, u8::from(self.by_suite) << 7 | self.index & 0x3f]
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        at_least("Get Channel Cipher Suites request", data, 3)?;
        Ok(Self {
            channel: data[0] & 0x0f,
            payload_type: data[1] & 0x3f,
            index: data[2] & 0x3f,
            by_suite: data[2] & 0x80 != 0,
        })
    }

    fn encode_response(r: &CipherSuiteList) -> Vec<u8> {
        let mut out = vec![r.channel];
        out.extend(r.records.iter().take(16));
        out
    }

    fn decode_response(data: &[u8]) -> Result<CipherSuiteList, DecodeError> {
        at_least("Get Channel Cipher Suites response", data, 1)?;
        Ok(CipherSuiteList { channel: data[0] & 0x0f, records: data[1..].iter().take(16).copied().collect() })
    }
}

/// Writes the records of suites (table 22-18).
pub(crate) fn suite_records(suites: &[CipherSuite]) -> Vec<u8> {
    suites
        .iter()
        .flat_map(|s| {
            let [auth, integrity, confidentiality] = s.algorithms();
            [0xc0, s.id(), auth, 0x40 | integrity, 0x80 | confidentiality]
        })
        .collect()
}

/// Numbers of the suites in all records together, vendors' own left out (table 22-18). Whatever the bytes, it ends.
pub fn offered_suites(records: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = records.iter().copied().peekable();
    while let Some(start) = rest.next() {
        match start {
            0xc0 => out.extend(rest.next()),
            // OEM record: id, three bytes of enterprise number.
            0xc1 => {
                rest.by_ref().take(4).for_each(drop);
            }
            _ => continue,
        }
        while rest.next_if(|b| *b < 0xc0).is_some() {}
    }
    out
}

/// Set Session Privilege Level (22.18).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetSessionPrivilege {
    /// The level wanted; `None` only asks for the present one.
    pub level: Option<Privilege>,
}

impl Command for SetSessionPrivilege {
    const NETFN: u8 = netfn::APP;
    const NUMBER: u8 = 0x3b;
    const NAME: &'static str = "Set Session Privilege Level";
    type Response = Privilege;

    fn encode(&self) -> Vec<u8> {
        vec![self.level.map_or(0, Privilege::number)]
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        at_least("Set Session Privilege Level request", data, 1)?;
        Ok(Self {
            level: match data[0] & 0x0f {
                0 => None,
                n => Some(Privilege::from_number(n)?),
            },
        })
    }

    fn encode_response(r: &Privilege) -> Vec<u8> {
        vec![r.number()]
    }

    fn decode_response(data: &[u8]) -> Result<Privilege, DecodeError> {
        at_least("Set Session Privilege Level response", data, 1)?;
        Privilege::from_number(data[0] & 0x0f)
    }
}

/// Close Session (22.19).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseSession {
    /// The managed system's id of the session.
    pub session_id: u32,
}

impl Command for CloseSession {
    const NETFN: u8 = netfn::APP;
    const NUMBER: u8 = 0x3c;
    const NAME: &'static str = "Close Session";
    type Response = ();

    fn encode(&self) -> Vec<u8> {
        self.session_id.to_le_bytes().to_vec()
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self { session_id: u32_at("Close Session request", data, 0)? })
    }

    fn encode_response((): &()) -> Vec<u8> {
        Vec::new()
    }

    fn decode_response(_data: &[u8]) -> Result<(), DecodeError> {
        Ok(())
    }
}
