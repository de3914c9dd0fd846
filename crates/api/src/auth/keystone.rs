//! Tokens that Keystone issues: validated by Keystone itself, with the token of a service user of ours.
//!
//! What Keystone said is believed for at most a minute (`token_cache_seconds`), so that a revoked token is of use no longer than that.
//! Where Keystone can't be asked nobody gets in: 503, never a guess. No token is ever logged, and none is kept but the service user's own.

use super::fingerprint::{Fingerprints, NoRandomness};
use super::identity::{Identity, ProjectName, Token, Validated};
use super::refuse;
use super::token_cache::{Checked, Refusal, TokenCache};
use crate::error::ApiError;
use crate::limits::{
    KEYSTONE_CONNECT_TIME, KEYSTONE_REPLY_BYTES, KEYSTONE_REQUESTS, KEYSTONE_TIME, TOKEN_BYTES, TOKEN_CACHE,
    TOKEN_FAILURE_AGE, TOKEN_INVALID_AGE, TOKEN_RENEWAL,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use conductor::causes;
use jiff::Timestamp;
use model::Secret;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, Semaphore};

/// How Keystone is asked, and what its answers mean here.
#[derive(Debug, Clone)]
pub struct KeystoneSettings {
    /// Where Keystone is, with or without `/v3`.
    pub url: String,
    /// Where users find it, for the challenge of a 401; else `url`.
    pub public_url: Option<String>,
    /// The service user.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// The domain of that user, by name.
    pub user_domain: String,
    /// The project that it acts in, by name.
    pub project: String,
    /// The domain of that project, by name.
    pub project_domain: String,
    /// Certificates (PEM) that Keystone's may be signed by; else those of the system.
    pub ca_file: Option<PathBuf>,
    /// How long an answer is believed.
    pub token_cache: Duration,
    /// Projects whose admins are operators of all nodes.
    pub operator_projects: Vec<ProjectName>,
    /// The project of the cloud's services, if its `service` role is to reach all nodes (`rbac_service_role_elevated_access`).
    pub service_project: Option<ProjectName>,
}

/// Why Keystone can't be used at all: what is configured is wrong.
#[derive(Debug, thiserror::Error)]
pub enum KeystoneError {
    /// No URL.
    #[error("keystone.url is \"{0}\"; it must begin with http:// or https://")]
    Url(String),
    /// The certificates can't be read.
    #[error("keystone.ca_file {}: {reason}", path.display())]
    Certificates {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The HTTP client can't be made.
    #[error("no HTTP client for Keystone: {0}")]
    Client(String),
    /// Nothing can be remembered.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// A Keystone to ask.
pub struct Keystone {
    settings: KeystoneSettings,
    /// `…/v3`.
    base: String,
    challenge: HeaderValue,
    http: reqwest::Client,
    own: Mutex<Own>,
    permits: Semaphore,
    fingerprints: Fingerprints,
    cache: TokenCache,
}

/// The service user's own token, or why there is none.
#[derive(Default)]
struct Own {
    token: Option<(Secret, Instant)>,
    failure: Option<(Refusal, Instant)>,
}

impl std::fmt::Debug for Keystone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keystone").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Keystone {
    /// Prepares; asks nothing yet.
    pub fn new(settings: KeystoneSettings) -> Result<Self, KeystoneError> {
        let root = |url: &str| url.trim_end_matches('/').trim_end_matches("/v3").to_owned();
        let is_url = |url: &str| url.starts_with("http://") || url.starts_with("https://");
        let public = root(settings.public_url.as_deref().unwrap_or(&settings.url));
        for url in [&settings.url, &public] {
            if !is_url(url) {
                return Err(KeystoneError::Url(url.clone()));
            }
        }
        let challenge = HeaderValue::from_str(&format!("Keystone uri=\"{public}\""))
            .map_err(|_| KeystoneError::Url(public.clone()))?;
        Ok(Self {
            base: format!("{}/v3", root(&settings.url)),
            challenge,
            http: client(&settings)?,
            own: Mutex::default(),
            permits: Semaphore::new(KEYSTONE_REQUESTS),
            fingerprints: Fingerprints::new()?,
            cache: TokenCache::new(TOKEN_CACHE),
            settings,
        })
    }

    /// The challenge that goes with a 401.
    pub(super) fn challenge(&self) -> HeaderValue {
        self.challenge.clone()
    }

    /// Logs in as the service user: what the operator wants to know at the start.
    ///
    /// # Errors
    /// Why not, in words, and what to do about it.
    pub async fn log_in(&self) -> Result<(), String> {
        match self.own_token(None).await {
            Ok(_) => Ok(()),
            Err(Refusal::Unavailable(reason)) => Err(reason),
            Err(Refusal::Invalid) => Err("its answer makes no sense".to_owned()),
        }
    }

    /// Whose token the headers carry. `X-Service-Token`, if there is one, must be valid too; with the role `service` it keeps the work
    /// of a user whose token expired under way going, for as long as Keystone allows that.
    pub(super) async fn identify(&self, headers: &HeaderMap) -> Result<Arc<Identity>, ApiError> {
        let unauthorised =
            || refuse(StatusCode::UNAUTHORIZED, "The request you have made requires authentication.");
        let token = read(headers, "x-auth-token").ok_or_else(unauthorised)?;
        let found = match headers.contains_key("x-service-token") {
            false => self.known(token, false).await,
            true => match read(headers, "x-service-token") {
                None => Err(Refusal::Invalid),
                Some(service) => match self.known(service, false).await {
                    Ok(service) => {
                        self.known(token, service.credentials.roles.has(crate::policy::Role::Service)).await
                    }
                    Err(refusal) => Err(refusal),
                },
            },
        };
        found.map_err(|refusal| match refusal {
            Refusal::Invalid => unauthorised(),
            Refusal::Unavailable(reason) => {
                tracing::error!(%reason, "a token could not be checked");
                ApiError::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    format!(
                        "The Keystone service at {} is temporarily unavailable, so that your token could not be checked. Try again \
                         later; Billet's log has the details.",
                        self.settings.url
                    ),
                )
            }
        })
    }

    async fn known(&self, token: &HeaderValue, expired_too: bool) -> Result<Arc<Identity>, Refusal> {
        let key = self.fingerprints.of(&[token.as_bytes(), &[u8::from(expired_too)]]);
        self.cache.identity(key, || self.check(token, expired_too)).await
    }

    async fn check(&self, token: &HeaderValue, expired_too: bool) -> Checked {
        match self.validate(token, expired_too).await {
            Ok(token) => {
                let now = Instant::now();
                let until = if expired_too {
                    self.settings.token_cache
                } else {
                    left(&token).min(self.settings.token_cache)
                };
                let identity =
                    token.identity(&self.settings.operator_projects, self.settings.service_project.as_ref());
                Checked::Valid(Arc::new(identity), now + until)
            }
            Err(Refusal::Invalid) => {
                Checked::Invalid(Instant::now() + TOKEN_INVALID_AGE.min(self.settings.token_cache))
            }
            Err(Refusal::Unavailable(reason)) => Checked::Unknown(reason),
        }
    }

    /// Asks Keystone about a token.
    async fn validate(&self, token: &HeaderValue, expired_too: bool) -> Result<Token, Refusal> {
        let url = format!(
            "{}/auth/tokens?nocatalog{}",
            self.base,
            if expired_too { "&allow_expired=1" } else { "" }
        );
        let mut own = self.own_token(None).await?;
        let mut renewed = false;
        loop {
            let request = self
                .http
                .get(&url)
                .header("x-auth-token", secret_header(&own)?)
                .header("x-subject-token", token.clone());
            let (status, _, body) = self.send(request).await?;
            match status.as_u16() {
                200 => {
                    let validated: Validated = serde_json::from_slice(&body)
                        .map_err(|error| self.unavailable(format!("its answer can't be read: {error}")))?;
                    let expired = left(&validated.token).is_zero();
                    return if expired && !expired_too { Err(Refusal::Invalid) } else { Ok(validated.token) };
                }
                404 => return Err(Refusal::Invalid),
                401 if !renewed => {
                    // Our own token was revoked or forgotten: a new one, once.
                    renewed = true;
                    own = self.own_token(Some(&own)).await?;
                }
                403 => {
                    return Err(self.unavailable(format!(
                        "it does not let the user \"{}\" validate tokens: give that user the role service or admin on the project \"{}\"",
                        self.settings.username, self.settings.project
                    )));
                }
                other => {
                    return Err(
                        self.unavailable(format!("it answered HTTP {other} to the validation of a token"))
                    );
                }
            }
        }
    }

    /// The service user's token; a new one where there is none, it is about to expire, or it is the one that Keystone just `refused`.
    async fn own_token(&self, refused: Option<&Secret>) -> Result<Secret, Refusal> {
        let mut own = self.own.lock().await;
        let now = Instant::now();
        if let Some((token, until)) = &own.token
            && now < *until
            && refused != Some(token)
        {
            return Ok(token.clone());
        }
        // One log-in for all who wait for it, also where it fails.
        if let Some((failure, at)) = &own.failure
            && at.elapsed() < TOKEN_FAILURE_AGE
        {
            return Err(failure.clone());
        }
        match self.authenticate().await {
            Ok((token, until)) => {
                *own = Own { token: Some((token.clone(), until)), failure: None };
                Ok(token)
            }
            Err(failure) => {
                *own = Own { token: None, failure: Some((failure.clone(), Instant::now())) };
                Err(failure)
            }
        }
    }

    async fn authenticate(&self) -> Result<(Secret, Instant), Refusal> {
        let settings = &self.settings;
        let body = json!({"auth": {
            "identity": {
                "methods": ["password"],
                "password": {"user": {
                    "name": settings.username,
                    "domain": domain(&settings.user_domain),
                    "password": settings.password.expose(),
                }},
            },
            "scope": {"project": {"name": settings.project, "domain": domain(&settings.project_domain)}},
        }});
        let url = format!("{}/auth/tokens?nocatalog", self.base);
        let request = self.http.post(url).header("content-type", "application/json").body(body.to_string());
        let (status, headers, body) = self.send(request).await?;
        match status.as_u16() {
            201 => {}
            401 => {
                return Err(self.unavailable(format!(
                    "it refuses the user \"{}\" of the domain \"{}\" on the project \"{}\" of the domain \"{}\": check username, password, \
                     user_domain, project and project_domain in [keystone]",
                    settings.username, settings.user_domain, settings.project, settings.project_domain
                )));
            }
            other => {
                return Err(
                    self.unavailable(format!("it answered HTTP {other} to a log-in: check keystone.url"))
                );
            }
        }
        let token = headers.get("x-subject-token").and_then(|value| value.to_str().ok());
        let validated: Result<Validated, _> = serde_json::from_slice(&body);
        match (token, validated) {
            (Some(token), Ok(validated)) => {
                let life = left(&validated.token).saturating_sub(TOKEN_RENEWAL);
                Ok((Secret::new(token), Instant::now() + life))
            }
            _ => Err(self.unavailable("its answer to a log-in can't be read: check keystone.url".to_owned())),
        }
    }

    /// Sends a request; the reply is read within a limit.
    async fn send(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<(StatusCode, HeaderMap, Vec<u8>), Refusal> {
        let failed = |error: reqwest::Error| {
            self.unavailable(format!(
                "it can't be reached: {}; check keystone.url and keystone.ca_file, and that Keystone runs",
                causes(&error.without_url())
            ))
        };
        let permit = tokio::time::timeout(KEYSTONE_TIME, self.permits.acquire()).await;
        let Ok(Ok(_permit)) = permit else {
            return Err(self.unavailable(format!(
                "{KEYSTONE_REQUESTS} questions to it are open and none was answered in time"
            )));
        };
        let mut response = request.send().await.map_err(failed)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > KEYSTONE_REPLY_BYTES {
                return Err(
                    self.unavailable(format!("its answer is larger than {KEYSTONE_REPLY_BYTES} bytes"))
                );
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, headers, body))
    }

    fn unavailable(&self, reason: String) -> Refusal {
        Refusal::Unavailable(format!("Keystone at {}: {reason}", self.settings.url))
    }
}

fn client(settings: &KeystoneSettings) -> Result<reqwest::Client, KeystoneError> {
    let mut builder = reqwest::Client::builder()
        .timeout(KEYSTONE_TIME)
        .connect_timeout(KEYSTONE_CONNECT_TIME)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    if let Some(path) = &settings.ca_file {
        let unreadable = |reason: String| KeystoneError::Certificates { path: path.clone(), reason };
        let pem = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        let certificates =
            reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unreadable(causes(&error)))?;
        if certificates.is_empty() {
            return Err(unreadable("there is no certificate (PEM) in it".to_owned()));
        }
        builder = builder.tls_certs_only(certificates);
    }
    builder.build().map_err(|error| KeystoneError::Client(causes(&error)))
}

/// A domain as Keystone wants it named. `default` is the id that every Keystone gives its first domain, whatever that is called.
fn domain(name: &str) -> Value {
    if name == "default" { json!({"id": name}) } else { json!({"name": name}) }
}

/// A token of a header, if it can be one.
fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a HeaderValue> {
    let value = headers.get(name)?;
    let fits = value.as_bytes().iter().all(u8::is_ascii_graphic) && (1..=TOKEN_BYTES).contains(&value.len());
    fits.then_some(value)
}

fn secret_header(token: &Secret) -> Result<HeaderValue, Refusal> {
    let mut value = HeaderValue::from_str(token.expose()).map_err(|_| {
        Refusal::Unavailable("Keystone's token for the service user can't be sent".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// How long a token has to live.
fn left(token: &Token) -> Duration {
    Duration::try_from(token.expires_at.duration_since(Timestamp::now())).unwrap_or_default()
}
