//! `GET /v1/lookup` and `POST /v1/heartbeat/{node}`: what ramdisks call. Both are public; the token is what counts.

use super::node_fields::internal_info;
use crate::args::normal_mac;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::limits::LOOKUP_ADDRESSES;
use crate::route::Route;
use crate::route::Verb::{Get, Post};
use axum::http::StatusCode;
use conductor::{HeartbeatRequest, LookupRequest};
use model::Secret;
use model::agent::AgentConfig;
use model::node::{InterfaceKind, Node};
use model::version as v;
use serde_json::json;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/lookup", "baremetal:driver:ipa_lookup", handler!(lookup))
        .since(v::RAMDISK)
        .public()
        .ramdisk(),
    Route::new(Post, "/v1/heartbeat/{node}", "baremetal:node:ipa_heartbeat", handler!(heartbeat))
        .since(v::RAMDISK)
        .success(StatusCode::ACCEPTED)
        .public()
        .ramdisk(),
];

/// `GET /v1/lookup?addresses=…&node_uuid=…`
pub async fn lookup(call: Call) -> Result<Reply, ApiError> {
    let args = &call.query;
    args.only(&["addresses", "node_uuid"])?;
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
    Reply::json(&json!({
        "node": {
            "uuid": node.uuid,
            "properties": node.properties,
            "instance_info": super::fields::masked_instance_info(&node.instance_info),
            "driver_internal_info": internal_info(&node),
            "links": call.links(&format!("nodes/{}", node.uuid)),
        },
        "config": config(&call, &node, token)?,
    }))
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

/// `POST /v1/heartbeat/{node}`
pub async fn heartbeat(call: Call) -> Result<Reply, ApiError> {
    let args = call.arguments()?;
    args.only(&[
        "callback_url",
        "agent_version",
        "agent_token",
        "agent_verify_ca",
        "agent_status",
        "agent_status_message",
    ])?;
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
    if request.agent_token.is_none() {
        return Err(ApiError::invalid("Agent token is required for heartbeat processing."));
    }
    if let Some(status) = &request.agent_status
        && !matches!(status.as_str(), "start" | "end" | "error")
    {
        return Err(ApiError::invalid("Agent status is invalid. Valid states are start,end,error."));
    }
    call.state.conductor.heartbeat(uuid, request).await?;
    Ok(Reply::empty())
}
