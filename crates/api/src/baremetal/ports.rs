//! `/v1/ports`: create, show, change, delete.

use super::fields::{Chosen, unknown_field};
use super::patch::{self, Operation};
use super::port_document::{PATCHABLE, PROPERTIES, REQUIRED, apply, document};
use super::port_fields::{FIELDS, shown};
use super::port_rules::{check_connectivity, check_port};
use super::schema::check;
use crate::args::{is_logical_name, object, parse_uuid, uuid};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Verb::{Delete, Get, Patch, Post};
use crate::route::{Route, Takes};
use crate::wording::{display, repr};
use axum::http::StatusCode;
use model::port::Port;
use model::state::ProvisionState as S;
use model::version as v;
use serde_json::Value;
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Post, "/v1/ports", "baremetal:port:create", handler!(create))
        .query(&[])
        .takes(Takes::Object(PROPERTIES, REQUIRED))
        .success(StatusCode::CREATED),
    Route::new(Get, "/v1/ports/{port}", "baremetal:port:get", handler!(show)).query(&["fields"]),
    Route::new(Patch, "/v1/ports/{port}", "baremetal:port:update", handler!(patch))
        .query(&[])
        .takes(Takes::Patch(PATCHABLE)),
    Route::new(Delete, "/v1/ports/{port}", "baremetal:port:delete", handler!(delete))
        .query(&[])
        .success(StatusCode::NO_CONTENT),
];

/// The port that the path names: by UUID, or by name where the microversion has names.
async fn find(call: &Call) -> Result<Port, ApiError> {
    let ident = call.parameter("port");
    let by_uuid = parse_uuid(ident).map(|uuid| uuid.to_string());
    if by_uuid.is_none() && !is_logical_name(ident) {
        let shown: String = ident.chars().take(crate::limits::QUOTED_CHARACTERS).collect();
        return Err(ApiError::invalid(format!("Expected UUID or name for port_ident: {shown}")));
    }
    if by_uuid.is_none() && !call.version.has(v::PORT_NAME) {
        return Err(ApiError::not_found(format!("Port {ident} could not be found.")));
    }
    Ok(call.state.store.get(by_uuid.as_deref().unwrap_or(ident)).await?)
}

/// `GET /v1/ports/{port}`
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    let port = find(&call).await?;
    let chosen = Chosen::of_one(&call.query, call.version, FIELDS, unknown_field)?;
    Reply::json(&shown(&call, &port, &chosen))
}

/// `POST /v1/ports`
pub async fn create(call: Call) -> Result<Reply, ApiError> {
    let body = object("port", call.json()?)?;
    check("port", &body, PROPERTIES, REQUIRED)?;
    let ident = match (body.get("node_ident"), body.get("node_uuid")) {
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(format!(
                "Schema error for port: {} is valid under each of {{'required': ['node_uuid']}}, {{'required': ['node_ident']}}",
                repr(&Value::Object(body))
            )));
        }
        (Some(ident), None) => {
            if !call.version.has(v::PORT_NODE_IDENT) {
                return Err(ApiError::not_acceptable());
            }
            ident.as_str().unwrap_or_default().to_owned()
        }
        (None, Some(value)) => uuid("node_uuid", value)?.to_string(),
        (None, None) => {
            return Err(ApiError::invalid(format!(
                "Schema error for port: {} is not valid under any of the given schemas. Possible root cause: 'node_uuid' is a \
                 required property",
                repr(&Value::Object(body))
            )));
        }
    };
    refuse_newer(&call, body.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key.as_str()))?;
    let node = call.find_node(&ident).await.map_err(ApiError::in_body)?.node;
    let own =
        body.get("uuid").filter(|value| !value.is_null()).map(|value| uuid("uuid", value)).transpose()?;
    let mut port = Port::new(own.unwrap_or_else(Uuid::new_v4), node.uuid, String::new(), call.now());
    apply(&mut port, &body)?;
    if port.is_smartnic
        && !["port_id", "hostname"].iter().all(|key| port.local_link_connection.contains_key(*key))
    {
        return Err(ApiError::invalid(
            "Smart NIC port must have port_id and hostname in local_link_connection",
        ));
    }
    check_port(&port, &call)?;
    call.state.store.create(&port).await?;
    let location = call.url(&format!("ports/{}", port.uuid));
    Ok(Reply::json(&shown(&call, &port, &Chosen::All))?.at(location))
}

fn refuse_newer<'a>(call: &Call, mut keys: impl Iterator<Item = &'a str>) -> Result<(), ApiError> {
    let newer = |key: &str| FIELDS.iter().any(|(name, since)| *name == key && !call.version.has(*since));
    if keys.any(newer) { Err(ApiError::not_acceptable()) } else { Ok(()) }
}

/// `PATCH /v1/ports/{port}`
pub async fn patch(call: Call) -> Result<Reply, ApiError> {
    let operations = patch::read(call.json()?, call.version)?;
    if let Some(other) = operations.iter().find(|operation| !PATCHABLE.contains(&operation.root())) {
        return Err(ApiError::invalid(format!(
            "Cannot patch {}. Only the following can be updated: {}",
            other.path,
            PATCHABLE.join(", ")
        )));
    }
    // As in Ironic, a patch is held against the microversion only for these.
    const CHECKED: &[&str] =
        &["pxe_enabled", "local_link_connection", "portgroup_uuid", "physical_network", "is_smartnic"];
    refuse_newer(&call, operations.iter().map(Operation::root).filter(|root| CHECKED.contains(root)))?;
    let before = find(&call).await?;
    let claim = call.claim_node(before.node_uuid).await?;
    let outcome = change(&call, &operations).await;
    call.state.store.release(&claim).await?;
    Reply::json(&shown(&call, &outcome?, &Chosen::All))
}

/// Changes a port whose node is held.
async fn change(call: &Call, operations: &[Operation]) -> Result<Port, ApiError> {
    let before = find(call).await?;
    let node = call.find_node(&before.node_uuid.to_string()).await?.node;
    if node.provision_state == S::Inspecting && call.version.has(v::INSPECT_WAIT) {
        return Err(ApiError::conflict(format!(
            "Cannot update port \"{}\" on \"{}\" while it is in state \"{}\".",
            before.uuid, node.uuid, node.provision_state
        )));
    }
    let mut document = document(&before);
    patch::apply(&mut document, operations)?;
    let target = document.remove("node_uuid");
    check("patch", &document, PROPERTIES, REQUIRED)?;
    for name in PATCHABLE.iter().filter(|name| !name.starts_with("node_")) {
        document.entry(*name).or_insert(Value::Null);
    }
    let mut after = before.clone();
    apply(&mut after, &document)?;
    if let Some(target) = target {
        let found = match &target {
            Value::String(ident) => call.find_node(ident).await.ok(),
            _ => None,
        };
        let Some(found) = found else {
            return Err(ApiError::invalid(format!(
                "Unable to apply the requested node_uuid '{}'. Requested value was invalid.",
                display(&target)
            )));
        };
        after.node_uuid = found.node.uuid;
    }
    let renamed = operations.iter().any(|operation| operation.is_of("physical_network"));
    if !renamed && after.physical_network.as_deref() == Some("") {
        after.physical_network = None;
    }
    check_port(&after, call)?;
    check_connectivity(&before, &after, &node)?;
    if after != before {
        after.updated_at = Some(call.now());
        call.state.store.update(&after).await?;
    }
    Ok(after)
}

/// `DELETE /v1/ports/{port}`, by UUID only.
pub async fn delete(call: Call) -> Result<Reply, ApiError> {
    let ident = call.parameter("port");
    if parse_uuid(ident).is_none() {
        let shown: String = ident.chars().take(crate::limits::QUOTED_CHARACTERS).collect();
        return Err(ApiError::new(StatusCode::BAD_REQUEST, format!("Expected UUID for port_uuid: {shown}")));
    }
    let port = find(&call).await?;
    let claim = call.claim_node(port.node_uuid).await?;
    let outcome = remove(&call, &port).await;
    call.state.store.release(&claim).await?;
    outcome.map(|()| Reply::empty())
}

/// Forgets a port whose node is held; one that carries a VIF of an instance stays.
async fn remove(call: &Call, port: &Port) -> Result<(), ApiError> {
    let node = call.find_node(&port.node_uuid.to_string()).await?.node;
    let has_vif = port.internal_info.get("tenant_vif_port_id").is_some_and(Value::is_string);
    if has_vif && node.instance_uuid.is_some() && !node.maintenance {
        return Err(ApiError::conflict(format!(
            "Cannot delete the port {} as VIF {} is attached to it, node {} is in use and not in maintenance mode.",
            port.uuid,
            port.internal_info["tenant_vif_port_id"].as_str().unwrap_or_default(),
            node.uuid
        )));
    }
    Ok(call.state.store.delete::<Port>(port.uuid).await?)
}
