//! Round trips, and no panic on any bytes.

use super::*;

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    // Noise, and noise behind a proper beginning, so that the inner layers get their share.
    let head = prop_oneof![
        Just(vec![]),
        Just(vec![0x06, 0x00, 0xff, 0x07]),
        Just(vec![0x06, 0x00, 0xff, 0x06, 0x00, 0x00, 0x11, 0xbe]),
        Just(vec![0x06, 0x00, 0xff, 0x07, 0x00]),
        (0x10..0x16u8, 0..80u8).prop_map(|(kind, length)| {
            vec![0x06, 0x00, 0xff, 0x07, 0x06, kind, 0, 0, 0, 0, 0, 0, 0, 0, length, 0]
        }),
    ];
    (head, proptest::collection::vec(any::<u8>(), 0..MAX_DATAGRAM + 50)).prop_map(|(mut head, tail)| {
        head.extend(tail);
        head
    })
}

fn policy() -> Policy {
    Policy {
        guid: [1; 16],
        users: vec![User { name: String::new(), password: String::new(), privilege: Privilege::User }],
        kg: None,
        suites: vec![CipherSuite::Three, CipherSuite::Seventeen, CipherSuite::Zero],
        max_sessions: 2,
        inactivity: Duration::from_secs(60),
    }
}

fn suites() -> impl Strategy<Value = CipherSuite> {
    prop_oneof![Just(CipherSuite::Zero), Just(CipherSuite::Three), Just(CipherSuite::Seventeen)]
}

fn round_trip<C: Command + PartialEq + std::fmt::Debug>(request: &C, response: &C::Response)
where
    C::Response: PartialEq + std::fmt::Debug,
{
    assert_eq!(C::decode(&request.encode()).as_ref(), Ok(request));
    assert_eq!(C::decode_response(&C::encode_response(response)).as_ref(), Ok(response));
}

proptest! {
    #[test]
    fn nothing_panics(bytes in hostile(), suite in suites()) {
        let _ = Packet::decode(&bytes);
        let _ = Request::decode(&bytes);
        let _ = Response::decode(&bytes);
        let _ = console::decode_sessionless(&bytes);
        let _ = OpenSessionRequest::decode(&bytes);
        let _ = OpenSessionResponse::decode(&bytes);
        let _ = Rakp1::decode(&bytes);
        let _ = Rakp2::decode(suite, &bytes);
        let _ = RakpFinal::decode_rakp3(suite, &bytes);
        let _ = RakpFinal::decode_rakp4(suite, &bytes);
        let _ = GetDeviceId::decode_response(&bytes);
        let _ = GetChassisStatus::decode_response(&bytes);
        let _ = ChassisControl::decode(&bytes);
        let _ = SetBootOption::decode(&bytes);
        let _ = GetBootOption::decode(&bytes);
        let _ = GetBootOption::decode_response(&bytes);
        let _ = BootFlags::decode(&bytes);
        let _ = GetChannelAuthCapabilities::decode(&bytes);
        let _ = GetChannelAuthCapabilities::decode_response(&bytes);
        let _ = GetChannelCipherSuites::decode(&bytes);
        let _ = GetChannelCipherSuites::decode_response(&bytes);
        let _ = SetSessionPrivilege::decode(&bytes);
        let _ = SetSessionPrivilege::decode_response(&bytes);
        let _ = CloseSession::decode(&bytes);
        let _ = GetSystemGuid::decode_response(&bytes);
        let _ = offered_suites(&bytes);
    }

    #[test]
    fn no_side_panics(datagrams in proptest::collection::vec(hostile(), 1..8), suite in suites()) {
        let mut sessions = Sessions::new(policy());
        let mut handshake = Handshake::begin(
            Credentials::default(),
            Offer { suite, privilege: Privilege::User, session_id: 1, random: [0; 16] },
        );
        let now = Instant::now();
        for datagram in &datagrams {
            let reaction = sessions.receive(now, &mut |out: &mut [u8]| out.fill(3), datagram);
            if let Reaction::Reply(reply) = reaction {
                // Nobody gets a larger datagram out of a BMC than he put in, but for the pong and the few bytes that a status adds.
                prop_assert!(reply.len() <= datagram.len().max(16) + 64);
            }
            let _ = handshake.receive(datagram);
        }
        prop_assert_eq!(sessions.open_count(), 0);
    }

    #[test]
    fn sealed_packets_open(
        suite in suites(),
        payload in proptest::collection::vec(any::<u8>(), 0..400),
        vector: [u8; 16],
        noise in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let exchange = Exchange {
            suite, console_id: 1, managed_id: 2, console_random: vector, managed_random: [1; 16],
            managed_guid: [2; 16], role: 0x14, username: b"admin".to_vec(),
        };
        let keys = exchange.keys(b"calvin", None);
        let mut console = Channel::new(suite, keys.clone(), 1, 2);
        let mut bmc = Channel::new(suite, keys.clone(), 2, 1);
        let sealed = console.seal(PayloadType::Ipmi, &payload, &vector);
        prop_assert_eq!(bmc.open(&v20(&sealed)), Ok(payload));
        let _ = keys.decrypt(&noise);
    }

    #[test]
    fn messages_round_trip(
        netfn in 0u8..32, command: u8, sequence: u8, completion: u8, lun in 0u8..4, requester: u8,
        data in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut request = Request::new(netfn * 2, command, sequence, data.clone());
        request.lun = lun;
        request.requester = requester;
        prop_assert_eq!(Request::decode(&request.encode()), Ok(request.clone()));
        let response = request.response(CompletionCode(completion), data);
        prop_assert_eq!(Response::decode(&response.encode()), Ok(response.clone()));
        prop_assert!(response.answers(netfn * 2, command, request.sequence));
    }

    #[test]
    fn commands_round_trip(bytes: [u8; 16], word: u32, flag: bool, level in 1u8..5, device in 0u8..16) {
        let privilege = Privilege::from_number(level).unwrap();
        let id = DeviceId {
            device_id: bytes[0], device_revision: bytes[1] & 0x0f, provides_sdrs: flag, firmware_major: bytes[2] & 0x7f,
            firmware_minor: bytes[3], is_available: !flag, ipmi_version: (bytes[4] & 0x0f, bytes[5] & 0x0f), support: bytes[6],
            manufacturer: word & 0x000f_ffff, product: word as u16,
        };
        round_trip(&GetDeviceId, &id);
        let status = ChassisStatus { is_on: flag, power_bits: bytes[0] & 0x7e, last_event: bytes[1], misc: bytes[2] };
        round_trip(&GetChassisStatus, &status);
        round_trip(&GetSystemGuid, &bytes);
        round_trip(&SetSessionPrivilege { level: flag.then_some(privilege) }, &privilege);
        round_trip(&CloseSession { session_id: word }, &());
        let flags = BootFlags {
            is_valid: flag, is_persistent: !flag, is_efi: flag, device: BootDevice::from_number(device),
            rest: [bytes[0] & 0xc3, bytes[1], bytes[2], bytes[3]],
        };
        prop_assert_eq!(BootFlags::decode(&flags.encode()), Ok(flags));
        let option = BootOption { parameter: bytes[0] & 0x7f, is_invalid: flag, data: bytes.to_vec() };
        round_trip(&GetBootOption { parameter: bytes[0] & 0x7f, set: bytes[1], block: bytes[2] }, &option);
        let set = SetBootOption { parameter: bytes[0] & 0x7f, mark_invalid: flag, data: bytes.to_vec() };
        round_trip(&set, &());
        let ask = GetChannelAuthCapabilities { wants_v20: flag, channel: bytes[0] & 0x0f, privilege };
        let capabilities = AuthCapabilities {
            channel: bytes[1] & 0x0f, auth_types: bytes[2] | 0x80, status: bytes[3], has_v20: flag, has_v15: !flag,
        };
        round_trip(&ask, &capabilities);
        let ask = GetChannelCipherSuites { channel: 14, payload_type: 0, index: bytes[0] & 0x3f, by_suite: flag };
        let list = CipherSuiteList { channel: 1, records: bytes.to_vec() };
        round_trip(&ask, &list);
    }

    #[test]
    fn handshake_messages_round_trip(
        tag: u8, id: u32, other: u32, random: [u8; 16], guid: [u8; 16], status in 1u8..255, suite in suites(),
        username in proptest::collection::vec(any::<u8>(), 0..17),
    ) {
        let open = OpenSessionRequest { tag, privilege: 4, console_id: id, algorithms: suite.algorithms() };
        prop_assert_eq!(OpenSessionRequest::decode(&open.encode()), Ok(open));
        for outcome in [
            Ok(OpenSessionGrant { privilege: 4, managed_id: other, algorithms: suite.algorithms() }),
            Err(Status(status)),
        ] {
            let message = OpenSessionResponse { tag, console_id: id, outcome };
            prop_assert_eq!(OpenSessionResponse::decode(&message.encode()), Ok(message));
        }
        let message = Rakp1 { tag, managed_id: id, random, role: 0x14, username };
        prop_assert_eq!(Rakp1::decode(&message.encode()), Ok(message));
        let code = vec![5; suite.key_exchange_bytes()];
        for outcome in [Ok(Rakp2Proof { random, guid, code: code.clone() }), Err(Status(status))] {
            let message = Rakp2 { tag, console_id: id, outcome };
            prop_assert_eq!(Rakp2::decode(suite, &message.encode()), Ok(message));
        }
        for outcome in [Ok(code), Err(Status(status))] {
            let message = RakpFinal { tag, session_id: id, outcome };
            prop_assert_eq!(RakpFinal::decode_rakp3(suite, &message.encode()), Ok(message));
        }
    }
}
