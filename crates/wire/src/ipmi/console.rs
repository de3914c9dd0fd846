//! The remote console's side of a session: what a client does.
//!
//! [`Handshake`] walks Open Session and the RAKP messages; it holds the datagram to send (and to send again when no answer comes) and
//! eats what arrives. What it does not understand it ignores, since anybody can send datagrams; a refusal by the BMC ends it.
//! [`Session`] then seals requests and opens responses.

use super::channel::{Channel, Rejected};
use super::command::Command;
use super::crypto::{BLOCK, CipherSuite, Credentials, Exchange, is_same};
use super::handshake::{OpenSessionRequest, OpenSessionResponse, Rakp1, Rakp2, RakpFinal, Status};
use super::message::{Privilege, Request, Response};
use super::packet::{Packet, PayloadType, V20, encode_v15, encode_v20_sessionless};
use super::{DecodeError, command};
use std::fmt;

/// "Look the user up by name only": bit 4 of the role byte (13.20).
const NAME_ONLY_LOOKUP: u8 = 0x10;

/// Which message of the handshake is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Open Session Request was sent.
    OpenSession,
    /// RAKP message 1 was sent: the BMC looks the user up.
    Rakp1,
    /// RAKP message 3 was sent: the BMC checks our proof.
    Rakp3,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenSession => "Open Session Request",
            Self::Rakp1 => "RAKP message 1",
            Self::Rakp3 => "RAKP message 3",
        })
    }
}

/// Why a handshake ended without a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The BMC answered with a status.
    #[error("the BMC refused the {stage} with status {status}")]
    Refused {
        /// The message it refused.
        stage: Stage,
        /// Its reason.
        status: Status,
    },
    /// The code in RAKP message 2 was made with another password.
    #[error("the code in the BMC's RAKP message 2 was made with another password than ours")]
    PasswordDiffers,
    /// The code in RAKP message 4 was made with another BMC key.
    #[error("the integrity check value in the BMC's RAKP message 4 was made with another K_g than ours")]
    BmcKeyDiffers,
    /// The BMC grants other algorithms than those proposed.
    #[error("the BMC granted algorithms {granted:?} where cipher suite {} was proposed", proposed.id())]
    SuiteChanged {
        /// What was proposed.
        proposed: CipherSuite,
        /// Authentication, integrity, confidentiality.
        granted: [u8; 3],
    },
}

/// What a datagram did to the handshake.
#[derive(Debug)]
pub enum Progress {
    /// Nothing: not understood, or not for this handshake.
    Ignored(DecodeError),
    /// One step on: send [`Handshake::outgoing`].
    Advanced,
    /// Done.
    Established(Box<Session>),
}

/// What a new handshake needs beside the credentials.
#[derive(Clone)]
pub struct Offer {
    /// Suite to propose.
    pub suite: CipherSuite,
    /// Privilege the session may rise to.
    pub privilege: Privilege,
    /// Our id of the session: random, not 0.
    pub session_id: u32,
    /// Our random number for the key exchange.
    pub random: [u8; 16],
}

enum State {
    Opening,
    Proving(Box<Exchange>),
    Confirming(Box<Exchange>),
    Done,
}

/// A session being opened.
pub struct Handshake {
    credentials: Credentials,
    offer: Offer,
    tag: u8,
    state: State,
    outgoing: Vec<u8>,
}

impl Handshake {
    /// Begins: [`Self::outgoing`] is the Open Session Request. Names longer than 16 bytes and secrets longer than 20 are cut, as the
    /// wire has no room for more: check them before.
    pub fn begin(mut credentials: Credentials, offer: Offer) -> Self {
        credentials.username.truncate(super::crypto::MAX_USERNAME);
        credentials.password.truncate(super::crypto::MAX_PASSWORD);
        let tag = offer.random[0];
        let request = OpenSessionRequest {
            tag,
            privilege: offer.privilege.number(),
            console_id: offer.session_id,
            algorithms: offer.suite.algorithms(),
        };
        let outgoing = encode_v20_sessionless(PayloadType::OpenSessionRequest, &request.encode());
        Self { credentials, offer, tag, state: State::Opening, outgoing }
    }

    /// The datagram to send now, or again.
    pub fn outgoing(&self) -> &[u8] {
        &self.outgoing
    }

    /// The message whose answer is awaited.
    pub fn stage(&self) -> Stage {
        match self.state {
            State::Opening => Stage::OpenSession,
            State::Proving(_) => Stage::Rakp1,
            State::Confirming(_) | State::Done => Stage::Rakp3,
        }
    }

    /// Takes a datagram from the BMC.
    pub fn receive(&mut self, datagram: &[u8]) -> Result<Progress, HandshakeError> {
        let packet = match Packet::decode(datagram) {
            Ok(Packet::V20(packet)) => packet,
            Ok(_) => return Ok(ignored("not an RMCP+ packet")),
            Err(error) => return Ok(Progress::Ignored(error)),
        };
        if packet.session_id != 0 || packet.encrypted || packet.authenticated {
            return Ok(ignored("belongs to a session"));
        }
        match (std::mem::replace(&mut self.state, State::Done), packet.payload_type) {
            (State::Opening, PayloadType::OpenSessionResponse) => self.opened(&packet),
            (State::Proving(exchange), PayloadType::Rakp2) => self.proved(exchange, &packet),
            (State::Confirming(exchange), PayloadType::Rakp4) => self.confirmed(exchange, &packet),
            (state, _) => {
                self.state = state;
                Ok(ignored("not the message awaited"))
            }
        }
    }

    fn is_ours(&self, tag: u8, console_id: u32, status: Option<Status>) -> bool {
        // Some BMCs answer a refused message with a zero session id; the tag still ties it to us.
        tag == self.tag && (console_id == self.offer.session_id || (status.is_some() && console_id == 0))
    }

    fn opened(&mut self, packet: &V20<'_>) -> Result<Progress, HandshakeError> {
        let answer = match OpenSessionResponse::decode(packet.payload) {
            Ok(answer)
                if self.is_ours(answer.tag, answer.console_id, answer.outcome.as_ref().err().copied()) =>
            {
                answer
            }
            other => {
                self.state = State::Opening;
                return Ok(stray(other.err()));
            }
        };
        let grant =
            answer.outcome.map_err(|status| HandshakeError::Refused { stage: Stage::OpenSession, status })?;
        if grant.algorithms != self.offer.suite.algorithms() {
            return Err(HandshakeError::SuiteChanged {
                proposed: self.offer.suite,
                granted: grant.algorithms,
            });
        }
        self.tag = self.tag.wrapping_add(1);
        let message = Rakp1 {
            tag: self.tag,
            managed_id: grant.managed_id,
            random: self.offer.random,
            role: NAME_ONLY_LOOKUP | self.offer.privilege.number(),
            username: self.credentials.username.clone(),
        };
        self.outgoing = encode_v20_sessionless(PayloadType::Rakp1, &message.encode());
        self.state = State::Proving(Box::new(Exchange {
            suite: self.offer.suite,
            console_id: self.offer.session_id,
            managed_id: grant.managed_id,
            console_random: self.offer.random,
            managed_random: [0; 16],
            managed_guid: [0; 16],
            role: message.role,
            username: message.username,
        }));
        Ok(Progress::Advanced)
    }

    fn proved(&mut self, mut exchange: Box<Exchange>, packet: &V20<'_>) -> Result<Progress, HandshakeError> {
        let answer = match Rakp2::decode(exchange.suite, packet.payload) {
            Ok(answer)
                if self.is_ours(answer.tag, answer.console_id, answer.outcome.as_ref().err().copied()) =>
            {
                answer
            }
            other => {
                self.state = State::Proving(exchange);
                return Ok(stray(other.err()));
            }
        };
        let proof =
            answer.outcome.map_err(|status| HandshakeError::Refused { stage: Stage::Rakp1, status })?;
        exchange.managed_random = proof.random;
        exchange.managed_guid = proof.guid;
        if !is_same(&proof.code, exchange.rakp2_code(&self.credentials.password).as_slice()) {
            return Err(HandshakeError::PasswordDiffers);
        }
        self.tag = self.tag.wrapping_add(1);
        let message = RakpFinal {
            tag: self.tag,
            session_id: exchange.managed_id,
            outcome: Ok(exchange.rakp3_code(&self.credentials.password).as_slice().to_vec()),
        };
        self.outgoing = encode_v20_sessionless(PayloadType::Rakp3, &message.encode());
        self.state = State::Confirming(exchange);
        Ok(Progress::Advanced)
    }

    fn confirmed(&mut self, exchange: Box<Exchange>, packet: &V20<'_>) -> Result<Progress, HandshakeError> {
        let answer = match RakpFinal::decode_rakp4(exchange.suite, packet.payload) {
            Ok(answer)
                if self.is_ours(answer.tag, answer.session_id, answer.outcome.as_ref().err().copied()) =>
            {
                answer
            }
            other => {
                self.state = State::Confirming(exchange);
                return Ok(stray(other.err()));
            }
        };
        let check =
            answer.outcome.map_err(|status| HandshakeError::Refused { stage: Stage::Rakp3, status })?;
        let keys = exchange.keys(&self.credentials.password, self.credentials.kg.as_deref());
        let expected = exchange.rakp4_code(&keys);
        if !is_same(&check, expected.truncated(exchange.suite.integrity_bytes())) {
            return Err(HandshakeError::BmcKeyDiffers);
        }
        let channel = Channel::new(exchange.suite, keys, exchange.console_id, exchange.managed_id);
        Ok(Progress::Established(Box::new(Session { channel, next_sequence: 0 })))
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("stage", &self.stage())
            .field("suite", &self.offer.suite)
            .finish_non_exhaustive()
    }
}

fn ignored(problem: &'static str) -> Progress {
    Progress::Ignored(DecodeError::Malformed { what: "handshake", problem })
}

fn stray(error: Option<DecodeError>) -> Progress {
    error.map_or_else(|| ignored("tag or session id of another handshake"), Progress::Ignored)
}

/// What a session's packet brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A response to some request.
    Response(Response),
    /// Another payload, such as serial over LAN.
    Payload(PayloadType, Vec<u8>),
}

/// An open session, the client's end.
#[derive(Debug)]
pub struct Session {
    channel: Channel,
    next_sequence: u8,
}

impl Session {
    /// The suite that protects the session.
    pub fn suite(&self) -> CipherSuite {
        self.channel.suite()
    }

    /// Makes a request with the next sequence number.
    pub fn request(&mut self, netfn: u8, command: u8, data: Vec<u8>) -> Request {
        let sequence = self.next_sequence;
        self.next_sequence = (sequence + 1) & 0x3f;
        Request::new(netfn, command, sequence, data)
    }

    /// The request that ends this session.
    pub fn close_request(&mut self) -> Request {
        let close = command::CloseSession { session_id: self.channel.remote_id() };
        self.request(command::CloseSession::NETFN, command::CloseSession::NUMBER, close.encode())
    }

    /// Seals a request for sending. Seal it again to send it again: the packet gets a new number, the request keeps its own, so that the
    /// BMC can tell a repetition from a second request. `vector` must be fresh random bytes.
    pub fn seal(&mut self, request: &Request, vector: &[u8; BLOCK]) -> Vec<u8> {
        self.channel.seal(PayloadType::Ipmi, &request.encode(), vector)
    }

    /// Verifies and reads a datagram.
    pub fn receive(&mut self, datagram: &[u8]) -> Result<Incoming, Rejected> {
        match Packet::decode(datagram)? {
            Packet::V20(packet) => {
                let payload = self.channel.open(&packet)?;
                Ok(match packet.payload_type {
                    PayloadType::Ipmi => Incoming::Response(Response::decode(&payload)?),
                    other => Incoming::Payload(other, payload),
                })
            }
            _ => Err(Rejected::OtherSession { got: 0, ours: self.channel.local_id() }),
        }
    }
}

/// How a request outside any session is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrapper {
    /// IPMI v1.5 session header: what Get Channel Authentication Capabilities is defined with.
    V15,
    /// RMCP+ session header: what tools use for Get Channel Cipher Suites.
    V20,
}

/// Writes a request outside any session.
pub fn encode_sessionless(wrapper: Wrapper, request: &Request) -> Vec<u8> {
    match wrapper {
        Wrapper::V15 => encode_v15(&request.encode()),
        Wrapper::V20 => encode_v20_sessionless(PayloadType::Ipmi, &request.encode()),
    }
}

/// Reads a response outside any session, whichever way the BMC wrapped it.
pub fn decode_sessionless(datagram: &[u8]) -> Result<Response, DecodeError> {
    match Packet::decode(datagram)? {
        Packet::V15 { session_id: 0, payload, .. } => Response::decode(payload),
        Packet::V20(V20 {
            session_id: 0,
            payload_type: PayloadType::Ipmi,
            encrypted: false,
            payload,
            ..
        }) => Response::decode(payload),
        _ => Err(DecodeError::Malformed { what: "IPMI response", problem: "belongs to a session" }),
    }
}
