//! Tokens of the site's own identity service: checked here, without asking anybody.
//!
//! A token says who it was issued to and for what; what that means is looked up in the database and remembered by the token's digest
//! until any identity data changes (see [`store::identity::Identity::generation`]). So a check usually costs a hash and a look into a map,
//! and what an administrator takes away is gone with the next request.

use super::fingerprint::{Fingerprint, Fingerprints, NoRandomness};
use super::identity::{Identity, ProjectName, Token};
use super::refuse;
use crate::error::ApiError;
use crate::identity::password::Passwords;
use crate::identity::token_key::{KeyError, TokenKey};
use crate::identity::validated::{Place, Validated, Void};
use crate::limits::{TOKEN_CACHE, TOKEN_EXPIRED_WINDOW};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::Store;

/// Why tokens can't be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// The key's file is unusable.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Nothing can be remembered.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// The identity service, as far as the other services need it.
pub struct Own {
    store: Store,
    key: TokenKey,
    passwords: Passwords,
    operator_projects: Vec<ProjectName>,
    service_project: Option<ProjectName>,
    fingerprints: Fingerprints,
    known: Mutex<HashMap<Fingerprint, Known>>,
}

/// A token that was looked up, and the generation of identity data for which that holds.
#[derive(Clone)]
struct Known {
    generation: u64,
    token: Arc<Validated>,
    identity: Arc<Identity>,
}

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Own").field("operator_projects", &self.operator_projects).finish_non_exhaustive()
    }
}

impl Own {
    /// Reads, or makes, the key in the state directory.
    pub fn open(
        store: Store,
        state_dir: &Path,
        operator_projects: Vec<ProjectName>,
        service_project: Option<ProjectName>,
    ) -> Result<Self, OwnError> {
        Ok(Self {
            key: TokenKey::open(state_dir)?,
            passwords: Passwords::new()?,
            fingerprints: Fingerprints::new()?,
            known: Mutex::default(),
            store,
            operator_projects,
            service_project,
        })
    }

    /// Signs tokens.
    pub(crate) fn key(&self) -> &TokenKey {
        &self.key
    }

    /// Checks passwords.
    pub(crate) fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// The challenge that goes with a 401.
    pub(super) fn challenge(base_url: &str) -> Option<HeaderValue> {
        HeaderValue::from_str(&format!("Keystone uri=\"{base_url}/identity\"")).ok()
    }

    /// Whose token the headers carry. `X-Service-Token`, if there is one, must be valid too; with the role `service` it keeps the work of a
    /// user whose token expired under way going for a while.
    pub(super) async fn identify(&self, headers: &HeaderMap) -> Result<Arc<Identity>, ApiError> {
        self.token_of(headers).await.map(|known| known.identity)
    }

    /// The same with all that is known of the token.
    pub(crate) async fn caller(&self, headers: &HeaderMap) -> Result<Arc<Validated>, ApiError> {
        self.token_of(headers).await.map(|known| known.token)
    }

    async fn token_of(&self, headers: &HeaderMap) -> Result<Known, ApiError> {
        let read = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let token = read("x-auth-token").ok_or_else(unauthorised)?;
        let mut window = Duration::ZERO;
        if headers.contains_key("x-service-token") {
            let service = read("x-service-token").ok_or_else(unauthorised)?;
            if self.known(service, Duration::ZERO).await?.token.has_role("service") {
                window = TOKEN_EXPIRED_WINDOW;
            }
        }
        self.known(token, window).await
    }

    /// What a token means; 401 where it means nothing. It may have expired `window` ago.
    pub(crate) async fn validate(&self, token: &str, window: Duration) -> Result<Arc<Validated>, ApiError> {
        self.known(token, window).await.map(|known| known.token)
    }

    async fn known(&self, token: &str, window: Duration) -> Result<Known, ApiError> {
        let now = Timestamp::now();
        let counts = |token: &Validated| token.until() + window > now;
        let digest = self.fingerprints.of(&[token.as_bytes()]);
        // Read before the look-up: what changes meanwhile makes it stale.
        let generation = self.store.identity().generation();
        let remembered = self.remembered().get(&digest).cloned();
        if let Some(known) = remembered
            && known.generation == generation
        {
            return if counts(&known.token) { Ok(known) } else { Err(unauthorised()) };
        }
        let claims = self.key.read(token).ok_or_else(unauthorised)?;
        if claims.expires_at + window <= now {
            return Err(unauthorised());
        }
        let found = Validated::look_up(&self.store, claims, now - window).await;
        let token = found.map_err(|void| match void {
            Void::Because(reason) => {
                tracing::debug!(reason, "a token counts no more");
                unauthorised()
            }
            Void::Store(error) => error.into(),
        })?;
        let identity = Arc::new(self.identity(&token));
        let known = Known { generation, token: Arc::new(token), identity };
        let mut remembered = self.remembered();
        if remembered.len() >= TOKEN_CACHE {
            remembered.retain(|_, known| known.generation == generation && known.token.until() > now);
        }
        if remembered.len() >= TOKEN_CACHE {
            remembered.clear();
        }
        remembered.insert(digest, known.clone());
        Ok(known)
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashMap<Fingerprint, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who a token stands for in the eyes of the other services.
    fn identity(&self, token: &Validated) -> Identity {
        let project = match &token.place {
            Place::Project(project, domain) => Some((project, domain)),
            _ => None,
        };
        let token = Token::own(
            &token.user,
            &token.user_domain,
            token.roles.iter().map(|role| role.name.clone()),
            project,
            matches!(token.place, Place::System),
            token.claims.expires_at,
        );
        token.identity(&self.operator_projects, self.service_project.as_ref())
    }
}

fn unauthorised() -> ApiError {
    refuse(StatusCode::UNAUTHORIZED, "The request you have made requires authentication.")
}
