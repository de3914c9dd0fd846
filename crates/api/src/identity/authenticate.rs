//! Recognising a user: by password, by a token that it has, or by an application credential.
//!
//! Whatever is wrong with what was brought, the answer is the same 401: who exists, who is disabled and who is locked out is nobody's
//! business. The log has the reason.

use super::credential_request::{Brought, CredentialPart, PasswordPart, UserName};
use super::error::unauthorized;
use super::validated::{Void, enabled_user, valid_credential};
use crate::auth::Own;
use crate::cloud::{Call, CloudError};
use axum::http::StatusCode;
use jiff::Timestamp;
use model::Secret;
use model::identity::{ApplicationCredential, Claims, Domain, User};
use std::time::Duration;
use store::identity::Identity;
use store::{Store, StoreError};

/// A user that was recognised, and by what.
pub struct Recognised {
    /// Who.
    pub user: User,
    /// The user's domain.
    pub user_domain: Domain,
    /// The token that was brought.
    pub token: Option<Claims>,
    /// The application credential that was brought.
    pub credential: Option<ApplicationCredential>,
}

impl From<Void> for CloudError {
    fn from(void: Void) -> Self {
        match void {
            Void::Because(reason) => {
                tracing::info!(reason, "a log-in was refused");
                unauthorized()
            }
            Void::Store(error) => error.into(),
        }
    }
}

/// Recognises the user that every method that was brought stands for.
pub async fn recognise(call: &Call, own: &Own, brought: &Brought) -> Result<Recognised, CloudError> {
    let mut found: Option<Recognised> = None;
    for method in &brought.methods {
        let next = match method.as_str() {
            "password" => by_password(call, own, brought.password()?).await?,
            "token" => by_token(own, brought.token()?).await?,
            "application_credential" => by_credential(call, own, brought.credential()?).await?,
            _ => {
                return Err(CloudError::new(
                    StatusCode::UNAUTHORIZED,
                    "Attempted to authenticate with an unsupported method.",
                ));
            }
        };
        found = Some(match found {
            None => next,
            Some(first) if first.user.id == next.user.id => Recognised {
                token: first.token.or(next.token),
                credential: first.credential.or(next.credential),
                ..next
            },
            Some(_) => return Err(unauthorized()),
        });
    }
    found.ok_or_else(unauthorized)
}

/// A user by id, or by name and domain; none where there is no such user.
async fn find_user(identity: Identity<'_>, name: &UserName) -> Result<Option<User>, StoreError> {
    let absent = |error: StoreError| match error {
        StoreError::NotFound { .. } => Ok(None),
        other => Err(other),
    };
    match name {
        UserName::Id(id) => identity.get(id).await.map(Some).or_else(absent),
        UserName::Named { name, domain } => match domain.id(identity).await? {
            Some(domain) => identity.find(&[("domain_id", domain.as_str()), ("name", name.as_str())]).await,
            None => Ok(None),
        },
    }
}

async fn by_password(call: &Call, own: &Own, part: &PasswordPart) -> Result<Recognised, CloudError> {
    let user = find_user(call.state.store.identity(), &part.user).await?;
    check_password(&call.state.store, own, &part.user, user.as_ref(), &part.password).await?;
    let Some(user) = user else { return Err(unauthorized()) };
    let (user, user_domain) = enabled_user(call.state.store.identity(), &user.id).await?;
    Ok(Recognised { user, user_domain, token: None, credential: None })
}

/// Checks a user's password; 401 where it is wrong, or where there is no such user.
pub async fn check_password(
    store: &Store,
    own: &Own,
    asked: &UserName,
    user: Option<&User>,
    password: &Secret,
) -> Result<(), CloudError> {
    let digest = match user {
        Some(user) => store.identity().password(&user.id).await?,
        None => None,
    };
    let fits = match user {
        Some(user) => own.passwords().fits(&["user", &user.id], digest, password).await?,
        None => own.passwords().fits(&asked.parts(), None, password).await?,
    };
    if fits { Ok(()) } else { Err(unauthorized()) }
}

async fn by_token(own: &Own, token: &Secret) -> Result<Recognised, CloudError> {
    let token = own.validate(token.expose(), Duration::ZERO).await?;
    // It is for one project and some of its user's roles, and stays that.
    if token.application_credential.is_some() {
        return Err(CloudError::forbidden(
            "A token of an application credential can't be exchanged for another one: use the credential itself.",
        ));
    }
    Ok(Recognised {
        user: token.user.clone(),
        user_domain: token.user_domain.clone(),
        token: Some(token.claims.clone()),
        credential: None,
    })
}

async fn by_credential(call: &Call, own: &Own, part: &CredentialPart) -> Result<Recognised, CloudError> {
    let identity = call.state.store.identity();
    let known: Option<ApplicationCredential> = match part {
        CredentialPart::Id { id, .. } => match identity.get(id).await {
            Ok(credential) => Some(credential),
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        },
        CredentialPart::Name { name, user, .. } => match find_user(identity, user).await? {
            Some(user) => identity.find(&[("user_id", user.id.as_str()), ("name", name.as_str())]).await?,
            None => None,
        },
    };
    let digest = match &known {
        Some(credential) => identity.application_credential_secret(&credential.id).await?,
        None => None,
    };
    let fits = match &known {
        Some(credential) => {
            own.passwords().fits(&["application credential", &credential.id], digest, part.secret()).await?
        }
        None => own.passwords().fits(&part.parts(), None, part.secret()).await?,
    };
    let Some(credential) = known.filter(|_| fits) else { return Err(unauthorized()) };
    let credential = valid_credential(identity, &credential.id, Timestamp::now()).await?;
    let (user, user_domain) = enabled_user(identity, &credential.user_id).await?;
    Ok(Recognised { user, user_domain, token: None, credential: Some(credential) })
}
