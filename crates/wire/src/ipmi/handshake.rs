//! Open Session and RAKP messages as bytes (13.17 to 13.24). What they mean is in [`console`](super::console) and
//! [`managed`](super::managed).

use super::crypto::{CipherSuite, MAX_USERNAME};
use super::{DecodeError, array, at_least, u32_at};
use std::fmt;

/// RMCP+ status code (table 13-15): how the other side takes a handshake message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u8);

impl Status {
    /// No errors.
    pub const OK: Self = Self(0x00);
    /// No room for another session.
    pub const INSUFFICIENT_RESOURCES: Self = Self(0x01);
    /// No session of that id is being opened.
    pub const INVALID_SESSION: Self = Self(0x02);
    /// Role or privilege not for this user.
    pub const UNAUTHORIZED_PRIVILEGE: Self = Self(0x0a);
    /// Name longer than 16 bytes.
    pub const INVALID_NAME_LENGTH: Self = Self(0x0c);
    /// No such user, or the user is disabled.
    pub const UNAUTHORIZED_NAME: Self = Self(0x0d);
    /// Wrong code in RAKP message 3.
    pub const INVALID_INTEGRITY_CHECK: Self = Self(0x0f);
    /// No cipher suite uses those algorithms.
    pub const NO_CIPHER_SUITE: Self = Self(0x11);
    /// A parameter makes no sense.
    pub const ILLEGAL_PARAMETER: Self = Self(0x12);

    /// Was a cipher suite or one of its algorithms refused?
    pub fn is_cipher_refusal(self) -> bool {
        matches!(self.0, 0x03..=0x07 | 0x10 | 0x11)
    }

    /// The meaning in table 13-15.
    pub fn meaning(self) -> &'static str {
        match self.0 {
            0x00 => "no errors",
            0x01 => "insufficient resources to create a session: all session slots are in use",
            0x02 => "invalid session id",
            0x03 => "invalid payload type",
            0x04 => "invalid authentication algorithm",
            0x05 => "invalid integrity algorithm",
            0x06 => "no matching authentication payload",
            0x07 => "no matching integrity payload",
            0x08 => "inactive session id",
            0x09 => "invalid role",
            0x0a => "unauthorized role or privilege level requested",
            0x0b => "insufficient resources to create a session at the requested role",
            0x0c => "invalid name length",
            0x0d => "unauthorized name: no such user, or it is disabled",
            0x0e => "unauthorized GUID",
            0x0f => "invalid integrity check value",
            0x10 => "invalid confidentiality algorithm",
            0x11 => "no cipher suite match with the proposed algorithms",
            0x12 => "illegal or unrecognized parameter",
            _ => "reserved status",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x} ({})", self.0, self.meaning())
    }
}

/// RMCP+ Open Session Request (13.17).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSessionRequest {
    /// Tag repeated in the answer.
    pub tag: u8,
    /// Highest privilege wanted; 0: the highest that fits.
    pub privilege: u8,
    /// The id that the console chose for packets to it; not 0.
    pub console_id: u32,
    /// Authentication, integrity and confidentiality algorithms.
    pub algorithms: [u8; 3],
}

fn encode_algorithms(out: &mut Vec<u8>, algorithms: [u8; 3]) {
    for (kind, algorithm) in (0u8..).zip(algorithms) {
        out.extend([kind, 0, 0, 8, algorithm, 0, 0, 0]);
    }
}

/// Reads the three algorithm records. A record of length 0 proposes "anything" and is read as algorithm 0.
fn decode_algorithms(what: &'static str, bytes: &[u8]) -> Result<[u8; 3], DecodeError> {
    at_least(what, bytes, 24)?;
    let mut out = [0; 3];
    for (kind, record) in (0u8..).zip(bytes.chunks_exact(8).take(3)) {
        if record[0] != kind {
            return Err(DecodeError::Unknown { what, field: "payload record", value: record[0] });
        }
        if record[3] != 0 {
            out[usize::from(kind)] = record[4] & 0x3f;
        }
    }
    Ok(out)
}

impl OpenSessionRequest {
    /// Writes the payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.tag, self.privilege, 0, 0];
        out.extend(self.console_id.to_le_bytes());
        encode_algorithms(&mut out, self.algorithms);
        out
    }

    /// Reads the payload.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "Open Session Request";
        at_least(WHAT, bytes, 32)?;
        Ok(Self {
            tag: bytes[0],
            privilege: bytes[1] & 0x0f,
            console_id: u32_at(WHAT, bytes, 4)?,
            algorithms: decode_algorithms(WHAT, &bytes[8..])?,
        })
    }
}

/// RMCP+ Open Session Response (13.18).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSessionResponse {
    /// The request's tag.
    pub tag: u8,
    /// The console's session id.
    pub console_id: u32,
    /// What the BMC grants, or why it refuses.
    pub outcome: Result<OpenSessionGrant, Status>,
}

/// What an accepted Open Session Request yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSessionGrant {
    /// Highest privilege of the session.
    pub privilege: u8,
    /// The id for packets to the managed system.
    pub managed_id: u32,
    /// Algorithms that will be used.
    pub algorithms: [u8; 3],
}

impl OpenSessionResponse {
    /// Writes the payload.
    pub fn encode(&self) -> Vec<u8> {
        match &self.outcome {
            Ok(grant) => {
                let mut out = vec![self.tag, 0, grant.privilege, 0];
                out.extend(self.console_id.to_le_bytes());
                out.extend(grant.managed_id.to_le_bytes());
                encode_algorithms(&mut out, grant.algorithms);
                out
            }
            Err(status) => refusal(self.tag, *status, self.console_id),
        }
    }

    /// Reads the payload.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "Open Session Response";
        let (tag, outcome, console_id) = decode_head(WHAT, bytes)?;
        let outcome = match outcome {
            Ok(()) => {
                at_least(WHAT, bytes, 36)?;
                Ok(OpenSessionGrant {
                    privilege: bytes[2] & 0x0f,
                    managed_id: u32_at(WHAT, bytes, 8)?,
                    algorithms: decode_algorithms(WHAT, &bytes[12..])?,
                })
            }
            Err(status) => Err(status),
        };
        Ok(Self { tag, console_id, outcome })
    }
}

/// Reads tag, outcome so far and session id. A refusal ends after them at the latest: OpenIPMI sends only tag and status, and the id is
/// read as 0 then.
fn decode_head(what: &'static str, bytes: &[u8]) -> Result<(u8, Result<(), Status>, u32), DecodeError> {
    at_least(what, bytes, 2)?;
    match bytes[1] {
        0 => Ok((bytes[0], Ok(()), u32_at(what, bytes, 4)?)),
        status => Ok((bytes[0], Err(Status(status)), u32_at(what, bytes, 4).unwrap_or(0))),
    }
}

/// Tag, status, reserved, the other side's session id: all that remains of a refused message.
fn refusal(tag: u8, status: Status, session_id: u32) -> Vec<u8> {
    let mut out = vec![tag, status.0, 0, 0];
    out.extend(session_id.to_le_bytes());
    out
}

/// RAKP message 1 (13.20): the console says who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rakp1 {
    /// Tag repeated in the answer.
    pub tag: u8,
    /// The managed system's session id.
    pub managed_id: u32,
    /// The console's random number.
    pub random: [u8; 16],
    /// Role byte: bits 3:0 privilege, bit 4 "look up by name only". Part of the HMACs as it stands.
    pub role: u8,
    /// User name, at most 16 bytes.
    pub username: Vec<u8>,
}

impl Rakp1 {
    /// Writes the payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.tag, 0, 0, 0];
        out.extend(self.managed_id.to_le_bytes());
        out.extend(self.random);
        out.extend([self.role, 0, 0, self.username.len() as u8]);
        out.extend(&self.username);
        out
    }

    /// Reads the payload.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "RAKP message 1";
        at_least(WHAT, bytes, 28)?;
        let length = usize::from(bytes[27]);
        if length > MAX_USERNAME {
            return Err(DecodeError::Malformed { what: WHAT, problem: "user name longer than 16 bytes" });
        }
        at_least(WHAT, bytes, 28 + length)?;
        Ok(Self {
            tag: bytes[0],
            managed_id: u32_at(WHAT, bytes, 4)?,
            random: array(WHAT, bytes, 8)?,
            role: bytes[24],
            username: bytes[28..28 + length].to_vec(),
        })
    }
}

/// RAKP message 2 (13.21): the managed system proves that it knows the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rakp2 {
    /// The tag of message 1.
    pub tag: u8,
    /// The console's session id.
    pub console_id: u32,
    /// The proof, or why there is none.
    pub outcome: Result<Rakp2Proof, Status>,
}

/// What a good RAKP message 2 carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rakp2Proof {
    /// The managed system's random number.
    pub random: [u8; 16],
    /// The managed system's GUID.
    pub guid: [u8; 16],
    /// Key exchange authentication code; length by cipher suite.
    pub code: Vec<u8>,
}

impl Rakp2 {
    /// Writes the payload.
    pub fn encode(&self) -> Vec<u8> {
        match &self.outcome {
            Ok(proof) => {
                let mut out = refusal(self.tag, Status::OK, self.console_id);
                out.extend(proof.random);
                out.extend(proof.guid);
                out.extend(&proof.code);
                out
            }
            Err(status) => refusal(self.tag, *status, self.console_id),
        }
    }

    /// Reads the payload; `suite` tells how long the code is.
    pub fn decode(suite: CipherSuite, bytes: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "RAKP message 2";
        let (tag, outcome, console_id) = decode_head(WHAT, bytes)?;
        let outcome = match outcome {
            Ok(()) => {
                let end = 40 + suite.key_exchange_bytes();
                at_least(WHAT, bytes, end)?;
                Ok(Rakp2Proof {
                    random: array(WHAT, bytes, 8)?,
                    guid: array(WHAT, bytes, 24)?,
                    code: bytes[40..end].to_vec(),
                })
            }
            Err(status) => Err(status),
        };
        Ok(Self { tag, console_id, outcome })
    }
}

/// RAKP message 3 (13.22): the console proves that it knows the password; or message 4 (13.23): the session is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RakpFinal {
    /// A new tag in message 3, the same in message 4.
    pub tag: u8,
    /// The receiver's session id.
    pub session_id: u32,
    /// The code, or why the sender breaks off.
    pub outcome: Result<Vec<u8>, Status>,
}

impl RakpFinal {
    /// Writes the payload.
    pub fn encode(&self) -> Vec<u8> {
        match &self.outcome {
            Ok(code) => {
                let mut out = refusal(self.tag, Status::OK, self.session_id);
                out.extend(code);
                out
            }
            Err(status) => refusal(self.tag, *status, self.session_id),
        }
    }

    /// Reads RAKP message 3.
    pub fn decode_rakp3(suite: CipherSuite, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode("RAKP message 3", suite.key_exchange_bytes(), bytes)
    }

    /// Reads RAKP message 4.
    pub fn decode_rakp4(suite: CipherSuite, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode("RAKP message 4", suite.integrity_bytes(), bytes)
    }

    fn decode(what: &'static str, code_bytes: usize, bytes: &[u8]) -> Result<Self, DecodeError> {
        let (tag, outcome, session_id) = decode_head(what, bytes)?;
        let outcome = match outcome {
            Ok(()) => {
                at_least(what, bytes, 8 + code_bytes)?;
                Ok(bytes[8..8 + code_bytes].to_vec())
            }
            Err(status) => Err(status),
        };
        Ok(Self { tag, session_id, outcome })
    }
}
