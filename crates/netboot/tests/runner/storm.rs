//! A storm of DHCP requests.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use netboot::{Mac, MemoryLeases, Seen};
use wire::dhcp::{Kind, ReplyKind, Request};

use crate::dhcp::{client_socket, exchange};
use crate::place::{Cable, Running, programs};
use crate::source::{Known, MAC, OTHER, ramdisk};

/// Resident memory of this process, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn netns_a_storm_does_not_keep_a_known_machine_from_booting() {
    let cable = Cable::new();
    let boot_programs = programs(1000);
    let source = Known::new([
        (MAC, ramdisk(Path::new("/k"), Path::new("/i"))),
        (OTHER, ramdisk(Path::new("/k"), Path::new("/i"))),
    ]);
    let leases = Arc::new(MemoryLeases::default());
    let _running =
        Running::start(&cable.server, "srv0", vec![], boot_programs.path(), source.clone(), leases);
    let (before, started) = (resident_kib(), Instant::now());

    let (sent, calm, stormy) = cable.client.run(|| {
        let socket = client_socket(68);
        let first = exchange(&socket, &Request::new(Kind::Discover, MAC, 1), Duration::from_secs(5));
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let storm = scope.spawn(|| {
                // Another thread of this namespace: made-up machines, and one known machine that has gone mad.
                let socket = client_socket(1068);
                let mut sent = 0u32;
                while !is_over.load(Ordering::Relaxed) || sent < 30_000 {
                    sent += 1;
                    let [a, b, c, d] = sent.to_be_bytes();
                    let mac = if sent.is_multiple_of(10) { OTHER } else { Mac::new([2, 0, a, b, c, d]) };
                    let request = Request::new(Kind::Discover, mac, sent).encode().unwrap();
                    // A full queue loses packets, as a real storm does.
                    drop(socket.send_to(&request, "255.255.255.255:67"));
                }
                sent
            });
            let mut answers = 0;
            for round in 0..5u32 {
                let mut request = Request::new(Kind::Request, MAC, 100 + round);
                request.requested = first.as_ref().map(|offer| offer.address);
                let reply = exchange(&socket, &request, Duration::from_secs(10));
                answers += u32::from(reply.is_some_and(|r| r.kind == ReplyKind::Ack));
            }
            is_over.store(true, Ordering::Relaxed);
            (storm.join().unwrap(), first.is_some(), answers)
        })
    });
    assert!(calm, "not even answered before the storm");
    assert_eq!(stormy, 5, "a machine with a lease went unanswered in the storm");
    let grown = resident_kib().saturating_sub(before);
    let seconds = started.elapsed().as_secs() + 1;
    println!("{sent} packets in {seconds} s, {} lookups, grown by {grown} KiB", source.lookups());
    assert!(grown < 16 * 1024, "grown by {grown} KiB");
    assert!(source.lookups() < 1200 * (seconds + 2), "{} lookups in {seconds} s", source.lookups());
    let told = source.seen().iter().filter(|o| matches!(o.seen, Seen::UnknownMachine { .. })).count() as u64;
    assert!(told >= 1 && told <= 21 + seconds, "{told} reports of unknown machines in {seconds} s");
}
