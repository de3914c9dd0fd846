//! `/v1/nodes/{node}/traits`

use super::schema::{ARRAY, Property, STRING, check, property, refusal};
use crate::args::object;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::limits::TRAITS;
use crate::route::Verb::{Delete, Get, Put};
use crate::route::{Route, Takes};
use crate::wording::repr_text;
use axum::http::StatusCode;
use model::version as v;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use store::NodeRow;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/nodes/{node}/traits", "baremetal:node:traits:list", handler!(list))
        .says("Lists the node's traits.")
        .query(&[])
        .since(v::TRAITS)
        .below(StatusCode::NOT_ACCEPTABLE),
    Route::new(Put, "/v1/nodes/{node}/traits", "baremetal:node:traits:set", handler!(replace))
        .says("Replaces the node's traits.")
        .query(&[])
        .takes(Takes::Object(BODY, &["traits"]))
        .since(v::TRAITS)
        .below(StatusCode::METHOD_NOT_ALLOWED)
        .success(StatusCode::NO_CONTENT),
    Route::new(Delete, "/v1/nodes/{node}/traits", "baremetal:node:traits:delete", handler!(clear))
        .says("Removes all of the node's traits.")
        .query(&[])
        .since(v::TRAITS)
        .success(StatusCode::NO_CONTENT),
    Route::new(Put, "/v1/nodes/{node}/traits/{trait}", "baremetal:node:traits:set", handler!(add))
        .says("Adds a trait to the node.")
        .query(&[])
        .takes(Takes::Nothing)
        .since(v::TRAITS)
        .below(StatusCode::METHOD_NOT_ALLOWED)
        .success(StatusCode::NO_CONTENT),
    Route::new(Delete, "/v1/nodes/{node}/traits/{trait}", "baremetal:node:traits:delete", handler!(remove))
        .says("Removes a trait from the node.")
        .query(&[])
        .since(v::TRAITS)
        .success(StatusCode::NO_CONTENT),
];

const BODY: &[Property] = &[property("traits", ARRAY).items(&property("", STRING))];

/// The names of os-traits, one a line, sorted.
const STANDARD: &str = include_str!("standard_traits.txt");

/// Characters of a trait's name.
const TRAIT_CHARACTERS: usize = 255;
/// What clients are told that mix up the two ways to set traits.
const ONE_OR_ALL: &str = "A single node trait may be added via PUT /v1/nodes/<node identifier>/traits/<trait> with no body, or \
    all node traits may be replaced via PUT /v1/nodes/<node identifier>/traits with the list of traits specified in the request \
    body.";

/// Is it a standard trait, or `CUSTOM_` and capitals, digits, underscores?
pub fn is_trait(name: &str) -> bool {
    if name.is_empty() || name.len() > TRAIT_CHARACTERS {
        return false;
    }
    if let Some(rest) = name.strip_prefix("CUSTOM_") {
        let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        return !rest.is_empty() && rest.bytes().all(fits);
    }
    STANDARD.lines().any(|line| line == name)
}

/// Refuses what is no trait; `what` is what the schema is for.
pub fn check_trait(what: &str, name: &str) -> Result<(), ApiError> {
    if is_trait(name) {
        return Ok(());
    }
    let shown = repr_text(name);
    let fault = if name.is_empty() {
        format!("{shown} should be non-empty")
    } else if name.chars().count() > TRAIT_CHARACTERS {
        format!("{shown} is too long")
    } else {
        format!(
            "{shown} is not valid under any of the given schemas. Possible root cause: {shown} does not match \
             '^CUSTOM_[A-Z0-9_]+$'"
        )
    };
    Err(refusal(what, &fault))
}

/// `GET …/traits`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    Reply::json(&json!({"traits": call.node().await?.node.traits}))
}

/// `PUT …/traits {traits: […]}` replaces them all.
pub async fn replace(call: Call) -> Result<Reply, ApiError> {
    let body = object("body", call.json()?)?;
    check("body", &body, BODY, &[])?;
    let Some(list) = body.get("traits") else {
        return Err(ApiError::invalid(ONE_OR_ALL));
    };
    let mut traits = BTreeSet::new();
    // Of several that are wrong the last is named.
    for name in list.as_array().into_iter().flatten().rev().filter_map(Value::as_str) {
        check_trait("body", name)?;
        traits.insert(name.to_owned());
    }
    change(&call, call.node().await?, |stored| {
        stored.clone_from(&traits);
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

/// `DELETE …/traits`
pub async fn clear(call: Call) -> Result<Reply, ApiError> {
    change(&call, call.node().await?, |stored| {
        stored.clear();
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

/// `PUT …/traits/{trait}`, without a body.
pub async fn add(call: Call) -> Result<Reply, ApiError> {
    let name = call.parameter("trait");
    check_trait("trait", name)?;
    // An empty object counts as none.
    if !call.body.is_empty() && call.json()?.as_object().is_none_or(|body| !body.is_empty()) {
        return Err(ApiError::invalid(ONE_OR_ALL));
    }
    change(&call, call.node().await?, |stored| {
        stored.insert(name.to_owned());
        Ok(())
    })
    .await?;
    Ok(Reply::empty().at(call.url(&format!("nodes/{}/traits/{name}", call.parameter("node")))))
}

/// `DELETE …/traits/{trait}`
pub async fn remove(call: Call) -> Result<Reply, ApiError> {
    let name = call.parameter("trait");
    let row = call.node().await?;
    let uuid = row.node.uuid;
    change(&call, row, |stored| {
        if stored.remove(name) {
            return Ok(());
        }
        let shown: String = name.chars().take(crate::limits::QUOTED_CHARACTERS).collect();
        Err(ApiError::not_found(format!("Node {uuid} doesn't have a trait '{shown}'")))
    })
    .await?;
    Ok(Reply::empty())
}

async fn change(
    call: &Call,
    row: NodeRow,
    edit_traits: impl Fn(&mut BTreeSet<String>) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let uuid = row.node.uuid;
    call.edit_node(row, |edit| {
        edit_traits(&mut edit.node.traits)?;
        let count = edit.node.traits.len();
        if count > TRAITS {
            return Err(ApiError::invalid(format!(
                "Could not modify traits for node {uuid} as it would exceed the maximum number of traits per node \
                 ({count} vs. {TRAITS})"
            )));
        }
        Ok(())
    })
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traits_are_standard_or_custom() {
        assert!(is_trait("HW_CPU_X86_VMX"));
        assert!(is_trait("CUSTOM_GOLD_1"));
        for bad in ["", "foo", "CUSTOM_", "CUSTOM_a", "HW_CPU_X86_VM", "HW_CPU_X86_VMX\n"] {
            assert!(!is_trait(bad), "{bad:?}");
        }
        assert!(STANDARD.lines().is_sorted());
    }
}
