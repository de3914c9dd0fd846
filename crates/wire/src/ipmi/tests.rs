//! Captures of others, both sides against each other, and bytes at random.

use super::channel::{Channel, Rejected};
use super::command::*;
use super::console::{self, Handshake, HandshakeError, Incoming, Offer, Progress, Session};
use super::crypto::{CipherSuite, Credentials, Exchange};
use super::handshake::*;
use super::managed::{Policy, Reaction, Sessions, User};
use super::message::{Privilege, netfn};
use super::packet::{MAX_DATAGRAM, Packet, PayloadType, encode_ping, encode_v20_sessionless};
use super::*;
use proptest::prelude::*;
use std::time::{Duration, Instant};

mod both_sides;
mod properties;

/// The datagrams of a capture, `true` for those from the console.
fn capture(text: &str) -> Vec<(bool, Vec<u8>)> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (direction, hex) = line.split_once(' ').unwrap();
            let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
            (direction == ">", bytes.collect())
        })
        .collect()
}

fn v20(datagram: &[u8]) -> packet::V20<'_> {
    match Packet::decode(datagram).unwrap() {
        Packet::V20(packet) => packet,
        other => panic!("{other:?}"),
    }
}

/// Follows a captured session with nothing but its password: every code must come out as captured, every packet must open.
fn follow(text: &str, suite: CipherSuite, password: &[u8]) -> Vec<(Request, Response)> {
    let all = capture(text);
    let capabilities = console::decode_sessionless(&all[1].1).unwrap();
    let capabilities = GetChannelAuthCapabilities::decode_response(&capabilities.data).unwrap();
    assert!(capabilities.has_v20 && !capabilities.has_kg());

    let open = OpenSessionRequest::decode(v20(&all[2].1).payload).unwrap();
    assert_eq!(open.algorithms, suite.algorithms());
    assert_eq!(encode_v20_sessionless(PayloadType::OpenSessionRequest, &open.encode()), all[2].1);
    let grant = OpenSessionResponse::decode(v20(&all[3].1).payload).unwrap();
    assert_eq!(encode_v20_sessionless(PayloadType::OpenSessionResponse, &grant.encode()), all[3].1);
    let grant = grant.outcome.unwrap();
    let rakp1 = Rakp1::decode(v20(&all[4].1).payload).unwrap();
    assert_eq!(rakp1.encode(), v20(&all[4].1).payload[..28 + rakp1.username.len()]);
    let rakp2 = Rakp2::decode(suite, v20(&all[5].1).payload).unwrap();
    assert_eq!(encode_v20_sessionless(PayloadType::Rakp2, &rakp2.encode()), all[5].1);
    let proof = rakp2.outcome.unwrap();
    let exchange = Exchange {
        suite,
        console_id: open.console_id,
        managed_id: grant.managed_id,
        console_random: rakp1.random,
        managed_random: proof.random,
        managed_guid: proof.guid,
        role: rakp1.role,
        username: rakp1.username,
    };
    assert_eq!(exchange.rakp2_code(password).as_slice(), proof.code);
    let rakp3 = RakpFinal::decode_rakp3(suite, v20(&all[6].1).payload).unwrap();
    assert_eq!(exchange.rakp3_code(password).as_slice(), rakp3.outcome.clone().unwrap());
    assert_eq!(encode_v20_sessionless(PayloadType::Rakp3, &rakp3.encode()), all[6].1);
    let keys = exchange.keys(password, None);
    let rakp4 = RakpFinal::decode_rakp4(suite, v20(&all[7].1).payload).unwrap();
    assert_eq!(exchange.rakp4_code(&keys).truncated(suite.integrity_bytes()), rakp4.outcome.unwrap());

    let mut at_bmc = Channel::new(suite, keys.clone(), exchange.managed_id, exchange.console_id);
    let mut at_console = Channel::new(suite, keys, exchange.console_id, exchange.managed_id);
    let pairs = all[8..].chunks(2).map(|pair| {
        assert!(pair[0].0 && !pair[1].0);
        let request = Request::decode(&at_bmc.open(&v20(&pair[0].1)).unwrap()).unwrap();
        let response = Response::decode(&at_console.open(&v20(&pair[1].1)).unwrap()).unwrap();
        assert!(response.answers(request.netfn, request.command, request.sequence));
        (request, response)
    });
    pairs.collect()
}

fn check_story(pairs: &[(Request, Response)], is_on: bool) {
    let find = |netfn, command| {
        let pair = pairs.iter().find(|(q, _)| (q.netfn, q.command) == (netfn, command));
        pair.unwrap_or_else(|| panic!("no {netfn:#x} {command:#x}"))
    };
    let (request, response) = find(netfn::APP, SetSessionPrivilege::NUMBER);
    let ask = SetSessionPrivilege::decode(&request.data).unwrap();
    assert_eq!(ask.level, Some(Privilege::Administrator));
    assert_eq!(SetSessionPrivilege::decode_response(&response.data), Ok(Privilege::Administrator));
    let (_, response) = find(netfn::CHASSIS, GetChassisStatus::NUMBER);
    assert_eq!(GetChassisStatus::decode_response(&response.data).unwrap().is_on, is_on);
    let (_, response) = find(netfn::GROUP, 0x3e);
    assert_eq!(response.completion, CompletionCode::INVALID_COMMAND);
    let (request, response) = find(netfn::APP, CloseSession::NUMBER);
    CloseSession::decode(&request.data).unwrap();
    assert_eq!(response.completion, CompletionCode::OK);
    for (request, response) in pairs {
        assert_eq!(Request::decode(&request.encode()).as_ref(), Ok(request));
        assert_eq!(Response::decode(&response.encode()).as_ref(), Ok(response));
    }
}

#[test]
fn a_captured_session_with_suite_3() {
    check_story(&follow(include_str!("tests/suite3.txt"), CipherSuite::Three, b"calvin"), true);
}

#[test]
fn a_captured_session_with_suite_17() {
    check_story(&follow(include_str!("tests/suite17.txt"), CipherSuite::Seventeen, b"calvin"), false);
}

#[test]
fn messages_are_the_bytes_that_tools_send() {
    let capabilities = GetChannelAuthCapabilities::new(Privilege::Administrator);
    let request = Request::new(netfn::APP, GetChannelAuthCapabilities::NUMBER, 0, capabilities.encode());
    let ours = console::encode_sessionless(console::Wrapper::V15, &request);
    assert_eq!(ours, capture(include_str!("tests/suite3.txt"))[0].1);
    // Ironic's raw commands for boot options.
    assert_eq!(SetBootOption::no_timeout().encode(), [0x03, 0x08]);
    let flags = |is_persistent, device| {
        let flags = BootFlags { is_valid: true, is_persistent, is_efi: true, device, rest: [0; 4] };
        SetBootOption::flags(&flags).encode()
    };
    assert_eq!(flags(true, BootDevice::Disk), [0x05, 0xe0, 0x08, 0, 0, 0]);
    assert_eq!(flags(false, BootDevice::Pxe), [0x05, 0xa0, 0x04, 0, 0, 0]);
    assert_eq!(flags(true, BootDevice::Other(9)), [0x05, 0xe0, 0x24, 0, 0, 0]);
    assert_eq!(ChassisControl::HardReset.encode(), [3]);
}

#[test]
fn suite_records_of_all_kinds_are_read() {
    // Suites 0 and 3, an OEM suite between, 17 cut off after its number.
    let records = [
        0xc0, 0x00, 0x00, 0x40, 0x80, 0xc1, 0x81, 0x57, 0x01, 0x00, 0x03, 0x44, 0x81, 0xc0, 0x03, 0x01, 0x41,
        0x81, 0xc0, 0x11,
    ];
    assert_eq!(offered_suites(&records), [0, 3, 17]);
    let ours = super::command::suite_records(&[CipherSuite::Three, CipherSuite::Seventeen]);
    assert_eq!(ours, [0xc0, 3, 1, 0x41, 0x81, 0xc0, 17, 3, 0x44, 0x81]);
    assert_eq!(offered_suites(&ours), [3, 17]);
}

#[test]
fn secrets_are_not_shown() {
    let credentials = Credentials {
        username: b"admin".to_vec(),
        password: b"calvin".to_vec(),
        kg: Some(b"hobbes".to_vec()),
    };
    let user = User { name: "admin".into(), password: "calvin".into(), privilege: Privilege::User };
    let shown = format!("{credentials:?} {user:?}");
    assert!(!shown.contains("calvin") && !shown.contains("hobbes") && shown.contains("admin"), "{shown}");
}
