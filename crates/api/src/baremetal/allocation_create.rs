//! `POST /v1/allocations`: a wish for a node, or the record of one that is deployed already (a backfill).

use super::allocations::{check_name, name_in, shown};
use super::fields::Chosen;
use super::query_schema::{self, Form};
use super::schema::{BAG, LIST, Property, STRING, TEXT, check, check_keys, limited, property, refusal};
use super::traits::check_trait;
use crate::args::{object, parse_uuid, uuid};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::limits::ALLOCATION_WISHES;
use crate::policy::Target;
use crate::route::Verb::Post;
use crate::route::{Route, Takes};
use crate::wording::display;
use axum::http::StatusCode;
use model::allocation::Allocation;
use model::node::Node;
use model::version as v;
use serde_json::{Map, Value};
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] =
    &[Route::new(Post, "/v1/allocations", "baremetal:allocation:create", handler!(create))
        .says("Asks for a node, or says that a deployed one is taken.")
        .query(&[])
        .takes(Takes::Object(PROPERTIES, &[]))
        .since(v::ALLOCATIONS)
        .below(StatusCode::METHOD_NOT_ALLOWED)
        .success(StatusCode::CREATED)];

const TEXTS: Property = property("", STRING);

const PROPERTIES: &[Property] = &[
    limited("candidate_nodes", LIST, 0, ALLOCATION_WISHES).items(&TEXTS),
    property("extra", BAG),
    property("name", TEXT),
    property("owner", TEXT).since(v::ALLOCATION_OWNER),
    limited("resource_class", TEXT, 0, 80),
    limited("traits", LIST, 0, ALLOCATION_WISHES).items(&TEXTS),
    property("uuid", TEXT),
    property("node", TEXT).since(v::ALLOCATION_BACKFILL),
];

/// `POST /v1/allocations`
pub async fn create(call: Call) -> Result<Reply, ApiError> {
    let mut body = object("", call.json()?)?;
    if !call.version.has(v::ALLOCATION_BACKFILL) {
        let older: Vec<_> =
            PROPERTIES.iter().map(|property| property.name).filter(|name| *name != "node").collect();
        check_keys("", &body, &older)?;
    }
    check("", &body, PROPERTIES, &[])?;
    texts(&body, "traits").try_for_each(|name| check_trait("", name))?;
    texts(&body, "candidate_nodes").try_for_each(check_ident)?;
    if body.contains_key("owner") && !call.version.has(v::ALLOCATION_OWNER) {
        return Err(ApiError::not_acceptable());
    }
    check_name("create", body.get("name").unwrap_or(&Value::Null))?;
    own_it(&call, &mut body)?;
    let text = |key: &str| body.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let own =
        body.get("uuid").filter(|value| !value.is_null()).map(|value| uuid("uuid", value)).transpose()?;
    let node = match text("node") {
        Some(ident) => Some(call.find_node(ident).await.map_err(ApiError::in_body)?.node),
        None => None,
    };
    let resource_class = match (text("resource_class"), &node) {
        (Some(class), _) => Some(class.to_owned()),
        (None, Some(node)) => node.resource_class.clone(),
        (None, None) => {
            return Err(ApiError::invalid("The resource_class field is mandatory when not backfilling"));
        }
    };
    let uuid = own.or_else(|| node.as_ref().and_then(instance_of)).unwrap_or_else(Uuid::new_v4);
    let allocation = Allocation {
        name: name_in(&body),
        resource_class,
        traits: texts(&body, "traits").map(str::to_owned).collect(),
        candidate_nodes: candidates(&call, texts(&body, "candidate_nodes")).await?,
        extra: body.get("extra").and_then(Value::as_object).cloned().unwrap_or_default(),
        owner: body.get("owner").and_then(Value::as_str).map(str::to_owned),
        ..Allocation::new(uuid, call.now())
    };
    let conductor = &call.state.conductor;
    let allocation = match node {
        Some(node) => conductor.backfill_allocation(&allocation, node.uuid).await?,
        None => {
            conductor.create_allocation(&allocation).await?;
            allocation
        }
    };
    let location = call.url(&format!("allocations/{}", allocation.uuid));
    Ok(Reply::json(&shown(&call, &allocation, &Chosen::All))?.at(location))
}

/// Makes the caller's project the owner, unless the caller acts for the system or may name another one.
fn own_it(call: &Call, body: &mut Map<String, Value>) -> Result<(), ApiError> {
    if call.is_operator() {
        return Ok(());
    }
    let asked = body.get("owner").and_then(Value::as_str).filter(|owner| !owner.is_empty());
    let own = call.project();
    match asked {
        Some(asked)
            if call.may("baremetal:allocation:create_restricted", &Target::NONE) || own == Some(asked) =>
        {
            return Ok(());
        }
        Some(asked) => {
            let asked: String = asked.chars().take(crate::limits::QUOTED_CHARACTERS).collect();
            return Err(ApiError::forbidden(format!(
                "Cannot create allocation with an owner Project ID value {asked} not matching the requester Project ID {}. Policy \
                 baremetal:allocation:create_restricted is required for this capability.",
                own.unwrap_or("None")
            )));
        }
        None => {}
    }
    // A token for a domain has no project that it could belong to.
    let Some(own) = own else {
        return call.check("baremetal:allocation:create_restricted", &Target::NONE);
    };
    body.insert("owner".to_owned(), own.into());
    Ok(())
}

/// What a backfill without a UUID takes for one: that of the instance.
fn instance_of(node: &Node) -> Option<Uuid> {
    node.instance_uuid.as_deref().and_then(parse_uuid)
}

/// The texts of a checked list.
fn texts<'a>(body: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = &'a str> {
    body.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn check_ident(ident: &str) -> Result<(), ApiError> {
    query_schema::fault(ident, Form::UuidOrName).map_or(Ok(()), |fault| Err(refusal("", &fault)))
}

/// The nodes of these names and UUIDs, in their order.
async fn candidates(call: &Call, idents: impl Iterator<Item = &str>) -> Result<Vec<Uuid>, ApiError> {
    let (mut nodes, mut missing) = (Vec::new(), Vec::new());
    for ident in idents {
        match call.find_node(ident).await {
            Ok(row) => nodes.push(row.node.uuid),
            Err(error) if error.status == StatusCode::NOT_FOUND => missing.push(ident),
            Err(error) => return Err(error),
        }
    }
    if missing.is_empty() {
        return Ok(nodes);
    }
    Err(ApiError::invalid(format!("Nodes cannot be found: {}", display(&missing.join(", ").into()))))
}
