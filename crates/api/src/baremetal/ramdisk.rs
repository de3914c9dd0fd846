//! `GET /v1/lookup`, `POST /v1/heartbeat/{node}` and `POST /v1/continue_inspection`: what ramdisks call. They are public; the token,
//! and what state the node is in, is what counts.

use super::node_fields::internal_info;
use super::schema::{Property, TEXT, property};
use crate::args::normal_mac;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::gate::Class;
use crate::handler;
use crate::limits::{INSPECTION_BODY_BYTES, LOOKUP_ADDRESSES};
use crate::route::Verb::{Get, Post};
use crate::route::{Route, Takes};
use crate::wording::repr;
use axum::http::StatusCode;
use conductor::{HeartbeatRequest, InspectionReport, LookupRequest};
use model::Secret;
use model::agent::AgentConfig;
use model::node::{InterfaceKind, Node, Object};
use model::version::{self as v, Microversion};
use serde_json::{Value, json};

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/lookup", "baremetal:driver:ipa_lookup", handler!(lookup))
        .says("Tells a ramdisk which node it runs on.")
        .query(&["addresses", "node_uuid"])
        .since(v::RAMDISK)
        .public()
        .ramdisk()
        .class(Class::Machine),
    Route::new(Post, "/v1/heartbeat/{node}", "baremetal:node:ipa_heartbeat", handler!(heartbeat))
        .says("Says that the node's ramdisk is there, and where.")
        .takes(Takes::Arguments(HEARTBEAT, &["callback_url"]))
        .since(v::RAMDISK)
        .success(StatusCode::ACCEPTED)
        .public()
        .ramdisk()
        .class(Class::Machine),
    // Ironic serves it from 1.84 on, and to ramdisks that ask for nothing, which is 1.1; the handler tells these from the rest.
    Route::new(
        Post,
        "/v1/continue_inspection",
        "baremetal:driver:ipa_continue_inspection",
        handler!(continue_inspection),
    )
    .says("Takes what a ramdisk found on its machine.")
    .query(&["node_uuid"])
    .takes(Takes::Anything)
    .success(StatusCode::ACCEPTED)
    .body_limit(INSPECTION_BODY_BYTES)
    .public()
    .ramdisk()
    .class(Class::Machine),
];

/// `GET /v1/lookup?addresses=…&node_uuid=…`
pub async fn lookup(call: Call) -> Result<Reply, ApiError> {
    let args = &call.query;
    let node_uuid = args.uuid("node_uuid")?;
    // What is no MAC address is passed over: ramdisks report whatever their hardware says.
    let addresses: Vec<String> = args
        .list("addresses")?
        .unwrap_or_default()
        .iter()
        .filter_map(|address| normal_mac(address))
        .take(LOOKUP_ADDRESSES)
        .collect();
    if addresses.is_empty() && node_uuid.is_none() {
        return Err(ApiError::invalid("At least one of 'addresses' and 'node_uuid' parameters is required"));
    }
    // Clients from before the token must not use it up.
    let (node, token) = if call.version.has(v::AGENT_TOKEN) {
        call.state
            .conductor
            .lookup(LookupRequest { addresses, node_uuid })
            .await
            .map_err(|error| unknown(error.into()))?
    } else {
        (without_token(&call, &addresses, node_uuid).await.map_err(unknown)?, None)
    };
    found(&call, &node, token)
}

/// What a ramdisk that was recognised gets to know.
fn found(call: &Call, node: &Node, token: Option<Secret>) -> Result<Reply, ApiError> {
    Reply::json(&json!({
        "node": {
            "uuid": node.uuid,
            "properties": node.properties,
            "instance_info": super::fields::masked_instance_info(&node.instance_info),
            "driver_internal_info": internal_info(node),
            "links": call.links(&format!("nodes/{}", node.uuid)),
        },
        "config": config(call, node, token)?,
    }))
}

/// `POST /v1/continue_inspection[?node_uuid=…]`
pub async fn continue_inspection(call: Call) -> Result<Reply, ApiError> {
    let is_new = call.version.has(v::CONTINUE_INSPECTION);
    let node_uuid = call.query.uuid("node_uuid")?;
    if !is_new && (call.version != Microversion::MIN || node_uuid.is_some()) {
        let since = v::CONTINUE_INSPECTION;
        return Err(ApiError::not_found(format!("API version {since} or newer is required")));
    }
    let mut data = crate::args::object("data", call.json()?)?;
    let inventory = read_inventory(data.remove("inventory"))
        .map_err(|reason| ApiError::invalid(format!("Schema error for data: {reason}")))?;
    let address = |key: &str| {
        inventory.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let bmc_addresses: Vec<_> = ["bmc_address", "bmc_v6address"].into_iter().filter_map(address).collect();
    let interfaces = inventory.get("interfaces").and_then(Value::as_array);
    let macs: Vec<_> = interfaces
        .into_iter()
        .flatten()
        .filter_map(|interface| normal_mac(interface["mac_address"].as_str()?))
        .take(LOOKUP_ADDRESSES)
        .collect();
    if macs.is_empty() && bmc_addresses.is_empty() && node_uuid.is_none() {
        return Err(ApiError::invalid("No lookup information provided"));
    }
    let report = InspectionReport { node_uuid, macs, bmc_addresses, inventory, plugin_data: data };
    let (node, token) = call
        .state
        .conductor
        .continue_inspection(report, is_new)
        .await
        .map_err(|error| unknown(error.into()))?;
    if is_new { found(&call, &node, token) } else { Reply::json(&json!({"uuid": node.uuid})) }
}

/// The least that an inventory must have; the error is what is wrong with it.
fn read_inventory(value: Option<Value>) -> Result<Object, String> {
    let inventory = match value {
        Some(Value::Object(inventory)) => inventory,
        Some(other) => return Err(format!("{} is not of type 'object'", repr(&other))),
        None => return Err("'inventory' is a required property".to_owned()),
    };
    for key in ["bmc_address", "bmc_v6address"] {
        if let Some(other) = inventory.get(key).filter(|value| !value.is_null() && !value.is_string()) {
            return Err(format!("{} is not of type 'string', 'null'", repr(other)));
        }
    }
    let interfaces = match inventory.get("interfaces") {
        Some(Value::Array(interfaces)) if interfaces.is_empty() => {
            return Err("[] should be non-empty".to_owned());
        }
        Some(Value::Array(interfaces)) => interfaces,
        Some(other) => return Err(format!("{} is not of type 'array'", repr(other))),
        None => return Err("'interfaces' is a required property".to_owned()),
    };
    for interface in interfaces {
        let Value::Object(interface) = interface else {
            return Err(format!("{} is not of type 'object'", repr(interface)));
        };
        match interface.get("mac_address") {
            Some(Value::String(_)) => {}
            Some(other) => return Err(format!("{} is not of type 'string'", repr(other))),
            None => return Err("'mac_address' is a required property".to_owned()),
        }
    }
    Ok(inventory)
}

/// A node that isn't there and one that may not be looked up now read the same.
fn unknown(error: ApiError) -> ApiError {
    if error.status == axum::http::StatusCode::NOT_FOUND {
        ApiError::not_found("Resource could not be found.")
    } else {
        error
    }
}

async fn without_token(
    call: &Call,
    addresses: &[String],
    node_uuid: Option<uuid::Uuid>,
) -> Result<Node, ApiError> {
    let uuid = match node_uuid {
        Some(uuid) => Some(uuid),
        None => call.state.store.port_by_addresses(addresses).await?.map(|port| port.node_uuid),
    };
    let missing = || ApiError::not_found("Resource could not be found.");
    let node = call.state.store.node(&uuid.ok_or_else(missing)?.to_string()).await?.node;
    if node.provision_state.answers_lookup() { Ok(node) } else { Err(missing()) }
}

fn config(call: &Call, node: &Node, token: Option<Secret>) -> Result<serde_json::Value, ApiError> {
    let settings = &call.state.settings;
    let management = node.interfaces.get(InterfaceKind::Management);
    let config = AgentConfig {
        metrics: Some(json!({
            "backend": "noop",
            "prepend_host": false,
            "prepend_uuid": false,
            "prepend_host_reverse": true,
            "global_prefix": null,
        })),
        metrics_statsd: Some(json!({"statsd_host": "localhost", "statsd_port": 8125})),
        heartbeat_timeout: settings.heartbeat_timeout.as_secs(),
        agent_token_required: true,
        agent_md5_checksum_enable: Some(settings.allow_md5_checksum),
        disable_deep_image_inspection: Some(false),
        permitted_image_formats: Some(["raw", "gpt", "qcow2", "iso"].map(str::to_owned).to_vec()),
        // These know the BMC's address without the ramdisk's help.
        agent_skip_bmc_detect: matches!(management, Some("redfish" | "idrac-redfish")),
        enable_bios_bootloader_install: false,
        tls_min_version: Some(settings.agent_tls_min_version.clone()),
        tls_cipher_suites: None,
        agent_containers: Some(json!({
            "allow_arbitrary_containers": false,
            "allowed_containers": [],
            "container_steps_file": "/etc/ironic-python-agent.d/mysteps.yaml",
            "runner": "podman",
            "pull_options": [],
            "run_options": ["--rm", "--network=host"],
        })),
        ..AgentConfig::default()
    };
    let failed = |error: serde_json::Error| {
        tracing::error!(%error, "the agent's configuration could not be written as JSON");
        ApiError::new(
            axum::http::StatusCode::INTERNAL_SERVER_ERROR,
            "The agent's configuration could not be written.",
        )
    };
    let mut shown = serde_json::to_value(config).map_err(failed)?;
    // The one place where a token leaves: here it goes to its owner.
    shown["agent_token"] = token.map(|token| token.expose().to_owned()).into();
    Ok(shown)
}

const HEARTBEAT: &[Property] = &[
    property("callback_url", TEXT).format("uri"),
    property("agent_version", TEXT).since(v::HEARTBEAT_VERSION),
    property("agent_token", TEXT).since(v::AGENT_TOKEN),
    property("agent_verify_ca", TEXT).since(v::AGENT_VERIFY_CA),
    property("agent_status", TEXT).one_of(&["start", "end", "error"]).since(v::AGENT_STATUS),
    property("agent_status_message", TEXT).since(v::AGENT_STATUS),
];

/// `POST /v1/heartbeat/{node}`
pub async fn heartbeat(call: Call) -> Result<Reply, ApiError> {
    let args = call.arguments_of(HEARTBEAT)?;
    args.require("callback_url")?;
    let text = |name: &str| args.text(name).map(|value| value.map(str::to_owned));
    let callback_url = text("callback_url")?.unwrap_or_default();
    let request = HeartbeatRequest {
        callback_url: callback_url.clone(),
        agent_version: text("agent_version")?,
        agent_token: text("agent_token")?.map(Secret::new),
        agent_verify_ca: text("agent_verify_ca")?,
        agent_status: text("agent_status")?,
        agent_status_message: text("agent_status_message")?,
        arrived_at: call.arrived_at.clone(),
    };
    if request.agent_version.is_some() && !call.version.has(v::HEARTBEAT_VERSION) {
        return Err(ApiError::invalid("Field \"agent_version\" not recognised"));
    }
    if (request.agent_status.is_some() || request.agent_status_message.is_some())
        && !call.version.has(v::AGENT_STATUS)
    {
        return Err(ApiError::invalid(
            "Fields \"agent_status\" and \"agent_status_message\" not recognised.",
        ));
    }
    if request.agent_verify_ca.is_some() && !call.version.has(v::AGENT_VERIFY_CA) {
        return Err(ApiError::invalid("Field \"agent_verify_ca\" not recognised in this version"));
    }
    let uuid = call.node().await?.node.uuid;
    let is_url = |prefix: &str| {
        callback_url.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if !callback_url.is_empty() && !is_url("http://") && !is_url("https://") {
        return Err(ApiError::invalid("An issue with the supplied \"callback_url\" has been detected."));
    }
    // Without a token the conductor refuses it, and writes that down.
    if request.agent_token.is_some()
        && let Some(status) = &request.agent_status
        && !matches!(status.as_str(), "start" | "end" | "error")
    {
        return Err(ApiError::invalid("Agent status is invalid. Valid states are start,end,error."));
    }
    call.state.conductor.heartbeat(uuid, request).await?;
    Ok(Reply::empty())
}
