//! The managed system's side of sessions: what a BMC does.
//!
//! [`Sessions`] answers by itself whatever is about sessions (presence ping, channel capabilities, the handshake, Set Session Privilege,
//! Close Session) and hands every other request of an open session to its owner, who answers through [`Sessions::respond`]. A request
//! repeated by an impatient client is not handed over twice: it gets the first answer again (6.12.13, "missing response").

use super::channel::{Channel, Rejected};
use super::command::{
    AuthCapabilities, CipherSuiteList, CloseSession, Command, GetChannelAuthCapabilities,
    GetChannelCipherSuites, GetSystemGuid, SetSessionPrivilege,
};
use super::crypto::{BLOCK, CipherSuite, Credentials, Exchange, is_same};
use super::handshake::{
    OpenSessionGrant, OpenSessionRequest, OpenSessionResponse, Rakp1, Rakp2, Rakp2Proof, RakpFinal, Status,
};
use super::message::{CompletionCode, Privilege, Request, Response};
use super::packet::{Packet, PayloadType, V20, encode_pong, encode_v15, encode_v20_sessionless};
use super::{DecodeError, command};
use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

/// How long a half-open session is kept.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Somebody who may log in.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// At most 16 bytes; empty is the null user.
    pub name: String,
    /// At most 20 bytes.
    pub password: String,
    /// Highest level.
    pub privilege: Privilege,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("privilege", &self.privilege)
            .finish_non_exhaustive()
    }
}

/// What a BMC allows.
#[derive(Clone)]
pub struct Policy {
    /// Sent in RAKP message 2 and as the system's GUID.
    pub guid: [u8; 16],
    /// Who may log in.
    pub users: Vec<User>,
    /// K_g for two-key logins.
    pub kg: Option<Vec<u8>>,
    /// Suites offered; suite 0 only if it is listed.
    pub suites: Vec<CipherSuite>,
    /// Open sessions at one time; as many again may be half open.
    pub max_sessions: usize,
    /// A session that is silent for so long is closed (60 s ± 3 s in 6.12.15).
    pub inactivity: Duration,
}

/// Random bytes for ids, key exchange and initialisation vectors.
pub type Entropy<'a> = &'a mut dyn FnMut(&mut [u8]);

/// What to do about a datagram.
#[derive(Debug)]
pub enum Reaction {
    /// Nothing, for this reason. A BMC does not answer what it cannot verify.
    Silence(Silence),
    /// Send this.
    Reply(Vec<u8>),
    /// Carry the request out, then call [`Sessions::respond`].
    Handle(Pending),
}

/// Why a datagram is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    /// Not understood.
    #[error(transparent)]
    NotUnderstood(#[from] DecodeError),
    /// Not taken by the session it names.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// Nothing that a BMC answers.
    #[error("nothing to answer: {0}")]
    NotForUs(&'static str),
}

/// A request of an open session, to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Managed system's id of the session.
    pub session_id: u32,
    /// The session's present privilege.
    pub privilege: Privilege,
    /// The request.
    pub request: Request,
}

enum State {
    /// Open Session was answered.
    Opened,
    /// RAKP message 2 was sent.
    Proved { exchange: Box<Exchange>, user: usize },
    /// RAKP message 4 was sent.
    Open(Box<Open>),
}

struct Open {
    channel: Channel,
    limit: Privilege,
    privilege: Privilege,
    /// The last request, and its answer once there is one.
    last: Option<(Request, Option<Vec<u8>>)>,
}

struct Entry {
    suite: CipherSuite,
    console_id: u32,
    /// Highest level that Open Session was granted; 0 as asked in RAKP message 1.
    asked: u8,
    touched: Instant,
    /// The handshake message last answered and its answer, for repetitions.
    answered: (Vec<u8>, Vec<u8>),
    state: State,
}

/// All sessions of a BMC.
pub struct Sessions {
    policy: Policy,
    entries: HashMap<u32, Entry>,
}

impl Sessions {
    /// No session yet.
    pub fn new(policy: Policy) -> Self {
        Self { policy, entries: HashMap::new() }
    }

    /// Number of open sessions.
    pub fn open_count(&self) -> usize {
        self.entries.values().filter(|e| matches!(e.state, State::Open(_))).count()
    }

    /// Forgets all sessions, as a BMC does that restarts.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Takes a datagram that arrived at `now`.
    pub fn receive(&mut self, now: Instant, entropy: Entropy<'_>, datagram: &[u8]) -> Reaction {
        self.expire(now);
        self.react(now, entropy, datagram).unwrap_or_else(Reaction::Silence)
    }

    /// Seals the answer to a [`Pending`] request; `None` if the session has gone meanwhile.
    pub fn respond(
        &mut self,
        entropy: Entropy<'_>,
        pending: &Pending,
        completion: CompletionCode,
        data: Vec<u8>,
    ) -> Option<Vec<u8>> {
        let State::Open(open) = &mut self.entries.get_mut(&pending.session_id)?.state else { return None };
        let response = pending.request.response(completion, data).encode();
        if let Some((request, answer)) = &mut open.last
            && *request == pending.request
        {
            *answer = Some(response.clone());
        }
        Some(open.channel.seal(PayloadType::Ipmi, &response, &vector(entropy)))
    }

    fn expire(&mut self, now: Instant) {
        let inactivity = self.policy.inactivity;
        self.entries.retain(|_, e| {
            let limit = if matches!(e.state, State::Open(_)) { inactivity } else { HANDSHAKE_LIMIT };
            now.saturating_duration_since(e.touched) < limit
        });
    }

    fn react(&mut self, now: Instant, entropy: Entropy<'_>, datagram: &[u8]) -> Result<Reaction, Silence> {
        match Packet::decode(datagram)? {
            Packet::Ping { tag } => Ok(Reaction::Reply(encode_pong(tag))),
            Packet::Pong { .. } => Err(Silence::NotForUs("a presence pong")),
            Packet::V15 { session_id: 0, payload, .. } => {
                let response = self.sessionless(&Request::decode(payload)?)?;
                Ok(Reaction::Reply(encode_v15(&response.encode())))
            }
            Packet::V15 { .. } => Err(Silence::NotForUs("a session of IPMI v1.5")),
            Packet::V20(packet) if packet.session_id == 0 => self.before_session(now, entropy, &packet),
            Packet::V20(packet) => self.in_session(now, entropy, &packet),
        }
    }

    fn before_session(
        &mut self,
        now: Instant,
        entropy: Entropy<'_>,
        packet: &V20<'_>,
    ) -> Result<Reaction, Silence> {
        if packet.encrypted || packet.authenticated {
            return Err(Silence::NotForUs("protected, but outside a session"));
        }
        let (kind, payload) = match packet.payload_type {
            PayloadType::Ipmi => {
                (PayloadType::Ipmi, self.sessionless(&Request::decode(packet.payload)?)?.encode())
            }
            PayloadType::OpenSessionRequest => {
                (PayloadType::OpenSessionResponse, self.open(now, entropy, packet.payload)?)
            }
            PayloadType::Rakp1 => (PayloadType::Rakp2, self.prove(now, entropy, packet.payload)?),
            PayloadType::Rakp3 => (PayloadType::Rakp4, self.confirm(now, packet.payload)?),
            _ => return Err(Silence::NotForUs("a message that only a BMC sends")),
        };
        Ok(Reaction::Reply(encode_v20_sessionless(kind, &payload)))
    }

    /// Commands that are answered outside a session.
    fn sessionless(&self, request: &Request) -> Result<Response, Silence> {
        match (request.netfn, request.command) {
            (GetChannelAuthCapabilities::NETFN, GetChannelAuthCapabilities::NUMBER)
            | (GetChannelCipherSuites::NETFN, GetChannelCipherSuites::NUMBER)
            | (GetSystemGuid::NETFN, GetSystemGuid::NUMBER) => {
                let (completion, data) = self.about_channel(request);
                Ok(request.response(completion, data))
            }
            _ => Err(Silence::NotForUs("a command that needs a session")),
        }
    }

    fn about_channel(&self, request: &Request) -> (CompletionCode, Vec<u8>) {
        match request.command {
            GetChannelAuthCapabilities::NUMBER => match GetChannelAuthCapabilities::decode(&request.data) {
                Ok(ask) => {
                    let null_user = self.policy.users.iter().any(|u| u.name.is_empty());
                    let answer = AuthCapabilities {
                        channel: 1,
                        auth_types: u8::from(ask.wants_v20) << 7,
                        status: u8::from(self.policy.kg.is_some()) << 5 | 0x04 | u8::from(null_user) << 1,
                        has_v20: true,
                        has_v15: false,
                    };
                    (CompletionCode::OK, GetChannelAuthCapabilities::encode_response(&answer))
                }
                Err(_) => (CompletionCode::INVALID_FIELD, Vec::new()),
            },
            GetChannelCipherSuites::NUMBER => match GetChannelCipherSuites::decode(&request.data) {
                Ok(ask) => {
                    let all = command::suite_records(&self.policy.suites);
                    let records =
                        all.chunks(16).nth(usize::from(ask.index)).map(<[u8]>::to_vec).unwrap_or_default();
                    let answer = CipherSuiteList { channel: 1, records };
                    (CompletionCode::OK, GetChannelCipherSuites::encode_response(&answer))
                }
                Err(_) => (CompletionCode::INVALID_FIELD, Vec::new()),
            },
            _ => (CompletionCode::OK, self.policy.guid.to_vec()),
        }
    }

    fn open(&mut self, now: Instant, entropy: Entropy<'_>, payload: &[u8]) -> Result<Vec<u8>, Silence> {
        let request = OpenSessionRequest::decode(payload)?;
        if let Some(entry) = self.entries.values().find(|e| e.answered.0 == payload) {
            return Ok(entry.answered.1.clone());
        }
        let answer =
            |outcome| OpenSessionResponse { tag: request.tag, console_id: request.console_id, outcome };
        let suite =
            CipherSuite::from_algorithms(request.algorithms).filter(|s| self.policy.suites.contains(s));
        let Some(suite) = suite else { return Ok(answer(Err(Status::NO_CIPHER_SUITE)).encode()) };
        if request.privilege > Privilege::Administrator.number() || request.console_id == 0 {
            return Ok(answer(Err(Status::ILLEGAL_PARAMETER)).encode());
        }
        if self.open_count() >= self.policy.max_sessions {
            return Ok(answer(Err(Status::INSUFFICIENT_RESOURCES)).encode());
        }
        self.make_room();
        let managed_id = loop {
            let mut id = [0; 4];
            entropy(&mut id);
            let id = u32::from_le_bytes(id);
            if id != 0 && !self.entries.contains_key(&id) {
                break id;
            }
        };
        let privilege = if request.privilege == 0 { 4 } else { request.privilege };
        let reply =
            answer(Ok(OpenSessionGrant { privilege, managed_id, algorithms: suite.algorithms() })).encode();
        let entry = Entry {
            suite,
            console_id: request.console_id,
            asked: privilege,
            touched: now,
            answered: (payload.to_vec(), reply.clone()),
            state: State::Opened,
        };
        self.entries.insert(managed_id, entry);
        Ok(reply)
    }

    /// Drops the oldest half-open session where there are too many: strangers can make them without a password.
    fn make_room(&mut self) {
        let half_open = || self.entries.iter().filter(|(_, e)| !matches!(e.state, State::Open(_)));
        if half_open().count() >= self.policy.max_sessions.max(4)
            && let Some(oldest) = half_open().min_by_key(|(_, e)| e.touched).map(|(id, _)| *id)
        {
            self.entries.remove(&oldest);
        }
    }

    fn prove(&mut self, now: Instant, entropy: Entropy<'_>, payload: &[u8]) -> Result<Vec<u8>, Silence> {
        let message = Rakp1::decode(payload)?;
        let Some(entry) = self.entries.get_mut(&message.managed_id) else {
            let refused = Rakp2 { tag: message.tag, console_id: 0, outcome: Err(Status::INVALID_SESSION) };
            return Ok(refused.encode());
        };
        if entry.answered.0 == payload {
            return Ok(entry.answered.1.clone());
        }
        if matches!(entry.state, State::Open(_)) {
            return Err(Silence::NotForUs("RAKP message 1 for an open session"));
        }
        let refuse = |status| {
            Ok(Rakp2 { tag: message.tag, console_id: entry.console_id, outcome: Err(status) }.encode())
        };
        let users = &self.policy.users;
        let Some(user) = users.iter().position(|u| u.name.as_bytes() == message.username) else {
            return refuse(Status::UNAUTHORIZED_NAME);
        };
        let level = match message.role & 0x0f {
            0 => entry.asked,
            level => level,
        };
        let Ok(level) = Privilege::from_number(level) else { return refuse(Status::ILLEGAL_PARAMETER) };
        if level > users[user].privilege || level.number() > entry.asked {
            return refuse(Status::UNAUTHORIZED_PRIVILEGE);
        }
        let mut managed_random = [0; 16];
        entropy(&mut managed_random);
        let exchange = Exchange {
            suite: entry.suite,
            console_id: entry.console_id,
            managed_id: message.managed_id,
            console_random: message.random,
            managed_random,
            managed_guid: self.policy.guid,
            role: message.role,
            username: message.username,
        };
        let code = exchange.rakp2_code(users[user].password.as_bytes()).as_slice().to_vec();
        let proof = Rakp2Proof { random: managed_random, guid: self.policy.guid, code };
        let reply = Rakp2 { tag: message.tag, console_id: entry.console_id, outcome: Ok(proof) }.encode();
        entry.answered = (payload.to_vec(), reply.clone());
        entry.touched = now;
        entry.asked = level.number();
        entry.state = State::Proved { exchange: Box::new(exchange), user };
        Ok(reply)
    }

    fn confirm(&mut self, now: Instant, payload: &[u8]) -> Result<Vec<u8>, Silence> {
        let managed_id = super::u32_at("RAKP message 3", payload, 4)?;
        let Some(entry) = self.entries.get_mut(&managed_id) else {
            let refused = RakpFinal { tag: payload[0], session_id: 0, outcome: Err(Status::INVALID_SESSION) };
            return Ok(refused.encode());
        };
        if entry.answered.0 == payload {
            return Ok(entry.answered.1.clone());
        }
        let State::Proved { exchange, user } = &entry.state else {
            return Err(Silence::NotForUs("RAKP message 3 out of turn"));
        };
        let message = RakpFinal::decode_rakp3(entry.suite, payload)?;
        let console_id = entry.console_id;
        let answer = |outcome| RakpFinal { tag: message.tag, session_id: console_id, outcome }.encode();
        let password = self.policy.users[*user].password.as_bytes();
        let reply = match &message.outcome {
            // The client breaks off: nothing to answer.
            Err(_) => None,
            Ok(code) if is_same(code, exchange.rakp3_code(password).as_slice()) => {
                let keys = exchange.keys(password, self.policy.kg.as_deref());
                let check = exchange.rakp4_code(&keys);
                let reply = answer(Ok(check.truncated(entry.suite.integrity_bytes()).to_vec()));
                let channel = Channel::new(entry.suite, keys, managed_id, console_id);
                let limit = Privilege::from_number(entry.asked)?;
                entry.answered = (payload.to_vec(), reply.clone());
                entry.touched = now;
                // 22.18: a session starts at USER level, or below if it may not have that.
                let privilege = limit.min(Privilege::User);
                entry.state = State::Open(Box::new(Open { channel, limit, privilege, last: None }));
                return Ok(reply);
            }
            Ok(_) => Some(answer(Err(Status::INVALID_INTEGRITY_CHECK))),
        };
        self.entries.remove(&managed_id);
        reply.ok_or(Silence::NotForUs("the client broke the handshake off"))
    }

    fn in_session(
        &mut self,
        now: Instant,
        entropy: Entropy<'_>,
        packet: &V20<'_>,
    ) -> Result<Reaction, Silence> {
        let id = packet.session_id;
        let entry = self.entries.get_mut(&id).ok_or(Silence::NotForUs("no such session"))?;
        let State::Open(open) = &mut entry.state else {
            return Err(Silence::NotForUs("the session is not open yet"));
        };
        let payload = open.channel.open(packet)?;
        entry.touched = now;
        if packet.payload_type != PayloadType::Ipmi {
            return Err(Silence::NotForUs("a payload type that is not active"));
        }
        let request = Request::decode(&payload)?;
        if let Some((last, answer)) = &open.last
            && *last == request
        {
            return match answer {
                Some(answer) => {
                    Ok(Reaction::Reply(open.channel.seal(PayloadType::Ipmi, answer, &vector(entropy))))
                }
                None => Err(Silence::NotForUs("a repeated request that is still being carried out")),
            };
        }
        open.last = Some((request.clone(), None));
        let pending = Pending { session_id: id, privilege: open.privilege, request };
        let Some((completion, data, closes)) = self.about_session(&pending) else {
            return Ok(Reaction::Handle(pending));
        };
        let reply = self
            .respond(entropy, &pending, completion, data)
            .ok_or(Silence::NotForUs("the session has gone"))?;
        if closes {
            self.entries.remove(&id);
        }
        Ok(Reaction::Reply(reply))
    }

    /// Answers what is about the session itself: completion code, data, and whether the session ends.
    fn about_session(&mut self, pending: &Pending) -> Option<(CompletionCode, Vec<u8>, bool)> {
        let request = &pending.request;
        if request.netfn != command::GetDeviceId::NETFN {
            return None;
        }
        match request.command {
            SetSessionPrivilege::NUMBER => {
                let (completion, data) = self.set_privilege(pending);
                Some((completion, data, false))
            }
            CloseSession::NUMBER => Some(match CloseSession::decode(&request.data) {
                Ok(close) if close.session_id == pending.session_id => (CompletionCode::OK, Vec::new(), true),
                Ok(_) => (CompletionCode::INVALID_SESSION, Vec::new(), false),
                Err(_) => (CompletionCode::LENGTH_INVALID, Vec::new(), false),
            }),
            GetChannelAuthCapabilities::NUMBER | GetChannelCipherSuites::NUMBER | GetSystemGuid::NUMBER => {
                let (completion, data) = self.about_channel(request);
                Some((completion, data, false))
            }
            _ => None,
        }
    }

    fn set_privilege(&mut self, pending: &Pending) -> (CompletionCode, Vec<u8>) {
        let Ok(ask) = SetSessionPrivilege::decode(&pending.request.data) else {
            return (CompletionCode::INVALID_FIELD, Vec::new());
        };
        let Some(State::Open(open)) = self.entries.get_mut(&pending.session_id).map(|e| &mut e.state) else {
            return (CompletionCode::UNSPECIFIED, Vec::new());
        };
        match ask.level {
            Some(level) if level > open.limit => return (CompletionCode::ABOVE_LIMIT, Vec::new()),
            Some(level) => open.privilege = level,
            None => {}
        }
        (CompletionCode::OK, SetSessionPrivilege::encode_response(&open.privilege))
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("open", &self.open_count()).finish_non_exhaustive()
    }
}

impl Policy {
    /// The credentials that a client needs to log in as that user.
    pub fn credentials(&self, user: &User) -> Credentials {
        Credentials {
            username: user.name.clone().into_bytes(),
            password: user.password.clone().into_bytes(),
            kg: self.kg.clone(),
        }
    }
}

fn vector(entropy: Entropy<'_>) -> [u8; BLOCK] {
    let mut out = [0; BLOCK];
    entropy(&mut out);
    out
}
