//! `/v3/users/{user}/application_credentials`.
//!
//! Access rules are refused: to confine a credential to some requests, every service would have to ask which, and one that forgot to would
//! let it do everything.

use super::document::{Attributes, filtered, many, one, shown, time};
use super::error::{forbidden, from_store, not_found};
use super::password::{digest_of_drawn, draw};
use super::tokens::{caller, own};
use super::users::named;
use super::validated::{Place, Validated};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::limits::{
    APPLICATION_CREDENTIALS, CREDENTIAL_ROLES, DESCRIPTION_TEXT, NAME_CHARACTERS, PASSWORD_BYTES,
};
use crate::route::Verb::{Delete, Get, Post};
use axum::http::StatusCode;
use jiff::Timestamp;
use model::Secret;
use model::identity::{ApplicationCredential, RoleName, id_from};
use serde_json::{Value, json};
use uuid::Uuid;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/v3/users/{user}/application_credentials", Access::User, handler!(list))
        .says("Lists a user's application credentials."),
    Route::new(Post, "/v3/users/{user}/application_credentials", Access::User, handler!(create))
        .success(StatusCode::CREATED)
        .says("Makes an application credential; its secret is shown this once."),
    Route::new(Get, "/v3/users/{user}/application_credentials/{credential}", Access::User, handler!(show))
        .says("Shows an application credential."),
    Route::new(
        Delete,
        "/v3/users/{user}/application_credentials/{credential}",
        Access::User,
        handler!(delete),
    )
    .success(StatusCode::NO_CONTENT)
    .says("Forgets an application credential and ends its tokens."),
    Route::new(Get, "/v3/users/{user}/access_rules", Access::User, handler!(access_rules))
        .says("Lists access rules, of which there are none."),
];

fn document(call: &Call, credential: &ApplicationCredential) -> Result<Value, CloudError> {
    let path = format!("users/{}/application_credentials", credential.user_id);
    let mut document = shown(call, &path, &credential.id, credential)?;
    document["expires_at"] =
        credential.expires_at.map_or(Value::Null, |end| json!(time(end).trim_end_matches('Z')));
    document["system"] = Value::Null;
    Ok(document)
}

/// `GET …/application_credentials`
async fn list(call: Call) -> Result<Reply, CloudError> {
    let user = named(&call, "identity:list_application_credentials", true).await?;
    let found: Vec<ApplicationCredential> =
        call.state.store.identity().list(&[("user_id", user.id.as_str())]).await?;
    let documents: Result<Vec<_>, _> = found.iter().map(|credential| document(&call, credential)).collect();
    let path = format!("users/{}/application_credentials", user.id);
    many(&call, "application_credentials", &path, filtered(&call, &["name"], documents?))
}

/// The credential that the path names. One of another user than the path's isn't there.
async fn found(call: &Call, action: &str) -> Result<ApplicationCredential, CloudError> {
    let user = named(call, action, true).await?;
    let id = call.parameter("credential");
    let credential: ApplicationCredential = call.state.store.identity().get(id).await.map_err(from_store)?;
    if credential.user_id == user.id { Ok(credential) } else { Err(not_found("application credential", id)) }
}

/// `GET …/application_credentials/{credential}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    one(
        "application_credential",
        document(&call, &found(&call, "identity:get_application_credential").await?)?,
    )
}

/// Who was recognised by such a credential makes and removes others only if it is unrestricted.
fn check_unrestricted(token: &Validated) -> Result<(), CloudError> {
    if token.application_credential.as_ref().is_some_and(|credential| !credential.unrestricted) {
        return Err(forbidden(
            "Using method 'application_credential' is not allowed for managing additional application credentials",
        ));
    }
    Ok(())
}

/// `POST …/application_credentials`: for oneself only, for the project of the token, with roles that the token has.
async fn create(call: Call) -> Result<Reply, CloudError> {
    let token = caller(&call).await?;
    if token.user.id != call.parameter("user") {
        return Err(forbidden("identity:create_application_credential"));
    }
    check_unrestricted(&token)?;
    let Place::Project(project, _) = &token.place else {
        return Err(CloudError::invalid(
            "An application credential is for a project: make it with a token that is scoped to one.",
        ));
    };
    let mut attributes = Attributes::of(&call, "application_credential")?;
    let name = attributes.required_name(NAME_CHARACTERS)?;
    match attributes.value("access_rules") {
        None => {}
        Some(Value::Array(rules)) if rules.is_empty() => {}
        Some(_) => {
            return Err(CloudError::invalid(
                "Access rules are not served: leave them out, and confine the credential by its roles.",
            ));
        }
    }
    let expires_at = read_end(&mut attributes, call.now())?;
    let roles = read_roles(&mut attributes, &token)?;
    let chosen = attributes.text("secret", PASSWORD_BYTES)?.map(Secret::new);
    let (secret, digest) = match chosen {
        Some(secret) if secret.expose().is_empty() || secret.expose().len() > PASSWORD_BYTES => {
            return Err(attributes.bad("secret", &format!("it takes 1 to {PASSWORD_BYTES} bytes")));
        }
        Some(secret) => {
            let digest = own(&call)?.passwords().digest(&secret).await?;
            (secret, digest)
        }
        None => {
            let failed = |error: crate::auth::fingerprint::NoRandomness| {
                CloudError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
            };
            let secret = draw().map_err(failed)?;
            let digest = digest_of_drawn(&secret).map_err(failed)?;
            (secret, digest)
        }
    };
    let credential = ApplicationCredential {
        id: id_from(Uuid::new_v4()),
        name,
        user_id: token.user.id.clone(),
        project_id: project.id.clone(),
        description: attributes.text("description", DESCRIPTION_TEXT)?,
        expires_at,
        roles,
        unrestricted: attributes.flag("unrestricted")?.unwrap_or(false),
        extra: model::identity::Extra::new(),
    };
    let identity = call.state.store.identity();
    let known: Vec<ApplicationCredential> = identity.list(&[("user_id", token.user.id.as_str())]).await?;
    if known.len() >= APPLICATION_CREDENTIALS {
        return Err(CloudError::forbidden(format!(
            "Unable to create additional application credentials, maximum of {APPLICATION_CREDENTIALS} already exceeded for user."
        )));
    }
    identity.create_application_credential(&credential, &digest).await.map_err(from_store)?;
    let mut shown = document(&call, &credential)?;
    shown["secret"] = json!(secret.expose());
    one("application_credential", shown)
}

/// When it ends: a time without a zone is UTC, as clients write it.
fn read_end(attributes: &mut Attributes, now: Timestamp) -> Result<Option<Timestamp>, CloudError> {
    let Some(text) = attributes.text("expires_at", NAME_CHARACTERS)? else { return Ok(None) };
    let end = text.parse::<Timestamp>().or_else(|_| {
        text.parse::<jiff::civil::DateTime>()
            .and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC))
            .map(|time| time.timestamp())
    });
    match end {
        Ok(end) if end > now => Ok(Some(end)),
        Ok(_) => Err(attributes.bad("expires_at", "it has passed already")),
        Err(_) => Err(attributes.bad("expires_at", "it is no time like 2026-11-28T12:39:06")),
    }
}

/// The roles of a credential: those that are named by id or name, else all that the token has.
fn read_roles(attributes: &mut Attributes, token: &Validated) -> Result<Vec<RoleName>, CloudError> {
    let bad = |attributes: &Attributes| {
        attributes
            .bad("roles", &format!("it is a list of at most {CREDENTIAL_ROLES} objects with id or name"))
    };
    let Some(wanted) = attributes.value("roles") else { return Ok(token.roles.clone()) };
    let wanted =
        wanted.as_array().filter(|list| list.len() <= CREDENTIAL_ROLES).ok_or_else(|| bad(attributes))?;
    if wanted.is_empty() {
        return Ok(token.roles.clone());
    }
    let mut roles: Vec<RoleName> = Vec::new();
    for one in wanted {
        let (field, value) = match (one["id"].as_str(), one["name"].as_str()) {
            (Some(id), _) => ("id", id),
            (None, Some(name)) => ("name", name),
            (None, None) => return Err(bad(attributes)),
        };
        let role =
            token.roles.iter().find(|role| if field == "id" { role.id == value } else { role.name == value });
        let role = role.ok_or_else(|| {
            CloudError::invalid(format!(
                "Invalid application credential: the token has no role with {field} {} in its project, so that it can't be given on.",
                value.chars().take(NAME_CHARACTERS).collect::<String>()
            ))
        })?;
        if !roles.contains(role) {
            roles.push(role.clone());
        }
    }
    Ok(roles)
}

/// `DELETE …/application_credentials/{credential}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    check_unrestricted(&*caller(&call).await?)?;
    let credential = found(&call, "identity:delete_application_credential").await?;
    call.state.store.identity().delete_application_credential(&credential.id).await.map_err(from_store)?;
    Ok(Reply::empty())
}

/// `GET /v3/users/{user}/access_rules`
async fn access_rules(call: Call) -> Result<Reply, CloudError> {
    let user = named(&call, "identity:list_access_rules", true).await?;
    many(&call, "access_rules", &format!("users/{}/access_rules", user.id), Vec::new())
}
