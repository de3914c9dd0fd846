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

/// `billet password USER` with a line on its standard input; what it said.
fn set_password(config: &std::path::Path, state: &std::path::Path, user: &str, line: &str) -> (bool, String) {
    use std::io::Write;
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_billet"))
        .args(["password", "--config"])
        .arg(config)
        .arg("--state-dir")
        .arg(state)
        .arg(user)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // One that refuses before it reads closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(line.as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn a_lost_password_is_set_anew_while_the_server_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let config = configuration(dir.path(), "");
    let state = dir.path().join("state");
    let mut server = Server::start_with("own", &config, &state);
    let clouds = std::fs::read_to_string(state.join("clouds.yaml")).unwrap();
    let lost = value(&clouds, "billet", "password");
    let status = |server: &Server, password: &str| {
        let answer = server.post(
            "/identity/v3/auth/tokens",
            &format!(
                r#"{{"auth": {{"identity": {{"methods": ["password"], "password": {{"user": {{"name": "admin",
                "domain": {{"id": "default"}}, "password": "{password}"}}}}}}}}}}"#
            ),
        );
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(status(&server, &lost), "201");
    let (done, said) = set_password(&config, &state, "admin", "chosen\n");
    assert!(!done, "the database is the server's: {said}");
    server.signal("TERM");
    server.wait();
    let (done, said) = set_password(&config, &state, "nobody", "chosen\n");
    assert!(!done && said.contains("there is no user nobody") && said.contains("admin"), "{said}");
    let (done, said) = set_password(&config, &state, "admin", "\n");
    assert!(!done && said.contains("1 to"), "{said}");
    let (done, said) = set_password(&config, &state, "admin", "chosen\n");
    assert!(done && !said.contains("chosen"), "{said}");
    let server = Server::start_with("own", &config, &state);
    assert_eq!(status(&server, "chosen"), "201");
    assert_eq!(status(&server, &lost), "401");
}
