//! The console's side and the managed system's side, wired to each other without a network.

use super::*;

/// Different bytes each time, the same each run.
fn entropy() -> impl FnMut(&mut [u8]) {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    move |out| {
        for byte in out {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = state as u8;
        }
    }
}

fn policy() -> Policy {
    Policy {
        guid: [7; 16],
        users: vec![
            User { name: "admin".into(), password: "calvin".into(), privilege: Privilege::Administrator },
            User { name: "op".into(), password: "op".into(), privilege: Privilege::Operator },
        ],
        kg: None,
        suites: vec![CipherSuite::Zero, CipherSuite::Three, CipherSuite::Seventeen],
        max_sessions: 4,
        inactivity: Duration::from_secs(60),
    }
}

fn offer(suite: CipherSuite, privilege: Privilege) -> Offer {
    Offer { suite, privilege, session_id: 0x1234_5678, random: [0x42; 16] }
}

fn admin() -> Credentials {
    Credentials { username: b"admin".to_vec(), password: b"calvin".to_vec(), kg: None }
}

type Source = Box<dyn FnMut(&mut [u8])>;

struct Bench {
    sessions: Sessions,
    entropy: Source,
    now: Instant,
}

impl Bench {
    fn new(policy: Policy) -> Self {
        Self { sessions: Sessions::new(policy), entropy: Box::new(entropy()), now: Instant::now() }
    }

    fn react(&mut self, datagram: &[u8]) -> Reaction {
        self.sessions.receive(self.now, &mut self.entropy, datagram)
    }

    fn reply(&mut self, datagram: &[u8]) -> Vec<u8> {
        match self.react(datagram) {
            Reaction::Reply(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    fn login(&mut self, credentials: Credentials, offer: Offer) -> Result<Session, HandshakeError> {
        let mut handshake = Handshake::begin(credentials, offer);
        loop {
            let reply = self.reply(handshake.outgoing());
            match handshake.receive(&reply)? {
                Progress::Established(session) => return Ok(*session),
                Progress::Advanced => {}
                Progress::Ignored(e) => panic!("{e}"),
            }
        }
    }

    /// Sends a status request that the owner answers with "on".
    fn status(&mut self, session: &mut Session) -> Response {
        let request = session.request(netfn::CHASSIS, GetChassisStatus::NUMBER, vec![]);
        let Reaction::Handle(pending) = self.react(&session.seal(&request, &[9; 16])) else { panic!() };
        assert_eq!(pending.request, request);
        let reply = self.sessions.respond(&mut self.entropy, &pending, CompletionCode::OK, vec![1, 0, 0]);
        match session.receive(&reply.unwrap()).unwrap() {
            Incoming::Response(response) => response,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn sessions_open_work_and_close_with_each_suite() {
    for suite in [CipherSuite::Zero, CipherSuite::Three, CipherSuite::Seventeen] {
        let mut bench = Bench::new(policy());
        let mut session = bench.login(admin(), offer(suite, Privilege::Administrator)).unwrap();
        assert_eq!((session.suite(), bench.sessions.open_count()), (suite, 1));
        for _ in 0..70 {
            assert!(GetChassisStatus::decode_response(&bench.status(&mut session).data).unwrap().is_on);
        }
        let close = session.close_request();
        let reply = bench.reply(&session.seal(&close, &[1; 16]));
        assert!(
            matches!(session.receive(&reply), Ok(Incoming::Response(r)) if r.completion == CompletionCode::OK)
        );
        assert_eq!(bench.sessions.open_count(), 0);
    }
}

#[test]
fn wrong_secrets_and_levels_are_told_apart() {
    let login = |credentials, privilege, kg| {
        let policy = Policy { kg, ..policy() };
        Bench::new(policy).login(credentials, offer(CipherSuite::Seventeen, privilege)).map(drop)
    };
    let level = Privilege::Administrator;
    let wrong = Credentials { password: b"hobbes".to_vec(), ..admin() };
    assert_eq!(login(wrong, level, None), Err(HandshakeError::PasswordDiffers));
    let nobody = Credentials { username: b"nobody".to_vec(), ..admin() };
    let refused = |stage, status| Err(HandshakeError::Refused { stage, status });
    assert_eq!(login(nobody, level, None), refused(console::Stage::Rakp1, Status::UNAUTHORIZED_NAME));
    let op = Credentials { username: b"op".to_vec(), password: b"op".to_vec(), kg: None };
    assert_eq!(
        login(op.clone(), level, None),
        refused(console::Stage::Rakp1, Status::UNAUTHORIZED_PRIVILEGE)
    );
    assert_eq!(login(op, Privilege::Operator, None), Ok(()));
    assert_eq!(login(admin(), level, Some(b"key".to_vec())), Err(HandshakeError::BmcKeyDiffers));
    let with_key = Credentials { kg: Some(b"key".to_vec()), ..admin() };
    assert_eq!(login(with_key, level, Some(b"key".to_vec())), Ok(()));
    let only_3 = Policy { suites: vec![CipherSuite::Three], ..policy() };
    for suite in [CipherSuite::Seventeen, CipherSuite::Zero] {
        let outcome = Bench::new(only_3.clone()).login(admin(), offer(suite, level)).map(drop);
        assert_eq!(outcome, refused(console::Stage::OpenSession, Status::NO_CIPHER_SUITE));
    }
}

#[test]
fn a_client_that_does_not_check_rakp_2_still_needs_the_password() {
    // RAKP message 3 with a made-up code: the BMC must not believe it.
    let mut bench = Bench::new(policy());
    let mut handshake = Handshake::begin(admin(), offer(CipherSuite::Three, Privilege::Administrator));
    for _ in 0..2 {
        let reply = bench.reply(handshake.outgoing());
        handshake.receive(&reply).unwrap();
    }
    let rakp3 = v20(handshake.outgoing()).payload.to_vec();
    let mut forged = RakpFinal::decode_rakp3(CipherSuite::Three, &rakp3).unwrap();
    forged.outcome = Ok(vec![0; 20]);
    let reply = bench.reply(&encode_v20_sessionless(PayloadType::Rakp3, &forged.encode()));
    let error = handshake.receive(&reply).unwrap_err();
    let status = Status::INVALID_INTEGRITY_CHECK;
    assert_eq!(error, HandshakeError::Refused { stage: console::Stage::Rakp3, status });
    assert_eq!(bench.sessions.open_count(), 0);
}

#[test]
fn repeated_handshake_messages_get_the_same_answer() {
    let mut bench = Bench::new(policy());
    let mut handshake = Handshake::begin(admin(), offer(CipherSuite::Seventeen, Privilege::User));
    loop {
        let datagram = handshake.outgoing().to_vec();
        let first = bench.reply(&datagram);
        assert_eq!(bench.reply(&datagram), first);
        if let Progress::Established(_) = handshake.receive(&first).unwrap() {
            break;
        }
        assert!(
            matches!(handshake.receive(&first), Ok(Progress::Ignored(_))),
            "a doubled answer changes nothing"
        );
    }
    assert_eq!(bench.sessions.open_count(), 1);
}

#[test]
fn a_repeated_request_is_carried_out_once() {
    let mut bench = Bench::new(policy());
    let mut session = bench.login(admin(), offer(CipherSuite::Three, Privilege::Administrator)).unwrap();
    let request = session.request(netfn::CHASSIS, ChassisControl::NUMBER, ChassisControl::HardReset.encode());
    let Reaction::Handle(pending) = bench.react(&session.seal(&request, &[1; 16])) else { panic!() };
    let impatient = bench.react(&session.seal(&request, &[2; 16]));
    assert!(matches!(impatient, Reaction::Silence(_)), "it is still being carried out");
    let reply = bench.sessions.respond(&mut bench.entropy, &pending, CompletionCode::OK, vec![]).unwrap();
    let again = bench.reply(&session.seal(&request, &[3; 16]));
    assert_ne!(again, reply);
    let answers: Vec<_> = [reply, again].iter().map(|datagram| session.receive(datagram).unwrap()).collect();
    assert_eq!(answers[0], answers[1]);
    let next = session.request(netfn::CHASSIS, ChassisControl::NUMBER, ChassisControl::HardReset.encode());
    assert!(
        matches!(bench.react(&session.seal(&next, &[4; 16])), Reaction::Handle(_)),
        "a new request is new"
    );
}

#[test]
fn replayed_and_altered_packets_are_dropped_on_both_sides() {
    for suite in [CipherSuite::Three, CipherSuite::Seventeen] {
        let mut bench = Bench::new(policy());
        let mut session = bench.login(admin(), offer(suite, Privilege::Administrator)).unwrap();
        let request = session.request(netfn::CHASSIS, GetChassisStatus::NUMBER, vec![]);
        let sent = session.seal(&request, &[5; 16]);
        for bit in 0..sent.len() * 8 {
            let mut altered = sent.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            // RMCP's second to fourth byte are not covered by any check.
            if bit / 8 >= 4 {
                assert!(matches!(bench.react(&altered), Reaction::Silence(_)), "bit {bit}");
            }
        }
        let Reaction::Handle(pending) = bench.react(&sent) else { panic!() };
        assert!(matches!(bench.react(&sent), Reaction::Silence(_)), "replayed");
        let reply =
            bench.sessions.respond(&mut bench.entropy, &pending, CompletionCode::OK, vec![1, 0, 0]).unwrap();
        let mut altered = reply.clone();
        altered[30] ^= 1;
        assert_eq!(session.receive(&altered), Err(Rejected::Forged));
        session.receive(&reply).unwrap();
        assert_eq!(session.receive(&reply), Err(Rejected::Replayed { sequence: 1 }));
        // Stripping the protection off does not help either.
        let naked = packet::encode_v20(PayloadType::Ipmi, false, false, 0x1234_5678, 9, &[0; 8]);
        assert_eq!(session.receive(&naked), Err(Rejected::Unprotected));
    }
}

#[test]
fn silence_ends_sessions_and_half_open_ones_do_not_pile_up() {
    let mut bench = Bench::new(policy());
    let mut session = bench.login(admin(), offer(CipherSuite::Three, Privilege::User)).unwrap();
    bench.now += Duration::from_secs(59);
    bench.status(&mut session);
    bench.now += Duration::from_secs(59);
    bench.status(&mut session);
    bench.now += Duration::from_secs(60);
    assert!(matches!(bench.react(&encode_ping(1)), Reaction::Reply(_)));
    assert_eq!(bench.sessions.open_count(), 0);
    for id in 1..1000u32 {
        let request = OpenSessionRequest {
            tag: 0,
            privilege: 4,
            console_id: id,
            algorithms: CipherSuite::Three.algorithms(),
        };
        bench.reply(&encode_v20_sessionless(PayloadType::OpenSessionRequest, &request.encode()));
    }
    bench.login(admin(), offer(CipherSuite::Three, Privilege::User)).unwrap();
}

#[test]
fn sessions_are_limited() {
    let mut bench = Bench::new(policy());
    for id in 1..=4 {
        let offer = Offer { session_id: id, ..offer(CipherSuite::Three, Privilege::User) };
        bench.login(admin(), offer).unwrap();
    }
    let refused = bench.login(admin(), offer(CipherSuite::Three, Privilege::User)).map(drop);
    let status = Status::INSUFFICIENT_RESOURCES;
    assert_eq!(refused, Err(HandshakeError::Refused { stage: console::Stage::OpenSession, status }));
}

#[test]
fn a_refusal_of_two_bytes_is_understood() {
    // OpenIPMI sends no more than tag and status.
    let mut handshake = Handshake::begin(admin(), offer(CipherSuite::Seventeen, Privilege::User));
    let refusal = encode_v20_sessionless(PayloadType::OpenSessionResponse, &[0x42, 0x04]);
    let error = handshake.receive(&refusal).unwrap_err();
    assert!(matches!(error, HandshakeError::Refused { status, .. } if status.is_cipher_refusal()));
}
