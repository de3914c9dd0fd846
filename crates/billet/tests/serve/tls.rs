//! The API over TLS: whom it lets in, what it refuses to start with, and that nobody can hold the door.

use super::{LIMIT, Server, configuration, refusal};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

/// An authority, and a certificate by it for 127.0.0.1 in `certificate.pem` and `key.pem`; returns the authority's certificate.
fn certify(dir: &Path) -> String {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(vec!["authority".to_owned()]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let trusted = authority.self_signed(&authority_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&key, &Issuer::new(authority, authority_key))
        .unwrap();
    std::fs::write(dir.join("certificate.pem"), certificate.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
    trusted
}

fn section(dir: &Path, certificate: &str, key: &str) -> String {
    let path = |name: &str| dir.join(name).display().to_string();
    format!("[api]\ntls_certificate = {:?}\ntls_key = {:?}\n", path(certificate), path(key))
}

/// A request as a client makes it that trusts this authority and no other.
fn fetch(url: &str, authority: &str) -> reqwest::Result<String> {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(authority.as_bytes()).unwrap()])
        .timeout(LIMIT)
        .no_proxy()
        .build()
        .unwrap();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async { client.get(url).send().await?.text().await })
}

#[test]
fn who_trusts_the_authority_is_served_whoever_else_is_at_the_door() {
    let dir = tempfile::tempdir().unwrap();
    let authority = certify(dir.path());
    let config = configuration(dir.path(), &section(dir.path(), "certificate.pem", "key.pem"));
    let mut server = Server::start(&config, &dir.path().join("state"));
    let stalled: Vec<_> = (0..50).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    let url = format!("https://{}/v1", server.address);
    let answer = fetch(&url, &authority).unwrap();
    assert!(answer.contains(&format!("\"{url}/nodes/\"")), "links begin as the request did: {answer}");
    let other = tempfile::tempdir().unwrap();
    assert!(fetch(&url, &certify(other.path())).unwrap_err().is_connect());

    // Without TLS there is no answer but TLS's own.
    let mut plain = TcpStream::connect(server.address).unwrap();
    plain.set_read_timeout(Some(LIMIT)).unwrap();
    std::io::Write::write_all(&mut plain, b"GET /v1 HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).unwrap();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");

    server.signal("TERM");
    let (code, said) = server.wait();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("stopped"), "{said}");
    drop(stalled);
}

#[test]
fn a_client_that_never_ends_its_handshake_is_hung_up_on() {
    let dir = tempfile::tempdir().unwrap();
    certify(dir.path());
    let config = configuration(dir.path(), &section(dir.path(), "certificate.pem", "key.pem"));
    let server = Server::start(&config, &dir.path().join("state"));
    let mut stalled = TcpStream::connect(server.address).unwrap();
    stalled.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(stalled.read(&mut [0; 1]).unwrap(), 0, "the server closes it");
}

#[test]
fn files_that_it_cannot_use_are_named() {
    let dir = tempfile::tempdir().unwrap();
    certify(dir.path());
    std::fs::write(dir.path().join("prose.pem"), "no PEM at all").unwrap();
    let other = tempfile::tempdir().unwrap();
    certify(other.path());
    std::fs::copy(other.path().join("key.pem"), dir.path().join("other.pem")).unwrap();
    let said = |text: &str| {
        let config: PathBuf = configuration(dir.path(), text);
        let state = dir.path().join("state");
        refusal(&[
            "serve",
            "--config",
            config.to_str().unwrap(),
            "--listen",
            "127.0.0.1:0",
            "--state-dir",
            state.to_str().unwrap(),
        ])
    };
    for (certificate, key, named) in [
        ("absent.pem", "key.pem", ["tls_certificate", "absent.pem", "No such file"]),
        ("prose.pem", "key.pem", ["tls_certificate", "prose.pem", "no certificate"]),
        ("certificate.pem", "absent.pem", ["tls_key", "absent.pem", "No such file"]),
        ("certificate.pem", "certificate.pem", ["tls_key", "certificate.pem", "no private key"]),
        ("certificate.pem", "other.pem", ["certificate.pem", "other.pem", "can't be used together"]),
    ] {
        let said = said(&section(dir.path(), certificate, key));
        assert!(named.iter().all(|word| said.contains(word)), "{said}");
    }
    let config = dir.path().join("machines.toml");
    std::fs::write(&config, "[netboot]\nhttps_port = 6387\n").unwrap();
    let said_of_machines =
        refusal(&["serve", "--config", config.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    assert!(said_of_machines.contains("netboot.https_port needs"), "{said_of_machines}");
    assert!(said("[api]\ntls_key = \"x\"\n").contains("needs api.tls_certificate"));
    assert!(said("[api]\ntls_certificate = \"x\"\n").contains("needs api.tls_key"));
}
