//! `/v1/chassis`, and the nodes of one chassis.

use super::fields::{Chosen, Field, Page, maybe_time, time};
use super::node_list;
use super::patch::{self, Operation};
use super::query_schema::{self, Form};
use super::records::{self, Listing, own_uuid};
use super::schema::{BAG, Property, TEXT, check, limited, property};
use crate::args::{object, parse_uuid};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Verb::{Delete, Get, Patch, Post};
use crate::route::{Route, Takes};
use crate::wording::display;
use axum::http::StatusCode;
use jiff::Timestamp;
use model::chassis::Chassis;
use model::version as v;
use serde_json::{Map, Value, json};
use store::Record;
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/chassis", "baremetal:chassis:get", handler!(list))
        .says("Lists chassis.")
        .query(LIST),
    Route::new(Post, "/v1/chassis", "baremetal:chassis:create", handler!(create))
        .says("Registers a chassis.")
        .query(&[])
        .takes(Takes::Object(PROPERTIES, &[]))
        .success(StatusCode::CREATED),
    Route::new(Get, "/v1/chassis/detail", "baremetal:chassis:get", handler!(detail))
        .says("Lists chassis with all their fields.")
        .query(PAGE),
    Route::new(Get, "/v1/chassis/{chassis}", "baremetal:chassis:get", handler!(show))
        .says("Shows a chassis.")
        .query(&["fields"]),
    Route::new(Patch, "/v1/chassis/{chassis}", "baremetal:chassis:update", handler!(patch))
        .says("Changes a chassis.")
        .query(&[])
        .takes(Takes::Patch(PATCHABLE)),
    Route::new(Delete, "/v1/chassis/{chassis}", "baremetal:chassis:delete", handler!(delete))
        .says("Removes a chassis.")
        .query(&[])
        .success(StatusCode::NO_CONTENT),
    Route::new(Get, "/v1/chassis/{chassis}/nodes", "baremetal:node:list", handler!(nodes))
        .says("Lists the chassis' nodes.")
        .query(node_list::ARGUMENTS)
        .query_since(node_list::FILTER_VERSIONS),
    Route::new(Get, "/v1/chassis/{chassis}/nodes/detail", "baremetal:node:list", handler!(nodes_detail))
        .says("Lists the chassis' nodes with all their fields.")
        .query(node_list::FILTERS)
        .query_since(node_list::FILTER_VERSIONS),
];

const PROPERTIES: &[Property] =
    &[property("uuid", TEXT).format("uuid"), property("extra", BAG), limited("description", TEXT, 0, 255)];

/// Attributes that a patch may name, in the order in which refusals list them. `uuid` may only be set to what it is.
const PATCHABLE: &[&str] = &["uuid", "extra", "description"];

/// Fields of a chassis, and the microversion of each.
pub const FIELDS: &[Field] = &[
    ("uuid", v::BASE),
    ("created_at", v::BASE),
    ("updated_at", v::BASE),
    ("description", v::BASE),
    ("extra", v::BASE),
    ("nodes", v::BASE),
    ("links", v::BASE),
];

/// Fields of a list without `detail`.
const DEFAULT: &[&str] = &["uuid", "description"];

/// What the query of a list may have.
const LIST: &[&str] = &["marker", "limit", "sort_key", "sort_dir", "fields", "detail"];

/// The same of a list of whole chassis.
const PAGE: &[&str] = LIST.split_at(4).0;

fn unknown_field(name: &str) -> String {
    query_schema::unknown_field(name, FIELDS)
}

/// A chassis as JSON.
fn shown(call: &Call, chassis: &Chassis, chosen: &Chosen) -> Map<String, Value> {
    let path = format!("chassis/{}", chassis.uuid);
    records::fields(call, FIELDS, chosen, &path, |name| match name {
        "uuid" => json!(chassis.uuid),
        "created_at" => json!(time(chassis.created_at)),
        "updated_at" => json!(maybe_time(chassis.updated_at)),
        "description" => json!(chassis.description),
        "extra" => json!(chassis.extra),
        // The links stand in a list of their own: an old slip of Ironic's that clients have learnt to read.
        _ => json!([call.links(&format!("{path}/nodes"))]),
    })
}

/// The chassis that the path names.
async fn find(call: &Call) -> Result<Chassis, ApiError> {
    let ident = call.parameter("chassis");
    match parse_uuid(ident) {
        Some(uuid) => Ok(call.state.store.get(&uuid.to_string()).await?),
        None => Err(ApiError::invalid(format!(
            "Expected UUID for chassis_uuid: {}",
            display(&Value::from(ident))
        ))),
    }
}

/// Refuses a body that puts a node into a chassis that isn't there.
pub async fn require(call: &Call, chassis: Uuid) -> Result<(), ApiError> {
    match call.state.store.get::<Chassis>(&chassis.to_string()).await {
        Ok(_) => Ok(()),
        Err(error) => Err(ApiError::from(error).in_body()),
    }
}

/// `GET /v1/chassis`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    query_schema::check(&call.query, &[("sort_dir", Form::Direction)])?;
    let chosen = Chosen::of_list(&call.query, call.version, FIELDS, DEFAULT, unknown_field)?;
    page(&call, &chosen, "chassis").await
}

/// `GET /v1/chassis/detail`
pub async fn detail(call: Call) -> Result<Reply, ApiError> {
    query_schema::check(&call.query, &[("sort_dir", Form::Direction)])?;
    page(&call, &Chosen::All, "chassis/detail").await
}

async fn page(call: &Call, chosen: &Chosen, url: &str) -> Result<Reply, ApiError> {
    let page = Page::read(call, &call.query, FIELDS, Chassis::SORT_COLUMNS)?;
    let detail = call.query.boolean("detail")?.map(|detail| ("detail", detail));
    let listing = Listing { collection: "chassis", url, chosen, repeated: detail.as_slice() };
    listing.answer(call, &page, &page.query(), shown).await
}

/// `GET /v1/chassis/{chassis}`
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    let chosen = Chosen::of_one(&call.query, call.version, FIELDS, unknown_field)?;
    let chassis = find(&call).await?;
    Reply::json(&shown(&call, &chassis, &chosen))
}

/// `POST /v1/chassis`
pub async fn create(call: Call) -> Result<Reply, ApiError> {
    let body = object("chassis", call.json()?)?;
    check("chassis", &body, PROPERTIES, &[])?;
    let mut chassis = Chassis::new(own_uuid(&body)?, call.now());
    apply(&mut chassis, &body);
    call.state.store.create(&chassis).await?;
    let location = call.url(&format!("chassis/{}", chassis.uuid));
    Ok(Reply::json(&shown(&call, &chassis, &Chosen::All))?.at(location))
}

/// Writes a checked document into a chassis; what is absent or `null` is empty.
fn apply(chassis: &mut Chassis, body: &Map<String, Value>) {
    chassis.description = body.get("description").and_then(Value::as_str).map(str::to_owned);
    chassis.extra = body.get("extra").and_then(Value::as_object).cloned().unwrap_or_default();
}

/// `PATCH /v1/chassis/{chassis}`
pub async fn patch(call: Call) -> Result<Reply, ApiError> {
    let operations = patch::read(call.json()?, call.version)?;
    patch::only(&operations, PATCHABLE)?;
    let chassis = find(&call).await?.uuid;
    let now = call.now();
    let after = call.state.store.edit(chassis, |chassis| change(chassis, &operations, now)).await?;
    Reply::json(&shown(&call, &after, &Chosen::All))
}

/// Changes a chassis as it is stored now.
fn change(chassis: &mut Chassis, operations: &[Operation], now: Timestamp) -> Result<(), ApiError> {
    let before = chassis.clone();
    let mut document = Map::new();
    document.insert("uuid".to_owned(), json!(before.uuid));
    document.insert("description".to_owned(), json!(before.description));
    document.insert("extra".to_owned(), json!(before.extra));
    patch::apply(&mut document, operations)?;
    check("patch", &document, PROPERTIES, &[])?;
    if document.get("uuid").and_then(Value::as_str).and_then(parse_uuid) != Some(before.uuid) {
        return Err(ApiError::invalid("Cannot overwrite UUID for an existing Chassis."));
    }
    apply(chassis, &document);
    if *chassis != before {
        chassis.updated_at = Some(now);
    }
    Ok(())
}

/// `DELETE /v1/chassis/{chassis}`: only while no node is in it.
pub async fn delete(call: Call) -> Result<Reply, ApiError> {
    let chassis = find(&call).await?;
    call.state.store.delete::<Chassis>(chassis.uuid).await?;
    Ok(Reply::empty())
}

/// `GET /v1/chassis/{chassis}/nodes`
pub async fn nodes(call: Call) -> Result<Reply, ApiError> {
    node_list::list(within(call).await?).await
}

/// `GET /v1/chassis/{chassis}/nodes/detail`
pub async fn nodes_detail(call: Call) -> Result<Reply, ApiError> {
    node_list::detail(within(call).await?).await
}

/// The call as one that filters all nodes by the chassis of the path.
async fn within(mut call: Call) -> Result<Call, ApiError> {
    if call.query.value("chassis_uuid").is_some() {
        return Err(ApiError::invalid("Unexpected arguments: chassis_uuid"));
    }
    let chassis = find(&call).await?.uuid;
    call.query.extend(Map::from_iter([("chassis_uuid".to_owned(), json!(chassis))]));
    Ok(call)
}
