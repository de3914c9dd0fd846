use super::*;
use std::thread;

const MAC: [u8; 6] = [0x52, 0x54, 0, 0x77, 0, 1];

fn reply(to: &Message, kind: MessageKind, options: Vec<(u8, Vec<u8>)>) -> Message {
    Message { kind, your_address: Ipv4Addr::new(10, 77, 0, 50), options, ..to.clone() }
}

fn usual() -> Vec<(u8, Vec<u8>)> {
    vec![
        (1, vec![255, 255, 255, 0]),
        (3, vec![10, 77, 0, 1]),
        (6, vec![10, 77, 0, 1, 10, 77, 0, 2]),
        (12, b"node-1".to_vec()),
        (26, vec![0x05, 0x78]),
        (51, vec![0, 0, 14, 16]),
        (54, vec![10, 77, 0, 1]),
    ]
}

/// Runs `script` once for each message that the client sends; what it returns is sent back.
fn client_with(
    mut script: impl FnMut(usize, Message) -> Vec<Vec<u8>> + Send + 'static,
    rounds: usize,
) -> (Client, thread::JoinHandle<()>) {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let std::net::SocketAddr::V4(address) = server.local_addr().unwrap() else { panic!("IPv4") };
    let task = thread::spawn(move || {
        for round in 0..rounds {
            let mut buffer = [0u8; 2048];
            let (count, from) = server.recv_from(&mut buffer).unwrap();
            for answer in script(round, Message::decode(&buffer[..count]).unwrap()) {
                server.send_to(&answer, from).unwrap();
            }
        }
    });
    (Client::new(UdpSocket::bind("127.0.0.1:0").unwrap(), address, MAC), task)
}

#[test]
fn four_messages_make_a_lease_and_strangers_answers_are_passed_over() {
    let (mut client, task) = client_with(
        |_, message| match message.kind {
            MessageKind::Discover => {
                assert_eq!(message.option(61), Some(&[1, 0x52, 0x54, 0, 0x77, 0, 1][..]));
                let foreign = Message { transaction: message.transaction ^ 1, ..message.clone() };
                vec![
                    b"noise".to_vec(),
                    reply(&foreign, MessageKind::Offer, usual()).encode(true),
                    reply(&message, MessageKind::Offer, usual()).encode(false),
                    reply(&message, MessageKind::Offer, usual()).encode(true),
                ]
            }
            _ => {
                assert_eq!(message.option(50), Some(&[10, 77, 0, 50][..]));
                assert_eq!(message.option(54), Some(&[10, 77, 0, 1][..]));
                vec![reply(&message, MessageKind::Ack, usual()).encode(true)]
            }
        },
        2,
    );
    let lease = client.acquire(Duration::from_secs(10)).unwrap();
    task.join().unwrap();
    assert_eq!(
        (lease.address, lease.prefix_length(), lease.seconds),
        (Ipv4Addr::new(10, 77, 0, 50), 24, 3600)
    );
    assert_eq!(lease.routes, [default_route(Ipv4Addr::new(10, 77, 0, 1))]);
    assert_eq!(
        (lease.resolvers.len(), lease.mtu, lease.host_name.as_deref()),
        (2, Some(1400), Some("node-1"))
    );
}

#[test]
fn after_a_nak_it_starts_again() {
    let (mut client, task) = client_with(
        |round, message| {
            let kind = match (round, message.kind) {
                (_, MessageKind::Discover) => MessageKind::Offer,
                (1, _) => MessageKind::Nak,
                _ => MessageKind::Ack,
            };
            vec![reply(&message, kind, usual()).encode(true)]
        },
        4,
    );
    assert!(client.acquire(Duration::from_secs(20)).is_ok());
    task.join().unwrap();
}

#[test]
fn silence_ends_with_an_error() {
    let (mut client, task) = client_with(|_, _| Vec::new(), 1);
    let error = client.acquire(Duration::from_millis(300)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    task.join().unwrap();
}

#[test]
fn classless_routes_put_the_router_out_of_force() {
    let mut options = usual();
    options
        .push((121, vec![32, 169, 254, 169, 254, 10, 77, 0, 2, 0, 10, 77, 0, 1, 12, 172, 16, 10, 77, 0, 9]));
    let base = Message {
        kind: MessageKind::Ack,
        transaction: 1,
        mac: MAC,
        client_address: Ipv4Addr::UNSPECIFIED,
        your_address: Ipv4Addr::UNSPECIFIED,
        options: Vec::new(),
    };
    let routes = reply(&base, MessageKind::Ack, options).lease().unwrap().routes;
    assert_eq!(routes.len(), 3);
    assert_eq!(routes[0].netmask, Ipv4Addr::BROADCAST);
    assert_eq!(routes[1], default_route(Ipv4Addr::new(10, 77, 0, 1)));
    assert_eq!(
        (routes[2].destination, routes[2].netmask),
        (Ipv4Addr::new(172, 16, 0, 0), Ipv4Addr::new(255, 240, 0, 0))
    );
    assert!(classless_routes(&[33, 1, 2, 3, 4, 5, 6, 7, 8, 9]).is_empty());
    assert!(classless_routes(&[24, 1, 2]).is_empty());
}

#[test]
fn broken_messages_are_no_messages() {
    let good = Message {
        kind: MessageKind::Ack,
        transaction: 7,
        mac: MAC,
        client_address: Ipv4Addr::UNSPECIFIED,
        your_address: Ipv4Addr::new(10, 0, 0, 1),
        options: usual(),
    }
    .encode(true);
    for length in 0..240 {
        assert_eq!(Message::decode(&good[..length]), None);
    }
    let mut cut = good.clone();
    cut.truncate(HEADER + 4 + 3 + 3);
    assert_eq!(Message::decode(&cut), None);
    let mut odd_mask = Message::decode(&good).unwrap();
    odd_mask.options[0].1 = vec![255, 0, 255, 0];
    assert_eq!(odd_mask.lease(), None);
}
