//! IPMI LAN messages (13.8): requests, responses, checksums, completion codes.

use super::{DecodeError, at_least};
use std::fmt;

/// Slave address of the BMC.
const MANAGED_ADDRESS: u8 = 0x20;
/// Software id of a remote console (table 5-4).
const CONSOLE_ADDRESS: u8 = 0x81;

/// Network functions (table 5-1): the even number of a request.
pub mod netfn {
    /// Chassis: power and boot options.
    pub const CHASSIS: u8 = 0x00;
    /// Sensors and events.
    pub const SENSOR: u8 = 0x04;
    /// Application: device id, sessions, users.
    pub const APP: u8 = 0x06;
    /// Storage: SDR, SEL, FRU.
    pub const STORAGE: u8 = 0x0a;
    /// LAN and serial configuration.
    pub const TRANSPORT: u8 = 0x0c;
    /// Group extension: PICMG, VITA, DCMI.
    pub const GROUP: u8 = 0x2c;
}

/// Privilege levels (table 22-19), lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Privilege {
    /// May only ask to be called back.
    Callback,
    /// May read.
    User,
    /// May act, but not configure.
    Operator,
    /// May do everything.
    Administrator,
}

impl Privilege {
    /// Number on the wire.
    pub fn number(self) -> u8 {
        match self {
            Self::Callback => 1,
            Self::User => 2,
            Self::Operator => 3,
            Self::Administrator => 4,
        }
    }

    /// Reads the number on the wire.
    pub fn from_number(value: u8) -> Result<Self, DecodeError> {
        Ok(match value {
            1 => Self::Callback,
            2 => Self::User,
            3 => Self::Operator,
            4 => Self::Administrator,
            value => return Err(DecodeError::Unknown { what: "privilege", field: "level", value }),
        })
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Callback => "CALLBACK",
            Self::User => "USER",
            Self::Operator => "OPERATOR",
            Self::Administrator => "ADMINISTRATOR",
        })
    }
}

/// A completion code (table 5-2). `Display` gives number and meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CompletionCode(pub u8);

impl CompletionCode {
    /// Done.
    pub const OK: Self = Self(0x00);
    /// Set/Get Boot Options: parameter not supported; other commands use 80h in their own way.
    pub const PARAMETER_NOT_SUPPORTED: Self = Self(0x80);
    /// Set Session Privilege: above the user's or channel's limit; Set Boot Options: set already in progress.
    pub const ABOVE_LIMIT: Self = Self(0x81);
    /// Close Session: no such session.
    pub const INVALID_SESSION: Self = Self(0x87);
    /// Busy: try again.
    pub const BUSY: Self = Self(0xc0);
    /// Not a command of this BMC.
    pub const INVALID_COMMAND: Self = Self(0xc1);
    /// Request too short or too long.
    pub const LENGTH_INVALID: Self = Self(0xc7);
    /// A field is out of range.
    pub const OUT_OF_RANGE: Self = Self(0xc9);
    /// A field is invalid.
    pub const INVALID_FIELD: Self = Self(0xcc);
    /// The session's privilege is too low.
    pub const INSUFFICIENT_PRIVILEGE: Self = Self(0xd4);
    /// Not possible in the present state.
    pub const WRONG_STATE: Self = Self(0xd5);
    /// Anything else.
    pub const UNSPECIFIED: Self = Self(0xff);

    /// Worth trying again after a pause: busy, timeout, out of space, resource being updated or initialising.
    pub fn is_transient(self) -> bool {
        matches!(self.0, 0xc0 | 0xc3 | 0xc4 | 0xce | 0xd0 | 0xd1 | 0xd2)
    }

    /// The meaning in table 5-2.
    pub fn meaning(self) -> &'static str {
        match self.0 {
            0x00 => "completed normally",
            0x01..=0x7e => "OEM specific code",
            0x80..=0xbe => "code specific to the command",
            0xc0 => "node busy",
            0xc1 => "invalid command: the BMC does not have it",
            0xc2 => "command invalid for the given LUN",
            0xc3 => "timeout while processing the command",
            0xc4 => "out of space",
            0xc5 => "reservation cancelled or invalid",
            0xc6 => "request data truncated",
            0xc7 => "request data length invalid",
            0xc8 => "request data field length limit exceeded",
            0xc9 => "parameter out of range",
            0xca => "cannot return that many bytes",
            0xcb => "requested sensor, data or record not present",
            0xcc => "invalid data field in request",
            0xcd => "command illegal for this sensor or record",
            0xce => "response could not be provided",
            0xcf => "duplicated request",
            0xd0 => "SDR repository in update mode",
            0xd1 => "device in firmware update mode",
            0xd2 => "BMC initialisation in progress",
            0xd3 => "destination unavailable",
            0xd4 => "insufficient privilege level",
            0xd5 => "not supported in the present state",
            0xd6 => "parameter is illegal: sub-function disabled or unavailable",
            0xff => "unspecified error",
            _ => "reserved code",
        }
    }
}

impl fmt::Display for CompletionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x} ({})", self.0, self.meaning())
    }
}

/// A request as it stands in a payload.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Request {
    /// Network function, even.
    pub netfn: u8,
    /// Command number.
    pub command: u8,
    /// Sequence number, 0–63, repeated in the response.
    pub sequence: u8,
    /// Address that wants the response (81h for a remote console; tools differ).
    pub requester: u8,
    /// LUN of the requester.
    pub requester_lun: u8,
    /// Address it goes to (20h, the BMC).
    pub responder: u8,
    /// LUN it goes to.
    pub lun: u8,
    /// Data after the command byte.
    pub data: Vec<u8>,
}

impl Request {
    /// A request from a remote console to the BMC itself.
    pub fn new(netfn: u8, command: u8, sequence: u8, data: Vec<u8>) -> Self {
        Self {
            netfn,
            command,
            sequence: sequence & 0x3f,
            requester: CONSOLE_ADDRESS,
            requester_lun: 0,
            responder: MANAGED_ADDRESS,
            lun: 0,
            data,
        }
    }

    /// Writes the message with both checksums.
    pub fn encode(&self) -> Vec<u8> {
        seal(
            self.responder,
            self.netfn << 2 | self.lun & 3,
            self.requester,
            self.sequence << 2 | self.requester_lun & 3,
            self.command,
            &[],
            &self.data,
        )
    }

    /// Reads a message and checks both checksums.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "IPMI request";
        check(WHAT, bytes, 7)?;
        if bytes[1] & 0x04 != 0 {
            return Err(DecodeError::Malformed { what: WHAT, problem: "network function of a response" });
        }
        Ok(Self {
            responder: bytes[0],
            netfn: bytes[1] >> 2,
            lun: bytes[1] & 3,
            requester: bytes[3],
            sequence: bytes[4] >> 2,
            requester_lun: bytes[4] & 3,
            command: bytes[5],
            data: bytes[6..bytes.len() - 1].to_vec(),
        })
    }

    /// The response to this request.
    pub fn response(&self, completion: CompletionCode, data: Vec<u8>) -> Response {
        Response {
            netfn: self.netfn | 1,
            command: self.command,
            sequence: self.sequence,
            requester: self.requester,
            requester_lun: self.requester_lun,
            responder: self.responder,
            lun: self.lun,
            completion,
            data,
        }
    }
}

/// A response as it stands in a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Network function, odd.
    pub netfn: u8,
    /// Command number.
    pub command: u8,
    /// The request's sequence number.
    pub sequence: u8,
    /// Address that asked.
    pub requester: u8,
    /// LUN that asked.
    pub requester_lun: u8,
    /// Address that answers.
    pub responder: u8,
    /// LUN that answers.
    pub lun: u8,
    /// How it went.
    pub completion: CompletionCode,
    /// Data after the completion code.
    pub data: Vec<u8>,
}

impl Response {
    /// Writes the message with both checksums.
    pub fn encode(&self) -> Vec<u8> {
        seal(
            self.requester,
            self.netfn << 2 | self.requester_lun & 3,
            self.responder,
            self.sequence << 2 | self.lun & 3,
            self.command,
            &[self.completion.0],
            &self.data,
        )
    }

    /// Reads a message and checks both checksums.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "IPMI response";
        check(WHAT, bytes, 8)?;
        if bytes[1] & 0x04 == 0 {
            return Err(DecodeError::Malformed { what: WHAT, problem: "network function of a request" });
        }
        Ok(Self {
            requester: bytes[0],
            netfn: bytes[1] >> 2,
            requester_lun: bytes[1] & 3,
            responder: bytes[3],
            sequence: bytes[4] >> 2,
            lun: bytes[4] & 3,
            command: bytes[5],
            completion: CompletionCode(bytes[6]),
            data: bytes[7..bytes.len() - 1].to_vec(),
        })
    }

    /// Is this the answer to that request?
    pub fn answers(&self, netfn: u8, command: u8, sequence: u8) -> bool {
        self.netfn == netfn | 1 && self.command == command && self.sequence == sequence
    }
}

/// Two's complement checksum: all bytes and it add up to 0.
fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, b| sum.wrapping_add(*b)).wrapping_neg()
}

fn seal(to: u8, function: u8, from: u8, sequence: u8, command: u8, head: &[u8], data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + data.len());
    out.extend([to, function]);
    out.push(checksum(&out));
    out.extend([from, sequence, command]);
    out.extend(head);
    out.extend(data);
    out.push(checksum(&out[3..]));
    out
}

fn check(what: &'static str, bytes: &[u8], need: usize) -> Result<(), DecodeError> {
    at_least(what, bytes, need)?;
    if checksum(&bytes[..3]) != 0 {
        return Err(DecodeError::Malformed { what, problem: "header checksum is wrong" });
    }
    if checksum(&bytes[3..]) != 0 {
        return Err(DecodeError::Malformed { what, problem: "data checksum is wrong" });
    }
    Ok(())
}
