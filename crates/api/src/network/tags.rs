//! Tags of networks, subnets, ports and security groups: `/v2.0/{collection}/{id}/tags`.

use super::attributes::{NAME_CHARACTERS, wrong};
use super::error::not_found;
use super::{networks, ports, security_groups, subnets};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Post, Put};
use axum::http::StatusCode;
use model::wording::repr;
use serde_json::{Value, json};
use uuid::Uuid;

/// Tags of one resource.
const TAGS: usize = 50;

/// The rows of one collection.
macro_rules! rows {
    ($all:literal, $one:literal) => {
        [
            Route::new(Get, $all, Access::Project, handler!(list)).says("Lists the tags."),
            Route::new(Put, $all, Access::Project, handler!(replace)).says("Replaces the tags."),
            Route::new(Post, $all, Access::Project, handler!(add_all))
                .says("Adds tags.")
                .success(StatusCode::CREATED),
            Route::new(Delete, $all, Access::Project, handler!(clear))
                .says("Removes all tags.")
                .success(StatusCode::NO_CONTENT),
            Route::new(Get, $one, Access::Project, handler!(show))
                .says("Says whether there is a tag.")
                .success(StatusCode::NO_CONTENT),
            Route::new(Put, $one, Access::Project, handler!(add))
                .says("Adds a tag.")
                .success(StatusCode::CREATED),
            Route::new(Delete, $one, Access::Project, handler!(remove))
                .says("Removes a tag.")
                .success(StatusCode::NO_CONTENT),
        ]
    };
}

/// Rows of the route table.
pub const NETWORKS: &[Route] = &rows!("/v2.0/networks/{network}/tags", "/v2.0/networks/{network}/tags/{tag}");
/// Rows of the route table.
pub const SUBNETS: &[Route] = &rows!("/v2.0/subnets/{subnet}/tags", "/v2.0/subnets/{subnet}/tags/{tag}");
/// Rows of the route table.
pub const PORTS: &[Route] = &rows!("/v2.0/ports/{port}/tags", "/v2.0/ports/{port}/tags/{tag}");
/// Rows of the route table.
pub const SECURITY_GROUPS: &[Route] =
    &rows!("/v2.0/security-groups/{group}/tags", "/v2.0/security-groups/{group}/tags/{tag}");

/// What has tags.
enum Tagged {
    Network(Uuid),
    Subnet(Uuid),
    Port(Uuid),
    Group(Uuid),
}

/// The resource that the path names, with its tags; changing takes more than looking.
async fn find(call: &Call, changes: bool) -> Result<(Tagged, Vec<String>), CloudError> {
    let named = |name: &str| !call.parameter(name).is_empty();
    if named("network") {
        let network = if changes { networks::own(call).await? } else { networks::named(call).await? };
        Ok((Tagged::Network(network.id), network.tags))
    } else if named("subnet") {
        let subnet = if changes { subnets::own(call).await? } else { subnets::find(call).await? };
        Ok((Tagged::Subnet(subnet.id), subnet.tags))
    } else if named("port") {
        let port = if changes { ports::own(call).await? } else { ports::named(call).await? };
        Ok((Tagged::Port(port.id), port.tags))
    } else {
        let group = security_groups::find(call).await?;
        Ok((Tagged::Group(group.id), group.tags))
    }
}

/// Changes the tags, as they are stored now; out come those that there are then.
async fn change(
    call: &Call,
    change: impl FnOnce(&mut Vec<String>) -> Result<(), CloudError> + Send,
) -> Result<Vec<String>, CloudError> {
    let store = &call.state.store;
    let now = call.now();
    let change = |tags: &mut Vec<String>| {
        change(tags)?;
        if tags.len() > TAGS {
            return Err(wrong("tags", &format!("a resource has {TAGS} tags at most")));
        }
        Ok(())
    };
    macro_rules! apply {
        ($record:ident) => {{
            change(&mut $record.tags)?;
            $record.revision_number += 1;
            $record.updated_at = now;
            Ok::<_, CloudError>(())
        }};
    }
    Ok(match find(call, true).await?.0 {
        Tagged::Network(id) => store.edit_network(id, |network| apply!(network)).await?.tags,
        Tagged::Subnet(id) => store.edit_subnet(id, |subnet| apply!(subnet)).await?.tags,
        Tagged::Port(id) => store.edit_network_port(id, None, now, |port| apply!(port)).await?.tags,
        Tagged::Group(id) => store.edit_security_group(id, |group| apply!(group)).await?.tags,
    })
}

/// `GET …/tags`
async fn list(call: Call) -> Result<Reply, CloudError> {
    Reply::json(&json!({"tags": find(&call, false).await?.1}))
}

/// The tags of a body, each once.
fn read(call: &Call) -> Result<Vec<String>, CloudError> {
    let body = call.json()?;
    let given = body.get("tags").and_then(Value::as_array);
    let given = given.filter(|tags| tags.len() <= TAGS).ok_or_else(|| {
        CloudError::invalid(format!("The request's body must have a list \"tags\" of at most {TAGS}."))
    })?;
    let mut tags: Vec<String> = Vec::new();
    for tag in given {
        let text = tag.as_str().unwrap_or_default();
        check(text, tag)?;
        if !tags.iter().any(|own| own == text) {
            tags.push(text.to_owned());
        }
    }
    Ok(tags)
}

/// Is it a word that the filters can tell from two?
fn check(text: &str, shown: &Value) -> Result<(), CloudError> {
    if text.is_empty() || text.chars().count() > NAME_CHARACTERS || text.contains([',', '/', '\0']) {
        return Err(wrong(
            "tags",
            &format!("{} is no tag: no commas, no slashes, 1 to 255 characters", repr(shown)),
        ));
    }
    Ok(())
}

/// `PUT …/tags`
async fn replace(call: Call) -> Result<Reply, CloudError> {
    let wanted = read(&call)?;
    let tags = change(&call, |tags| {
        *tags = wanted;
        Ok(())
    });
    Reply::json(&json!({"tags": tags.await?}))
}

/// `POST …/tags`
async fn add_all(call: Call) -> Result<Reply, CloudError> {
    let wanted = read(&call)?;
    let tags = change(&call, |tags| {
        let new: Vec<_> = wanted.into_iter().filter(|tag| !tags.contains(tag)).collect();
        tags.extend(new);
        Ok(())
    });
    Reply::json(&json!({"tags": tags.await?}))
}

/// `DELETE …/tags`
async fn clear(call: Call) -> Result<Reply, CloudError> {
    change(&call, |tags| {
        tags.clear();
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

/// `GET …/tags/{tag}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let tag = call.parameter("tag");
    let has = find(&call, false).await?.1.iter().any(|own| own == tag);
    if has { Ok(Reply::empty()) } else { Err(not_found("Tag", tag)) }
}

/// `PUT …/tags/{tag}`
async fn add(call: Call) -> Result<Reply, CloudError> {
    let tag = call.parameter("tag").to_owned();
    check(&tag, &tag.as_str().into())?;
    change(&call, |tags| {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

/// `DELETE …/tags/{tag}`
async fn remove(call: Call) -> Result<Reply, CloudError> {
    let tag = call.parameter("tag").to_owned();
    change(&call, |tags| match tags.iter().position(|own| *own == tag) {
        Some(place) => {
            tags.remove(place);
            Ok(())
        }
        None => Err(not_found("Tag", &tag)),
    })
    .await?;
    Ok(Reply::empty())
}
