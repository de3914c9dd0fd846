//! `/v3/auth/tokens`: getting, checking and ending tokens.

use super::authenticate::{Recognised, recognise};
use super::credential_request::{Brought, Wanted};
use super::document::missing;
use super::error::{forbidden, from_store, unauthorized};
use super::token_document::describe;
use super::validated::{Place, Validated, Void, roles_there};
use crate::auth::Own;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::gate::Class;
use crate::handler;
use crate::limits::{AUTH_BODY_BYTES, TOKEN_EXPIRED_WINDOW, TOKEN_TIME};
use crate::route::Verb::{Delete, Get, Post};
use axum::http::{HeaderName, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use model::identity::{Claims, Scope};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const SUBJECT: HeaderName = HeaderName::from_static("x-subject-token");

pub(super) const ROUTES: &[Route] = &[
    Route::new(Post, "/v3/auth/tokens", Access::Public, handler!(issue))
        .success(StatusCode::CREATED)
        .body_limit(AUTH_BODY_BYTES)
        // Its password is checked behind a queue of its own.
        .class(Class::Slow)
        .says("Issues a token."),
    Route::new(Get, "/v3/auth/tokens", Access::User, handler!(show)).says("Checks a token and describes it."),
    Route::new(Delete, "/v3/auth/tokens", Access::User, handler!(revoke))
        .success(StatusCode::NO_CONTENT)
        .says("Ends a token."),
];

/// The site's identity service; without it there are no tokens of its own.
pub(super) fn own(call: &Call) -> Result<&Own, CloudError> {
    call.state.settings.auth.own().ok_or_else(|| {
        CloudError::not_found(
            "This site's tokens are another Keystone's: ask that one (billet serve --auth own has its own).",
        )
    })
}

/// The token that calls.
pub(super) async fn caller(call: &Call) -> Result<Arc<Validated>, CloudError> {
    Ok(own(call)?.caller(&call.headers).await?)
}

/// `POST /v3/auth/tokens`
async fn issue(call: Call) -> Result<Reply, CloudError> {
    let own = own(&call)?;
    let brought = Brought::read(&call.body)?;
    let who = recognise(&call, own, &brought).await?;
    let place = wanted_place(&call, &who, &brought.scope).await?;
    let claims = claims(&who, brought.methods, &place, call.now());
    let identity = call.state.store.identity();
    let roles = roles_there(identity, &who.user, &place, who.credential.as_ref()).await?;
    let token = Validated {
        claims,
        user: who.user,
        user_domain: who.user_domain,
        place,
        roles,
        application_credential: who.credential,
    };
    let document = describe(&call.state.store, &call.base_url, &token, !call.query.has("nocatalog")).await?;
    let text = own.key().sign(&token.claims).map_err(|error| {
        tracing::error!(%error, "a token could not be written");
        CloudError::new(StatusCode::INTERNAL_SERVER_ERROR, "The token could not be written.")
    })?;
    Ok(Reply::json(&document)?.with(SUBJECT, text).with(header::VARY, "X-Auth-Token"))
}

/// What the token is for.
async fn wanted_place(call: &Call, who: &Recognised, wanted: &Wanted) -> Result<Place, CloudError> {
    let identity = call.state.store.identity();
    // Such a credential is for its project whatever is asked for; asking for another one is a mistake that should show.
    if let Some(credential) = &who.credential {
        let own = Scope::Project(credential.project_id.clone());
        if let Wanted::Place(name) = wanted
            && name.scope(identity).await?.as_ref() != Some(&own)
        {
            return Err(unauthorized());
        }
        return Ok(Place::find(identity, Some(&own)).await?);
    }
    match wanted {
        Wanted::Unscoped => Ok(Place::Unscoped),
        Wanted::Place(name) => {
            let scope = name.scope(identity).await?.ok_or(Void::Because("there is no such scope"))?;
            Ok(Place::find(identity, Some(&scope)).await?)
        }
        Wanted::Default => {
            let Some(project) = &who.user.default_project_id else { return Ok(Place::Unscoped) };
            // As in Keystone, a default that can't be had is no reason to refuse.
            let Ok(place) = Place::find(identity, Some(&Scope::Project(project.clone()))).await else {
                return Ok(Place::Unscoped);
            };
            match roles_there(identity, &who.user, &place, None).await {
                Ok(_) => Ok(place),
                Err(Void::Because(_)) => Ok(Place::Unscoped),
                Err(error) => Err(error.into()),
            }
        }
    }
}

/// What the new token says. One that was got with another ends when that ends, and names where the chain began.
fn claims(who: &Recognised, methods: Vec<String>, place: &Place, now: Timestamp) -> Claims {
    let audit_id = URL_SAFE_NO_PAD.encode(Uuid::new_v4().as_bytes());
    let mut methods = methods;
    let mut audit_ids = vec![audit_id];
    let mut expires_at = now.checked_add(TOKEN_TIME).unwrap_or(Timestamp::MAX);
    if let Some(first) = &who.token {
        audit_ids.extend(first.audit_ids.last().cloned());
        expires_at = first.expires_at;
        for method in &first.methods {
            if !methods.contains(method) {
                methods.push(method.clone());
            }
        }
    }
    let mut claims = Claims {
        user_id: who.user.id.clone(),
        issued_at: now,
        expires_at,
        methods,
        audit_ids,
        project_id: None,
        domain_id: None,
        system: None,
        application_credential_id: who.credential.as_ref().map(|credential| credential.id.clone()),
    };
    claims.set_scope(place.scope().as_ref());
    claims
}

/// The token that is asked about; 404 for one that counts for nothing.
async fn subject(call: &Call) -> Result<(String, Arc<Validated>), CloudError> {
    let text = call.header("x-subject-token").ok_or_else(|| missing("X-Subject-Token", "headers"))?;
    let expired_too = call.query.flag("allow_expired")?.unwrap_or(false);
    let window = if expired_too { TOKEN_EXPIRED_WINDOW } else { Duration::ZERO };
    match own(call)?.validate(text, window).await {
        Ok(token) => Ok((text.to_owned(), token)),
        Err(error) if error.status == StatusCode::UNAUTHORIZED => {
            Err(CloudError::not_found("Could not find token: Failed to validate token."))
        }
        Err(error) => Err(error.into()),
    }
}

/// `GET /v3/auth/tokens`, and `HEAD`: for the services of the cloud, and for everybody's own tokens.
async fn show(call: Call) -> Result<Reply, CloudError> {
    let caller = caller(&call).await?;
    let is_service = call.sees_all() || caller.has_role("service");
    let found = subject(&call).await;
    let (text, token) = match found {
        Ok(found) => found,
        // Strangers don't learn which of the tokens that they try are none.
        Err(error) if is_service || error.status != StatusCode::NOT_FOUND => return Err(error),
        Err(_) => return Err(forbidden("identity:validate_token")),
    };
    if !is_service && token.user.id != caller.user.id {
        return Err(forbidden("identity:validate_token"));
    }
    let document = describe(&call.state.store, &call.base_url, &token, !call.query.has("nocatalog")).await?;
    Ok(Reply::json(&document)?.with(SUBJECT, text))
}

/// `DELETE /v3/auth/tokens`
async fn revoke(call: Call) -> Result<Reply, CloudError> {
    let caller = caller(&call).await?;
    let found = subject(&call).await;
    let (_, token) = match found {
        Err(error) if !call.is_operator() && error.status == StatusCode::NOT_FOUND => {
            return Err(forbidden("identity:revoke_token"));
        }
        other => other?,
    };
    if !call.is_operator() && token.user.id != caller.user.id {
        return Err(forbidden("identity:revoke_token"));
    }
    let until = token.claims.expires_at + TOKEN_EXPIRED_WINDOW;
    let identity = call.state.store.identity();
    identity.revoke(token.claims.audit_id(), until, call.now()).await.map_err(from_store)?;
    Ok(Reply::empty())
}
