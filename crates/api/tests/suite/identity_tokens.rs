//! Tokens: what they say, who gets one, and when they count no more.

use crate::identity_site::{IdentitySite, by_password, fault, project};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::signature::Ed25519KeyPair;
use serde_json::{Value, json};

const UNAUTHORIZED: &str = "The request you have made requires authentication.";

/// What a token says by itself.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64.decode(payload).unwrap()).unwrap()
}

/// The token with other claims, signed with the site's own key.
fn signed(site: &IdentitySite, token: &str, claims: &Value) -> String {
    let key = std::fs::read(site.site.dir().join("token.key")).unwrap();
    let header = token.split('.').next().unwrap();
    let text = format!("{header}.{}", BASE64.encode(claims.to_string()));
    let signature = Ed25519KeyPair::from_pkcs8(&key).unwrap().sign(text.as_bytes());
    format!("{text}.{}", BASE64.encode(signature))
}

#[tokio::test]
async fn a_token_says_who_for_what_and_where_everything_is() {
    let site = IdentitySite::new().await;
    let login = by_password("admin", &site.password("admin"));
    let answer = site.log_in(login.clone(), project("admin")).await.is(201);
    let token = answer.json()["token"].clone();
    assert_eq!(token["user"]["name"], "admin");
    assert_eq!(token["user"]["domain"], json!({"id": "default", "name": "Default"}));
    assert_eq!(token["project"]["name"], "admin");
    assert_eq!(token["methods"], json!(["password"]));
    let roles: Vec<_> = token["roles"].as_array().unwrap().iter().map(|role| role["name"].clone()).collect();
    assert_eq!(json!(roles), json!(["admin", "manager", "member", "reader"]));
    let catalog = token["catalog"].as_array().unwrap();
    let compute = catalog.iter().find(|service| service["type"] == "compute").unwrap();
    assert_eq!(compute["name"], "nova");
    assert_eq!(compute["endpoints"].as_array().unwrap().len(), 3);
    for endpoint in compute["endpoints"].as_array().unwrap() {
        assert_eq!(endpoint["url"], "http://h:1/compute/v2.1");
        assert_eq!(endpoint["region_id"], "RegionOne");
    }
    let objects = catalog.iter().find(|service| service["type"] == "object-store").unwrap();
    let url = format!("http://h:1/object-store/v1/AUTH_{}", token["project"]["id"].as_str().unwrap());
    assert_eq!(objects["endpoints"][0]["url"], url);

    for (scope, field) in
        [(json!({"system": {"all": true}}), "system"), (json!({"domain": {"name": "Default"}}), "domain")]
    {
        let token = site.log_in(login.clone(), scope).await.is(201).json()["token"].clone();
        assert!(token[field].is_object() && token["project"].is_null() && token["catalog"].is_array());
        assert_eq!(token["roles"][0]["name"], "admin");
    }
    let unscoped = site.log_in(login.clone(), json!("unscoped")).await.is(201).json()["token"].clone();
    assert!(unscoped["project"].is_null() && unscoped["roles"].is_null() && unscoped["catalog"].is_null());
    let default = site.log_in(login, Value::Null).await.is(201).json()["token"].clone();
    assert_eq!(default["project"]["name"], "admin");
}

#[tokio::test]
async fn whatever_is_wrong_with_a_log_in_it_is_told_alike() {
    let site = IdentitySite::new().await;
    let operator = site.token("admin").await;
    site.user(&operator, "off", json!({"enabled": false})).await;
    let lonely = json!({"domain": {"id": "nowhere"}, "name": "admin", "password": "x"});
    let demo = by_password("demo", &site.password("demo"));
    for (identity, scope) in [
        (by_password("admin", "wrong"), project("admin")),
        (by_password("nobody", "wrong"), project("admin")),
        (by_password("off", "pass"), project("admin")),
        (by_password("nova", ""), project("service")),
        (json!({"methods": ["password"], "password": {"user": lonely}}), project("admin")),
        (demo.clone(), project("admin")),
        (demo.clone(), project("no such")),
        (demo.clone(), json!({"project": {"id": "0".repeat(32)}})),
        (demo.clone(), json!({"system": {"all": true}})),
        (demo.clone(), json!({"domain": {"id": "default"}})),
        (json!({"methods": []}), Value::Null),
        (json!({"methods": ["token"], "token": {"id": "x.y.z"}}), Value::Null),
        (
            json!({"methods": ["application_credential"], "application_credential": {"id": "x", "secret": "y"}}),
            Value::Null,
        ),
    ] {
        let answer = site.log_in(identity.clone(), scope).await.is(401);
        assert_eq!(fault(&answer), UNAUTHORIZED, "{identity}");
        assert_eq!(answer.header("www-authenticate"), "Keystone uri=\"http://h:1/identity\"");
    }
    let other = site.log_in(json!({"methods": ["oauth1"]}), Value::Null).await.is(401);
    assert_eq!(fault(&other), "Attempted to authenticate with an unsupported method.");
    for bad in [
        json!({}),
        json!({"methods": ["password"]}),
        json!({"methods": ["password"], "password": {"user": {"name": "a", "password": "b"}}}),
    ] {
        site.log_in(bad, Value::Null).await.is(400);
    }
}

#[tokio::test]
async fn a_user_is_locked_out_after_wrong_passwords_and_told_nothing_of_it() {
    let site = IdentitySite::new().await;
    let operator = site.token("admin").await;
    let user = site.user(&operator, "ada", json!({})).await;
    for n in 0..api::limits::LOCKOUT_FAILURES {
        site.log_in(by_password("ada", &format!("guess {n}")), Value::Null).await.is(401);
    }
    let locked = site.log_in(by_password("ada", "pass"), Value::Null).await.is(401);
    assert_eq!(fault(&locked), UNAUTHORIZED);
    let by_id = json!({"methods": ["password"], "password": {"user": {"id": user, "password": "pass"}}});
    site.log_in(by_id, Value::Null).await.is(401);
    let change = json!({"user": {"original_password": "pass", "password": "new"}});
    site.by("", "POST", &format!("/v3/users/{user}/password"), Some(change)).await.is(401);
    // Others are not, and an operator opens the door again.
    site.token("demo").await;
    let new = json!({"user": {"password": "new"}});
    site.by(&operator, "PATCH", &format!("/v3/users/{user}"), Some(new)).await.is(200);
    site.log_in(by_password("ada", "new"), Value::Null).await.is(201);
}

#[tokio::test]
async fn forged_and_expired_tokens_open_nothing() {
    let site = IdentitySite::new().await;
    let token = site.token("demo").await;
    assert!(site.counts(&token).await);
    let admin = site.token("admin").await;
    // The operator's claims under the signature of somebody else.
    let (_, signature) = token.rsplit_once('.').unwrap();
    let (said, _) = admin.rsplit_once('.').unwrap();
    assert!(!site.counts(&format!("{said}.{signature}")).await);
    assert!(!site.counts("").await);
    assert!(!site.counts("gAAAAABnotours").await);

    let mut old = claims(&token);
    assert!(site.counts(&signed(&site, &token, &old)).await, "the test signs as the site does");
    old["exp"] = json!(old["iat"].as_f64().unwrap() - 10.0);
    old["iat"] = json!(old["iat"].as_f64().unwrap() - 3610.0);
    let expired = signed(&site, &token, &old);
    assert!(!site.counts(&expired).await);
    let ask = async |path: &str, by: &str| {
        site.ask(by, "GET", path, &[("x-subject-token", expired.as_str())], None).await.status.as_u16()
    };
    assert_eq!(ask("/v3/auth/tokens", &admin).await, 404);
    assert_eq!(ask("/v3/auth/tokens?allow_expired=1", &admin).await, 200);

    // A service may end what the user began; others may not.
    let nova = site.id(&admin, "users", "nova").await;
    let password = json!({"user": {"password": "pass"}});
    site.by(&admin, "PATCH", &format!("/v3/users/{nova}"), Some(password)).await.is(200);
    let service = site.token_with(by_password("nova", "pass"), project("service")).await;
    for (service, status) in [(service.as_str(), 200), (token.as_str(), 401), ("forged", 401), ("", 401)] {
        let headers = [("x-service-token", service)];
        let answer = site.ask(&expired, "GET", "/v3/auth/projects", &headers, None).await;
        assert_eq!(answer.status.as_u16(), status, "{service}");
    }
    let ancient = json!(old["exp"].as_f64().unwrap() - 49.0 * 3600.0);
    old["exp"] = ancient;
    let ancient = signed(&site, &token, &old);
    let headers = [("x-service-token", service.as_str())];
    site.ask(&ancient, "GET", "/v3/auth/projects", &headers, None).await.is(401);
}

#[tokio::test]
async fn what_is_taken_away_is_gone_with_the_next_request() {
    let site = IdentitySite::new().await;
    let operator = site.token("admin").await;
    let ada = site.user(&operator, "ada", json!({})).await;
    let demo = site.id(&operator, "projects", "demo").await;
    site.grant(&operator, &format!("projects/{demo}"), &ada, "member").await;
    let path = format!("/v3/users/{ada}");
    let token = async || site.token_with(by_password("ada", "pass"), project("demo")).await;

    // Ended by its owner, and only by its owner or an operator.
    let (first, second) = (token().await, token().await);
    let other = site.token("alt_demo").await;
    let subject = [("x-subject-token", first.as_str())];
    site.ask(&other, "DELETE", "/v3/auth/tokens", &subject, None).await.is(403);
    site.ask(&other, "GET", "/v3/auth/tokens", &subject, None).await.is(403);
    site.ask(&second, "GET", "/v3/auth/tokens", &subject, None).await.is(200);
    let head = site.ask(&second, "HEAD", "/v3/auth/tokens", &subject, None).await.is(200);
    assert_eq!((head.text.as_str(), head.header("x-subject-token")), ("", first.as_str()));
    site.ask(&second, "DELETE", "/v3/auth/tokens", &subject, None).await.is(204);
    assert!(!site.counts(&first).await && site.counts(&second).await);
    site.ask(&operator, "GET", "/v3/auth/tokens", &subject, None).await.is(404);

    // Disabled and enabled again: what was issued before stays void.
    for enabled in [false, true] {
        let change = json!({"user": {"enabled": enabled}});
        site.by(&operator, "PATCH", &path, Some(change)).await.is(200);
        assert!(!site.counts(&second).await);
    }
    // A new password.
    let third = token().await;
    assert!(site.counts(&third).await);
    let change = |old: &str, new: &str| json!({"user": {"original_password": old, "password": new}});
    site.by("", "POST", &format!("{path}/password"), Some(change("wrong", "next"))).await.is(401);
    assert!(site.counts(&third).await);
    site.by("", "POST", &format!("{path}/password"), Some(change("pass", "next"))).await.is(204);
    assert!(!site.counts(&third).await);
    site.log_in(by_password("ada", "pass"), project("demo")).await.is(401);

    // The project, then the role, then the user.
    let fourth = site.token_with(by_password("ada", "next"), project("demo")).await;
    for enabled in [false, true] {
        let change = json!({"project": {"enabled": enabled}});
        site.by(&operator, "PATCH", &format!("/v3/projects/{demo}"), Some(change)).await.is(200);
        assert_eq!(site.counts(&fourth).await, enabled);
    }
    let member = site.id(&operator, "roles", "member").await;
    let grant = format!("/v3/projects/{demo}/users/{ada}/roles/{member}");
    site.by(&operator, "GET", &grant, None).await.is(204);
    site.by(&operator, "DELETE", &grant, None).await.is(204);
    site.by(&operator, "DELETE", &grant, None).await.is(404);
    assert!(!site.counts(&fourth).await);
    let unscoped = site.token_with(by_password("ada", "next"), json!("unscoped")).await;
    assert!(site.counts(&unscoped).await);
    site.by(&operator, "DELETE", &path, None).await.is(204);
    assert!(!site.counts(&unscoped).await);
}

#[tokio::test]
async fn a_token_is_exchanged_for_another_scope_and_lives_no_longer() {
    let site = IdentitySite::new().await;
    let first = site.token_with(by_password("admin", &site.password("admin")), json!("unscoped")).await;
    let by_token = |token: &str| json!({"methods": ["token"], "token": {"id": token}});
    let answer = site.log_in(by_token(&first), project("admin")).await.is(201);
    let second = answer.header("x-subject-token").to_owned();
    let (before, after) = (claims(&first), claims(&second));
    assert_eq!(before["exp"], after["exp"]);
    assert_eq!(after["openstack_methods"], json!(["token", "password"]));
    assert_eq!(after["openstack_audit_ids"][1], before["openstack_audit_ids"][0]);
    let demo = site.token("demo").await;
    site.log_in(by_token(&demo), project("admin")).await.is(401);
    // Two methods must mean one user.
    let mut both = by_password("demo", &site.password("demo"));
    both["methods"] = json!(["password", "token"]);
    both["token"] = json!({"id": first});
    site.log_in(both, project("demo")).await.is(401);
}

#[tokio::test]
async fn the_bare_metal_api_takes_the_sites_own_tokens() {
    let site = IdentitySite::new().await;
    let refused = site.by("", "GET", "/v1/nodes", None).await.is(401);
    assert_eq!(refused.header("www-authenticate"), "Keystone uri=\"http://h:1/identity\"");
    let (admin, demo) = (site.token("admin").await, site.token("demo").await);
    for path in ["/v1/drivers", "/baremetal/v1/drivers"] {
        site.by(&admin, "GET", path, None).await.is(200);
        site.by(&demo, "GET", path, None).await.is(403);
    }
    let system = json!({"system": {"all": true}});
    let system = site.token_with(by_password("admin", &site.password("admin")), system).await;
    site.by(&system, "GET", "/v1/drivers", None).await.is(200);
}
