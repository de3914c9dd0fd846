//! `/v1/allocations`, and the allocation of one node.

use super::fields::{Chosen, Field, Page, maybe_time, time};
use super::patch::{self, Kind, Operation};
use super::query_schema::{self, Form};
use super::records::{self, Listing, Named, Whose};
use super::schema::{BAG, Property, TEXT, check, property};
use crate::args::is_logical_name;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::policy::Target;
use crate::route::Verb::{Delete, Get, Patch};
use crate::route::{Route, Takes};
use crate::wording::display;
use axum::http::StatusCode;
use model::allocation::Allocation;
use model::version as v;
use serde_json::{Map, Value, json};
use store::{Query, Record, Scope};
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/allocations", "baremetal:allocation:list", handler!(list))
        .says("Lists allocations.")
        .query_since(&[("owner", v::ALLOCATION_OWNER)])
        .query(&[
            "node",
            "resource_class",
            "state",
            "owner",
            "fields",
            "marker",
            "limit",
            "sort_key",
            "sort_dir",
        ])
        .since(v::ALLOCATIONS),
    Route::new(Get, "/v1/allocations/{allocation}", "baremetal:allocation:get", handler!(show))
        .says("Shows an allocation.")
        .query(&["fields"])
        .since(v::ALLOCATIONS),
    Route::new(Patch, "/v1/allocations/{allocation}", "baremetal:allocation:update", handler!(patch))
        .says("Changes an allocation.")
        .query(&[])
        .takes(Takes::Patch(PATCHABLE))
        .since(v::ALLOCATION_UPDATE)
        .below(StatusCode::METHOD_NOT_ALLOWED),
    Route::new(Delete, "/v1/allocations/{allocation}", "baremetal:allocation:delete", handler!(delete))
        .says("Removes an allocation.")
        .query(&[])
        .since(v::ALLOCATIONS)
        .below(StatusCode::METHOD_NOT_ALLOWED)
        .success(StatusCode::NO_CONTENT),
    Route::new(Get, "/v1/nodes/{node}/allocation", "baremetal:allocation:get", handler!(show_of_node))
        .says("Shows the allocation that holds the node.")
        .own_check()
        .query(&["fields"])
        .since(v::ALLOCATIONS),
    Route::new(
        Delete,
        "/v1/nodes/{node}/allocation",
        "baremetal:allocation:delete",
        handler!(delete_of_node),
    )
    .says("Removes the allocation that holds the node.")
    .own_check()
    .query(&[])
    .since(v::ALLOCATIONS)
    .success(StatusCode::NO_CONTENT),
];

const PATCHABLE: &[&str] = &["name", "extra"];
const PROPERTIES: &[Property] = &[property("name", TEXT), property("extra", BAG)];

/// Fields of an allocation, and the microversion of each.
pub const FIELDS: &[Field] = &[
    ("uuid", v::BASE),
    ("created_at", v::BASE),
    ("updated_at", v::BASE),
    ("candidate_nodes", v::BASE),
    ("extra", v::BASE),
    ("last_error", v::BASE),
    ("name", v::BASE),
    ("owner", v::ALLOCATION_OWNER),
    ("resource_class", v::BASE),
    ("state", v::BASE),
    ("traits", v::BASE),
    ("node_uuid", v::BASE),
    ("links", v::BASE),
];

/// An allocation as JSON.
pub fn shown(call: &Call, allocation: &Allocation, chosen: &Chosen) -> Map<String, Value> {
    let path = format!("allocations/{}", allocation.uuid);
    records::fields(call, FIELDS, chosen, &path, |name| match name {
        "uuid" => json!(allocation.uuid),
        "created_at" => json!(time(allocation.created_at)),
        "updated_at" => json!(maybe_time(allocation.updated_at)),
        "candidate_nodes" => json!(allocation.candidate_nodes),
        "extra" => json!(allocation.extra),
        "last_error" => json!(allocation.last_error),
        "name" => json!(allocation.name),
        "owner" => json!(allocation.owner),
        "resource_class" => json!(allocation.resource_class),
        "state" => json!(allocation.state),
        "traits" => json!(allocation.traits),
        _ => json!(allocation.node_uuid),
    })
}

/// The fields that are asked for. Ironic answers 400, not 406, to one that is newer.
fn chosen(call: &Call) -> Result<Chosen, ApiError> {
    let known: Vec<Field> = FIELDS.iter().copied().filter(|(_, since)| call.version.has(*since)).collect();
    let unknown =
        if call.version.has(v::ALLOCATION_OWNER) { unknown_field } else { unknown_field_before_owner };
    Chosen::of_one(&call.query, call.version, &known, unknown)
}

fn unknown_field(name: &str) -> String {
    // `owner` came later, and stands behind the others.
    query_schema::unknown_among(name, &[before_owner().as_slice(), &["owner"]].concat())
}

fn unknown_field_before_owner(name: &str) -> String {
    query_schema::unknown_among(name, &before_owner())
}

/// The fields but `owner`, sorted.
fn before_owner() -> Vec<&'static str> {
    let mut names: Vec<_> =
        FIELDS.iter().map(|(field, _)| *field).filter(|field| *field != "owner").collect();
    names.sort_unstable();
    names
}

impl Named for Allocation {
    fn whose(&self) -> Whose<'_> {
        Whose::Allocation(self.owner.as_deref())
    }
}

/// The allocation that the path names, if the call's rule lets the caller have it.
async fn find(call: &Call) -> Result<Allocation, ApiError> {
    records::find(call, "allocation", |ident| {
        format!("Expected a logical name or UUID but received {ident}.")
    })
    .await
}

/// The allocation of the node that the path names.
async fn find_of_node(call: &Call, node: Uuid) -> Result<Allocation, ApiError> {
    let query = Query::equal("node_uuid", node.to_string()).limit(1);
    let found: Option<Allocation> = call.state.store.list(&query).await?.pop();
    let allocation = found.ok_or_else(|| {
        ApiError::not_found(format!("Allocation for node {} was not found", call.parameter("node")))
    })?;
    call.check(call.rule, &Target::allocation(allocation.owner.as_deref()))?;
    Ok(allocation)
}

/// `GET /v1/allocations`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    let args = &call.query;
    query_schema::check(
        args,
        &[("sort_dir", Form::Direction), ("marker", Form::Uuid), ("node", Form::UuidOrName)],
    )?;
    let owner = args.text("owner")?;
    if owner.is_some() && !call.version.has(v::ALLOCATION_OWNER) {
        return Err(ApiError::not_acceptable());
    }
    let chosen = chosen(&call)?;
    let page = Page::read(&call, args, FIELDS, Allocation::SORT_COLUMNS)?;
    let confined = call.confined_to(call.rule)?.map(str::to_owned);
    if let (Some(own), Some(asked)) = (&confined, owner)
        && own != asked
    {
        call.check("baremetal:allocation:list_all", &Target::NONE)?;
    }
    let mut query = page.query();
    if let Some(own) = confined {
        // Some see lists and none of what would be in them.
        if !call.may("baremetal:allocation:get", &Target::allocation(Some(&own))) {
            query = query.and("uuid", "");
        }
        query = query.within(Some(Scope::OwnedBy(own)));
    }
    if let Some(ident) = args.uuid_or_name("node")? {
        let node = call.find_node(ident).await.map_err(ApiError::in_body)?.node;
        query = query.and("node_uuid", node.uuid.to_string());
    }
    let filters =
        [("resource_class", args.text("resource_class")?), ("state", args.text("state")?), ("owner", owner)];
    for (column, value) in filters {
        if let Some(value) = value {
            query = query.and(column, value);
        }
    }
    let listing = Listing { collection: "allocations", url: "allocations", chosen: &chosen, repeated: &[] };
    listing.answer(&call, &page, &query, shown).await
}

/// `GET /v1/allocations/{allocation}`
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    let allocation = find(&call).await?;
    Reply::json(&shown(&call, &allocation, &chosen(&call)?))
}

/// `GET /v1/nodes/{node}/allocation`
pub async fn show_of_node(call: Call) -> Result<Reply, ApiError> {
    let chosen = chosen(&call)?;
    let node = call.node().await.map_err(ApiError::in_body)?.node;
    let allocation = find_of_node(&call, node.uuid).await?;
    Reply::json(&shown(&call, &allocation, &chosen))
}

/// `PATCH /v1/allocations/{allocation}`
pub async fn patch(call: Call) -> Result<Reply, ApiError> {
    let body = call.json()?;
    let uuid = find(&call).await?.uuid;
    let operations = patch::read_as("", body, call.version)?;
    patch::only(&operations, PATCHABLE)?;
    for operation in &operations {
        if operation.is_of("name") && operation.kind != Kind::Remove {
            check_name("update", operation.value.as_ref().unwrap_or(&Value::Null))?;
        }
    }
    let changed = call.state.store.edit(uuid, |allocation| change(&call, allocation, &operations)).await?;
    Reply::json(&shown(&call, &changed, &Chosen::All))
}

/// Refuses what can't be an allocation's name; none is no name.
pub fn check_name(verb: &str, value: &Value) -> Result<(), ApiError> {
    match value {
        Value::Null => Ok(()),
        Value::String(name) if name.is_empty() || is_logical_name(name) => Ok(()),
        other => {
            Err(ApiError::invalid(format!("Cannot {verb} allocation with invalid name '{}'", display(other))))
        }
    }
}

fn change(call: &Call, allocation: &mut Allocation, operations: &[Operation]) -> Result<(), ApiError> {
    let rows = [("name", json!(allocation.name)), ("extra", json!(allocation.extra))];
    let mut document: Map<String, Value> =
        rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    patch::apply(&mut document, operations)?;
    check("patch", &document, PROPERTIES, &[])?;
    let after = Allocation {
        name: name_in(&document),
        extra: document.get("extra").and_then(Value::as_object).cloned().unwrap_or_default(),
        ..allocation.clone()
    };
    if after != *allocation {
        *allocation = Allocation { updated_at: Some(call.now()), ..after };
    }
    Ok(())
}

/// The name that a checked document gives; an empty one is none.
pub fn name_in(document: &Map<String, Value>) -> Option<String> {
    document.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()).map(str::to_owned)
}

/// `DELETE /v1/allocations/{allocation}`
pub async fn delete(call: Call) -> Result<Reply, ApiError> {
    let uuid = find(&call).await?.uuid;
    forget(&call, uuid).await
}

/// `DELETE /v1/nodes/{node}/allocation`
pub async fn delete_of_node(call: Call) -> Result<Reply, ApiError> {
    let node = call.node().await?.node;
    let uuid = find_of_node(&call, node.uuid).await?.uuid;
    forget(&call, uuid).await
}

async fn forget(call: &Call, uuid: Uuid) -> Result<Reply, ApiError> {
    call.state.conductor.delete_allocation(uuid).await?;
    Ok(Reply::empty())
}
