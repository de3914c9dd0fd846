//! Who may do what: the account's own project, operators, whoever has a temporary URL, and the public where a container is open to it.

use super::temp_url::{self, TempUrl};
use crate::cloud::{Call, CloudError};
use axum::http::StatusCode;
use model::object_store::{Container, MAX_ACCOUNT_NAME_LENGTH, TempUrlKeys};
use store::StoreError;

/// How accounts are called: this and the project's ID.
pub(super) const ACCOUNT_PREFIX: &str = "AUTH_";

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// List a container.
    List,
    /// Read an object.
    Read,
    /// Read what is said about an account or a container.
    Look,
    /// Change anything.
    Change,
}

/// Somebody who was let in.
#[derive(Debug)]
pub(super) struct Guest {
    /// Whose account it is.
    pub project: String,
    /// May see and change what is not the public's: keys, access lists.
    pub is_owner: bool,
    /// The temporary URL that let them in.
    pub temp_url: Option<TempUrl>,
    /// How far: large objects are made of others.
    reach: Reach,
}

/// What a guest may read beside what the path names.
#[derive(Debug)]
enum Reach {
    /// The whole account.
    Account,
    /// This container.
    Container(String),
    /// What is open to the caller.
    Open,
}

/// May the guest read the objects of this container too?
pub(super) fn reaches(call: &Call, guest: &Guest, container: &Container) -> bool {
    match &guest.reach {
        Reach::Account => true,
        Reach::Container(name) => *name == container.name,
        Reach::Open => is_open(call, Deed::Read, container),
    }
}

/// The project whose account this is.
pub(super) fn project_of(account: &str) -> Option<&str> {
    account
        .strip_prefix(ACCOUNT_PREFIX)
        .filter(|project| !project.is_empty() && account.len() <= MAX_ACCOUNT_NAME_LENGTH)
}

/// Lets in whoever may do this with what the path names; else 401 for those without a token, 403 for those with one. A container
/// that isn't there is found by whoever may see the account alone.
pub(super) async fn admit(call: &Call, deed: Deed) -> Result<Guest, CloudError> {
    let Some(project) = project_of(call.parameter("account")) else { return Err(refuse(call)) };
    let guest = |is_owner, temp_url, reach| Guest { project: project.to_owned(), is_owner, temp_url, reach };
    let (container, object) = (call.parameter("container"), call.parameter("object"));
    if !object.is_empty()
        && let Some(given) = temp_url::read(&call.query, call.now())?
    {
        let signed = |keys: &TempUrlKeys| {
            given.is_signed(&call.method, call.parameter("account"), container, object, keys)
        };
        if signed(&call.state.store.object_account(project).await?.keys) {
            return Ok(guest(false, Some(given), Reach::Account));
        }
        return match find(call, project, container).await? {
            Some(own) if signed(&own.keys) => Ok(guest(false, Some(given), Reach::Container(own.name))),
            _ => Err(temp_url::invalid()),
        };
    }
    if call.may_use_project(project, deed != Deed::Change) {
        return Ok(guest(call.may_use_project(project, false), None, Reach::Account));
    }
    if matches!(deed, Deed::List | Deed::Read)
        && let Some(container) = find(call, project, container).await?
        && is_open(call, deed, &container)
    {
        return Ok(guest(false, None, Reach::Open));
    }
    Err(refuse(call))
}

fn is_open(call: &Call, deed: Deed, container: &Container) -> bool {
    let to_the_public =
        if deed == Deed::List { container.is_listed_publicly() } else { container.is_public() };
    let caller = call.caller.identity.as_ref();
    to_the_public
        || caller.is_some_and(|who| {
            let own = who.credentials.project.as_deref();
            own.is_some_and(|own| container.is_readable_by(own, &who.user_id))
        })
}

async fn find(call: &Call, project: &str, container: &str) -> Result<Option<Container>, CloudError> {
    match call.state.store.object_container(project, container).await {
        Ok(container) => Ok(Some(container)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn refuse(call: &Call) -> CloudError {
    if call.caller.identity.is_none() {
        return CloudError::new(
            StatusCode::UNAUTHORIZED,
            "This server could not verify that you are authorized to access the document you requested.",
        );
    }
    CloudError::forbidden(
        "Access was denied to this resource: it takes the role member (to read: reader) in the project of the account.",
    )
}
