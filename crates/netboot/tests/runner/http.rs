//! HTTP boot, called without a network.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, StatusCode, header};
use netboot::{
    Artifact, Boot, Config, LeaseStore, Mac, MemoryLeases, Netboot, Network, ProgramNames, Programs, Seen,
};
use tower::ServiceExt;

use crate::place::programs;
use crate::source::{Known, MAC, OTHER, ramdisk};

const LIMIT: Duration = Duration::from_secs(5);

async fn app(source: Arc<Known>, leases: Arc<MemoryLeases>) -> Router {
    let boot_programs = programs(5000);
    let names = ProgramNames { directory: boot_programs.path().into(), ..ProgramNames::default() };
    let mut config = Config::new(vec![], 6385, Programs::load(names).unwrap());
    config.networks = vec![Network::upper_half("10.99.0.0/24".parse().unwrap()).unwrap()];
    Netboot::bind(config, source, leases).await.unwrap().router()
}

struct Got {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    body: Vec<u8>,
}

async fn ask(app: &Router, method: Method, path: &str, range: Option<&str>, peer: Option<&str>) -> Got {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(range) = range {
        request = request.header(header::RANGE, range);
    }
    if let Some(peer) = peer {
        request = request.extension(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
    }
    let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let body = to_bytes(body, 10 << 20).await.unwrap().to_vec();
    Got { status: head.status, headers: head.headers, body }
}

async fn get(app: &Router, path: &str) -> Got {
    ask(app, Method::GET, path, None, None).await
}

#[tokio::test]
async fn a_ramdisk_is_served_whole_and_in_part() {
    let dir = tempfile::tempdir().unwrap();
    let (kernel, initramfs) = (dir.path().join("k"), dir.path().join("i"));
    let bytes: Vec<u8> = (0..700_000u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(&kernel, &bytes).unwrap();
    std::fs::write(&initramfs, b"initramfs").unwrap();
    let source = Known::new([(MAC, ramdisk(&kernel, &initramfs))]);
    let app = app(source.clone(), Arc::default()).await;

    let script = get(&app, "/boot/52:54:00:99:00:01/script.ipxe").await;
    assert!(script.status.is_success() && script.body.starts_with(b"#!ipxe\n"));
    // iPXE escapes colons in paths.
    let script = get(&app, "/boot/52%3A54%3A00%3A99%3A00%3A01/script.ipxe").await;
    assert!(script.status.is_success());

    let whole = get(&app, "/boot/52:54:00:99:00:01/kernel").await;
    assert_eq!(whole.headers[header::CONTENT_LENGTH], "700000");
    assert!(whole.body == bytes);
    source.wait(LIMIT, |s| matches!(s, Seen::FetchFinished { what, size: 700_000, .. } if what == "kernel"));
    let part = ask(&app, Method::GET, "/boot/52:54:00:99:00:01/kernel", Some("bytes=699990-"), None).await;
    assert_eq!((part.status, part.body.len()), (StatusCode::PARTIAL_CONTENT, 10));
    assert_eq!(get(&app, "/boot/52-54-00-99-00-01/initramfs").await.body, b"initramfs");

    let head = ask(&app, Method::HEAD, "/boot/52:54:00:99:00:01/snponly.efi", None, None).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_eq!(head.headers[header::CONTENT_LENGTH], "5000");
    assert_eq!(get(&app, "/boot/52:54:00:99:00:01/snponly.efi").await.body.len(), 5000);
}

#[tokio::test]
async fn a_cut_transfer_is_seen_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let kernel = dir.path().join("k");
    std::fs::write(&kernel, vec![7; 1 << 20]).unwrap();
    let source = Known::new([(MAC, ramdisk(&kernel, &kernel))]);
    let app = app(source.clone(), Arc::default()).await;
    let request = Request::get("/boot/52:54:00:99:00:01/kernel").body(Body::empty()).unwrap();
    drop(app.oneshot(request).await.unwrap());
    source.wait(LIMIT, |s| matches!(s, Seen::FetchCut { sent: 0, size: 1_048_576, .. }));
}

#[tokio::test]
async fn nothing_that_the_state_does_not_call_for() {
    let source = Known::new([(MAC, Boot::LocalDisk)]);
    let app = app(source.clone(), Arc::default()).await;
    let script = get(&app, "/boot/52:54:00:99:00:01/script.ipxe").await;
    let script = String::from_utf8(script.body).unwrap();
    assert!(script.contains("sanboot") && !script.contains("kernel"), "{script}");
    for name in ["kernel", "initramfs", "snponly.efi"] {
        let got = get(&app, &format!("/boot/52:54:00:99:00:01/{name}")).await;
        assert_eq!(got.status, StatusCode::NOT_FOUND);
        assert!(String::from_utf8(got.body).unwrap().contains("boot from its disk"));
    }
    for path in ["/boot/52:54:00:99:00:02/script.ipxe", "/boot/nonsense/kernel", "/boot/%FF/kernel"] {
        assert!(get(&app, path).await.status.is_client_error(), "{path}");
    }

    source.set(MAC, ramdisk(Path::new("/no/such/kernel"), Path::new("/")));
    for (name, text) in [("kernel", "/no/such/kernel"), ("initramfs", "not a file")] {
        let got = get(&app, &format!("/boot/52:54:00:99:00:01/{name}")).await;
        assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(String::from_utf8(got.body).unwrap().contains(text));
    }
    source.wait(LIMIT, |s| matches!(s, Seen::Unanswered { reason } if reason.contains("/no/such/kernel")));
    assert_eq!(
        get(&app, "/boot/52:54:00:99:00:01/..%2f..%2fetc%2fpasswd").await.status,
        StatusCode::NOT_FOUND
    );

    let elsewhere = Boot::Ramdisk {
        kernel: Artifact::Url("http://images/k".into()),
        initramfs: Artifact::Url("http://images/i".into()),
        cmdline: "a\nshell".into(),
    };
    source.set(MAC, elsewhere);
    let moved = get(&app, "/boot/52:54:00:99:00:01/kernel").await;
    assert_eq!(moved.headers[header::LOCATION], "http://images/k");
    let bad = get(&app, "/boot/52:54:00:99:00:01/script.ipxe").await;
    assert_eq!(bad.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn one_machine_does_not_get_what_is_another_s() {
    let source = Known::new([(MAC, Boot::LocalDisk), (OTHER, Boot::LocalDisk)]);
    let leases = Arc::new(MemoryLeases::default());
    let stranger = Mac::new([2, 0, 0, 0, 0, 9]);
    for (mac, last) in [(MAC, 200), (OTHER, 201), (stranger, 202)] {
        leases.save(mac, [10, 99, 0, last].into()).await.unwrap();
    }
    let app = app(source.clone(), leases).await;
    let path = "/boot/52:54:00:99:00:01/script.ipxe";
    let from = |last: u8| format!("10.99.0.{last}:4000");
    let status = async |last| ask(&app, Method::GET, path, None, Some(&from(last))).await.status;
    assert_eq!(status(200).await, StatusCode::OK, "its own address");
    assert_eq!(status(201).await, StatusCode::NOT_FOUND, "another machine's address");
    assert_eq!(status(202).await, StatusCode::OK, "an address whose machine is known no more");
    assert_eq!(status(9).await, StatusCode::OK, "an address that was never leased");
    source.wait(LIMIT, |s| matches!(s, Seen::Refused { peer, .. } if peer.to_string() == "10.99.0.201"));
}
