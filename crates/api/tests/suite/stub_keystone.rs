//! A Keystone on loopback that knows the tokens it is told of, counts what it is asked, and fails on demand.

use api::auth::{Auth, Keystone, KeystoneSettings, ProjectName};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use model::Secret;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

/// What it does with questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Answers.
    Well,
    /// Answers every question with this status.
    Says(u16),
    /// Answers log-ins, and validations with this status.
    SaysToValidations(u16),
}

/// What it knows and has been asked.
pub struct Knowledge {
    tokens: Mutex<HashMap<String, Value>>,
    mood: Mutex<Mood>,
    /// The service user's token of the moment.
    own: AtomicUsize,
    /// Log-ins.
    pub logins: AtomicUsize,
    /// Validations.
    pub validations: AtomicUsize,
    /// Query of the last validation.
    pub query: Mutex<String>,
}

/// The server; it ends with its last owner.
pub struct StubKeystone {
    pub url: String,
    pub knows: Arc<Knowledge>,
    task: JoinHandle<()>,
}

impl Drop for StubKeystone {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A token's body: scope is `system`, `domain`, `none`, or a project's name.
pub fn body(user: &str, scope: &str, roles: &[&str]) -> Value {
    let mut token = json!({
        "methods": ["password"],
        "user": {"id": format!("id-of-{user}"), "name": user, "domain": {"id": "default", "name": "Default"}},
        "roles": roles.iter().map(|role| json!({"id": format!("id-of-{role}"), "name": role})).collect::<Vec<_>>(),
        "issued_at": "2026-01-01T00:00:00.000000Z",
        "expires_at": "2099-01-01T00:00:00.000000Z",
        "audit_ids": ["x"],
    });
    match scope {
        "none" => {}
        "system" => token["system"] = json!({"all": true}),
        "domain" => token["domain"] = json!({"id": "default", "name": "Default"}),
        name => {
            token["project"] =
                json!({"id": project_id(name), "name": name, "domain": {"id": "default", "name": "Default"}});
        }
    }
    token
}

/// The id of a project of that name.
pub fn project_id(name: &str) -> String {
    format!("id-of-project-{name}")
}

impl StubKeystone {
    /// Starts it.
    pub async fn start() -> Self {
        // Ring may be there already: tests share a process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let knows = Arc::new(Knowledge {
            tokens: Mutex::default(),
            mood: Mutex::new(Mood::Well),
            own: AtomicUsize::new(0),
            logins: AtomicUsize::new(0),
            validations: AtomicUsize::new(0),
            query: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&knows));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, knows, task }
    }

    /// Makes a token known, or says something else of it.
    pub fn knows(&self, token: &str, body: Value) {
        self.knows.tokens.lock().unwrap().insert(token.to_owned(), body);
    }

    /// Revokes a token.
    pub fn revoke(&self, token: &str) {
        self.knows.tokens.lock().unwrap().remove(token);
    }

    /// Forgets the service user's token, as a restart with new keys would.
    pub fn forget_own(&self) {
        self.knows.own.fetch_add(1, SeqCst);
    }

    /// From now on.
    pub fn is(&self, mood: Mood) {
        *self.knows.mood.lock().unwrap() = mood;
    }

    /// Validations so far.
    pub fn validations(&self) -> usize {
        self.knows.validations.load(SeqCst)
    }

    /// How to reach it.
    pub fn settings(&self) -> KeystoneSettings {
        KeystoneSettings {
            url: self.url.clone(),
            public_url: Some("http://keystone.example/v3/".into()),
            username: "billet".into(),
            password: Secret::new("right"),
            user_domain: "Default".into(),
            project: "service".into(),
            project_domain: "default".into(),
            ca_file: None,
            token_cache: Duration::from_secs(60),
            operator_projects: vec![ProjectName::new("admin")],
            service_project: Some(ProjectName::new("service")),
        }
    }

    /// Authentication by it.
    pub fn auth(&self) -> Auth {
        self.auth_with(self.settings())
    }

    /// The same, set otherwise.
    pub fn auth_with(&self, settings: KeystoneSettings) -> Auth {
        Auth::Keystone(Box::new(Keystone::new(settings).unwrap()))
    }
}

fn own_token(knows: &Knowledge) -> String {
    format!("own-{}", knows.own.load(SeqCst))
}

async fn answer(State(knows): State<Arc<Knowledge>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    assert_eq!(parts.uri.path(), "/v3/auth/tokens");
    let mood = *knows.mood.lock().unwrap();
    if let Mood::Says(status) = mood {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    if parts.method == "POST" {
        knows.logins.fetch_add(1, SeqCst);
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let asked: Value = serde_json::from_slice(&bytes).unwrap();
        let user = &asked["auth"]["identity"]["password"]["user"];
        assert_eq!(user["domain"], json!({"name": "Default"}));
        assert_eq!(
            asked["auth"]["scope"]["project"],
            json!({"name": "service", "domain": {"id": "default"}})
        );
        if user["name"] != "billet" || user["password"] != "right" {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let answer = json!({"token": self::body("billet", "service", &["service"])}).to_string();
        return (StatusCode::CREATED, [("x-subject-token", own_token(&knows))], answer).into_response();
    }
    knows.validations.fetch_add(1, SeqCst);
    *knows.query.lock().unwrap() = parts.uri.query().unwrap_or_default().to_owned();
    let header = |name: &str| parts.headers[name].to_str().unwrap().to_owned();
    if header("x-auth-token") != own_token(&knows) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if let Mood::SaysToValidations(status) = mood {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    let found = knows.tokens.lock().unwrap().get(&header("x-subject-token")).cloned();
    match found {
        Some(token) => json!({"token": token}).to_string().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
