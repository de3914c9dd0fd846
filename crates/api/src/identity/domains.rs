//! `/v3/domains`.

use super::document::{Attributes, filtered, many, merge, one, shown};
use super::error::{Refusal, forbidden, from_store, not_found};
use super::immutable::{check_deletion, check_update};
use super::reach::{Reach, reach};
use super::tags;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::limits::{DESCRIPTION_TEXT, PROJECT_NAME_CHARACTERS};
use crate::route::Verb::{Delete, Get, Patch, Post};
use axum::http::StatusCode;
use model::identity::{DEFAULT_DOMAIN, Domain, id_from};
use uuid::Uuid;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/v3/domains", Access::User, handler!(list)).says("Lists domains."),
    Route::new(Post, "/v3/domains", Access::Operator, handler!(create))
        .success(StatusCode::CREATED)
        .says("Makes a domain."),
    Route::new(Get, "/v3/domains/{domain}", Access::User, handler!(show)).says("Shows a domain."),
    Route::new(Patch, "/v3/domains/{domain}", Access::Operator, handler!(update)).says("Changes a domain."),
    Route::new(Delete, "/v3/domains/{domain}", Access::Operator, handler!(delete))
        .success(StatusCode::NO_CONTENT)
        .says("Forgets a disabled domain and all in it."),
];

/// `GET /v3/domains`
async fn list(call: Call) -> Result<Reply, CloudError> {
    let reach = reach(&call).await?.ok_or_else(|| forbidden("identity:list_domains"))?;
    let domains: Vec<Domain> = call.state.store.identity().list(&[]).await?;
    let seen = domains.iter().filter(|domain| reach.covers(&domain.id));
    let documents: Result<Vec<_>, _> =
        seen.map(|domain| shown(&call, "domains", &domain.id, domain)).collect();
    many(&call, "domains", "domains", filtered(&call, &["name", "enabled"], documents?))
}

/// `GET /v3/domains/{domain}`: everybody may look at the domain that the token is of.
async fn show(call: Call) -> Result<Reply, CloudError> {
    let id = call.parameter("domain");
    let token = super::tokens::caller(&call).await?;
    let is_own = token.user_domain.id == id || token.place.domain_id() == Some(id);
    match reach(&call).await? {
        _ if is_own => {}
        Some(Reach::All) => {}
        Some(Reach::Domain(_)) => return Err(not_found("domain", id)),
        None => return Err(forbidden("identity:get_domain")),
    }
    let domain: Domain = call.state.store.identity().get(id).await.map_err(from_store)?;
    one("domain", shown(&call, "domains", &domain.id, &domain)?)
}

/// `POST /v3/domains`
async fn create(call: Call) -> Result<Reply, CloudError> {
    let mut attributes = Attributes::of(&call, "domain")?;
    let name = attributes.required_name(PROJECT_NAME_CHARACTERS)?;
    let domain = Domain {
        description: attributes.text("description", DESCRIPTION_TEXT)?.unwrap_or_default(),
        enabled: attributes.flag("enabled")?.unwrap_or(true),
        tags: tags::taken(&mut attributes)?.unwrap_or_default(),
        options: attributes.object("options")?.unwrap_or_default(),
        extra: attributes.rest(),
        ..Domain::new(id_from(Uuid::new_v4()), name)
    };
    call.state.store.identity().create(&domain).await.map_err(from_store)?;
    one("domain", shown(&call, "domains", &domain.id, &domain)?)
}

/// `PATCH /v3/domains/{domain}`
async fn update(call: Call) -> Result<Reply, CloudError> {
    let mut attributes = Attributes::of(&call, "domain")?;
    let name = attributes.name(PROJECT_NAME_CHARACTERS)?;
    let description = attributes.change("description", DESCRIPTION_TEXT)?;
    let enabled = attributes.flag("enabled")?;
    let tags = tags::taken(&mut attributes)?;
    let options = attributes.object("options")?;
    let changes = attributes.rest();
    let edited = call.state.store.identity().edit(call.parameter("domain"), |domain: &mut Domain| {
        check_update("domain", &domain.id, &domain.options, options.as_ref())?;
        if domain.id == DEFAULT_DOMAIN && enabled == Some(false) {
            return Err(Refusal(CloudError::forbidden(
                "The default domain can't be disabled: the operators of this site are in it, and nobody could enable it again.",
            )));
        }
        if let Some(name) = name {
            domain.name = name;
        }
        if let Some(description) = description {
            domain.description = description.unwrap_or_default();
        }
        domain.enabled = enabled.unwrap_or(domain.enabled);
        if let Some(tags) = tags {
            domain.tags = tags;
        }
        merge(&mut domain.options, options.unwrap_or_default());
        merge(&mut domain.extra, changes);
        Ok::<_, Refusal>(())
    });
    let domain = edited.await.map_err(|refusal| refusal.0)?;
    one("domain", shown(&call, "domains", &domain.id, &domain)?)
}

/// `DELETE /v3/domains/{domain}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let deleted = call.state.store.identity().delete_domain(call.parameter("domain"), |domain: &Domain| {
        check_deletion("domain", &domain.id, &domain.options)?;
        if domain.enabled {
            return Err(Refusal(CloudError::forbidden(
                "Cannot delete a domain that is enabled, please disable it first.",
            )));
        }
        Ok(())
    });
    deleted.await.map_err(|refusal| refusal.0)?;
    Ok(Reply::empty())
}
