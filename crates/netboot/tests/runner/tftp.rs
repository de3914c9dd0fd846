//! TFTP against curl, busybox and a client that loses packets.

use std::net::UdpSocket;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netboot::{Boot, LeaseStore, MemoryLeases, Seen};
use wire::tftp::{Packet, ReadRequest};

use crate::place::{Cable, Running, programs};
use crate::source::{Known, MAC, ramdisk};

const LIMIT: Duration = Duration::from_secs(20);

/// A cable whose client has a lease already.
fn leased(source: Arc<Known>, boot_programs: &Path) -> (Cable, Running) {
    let cable = Cable::new();
    let leases = Arc::new(MemoryLeases::default());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(leases.save(MAC, [10, 99, 0, 200].into())).unwrap();
    let running = Running::start(&cable.server, "srv0", vec![], boot_programs, source, leases);
    cable.client.command("ip address add 10.99.0.200/24 dev cli0");
    (cable, running)
}

#[test]
fn netns_curl_and_busybox_read_the_whole_file() {
    // A multiple of neither block size, and one of 512 exactly.
    for size in [174_001, 512 * 300] {
        let (dir, boot_programs) = (tempfile::tempdir().unwrap(), programs(size));
        let source = Known::new([(MAC, ramdisk(Path::new("/k"), Path::new("/i")))]);
        let (cable, _running) = leased(source.clone(), boot_programs.path());
        let expected = std::fs::read(boot_programs.path().join("snponly.efi")).unwrap();
        let file = dir.path().join("got");
        let to = file.display();
        for line in [
            format!("curl -sS -m 20 tftp://10.99.0.1/snponly.efi -o {to}"),
            format!("curl -sS -m 20 --tftp-blksize 1400 tftp://10.99.0.1/snponly.efi -o {to}"),
            format!("curl -sS -m 20 --tftp-no-options tftp://10.99.0.1//snponly.efi -o {to}"),
            format!("busybox tftp -g -r snponly.efi -l {to} 10.99.0.1"),
            format!("busybox tftp -b 65000 -g -r snponly.efi -l {to} 10.99.0.1"),
        ] {
            cable.client.command(&line);
            assert!(std::fs::read(&file).unwrap() == expected, "{line}: other bytes arrived");
            std::fs::remove_file(&file).unwrap();
        }
        let finished = |seen: &Seen| matches!(seen, Seen::TftpFinished { size: s, .. } if *s == size as u64);
        source.wait(LIMIT, finished);
        let deadline = Instant::now() + LIMIT;
        while source.seen().iter().filter(|o| finished(&o.seen)).count() < 5 {
            assert!(Instant::now() < deadline, "{:#?}", source.seen());
            std::thread::yield_now();
        }
        assert!(source.seen().iter().all(|o| o.mac == Some(MAC)));
    }
}

#[test]
fn netns_only_what_the_state_calls_for() {
    let boot_programs = programs(10_000);
    let source = Known::new([(MAC, ramdisk(Path::new("/k"), Path::new("/i")))]);
    let (cable, _running) = leased(source.clone(), boot_programs.path());
    // curl's exit codes: 68 no such file, 69 permission, 28 timed out.
    let curl = |name: &str, arguments: &str| {
        let line = format!("curl -sS -m 3 {arguments} tftp://10.99.0.1/{name} -o /dev/null");
        cable.client.output(&line).status.code()
    };
    assert_eq!(curl("etc/passwd", ""), Some(68));
    assert_eq!(curl("..%2fsnponly.efi", ""), Some(68));
    source.wait(LIMIT, |seen| matches!(seen, Seen::Refused { what, .. } if what.contains("etc/passwd")));
    assert_eq!(curl("snponly.efi", ""), Some(0));
    assert_eq!(curl("new", "-T /etc/hostname"), Some(69));

    source.set(MAC, Boot::LocalDisk);
    assert_eq!(curl("snponly.efi", ""), Some(69));

    // An address that is leased to nobody gets no answer at all.
    cable.client.command("ip address flush dev cli0");
    cable.client.command("ip address add 10.99.0.201/24 dev cli0");
    source.set(MAC, ramdisk(Path::new("/k"), Path::new("/i")));
    assert_eq!(curl("snponly.efi", ""), Some(28));
    source
        .wait(LIMIT, |seen| matches!(seen, Seen::Refused { peer, .. } if peer.to_string() == "10.99.0.201"));
}

/// A client with a window that loses every seventh packet that it gets.
fn lossy_read(window: u16) -> Vec<u8> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let request = ReadRequest {
        file: "snponly.efi".into(),
        block_bytes: Some(1024),
        window_blocks: Some(window),
        wants_size: true,
        timeout_seconds: None,
    };
    let send = |packet: &Packet<'_>, to: std::net::SocketAddr| {
        let mut bytes = Vec::new();
        packet.encode(&mut bytes);
        socket.send_to(&bytes, to).unwrap();
    };
    send(&Packet::Read(request), "10.99.0.1:69".parse().unwrap());
    let (mut file, mut got, mut in_window, mut packets) = (Vec::new(), 0u16, 0, 0u32);
    let mut buffer = [0; 2000];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).unwrap();
        packets += 1;
        if packets % 7 == 3 {
            continue;
        }
        match Packet::parse(&buffer[..length]).unwrap() {
            Packet::OptionAck(options) => {
                assert_eq!((options.block_bytes, options.window_blocks), (Some(1024), Some(window)));
                send(&Packet::Ack { block: 0 }, from);
            }
            Packet::Data { block, bytes } => {
                if block == got.wrapping_add(1) {
                    file.extend_from_slice(bytes);
                    got = block;
                    in_window += 1;
                    if bytes.len() < 1024 {
                        send(&Packet::Ack { block }, from);
                        return file;
                    }
                    if in_window == window {
                        in_window = 0;
                        send(&Packet::Ack { block }, from);
                    }
                } else if block.wrapping_sub(got) < 0x8000 && in_window > 0 {
                    // A gap: the window begins again after what arrived (RFC 7440 §4).
                    in_window = 0;
                    send(&Packet::Ack { block: got }, from);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn netns_a_window_survives_losses() {
    let boot_programs = programs(150_000);
    let source = Known::new([(MAC, ramdisk(Path::new("/k"), Path::new("/i")))]);
    let (cable, _running) = leased(source.clone(), boot_programs.path());
    let expected = std::fs::read(boot_programs.path().join("snponly.efi")).unwrap();
    let got = cable.client.run(|| lossy_read(16));
    assert!(got == expected);
    source.wait(LIMIT, |seen| matches!(seen, Seen::TftpFinished { size: 150_000, .. }));
}

#[test]
fn netns_a_stop_ends_a_transfer_that_hangs() {
    let boot_programs = programs(150_000);
    let source = Known::new([(MAC, ramdisk(Path::new("/k"), Path::new("/i")))]);
    let (cable, running) = leased(source.clone(), boot_programs.path());
    let (tell, told) = std::sync::mpsc::channel();
    let watch = std::thread::spawn(move || {
        // Dropping the servers, once the transfer has begun, asks them to stop.
        told.recv().unwrap();
        drop(running);
    });
    let text = cable.client.run(move || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let mut bytes = Vec::new();
        Packet::Read(ReadRequest { file: "snponly.efi".into(), ..ReadRequest::default() }).encode(&mut bytes);
        socket.send_to(&bytes, "10.99.0.1:69").unwrap();
        let mut buffer = [0; 1000];
        loop {
            let (length, _) = socket.recv_from(&mut buffer).unwrap();
            match Packet::parse(&buffer[..length]).unwrap() {
                // Sent again and again, since nothing is acknowledged.
                Packet::Data { block: 1, .. } => drop(tell.send(())),
                Packet::Error { text, .. } => return text,
                other => panic!("{other:?}"),
            }
        }
    });
    watch.join().unwrap();
    assert_eq!(text, "the server is stopping");
    source.wait(
        LIMIT,
        |s| matches!(s, Seen::TftpAborted { sent: 0, reason, .. } if reason.contains("stopping")),
    );
}
