//! The outer layers of a datagram: RMCP header, ASF presence ping, session header of IPMI v1.5 and v2.0.
//!
//! Specification 13.1 (RMCP), 13.2.3 and 13.2.4 (ping and pong), 13.6 (session headers, tables 13-8 to 13-10).

use super::{DecodeError, array, at_least, u32_at};

/// Longest datagram read or written. IPMI messages are below 300 bytes; serial over LAN adds little.
pub const MAX_DATAGRAM: usize = 1024;

const RMCP: [u8; 4] = [0x06, 0x00, 0xff, 0x07];
const RMCP_ASF: [u8; 4] = [0x06, 0x00, 0xff, 0x06];
const ASF_IANA: [u8; 4] = [0x00, 0x00, 0x11, 0xbe];
const AUTH_NONE: u8 = 0x00;
const AUTH_RMCP_PLUS: u8 = 0x06;
const FLAG_ENCRYPTED: u8 = 0x80;
const FLAG_AUTHENTICATED: u8 = 0x40;

/// What an RMCP+ payload holds (table 13-16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PayloadType {
    /// An IPMI message.
    Ipmi,
    /// Serial over LAN.
    SerialOverLan,
    /// RMCP+ Open Session Request.
    OpenSessionRequest,
    /// RMCP+ Open Session Response.
    OpenSessionResponse,
    /// RAKP message 1.
    Rakp1,
    /// RAKP message 2.
    Rakp2,
    /// RAKP message 3.
    Rakp3,
    /// RAKP message 4.
    Rakp4,
}

impl PayloadType {
    /// The number on the wire.
    pub fn number(self) -> u8 {
        match self {
            Self::Ipmi => 0x00,
            Self::SerialOverLan => 0x01,
            Self::OpenSessionRequest => 0x10,
            Self::OpenSessionResponse => 0x11,
            Self::Rakp1 => 0x12,
            Self::Rakp2 => 0x13,
            Self::Rakp3 => 0x14,
            Self::Rakp4 => 0x15,
        }
    }

    /// Reads the number on the wire; vendors' explicit payloads are not supported.
    pub fn from_number(number: u8) -> Result<Self, DecodeError> {
        Ok(match number {
            0x00 => Self::Ipmi,
            0x01 => Self::SerialOverLan,
            0x10 => Self::OpenSessionRequest,
            0x11 => Self::OpenSessionResponse,
            0x12 => Self::Rakp1,
            0x13 => Self::Rakp2,
            0x14 => Self::Rakp3,
            0x15 => Self::Rakp4,
            value => {
                return Err(DecodeError::Unknown {
                    what: "RMCP+ session header",
                    field: "payload type",
                    value,
                });
            }
        })
    }
}

/// A datagram with its outer layers taken off; nothing is decrypted or verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// ASF presence ping with its message tag: "is there a BMC?"
    Ping {
        /// Tag to be repeated in the answer.
        tag: u8,
    },
    /// ASF presence pong.
    Pong {
        /// The ping's tag.
        tag: u8,
    },
    /// IPMI v1.5 session header without authentication: what precedes a session.
    V15 {
        /// 0 outside a session.
        session_id: u32,
        /// 0 outside a session.
        sequence: u32,
        /// An IPMI message.
        payload: &'a [u8],
    },
    /// IPMI v2.0 (RMCP+) session header.
    V20(V20<'a>),
}

/// An RMCP+ packet, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V20<'a> {
    /// What the payload is.
    pub payload_type: PayloadType,
    /// The payload is encrypted.
    pub encrypted: bool,
    /// A session trailer with an authentication code follows the payload.
    pub authenticated: bool,
    /// The receiver's session id; 0 outside a session.
    pub session_id: u32,
    /// 0 outside a session.
    pub sequence: u32,
    /// Payload as it stands on the wire.
    pub payload: &'a [u8],
    /// From the authentication type to the datagram's end: what the integrity check covers, and the code behind it.
    pub from_auth_type: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Takes the outer layers off a datagram.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        at_least("RMCP header", datagram, 4)?;
        if datagram.len() > MAX_DATAGRAM {
            return Err(DecodeError::Malformed {
                what: "RMCP datagram",
                problem: "longer than any IPMI message",
            });
        }
        if datagram[0] != RMCP[0] {
            return Err(DecodeError::Unknown { what: "RMCP header", field: "version", value: datagram[0] });
        }
        match datagram[3] {
            0x06 => Self::decode_asf(datagram),
            0x07 => {
                at_least("session header", datagram, 5)?;
                match datagram[4] {
                    AUTH_NONE => Self::decode_v15(datagram),
                    AUTH_RMCP_PLUS => Self::decode_v20(datagram).map(Self::V20),
                    value => Err(DecodeError::Unknown {
                        what: "session header",
                        field: "authentication type",
                        value,
                    }),
                }
            }
            value => Err(DecodeError::Unknown { what: "RMCP header", field: "message class", value }),
        }
    }

    fn decode_asf(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "ASF message";
        at_least(WHAT, datagram, 12)?;
        if datagram[4..8] != ASF_IANA {
            return Err(DecodeError::Malformed { what: WHAT, problem: "not ASF's enterprise number" });
        }
        match datagram[8] {
            0x80 => Ok(Self::Ping { tag: datagram[9] }),
            0x40 => Ok(Self::Pong { tag: datagram[9] }),
            value => Err(DecodeError::Unknown { what: WHAT, field: "message type", value }),
        }
    }

    fn decode_v15(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "IPMI v1.5 session header";
        at_least(WHAT, datagram, 14)?;
        let length = usize::from(datagram[13]);
        // A legacy pad byte may follow (13.6, table 13-8): the length field decides.
        let payload = datagram.get(14..14 + length).ok_or(DecodeError::Short {
            what: WHAT,
            need: 14 + length,
            got: datagram.len(),
        })?;
        Ok(Self::V15 {
            sequence: u32_at(WHAT, datagram, 5)?,
            session_id: u32_at(WHAT, datagram, 9)?,
            payload,
        })
    }

    fn decode_v20(datagram: &'a [u8]) -> Result<V20<'a>, DecodeError> {
        const WHAT: &str = "RMCP+ session header";
        at_least(WHAT, datagram, 16)?;
        let length = usize::from(u16::from_le_bytes(array(WHAT, datagram, 14)?));
        let payload = datagram.get(16..16 + length).ok_or(DecodeError::Short {
            what: WHAT,
            need: 16 + length,
            got: datagram.len(),
        })?;
        Ok(V20 {
            payload_type: PayloadType::from_number(datagram[5] & 0x3f)?,
            encrypted: datagram[5] & FLAG_ENCRYPTED != 0,
            authenticated: datagram[5] & FLAG_AUTHENTICATED != 0,
            session_id: u32_at(WHAT, datagram, 6)?,
            sequence: u32_at(WHAT, datagram, 10)?,
            payload,
            from_auth_type: &datagram[4..],
        })
    }
}

/// An ASF presence ping (13.2.3).
pub fn encode_ping(tag: u8) -> Vec<u8> {
    let mut out = RMCP_ASF.to_vec();
    out.extend(ASF_IANA);
    out.extend([0x80, tag, 0x00, 0x00]);
    out
}

/// The answer to a presence ping: IPMI is supported, ASF 1.0 (13.2.4).
pub fn encode_pong(tag: u8) -> Vec<u8> {
    let mut out = RMCP_ASF.to_vec();
    out.extend(ASF_IANA);
    out.extend([0x40, tag, 0x00, 0x10]);
    out.extend(ASF_IANA);
    out.extend([0, 0, 0, 0, 0x81, 0, 0, 0, 0, 0, 0, 0]);
    out
}

/// Wraps an IPMI message of less than 256 bytes in a v1.5 session header outside any session.
pub fn encode_v15(message: &[u8]) -> Vec<u8> {
    debug_assert!(message.len() < 256);
    let mut out = RMCP.to_vec();
    out.push(AUTH_NONE);
    out.extend([0; 8]);
    out.push(message.len() as u8);
    out.extend(message);
    out
}

/// Wraps a payload in an RMCP+ session header outside any session: session id and sequence 0, nothing signed, nothing encrypted.
pub fn encode_v20_sessionless(payload_type: PayloadType, payload: &[u8]) -> Vec<u8> {
    encode_v20(payload_type, false, false, 0, 0, payload)
}

/// An RMCP+ packet without its session trailer.
pub(crate) fn encode_v20(
    payload_type: PayloadType,
    encrypted: bool,
    authenticated: bool,
    session_id: u32,
    sequence: u32,
    payload: &[u8],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + payload.len());
    out.extend(RMCP);
    out.push(AUTH_RMCP_PLUS);
    let mut kind = payload_type.number();
    if encrypted {
        kind |= FLAG_ENCRYPTED;
    }
    if authenticated {
        kind |= FLAG_AUTHENTICATED;
    }
    out.push(kind);
    out.extend(session_id.to_le_bytes());
    out.extend(sequence.to_le_bytes());
    out.extend((payload.len() as u16).to_le_bytes());
    out.extend(payload);
    out
}
