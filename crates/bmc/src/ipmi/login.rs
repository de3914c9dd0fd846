//! Opening a session: what the BMC can do, which cipher suite, the handshake, the privilege.

use super::dialog::{Call, Verdict, random};
use crate::BmcError;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};
use wire::ipmi::channel::Rejected;
use wire::ipmi::command::{
    AuthCapabilities, Command, GetChannelAuthCapabilities, GetChannelCipherSuites, SetSessionPrivilege,
    offered_suites,
};
use wire::ipmi::console::{
    Handshake, HandshakeError, Incoming, Offer, Progress, Session, Stage, Wrapper, decode_sessionless,
    encode_sessionless,
};
use wire::ipmi::crypto::CipherSuite;
use wire::ipmi::handshake::Status;
use wire::ipmi::{CompletionCode, Request, Response};

/// How often a message is sent when there is something else to try.
const TRIES_WITH_ALTERNATIVE: u32 = 2;
/// How long to wait before a BMC without a free session is asked again.
const SLOT_WAIT: Duration = Duration::from_secs(2);
/// Chunks of sixteen bytes in the longest list of cipher suites (22.15).
const MOST_SUITE_CHUNKS: u8 = 64;

/// An open session with its own socket: a fresh port for each, so that packets of an earlier session never get here.
pub(super) struct Link {
    pub socket: UdpSocket,
    pub session: Session,
    /// When the BMC last answered in this session.
    pub last_answer: Instant,
}

impl Link {
    /// Sends a request in the session until it is answered.
    pub async fn ask(
        &mut self,
        call: &mut Call<'_>,
        tries: Option<u32>,
        netfn: u8,
        command: u8,
        data: Vec<u8>,
    ) -> Result<Option<Response>, BmcError> {
        let request = self.session.request(netfn, command, data);
        let answer = call
            .ask(
                &self.socket,
                tries,
                &mut self.session,
                |session| Ok(session.seal(&request, &random()?)),
                |session, datagram| match session.receive(datagram) {
                    Ok(Incoming::Response(r)) if r.answers(netfn, command, request.sequence) => {
                        Verdict::Answer(r)
                    }
                    Ok(_) => Verdict::Stray,
                    // A late copy of a handshake message, or of an answer from before the session.
                    Err(Rejected::OtherSession { got: 0, .. }) => Verdict::Stray,
                    Err(rejected) => Verdict::Bad(rejected.to_string()),
                },
            )
            .await?;
        if answer.is_some() {
            self.last_answer = Instant::now();
        }
        Ok(answer)
    }
}

impl Drop for Link {
    /// Gives the session's slot back: BMCs have few. One datagram, no waiting for its answer; if it is lost, the BMC's own limit of a
    /// minute ends the session.
    fn drop(&mut self) {
        let request = self.session.close_request();
        if let Ok(vector) = random() {
            let _ = self.socket.try_send(&self.session.seal(&request, &vector));
        }
    }
}

/// Opens a session. `learned` is the suite that worked last time.
pub(super) async fn login(call: &mut Call<'_>, learned: &mut Option<CipherSuite>) -> Result<Link, BmcError> {
    let doing = std::mem::take(&mut call.doing);
    let link = log_in(call, learned).await;
    call.doing = doing;
    link
}

async fn log_in(call: &mut Call<'_>, learned: &mut Option<CipherSuite>) -> Result<Link, BmcError> {
    let (peer, capabilities) = find(call).await?;
    if !capabilities.has_v20 {
        return Err(BmcError::Unsupported {
            address: call.address(),
            doing: "IPMI 2.0".to_owned(),
            detail: "it says that its LAN channel speaks IPMI 1.5 only; update its firmware".to_owned(),
        });
    }
    let suites = candidates(call, peer, *learned).await?;
    let mut refusal = String::new();
    for (n, suite) in suites.iter().enumerate() {
        let is_last = n + 1 == suites.len();
        match handshake(call, peer, *suite, is_last, &capabilities).await? {
            Shake::Open(mut link) => {
                raise_privilege(call, &mut link).await?;
                *learned = Some(*suite);
                return Ok(*link);
            }
            Shake::SuiteRefused(detail) => {
                tracing::info!(bmc = %call.address(), suite = suite.id(), %detail, "cipher suite refused");
                refusal = detail;
            }
        }
    }
    *learned = None;
    let tried = suites.iter().map(|s| s.id()).collect();
    Err(BmcError::CipherRefused { address: call.address(), tried, detail: refusal })
}

async fn connect(peer: SocketAddr) -> std::io::Result<UdpSocket> {
    let any: SocketAddr =
        if peer.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(peer).await?;
    Ok(socket)
}

/// Resolves the name and asks each address in turn for its capabilities until one answers.
async fn find(call: &mut Call<'_>) -> Result<(SocketAddr, AuthCapabilities), BmcError> {
    call.doing = GetChannelAuthCapabilities::NAME.to_owned();
    let host = call.settings.address.trim_matches(['[', ']']).to_owned();
    let port = call.settings.port;
    let peers: Vec<SocketAddr> =
        match timeout_at(call.deadline(), tokio::net::lookup_host((host.as_str(), port))).await {
            Ok(Ok(found)) => found.collect(),
            Ok(Err(e)) => {
                call.note(format!("the name does not resolve: {e}"));
                return Err(call.silence());
            }
            Err(_) => {
                call.note("the name server did not answer");
                return Err(call.silence());
            }
        };
    let ask = GetChannelAuthCapabilities::new(call.settings.privilege);
    let tries = (peers.len() > 1).then_some(TRIES_WITH_ALTERNATIVE);
    let mut unusable = 0;
    for peer in peers.iter().cycle() {
        if call.is_over() || unusable >= peers.len() {
            break;
        }
        let socket = match connect(*peer).await {
            Ok(socket) => socket,
            Err(e) => {
                call.note(format!("{peer}: {e}"));
                unusable += 1;
                continue;
            }
        };
        if let Some(response) = ask_sessionless(call, &socket, tries, Wrapper::V15, &ask).await? {
            let capabilities = (response.completion == CompletionCode::OK)
                .then(|| GetChannelAuthCapabilities::decode_response(&response.data).ok())
                .flatten();
            return match capabilities {
                Some(capabilities) => Ok((*peer, capabilities)),
                None => Err(BmcError::Unsupported {
                    address: call.address(),
                    doing: "IPMI 2.0".to_owned(),
                    detail: format!(
                        "it answered {} with {} and {} bytes",
                        call.doing,
                        response.completion,
                        response.data.len()
                    ),
                }),
            };
        }
    }
    Err(call.silence())
}

/// Asks something outside any session.
async fn ask_sessionless<C: Command>(
    call: &mut Call<'_>,
    socket: &UdpSocket,
    tries: Option<u32>,
    wrapper: Wrapper,
    command: &C,
) -> Result<Option<Response>, BmcError> {
    let sequence = call.random::<1>()?[0] & 0x3f;
    let mut request = Request::new(C::NETFN, C::NUMBER, sequence, command.encode());
    call.ask(
        socket,
        tries,
        &mut request,
        |request| Ok(encode_sessionless(wrapper, request)),
        |request, datagram| match decode_sessionless(datagram) {
            Ok(r) if r.answers(C::NETFN, C::NUMBER, request.sequence) => Verdict::Answer(r),
            Ok(_) => Verdict::Stray,
            Err(e) => Verdict::Bad(e.to_string()),
        },
    )
    .await
}

/// Suites to try, best first.
async fn candidates(
    call: &mut Call<'_>,
    peer: SocketAddr,
    learned: Option<CipherSuite>,
) -> Result<Vec<CipherSuite>, BmcError> {
    const PREFERRED: [CipherSuite; 2] = [CipherSuite::Seventeen, CipherSuite::Three];
    if let Some(suite) = call.settings.cipher_suite {
        return Ok(vec![suite]);
    }
    if let Some(first) = learned {
        return Ok(std::iter::once(first).chain(PREFERRED.into_iter().filter(|s| *s != first)).collect());
    }
    call.doing = GetChannelCipherSuites::NAME.to_owned();
    let offered = match connect(peer).await {
        Ok(socket) => offered(call, &socket).await?,
        Err(_) => Vec::new(),
    };
    if offered.is_empty() {
        // An old BMC without the command: the handshake will tell.
        return Ok(PREFERRED.to_vec());
    }
    let usable: Vec<CipherSuite> = PREFERRED.into_iter().filter(|s| offered.contains(&s.id())).collect();
    if usable.is_empty() {
        return Err(BmcError::CipherRefused {
            address: call.address(),
            tried: Vec::new(),
            detail: format!("it offers only {offered:?}"),
        });
    }
    Ok(usable)
}

/// Numbers of the suites that the BMC lists; empty if it has no list.
async fn offered(call: &mut Call<'_>, socket: &UdpSocket) -> Result<Vec<u8>, BmcError> {
    let mut records = Vec::new();
    for index in 0..MOST_SUITE_CHUNKS {
        let ask = GetChannelCipherSuites::new(index);
        let tries = Some(TRIES_WITH_ALTERNATIVE);
        let Some(response) = ask_sessionless(call, socket, tries, Wrapper::V20, &ask).await? else { break };
        if response.completion != CompletionCode::OK {
            break;
        }
        let Ok(chunk) = GetChannelCipherSuites::decode_response(&response.data) else { break };
        let is_last = chunk.records.len() < 16;
        records.extend(chunk.records);
        if is_last {
            break;
        }
    }
    Ok(offered_suites(&records))
}

/// How a handshake went, unless the whole call is to fail.
enum Shake {
    Open(Box<Link>),
    SuiteRefused(String),
}

async fn handshake(
    call: &mut Call<'_>,
    peer: SocketAddr,
    suite: CipherSuite,
    is_last: bool,
    capabilities: &AuthCapabilities,
) -> Result<Shake, BmcError> {
    let mut is_retry = false;
    loop {
        let before = call.attempts();
        match handshake_once(call, peer, suite, is_last).await? {
            Ok(link) => return Ok(Shake::Open(Box::new(link))),
            Err(None) => {
                return Ok(Shake::SuiteRefused(
                    "it left the Open Session Request without an answer".to_owned(),
                ));
            }
            Err(Some(error)) => {
                // A message that was sent twice can leave some BMCs with two half-made sessions, which then disagree with ours.
                let was_repeated = call.attempts() - before > 3;
                match judge(call, &error, capabilities) {
                    Judged::SuiteRefused => return Ok(Shake::SuiteRefused(error.to_string())),
                    Judged::Wait if !call.is_over() => call.pause(Instant::now() + SLOT_WAIT).await,
                    Judged::Wait => {
                        return Err(BmcError::NoFreeSession {
                            address: call.address(),
                            detail: error.to_string(),
                        });
                    }
                    Judged::Fatal(_) if was_repeated && !is_retry => is_retry = true,
                    Judged::Fatal(fatal) => return Err(*fatal),
                }
                if call.is_over() {
                    return Err(match judge(call, &error, capabilities) {
                        Judged::Wait => {
                            BmcError::NoFreeSession { address: call.address(), detail: error.to_string() }
                        }
                        Judged::Fatal(fatal) => *fatal,
                        Judged::SuiteRefused => call.silence(),
                    });
                }
            }
        }
    }
}

enum Judged {
    SuiteRefused,
    /// No free session: some come free.
    Wait,
    Fatal(Box<BmcError>),
}

/// What a failed handshake means to the caller.
fn judge(call: &Call<'_>, error: &HandshakeError, capabilities: &AuthCapabilities) -> Judged {
    let address = call.address();
    let user = call.settings.username.clone();
    let kg_hint = if capabilities.has_kg() && call.settings.hex_kg_key.is_none() {
        "; the BMC has a K_g set, but ipmi_hex_kg_key is not given"
    } else {
        ""
    };
    let credentials = |detail: String| {
        Judged::Fatal(Box::new(BmcError::WrongCredentials {
            address: address.clone(),
            user: user.clone(),
            detail: format!("{detail}{kg_hint}"),
        }))
    };
    match *error {
        HandshakeError::SuiteChanged { .. } => Judged::SuiteRefused,
        HandshakeError::PasswordDiffers => credentials(format!("the password is wrong ({error})")),
        HandshakeError::BmcKeyDiffers => credentials(format!("the BMC's key is wrong ({error})")),
        HandshakeError::Refused { status, .. } if status.is_cipher_refusal() => Judged::SuiteRefused,
        HandshakeError::Refused { status: Status(0x01 | 0x0b), .. } => Judged::Wait,
        HandshakeError::Refused { status: Status(0x09 | 0x0a), .. } => {
            Judged::Fatal(Box::new(BmcError::PrivilegeRefused {
                address,
                user,
                doing: format!("a session at level {}", call.settings.privilege),
                detail: error.to_string(),
            }))
        }
        HandshakeError::Refused { status: Status(0x0c..=0x0e), .. } => {
            credentials(format!("there is no such user ({error})"))
        }
        HandshakeError::Refused { status: Status::INVALID_INTEGRITY_CHECK, .. } => {
            credentials(format!("the password is wrong ({error})"))
        }
        HandshakeError::Refused { .. } => Judged::Fatal(Box::new(BmcError::BadPacket {
            address,
            doing: call.doing.clone(),
            problem: error.to_string(),
            elapsed: Duration::ZERO,
        })),
    }
}

/// One handshake. Inner `Err(None)`: the BMC left the first message without an answer, and there is another suite to try.
async fn handshake_once(
    call: &mut Call<'_>,
    peer: SocketAddr,
    suite: CipherSuite,
    is_last: bool,
) -> Result<Result<Link, Option<HandshakeError>>, BmcError> {
    let Ok(socket) = connect(peer).await else { return Err(call.silence()) };
    let offer = Offer {
        suite,
        privilege: call.settings.privilege,
        session_id: u32::from_le_bytes(call.random()?).max(1),
        random: call.random()?,
    };
    let mut handshake = Handshake::begin(call.settings.credentials(), offer);
    loop {
        let stage = handshake.stage();
        call.doing = stage.to_string();
        let tries = (stage == Stage::OpenSession && !is_last).then_some(TRIES_WITH_ALTERNATIVE);
        let step = call
            .ask(
                &socket,
                tries,
                &mut handshake,
                |handshake| Ok(handshake.outgoing().to_vec()),
                |handshake, datagram| match handshake.receive(datagram) {
                    Ok(Progress::Ignored(e)) => Verdict::Bad(e.to_string()),
                    Ok(Progress::Advanced) => Verdict::Answer(Ok(None)),
                    Ok(Progress::Established(session)) => Verdict::Answer(Ok(Some(session))),
                    Err(e) => Verdict::Answer(Err(e)),
                },
            )
            .await?;
        match step {
            Some(Ok(None)) => {}
            Some(Ok(Some(session))) => {
                return Ok(Ok(Link { socket, session: *session, last_answer: Instant::now() }));
            }
            Some(Err(error)) => return Ok(Err(Some(error))),
            None if tries.is_some() && !call.is_over() => return Ok(Err(None)),
            None => {
                if stage == Stage::Rakp1 {
                    call.note("some BMCs are silent at this point when the user does not exist");
                }
                return Err(call.silence());
            }
        }
    }
}

/// A new session is at USER level; asks for the level wanted.
async fn raise_privilege(call: &mut Call<'_>, link: &mut Link) -> Result<(), BmcError> {
    call.doing = SetSessionPrivilege::NAME.to_owned();
    let level = call.settings.privilege;
    let ask = SetSessionPrivilege { level: Some(level) };
    let (netfn, number) = (SetSessionPrivilege::NETFN, SetSessionPrivilege::NUMBER);
    let Some(response) = link.ask(call, None, netfn, number, ask.encode()).await? else {
        return Err(call.silence());
    };
    if response.completion == CompletionCode::OK {
        return Ok(());
    }
    Err(BmcError::PrivilegeRefused {
        address: call.address(),
        user: call.settings.username.clone(),
        doing: format!("a session at level {level}"),
        detail: format!("it answered {} with {}", call.doing, response.completion),
    })
}
