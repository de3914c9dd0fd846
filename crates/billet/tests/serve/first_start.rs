//! The first start with an identity service of one's own: what it makes, and that one can log in with it.

use super::{Server, configuration};
use std::os::unix::fs::PermissionsExt;

/// The value of a key in `clouds.yaml`, behind the cloud's name.
fn value(clouds: &str, cloud: &str, key: &str) -> String {
    let part = clouds.split_once(&format!("  {cloud}:\n")).unwrap().1;
    let line = part.lines().find_map(|line| line.trim().strip_prefix(&format!("{key}: "))).unwrap();
    line.trim_matches('"').to_owned()
}

#[test]
fn what_the_first_start_writes_opens_the_api_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let config = configuration(dir.path(), "");
    let state = dir.path().join("state");
    let mut server = Server::start_with("own", &config, &state);
    let clouds = std::fs::read_to_string(state.join("clouds.yaml")).unwrap();
    for name in ["clouds.yaml", "openrc", "token.key", "seal.key"] {
        let mode = std::fs::metadata(state.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(value(&clouds, "billet", "auth_url"), format!("http://{}/identity", server.address));
    assert!(server.get("/v1/nodes").starts_with("HTTP/1.1 401"));
    let password = value(&clouds, "billet", "password");
    let log_in = |server: &Server, password: &str| {
        server.post(
            "/identity/v3/auth/tokens",
            &format!(
                r#"{{"auth": {{"identity": {{"methods": ["password"], "password": {{"user": {{"name": "admin",
                "domain": {{"id": "default"}}, "password": "{password}"}}}}}},
                "scope": {{"project": {{"name": "admin", "domain": {{"id": "default"}}}}}}}}}}"#
            ),
        )
    };
    let answer = log_in(&server, &password);
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let token = answer.lines().find_map(|line| line.strip_prefix("x-subject-token: ")).unwrap().to_owned();
    let with_token = |server: &Server| {
        server.exchange(&format!(
            "GET /v1/nodes HTTP/1.1\r\nHost: here\r\nConnection: close\r\nX-Auth-Token: {token}\r\n\r\n"
        ))
    };
    assert!(with_token(&server).contains("\"nodes\":[]"));
    assert!(log_in(&server, "guess").starts_with("HTTP/1.1 401"));

    server.signal("TERM");
    let (code, said) = server.wait();
    assert_eq!(code, Some(0));
    for secret in [password.as_str(), token.as_str(), "guess"] {
        assert!(!said.contains(secret), "{said}");
    }
    // The next start finds everything: the files, the users, and the key that the token was signed with.
    let server = Server::start_with("own", &config, &state);
    assert_eq!(std::fs::read_to_string(state.join("clouds.yaml")).unwrap(), clouds);
    assert!(with_token(&server).contains("\"nodes\":[]"));
    assert!(log_in(&server, &password).starts_with("HTTP/1.1 201"));
}
