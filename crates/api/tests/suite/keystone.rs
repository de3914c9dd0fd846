//! Tokens: who gets in, how often Keystone is asked, and what happens when it does not answer.

use crate::site::Site;
use crate::stub_keystone::{Mood, StubKeystone, body};
use api::auth::KeystoneSettings;
use axum::body::Body;
use axum::http::Request;
use model::Secret;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

async fn start() -> (StubKeystone, Site) {
    let keystone = StubKeystone::start().await;
    keystone.knows("good", body("ada", "system", &["admin", "manager", "member", "reader"]));
    let site = Site::with(keystone.auth()).await;
    (keystone, site)
}

#[tokio::test]
async fn a_token_opens_what_its_absence_does_not() {
    let (keystone, site) = start().await;
    for path in ["/", "/v1", "/healthcheck"] {
        site.get(path).await.is(200);
    }
    let document = site.get("/openapi.json").await.is(200).json();
    assert_eq!(document["components"]["securitySchemes"]["keystone"]["name"], "X-Auth-Token");
    let refused = site.get("/v1/nodes").await.is(401);
    assert_eq!(refused.header("www-authenticate"), "Keystone uri=\"http://keystone.example\"");
    assert_eq!(refused.fault(), "The request you have made requires authentication.");
    assert_eq!(keystone.validations(), 0);
    site.by("good", "GET", "/v1/nodes", None).await.is(200);
    site.by("made-up", "GET", "/v1/nodes", None).await.is(401);
    for odd in ["", "two words", &"x".repeat(20_000)] {
        site.by(odd, "GET", "/v1/nodes", None).await.is(401);
    }
    assert_eq!(keystone.validations(), 2, "what can't be a token is not asked about");
}

#[tokio::test]
async fn keystone_is_asked_once_a_token_and_once_for_itself() {
    let (keystone, site) = start().await;
    let ask = || site.by("good", "GET", "/v1/nodes", None);
    let answers = tokio::join!(ask(), ask(), ask(), ask());
    for answer in [answers.0, answers.1, answers.2, answers.3] {
        answer.is(200);
    }
    ask().await.is(200);
    for _ in 0..3 {
        site.by("bad", "GET", "/v1/nodes", None).await.is(401);
    }
    assert_eq!(keystone.validations(), 2);
    assert_eq!(keystone.knows.logins.load(SeqCst), 1);
}

#[tokio::test]
async fn a_revoked_token_is_of_no_use_once_the_cache_has_let_go_of_it() {
    let keystone = StubKeystone::start().await;
    keystone.knows("good", body("ada", "system", &["reader"]));
    let settings = KeystoneSettings { token_cache: Duration::ZERO, ..keystone.settings() };
    let site = Site::with(keystone.auth_with(settings)).await;
    site.by("good", "GET", "/v1/nodes", None).await.is(200);
    keystone.revoke("good");
    site.by("good", "GET", "/v1/nodes", None).await.is(401);
}

#[tokio::test]
async fn an_expired_token_is_refused_whatever_keystone_says() {
    let (keystone, site) = start().await;
    let mut expired = body("ada", "system", &["reader"]);
    expired["expires_at"] = "2020-01-01T00:00:00.000000Z".into();
    keystone.knows("expired", expired);
    site.by("expired", "GET", "/v1/nodes", None).await.is(401);
    // But another service may end what the user began.
    keystone.knows("of-nova", body("nova", "service", &["service"]));
    keystone.knows("of-nobody", body("eve", "other", &["member"]));
    let with_service = async |service: &str| {
        let request = Request::get("/v1/nodes")
            .header("x-auth-token", "expired")
            .header("x-service-token", service)
            .body(Body::empty())
            .unwrap();
        Site::send(&site.operator, request).await.status.as_u16()
    };
    assert_eq!(with_service("of-nova").await, 200);
    assert_eq!(*keystone.knows.query.lock().unwrap(), "nocatalog&allow_expired=1");
    assert_eq!(with_service("of-nobody").await, 401);
    assert_eq!(with_service("made-up").await, 401);
    assert_eq!(with_service("").await, 401);
}

#[tokio::test]
async fn a_service_token_that_keystone_forgot_is_renewed() {
    let (keystone, site) = start().await;
    site.by("good", "GET", "/v1/nodes", None).await.is(200);
    keystone.knows("other", body("bob", "system", &["reader"]));
    keystone.forget_own();
    site.by("other", "GET", "/v1/nodes", None).await.is(200);
    assert_eq!(keystone.knows.logins.load(SeqCst), 2);
}

#[tokio::test]
async fn nobody_gets_in_while_keystone_can_not_be_asked() {
    let (keystone, site) = start().await;
    site.by("good", "GET", "/v1/nodes", None).await.is(200);
    for mood in [Mood::Says(500), Mood::SaysToValidations(403), Mood::SaysToValidations(401)] {
        keystone.is(mood);
        let answer = site.by(&format!("{mood:?}").replace(' ', ""), "GET", "/v1/nodes", None).await.is(503);
        let fault = answer.fault();
        assert!(fault.contains(&keystone.url) && fault.contains("temporarily unavailable"), "{fault}");
        assert_eq!(answer.header("www-authenticate"), "");
        // What was believed a moment ago still is.
        site.by("good", "GET", "/v1/nodes", None).await.is(200);
        keystone.is(Mood::Well);
    }
    let url = keystone.url.clone();
    let auth = keystone.auth();
    drop(keystone);
    let site = Site::with(auth).await;
    let fault = site.by("good", "GET", "/v1/nodes", None).await.is(503).fault();
    assert!(fault.contains(&url), "{fault}");
}

#[tokio::test]
async fn a_wrong_service_user_is_told_to_the_operator_and_not_hammered() {
    let keystone = StubKeystone::start().await;
    let settings = KeystoneSettings { password: Secret::new("wr0ng"), ..keystone.settings() };
    let client = api::auth::Keystone::new(settings.clone()).unwrap();
    let reason = client.log_in().await.unwrap_err();
    for word in [&keystone.url, "billet", "password", "[keystone]"] {
        assert!(reason.contains(word), "{reason}");
    }
    assert!(!reason.contains("wr0ng") && !format!("{client:?}").contains("wr0ng"));
    let site = Site::with(keystone.auth_with(settings)).await;
    for n in 0..5 {
        site.by(&format!("t{n}"), "GET", "/v1/nodes", None).await.is(503);
    }
    assert_eq!(keystone.knows.logins.load(SeqCst), 2);
    assert_eq!(keystone.validations(), 0);
}

#[tokio::test]
async fn a_configuration_that_can_not_work_is_refused_by_name() {
    let keystone = StubKeystone::start().await;
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for (settings, word) in [
        (KeystoneSettings { url: "keystone:5000".into(), ..keystone.settings() }, "keystone.url"),
        (
            KeystoneSettings { ca_file: Some("/nonexistent.pem".into()), ..keystone.settings() },
            "/nonexistent.pem",
        ),
        (KeystoneSettings { ca_file: Some(empty), ..keystone.settings() }, "empty.pem"),
    ] {
        let error = api::auth::Keystone::new(settings).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[tokio::test]
async fn an_admin_of_the_operators_project_is_an_operator() {
    let (keystone, site) = start().await;
    keystone.knows("operator", body("ops", "admin", &["admin"]));
    keystone.knows("tenant", body("bob", "other", &["admin", "manager", "member", "reader"]));
    keystone.knows("reader", body("eve", "admin", &["reader"]));
    site.by("operator", "GET", "/v1/drivers", None).await.is(200);
    site.by("tenant", "GET", "/v1/drivers", None).await.is(403);
    site.by("reader", "GET", "/v1/drivers", None).await.is(403);
    let made =
        site.by("operator", "POST", "/v1/nodes", Some(serde_json::json!({"driver": "fake-hardware"}))).await;
    assert_eq!(made.is(201).json()["owner"], serde_json::Value::Null);
}
