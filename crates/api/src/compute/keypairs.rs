//! `/os-keypairs`: the keys that a user's servers let in.

use super::body::{Fields, NAME_LENGTH, fine_time, only, refused};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Post};
use axum::http::StatusCode;
use model::Secret;
use model::compute::keypair::{self, Keypair};
use model::compute::quota::QuotaResource;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use store::StoreError;
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.1/os-keypairs", Access::Project, handler!(index)).says("Lists a user's keypairs."),
    Route::new(Post, "/v2.1/os-keypairs", Access::Project, handler!(create))
        .says("Imports a public key, or makes a pair (below 2.92)."),
    Route::new(Get, "/v2.1/os-keypairs/{keypair}", Access::Project, handler!(show)).says("Shows a keypair."),
    Route::new(Delete, "/v2.1/os-keypairs/{keypair}", Access::Project, handler!(delete))
        .says("Forgets a keypair; servers that have it keep it."),
];

/// The user whose keypairs are meant: the caller, or whom an operator names (from 2.10 on).
fn user(call: &Call, named: Option<&str>) -> Result<String, CloudError> {
    let own = call.user_id()?;
    let Some(named) = named.filter(|_| call.minor >= 10) else { return Ok(own.to_owned()) };
    let may = if call.method.is_safe() { call.sees_all() } else { call.is_operator() };
    if named == own || may {
        return Ok(named.to_owned());
    }
    Err(CloudError::forbidden(
        "Only operators have to do with the keypairs of other users: leave user_id out.",
    ))
}

fn document(call: &Call, keypair: &Keypair) -> Value {
    let mut own = json!({
        "name": keypair.name,
        "public_key": keypair.public_key,
        "fingerprint": keypair.fingerprint,
    });
    if call.minor >= 2 {
        own["type"] = json!("ssh");
    }
    own
}

/// `GET /os-keypairs`
async fn index(call: Call) -> Result<Reply, CloudError> {
    call.only_query(&["user_id", "limit", "marker"])?;
    let user = user(&call, call.query.first("user_id"))?;
    let keypairs = call.state.store.keypairs(&user).await?;
    let write = |keypair: &Keypair| json!({"keypair": document(&call, keypair)});
    if call.minor < 35 {
        return Reply::json(&json!({"keypairs": keypairs.iter().map(write).collect::<Vec<_>>()}));
    }
    let page = call.page("/v2.1/os-keypairs", keypairs, |keypair| keypair.name.clone())?;
    Reply::json(&page.write("keypairs", write))
}

/// `GET /os-keypairs/{keypair}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    call.only_query(&["user_id"])?;
    let keypair = find(&call).await?;
    let mut own = document(&call, &keypair);
    own["user_id"] = json!(keypair.user_id);
    own["created_at"] = json!(fine_time(keypair.created_at));
    own["deleted"] = json!(false);
    own["deleted_at"] = Value::Null;
    own["updated_at"] = Value::Null;
    own["id"] = json!(super::number(keypair.uuid));
    Reply::json(&json!({"keypair": own}))
}

/// `DELETE /os-keypairs/{keypair}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    call.only_query(&["user_id"])?;
    let keypair = find(&call).await?;
    call.state.store.delete::<Keypair>(keypair.uuid).await?;
    Ok(Reply::empty().status(if call.minor < 2 { StatusCode::ACCEPTED } else { StatusCode::NO_CONTENT }))
}

async fn find(call: &Call) -> Result<Keypair, CloudError> {
    let user = user(call, call.query.first("user_id"))?;
    let name = call.parameter("keypair");
    match call.state.store.keypair(&user, name).await {
        Err(StoreError::NotFound { .. }) => {
            Err(CloudError::not_found(format!("Keypair {name} not found for user {user}")))
        }
        other => Ok(other?),
    }
}

/// `POST /os-keypairs`
async fn create(call: Call) -> Result<Reply, CloudError> {
    let body = call.json()?;
    let fields = only(&body, "keypair")?;
    let known: &[&str] = match call.minor {
        0..2 => &["name", "public_key"],
        2..10 => &["name", "public_key", "type"],
        _ => &["name", "public_key", "type", "user_id"],
    };
    fields.only(known)?;
    let user_id = user(&call, fields.text("user_id", 1..=NAME_LENGTH)?)?;
    let name = checked_name(&call, &fields)?.to_owned();
    match fields.text("type", 1..=NAME_LENGTH)? {
        None | Some("ssh") => {}
        Some("x509") => {
            return Err(CloudError::invalid(
                "Keypairs of type x509 log in to Windows, which the machines here are not prepared for: use type ssh.",
            ));
        }
        Some(_) => {
            return Err(refused(
                "type",
                fields.get("type").unwrap_or(&Value::Null),
                "It is one of: ssh, x509",
            ));
        }
    }
    let unreadable =
        |error: keypair::KeyError| CloudError::invalid(format!("Keypair data is invalid: {error}"));
    let (public_key, fingerprint, private_key) = match fields.text("public_key", 0..=usize::MAX)? {
        Some(text) => {
            let (line, fingerprint) = keypair::import(text).map_err(unreadable)?;
            (line, fingerprint, None)
        }
        None if call.minor >= 92 => return Err(fields.missing("public_key")),
        None => {
            let (private, line) = generate()?;
            let (line, fingerprint) = keypair::import(&line).map_err(unreadable)?;
            (line, fingerprint, Some(private))
        }
    };
    let limits = call.state.store.compute_limits(call.project().ok()).await?;
    let used = i64::try_from(call.state.store.keypairs(&user_id).await?.len()).unwrap_or(i64::MAX);
    if limits.exceeded(QuotaResource::KeyPairs, used, 1).is_some() {
        return Err(CloudError::forbidden(format!(
            "Quota exceeded, too many key pairs: {used} of {} are there; delete one, or have an operator raise the quota.",
            limits.get(QuotaResource::KeyPairs)
        )));
    }
    let keypair =
        Keypair { uuid: Uuid::new_v4(), name, user_id, public_key, fingerprint, created_at: call.now() };
    match call.state.store.create(&keypair).await {
        Err(StoreError::Duplicate { .. }) => {
            return Err(CloudError::conflict(format!("Key pair '{}' already exists.", keypair.name)));
        }
        other => other?,
    }
    let mut own = document(&call, &keypair);
    own["user_id"] = json!(keypair.user_id);
    if let Some(private) = private_key {
        own["private_key"] = json!(private.expose());
    }
    let status = if call.minor < 2 { StatusCode::OK } else { StatusCode::CREATED };
    Ok(Reply::json(&json!({"keypair": own}))?.status(status))
}

/// A keypair's name: what a file may be called; `@` and dots from 2.92 on.
fn checked_name<'a>(call: &Call, fields: &Fields<'a>) -> Result<&'a str, CloudError> {
    let name = fields.needed_name("name")?;
    let fits = |c: char| {
        c.is_ascii_alphanumeric() || "_- ".contains(c) || (call.minor >= 92 && (c == '@' || c == '.'))
    };
    if name.chars().all(fits) {
        return Ok(name);
    }
    let why = if call.minor >= 92 {
        "A keypair's name has letters, digits, '_', '-', '@', '.' and spaces."
    } else {
        "A keypair's name has letters, digits, '_', '-' and spaces ('@' and '.' from 2.92 on)."
    };
    Err(refused("name", &Value::from(name), why))
}

/// A new Ed25519 pair: the private file, which is told once and never stored, and the public line.
fn generate() -> Result<(Secret, String), CloudError> {
    let failed = |what: &str| {
        tracing::error!(what, "a keypair could not be made");
        CloudError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The keypair could not be made. The log has the details.",
        )
    };
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).map_err(|_| failed("no randomness"))?;
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| failed("seed"))?;
    let public = pair.public_key().as_ref().try_into().map_err(|_| failed("length"))?;
    keypair::generated(seed, public, "Generated-by-Billet").map_err(|error| failed(&error.to_string()))
}
