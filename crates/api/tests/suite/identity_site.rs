//! A site with its own identity service, and a way to log in there.

use crate::site::{Answer, Site};
use api::identity::bootstrap::Login;
use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt;

/// A site and the log-ins of its first start.
pub struct IdentitySite {
    pub site: Site,
    logins: Vec<Login>,
}

/// Headers of a request beside its token.
pub type Headers<'a> = &'a [(&'a str, &'a str)];

/// `scope` of a log-in.
pub fn project(name: &str) -> Value {
    json!({"project": {"name": name, "domain": {"id": "default"}}})
}

/// `auth.identity` with a password.
pub fn by_password(user: &str, password: &str) -> Value {
    let user = json!({"name": user, "domain": {"id": "default"}, "password": password});
    json!({"methods": ["password"], "password": {"user": user}})
}

impl IdentitySite {
    pub async fn new() -> Self {
        let (site, logins) = Site::own().await;
        Self { site, logins }
    }

    /// A password of the first start.
    pub fn password(&self, user: &str) -> String {
        self.logins.iter().find(|login| login.user == user).unwrap().password.expose().to_owned()
    }

    /// A request below `/identity`, unless the path says another place.
    pub async fn ask(
        &self,
        token: &str,
        method: &str,
        path: &str,
        headers: Headers<'_>,
        body: Option<Value>,
    ) -> Answer {
        let path = if path.starts_with("/v3") { format!("/identity{path}") } else { path.to_owned() };
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(path)
            .header("host", "h:1");
        if !token.is_empty() {
            request = request.header("x-auth-token", token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let response = self.site.operator.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 64 << 20).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// A request with a token and a body or none.
    pub async fn by(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.ask(token, method, path, &[], body).await
    }

    /// A log-in as it comes.
    pub async fn log_in(&self, identity: Value, scope: Value) -> Answer {
        self.by("", "POST", "/v3/auth/tokens", Some(json!({"auth": {"identity": identity, "scope": scope}})))
            .await
    }

    /// The token of a log-in that must succeed.
    pub async fn token_with(&self, identity: Value, scope: Value) -> String {
        self.log_in(identity, scope).await.is(201).header("x-subject-token").to_owned()
    }

    /// A token of a user of the first start, for its own project.
    pub async fn token(&self, user: &str) -> String {
        self.token_with(by_password(user, &self.password(user)), project(user)).await
    }

    /// A new user with the password `pass`; its id.
    pub async fn user(&self, operator: &str, name: &str, more: Value) -> String {
        let mut user = json!({"name": name, "password": "pass"});
        user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.make(operator, "users", "user", user).await
    }

    /// Something new; its id.
    pub async fn make(&self, operator: &str, collection: &str, member: &str, document: Value) -> String {
        let made =
            self.by(operator, "POST", &format!("/v3/{collection}"), Some(json!({ member: document }))).await;
        made.is(201).json()[member]["id"].as_str().unwrap().to_owned()
    }

    /// The id of what has a name.
    pub async fn id(&self, operator: &str, collection: &str, name: &str) -> String {
        let found =
            self.by(operator, "GET", &format!("/v3/{collection}?name={name}"), None).await.is(200).json();
        let found = found[collection].as_array().unwrap().clone();
        assert_eq!(found.len(), 1, "{collection} {name}");
        found[0]["id"].as_str().unwrap().to_owned()
    }

    /// Gives a user a role at a place, like `projects/{id}`.
    pub async fn grant(&self, operator: &str, place: &str, user: &str, role: &str) {
        let role = self.id(operator, "roles", role).await;
        self.by(operator, "PUT", &format!("/v3/{place}/users/{user}/roles/{role}"), None).await.is(204);
    }

    /// Does the token still count?
    pub async fn counts(&self, token: &str) -> bool {
        match self.by(token, "GET", "/v3/auth/projects", None).await.status.as_u16() {
            200 => true,
            401 => false,
            other => panic!("{other}"),
        }
    }
}

/// What the user reads of an error, with its shape checked.
pub fn fault(answer: &Answer) -> String {
    let error = &answer.json()["error"];
    assert_eq!(error["code"], answer.status.as_u16());
    assert!(error["title"].as_str().is_some_and(|title| !title.is_empty()));
    error["message"].as_str().unwrap().to_owned()
}
