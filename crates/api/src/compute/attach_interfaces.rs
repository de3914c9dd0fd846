//! `/servers/{server}/os-interface`: a server's ports, attached and detached while the client waits.

use super::body::{Fields, only};
use super::server_networks::{fixed_ip, uuid};
use crate::args::parse_uuid;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Post, Put};
use axum::http::StatusCode;
use model::compute::{Server, ServerPort, WantedPort};
use model::network::NetworkPort;
use serde_json::{Value, json};
use store::StoreError;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.1/servers/{server}/os-interface", Access::Project, handler!(index))
        .says("Lists a server's ports."),
    Route::new(Post, "/v2.1/servers/{server}/os-interface", Access::Project, handler!(create))
        .says("Attaches a port to a server."),
    Route::new(Get, "/v2.1/servers/{server}/os-interface/{port}", Access::Project, handler!(show))
        .says("Shows a server's port."),
    Route::new(Put, "/v2.1/servers/{server}/os-interface/{port}", Access::Project, handler!(update))
        .says("Refuses to change a server's port: the network service does that."),
    Route::new(Delete, "/v2.1/servers/{server}/os-interface/{port}", Access::Project, handler!(delete))
        .says("Detaches a port from a server.")
        .success(StatusCode::ACCEPTED),
];

/// A port as clients see it; the network service knows what the server doesn't.
async fn document(call: &Call, port: &ServerPort) -> Result<Value, CloudError> {
    let known = match call.state.store.get::<NetworkPort>(&port.port.to_string()).await {
        Ok(known) => Some(known),
        Err(StoreError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let fixed_ips = match &known {
        Some(known) => json!(known.fixed_ips),
        None => {
            port.addresses.iter().map(|address| json!({"ip_address": address})).collect::<Vec<_>>().into()
        }
    };
    let mut own = json!({
        "port_id": port.port,
        "net_id": port.network,
        "mac_addr": port.mac,
        "port_state": known.map_or("DOWN", |known| known.status.as_str()),
        "fixed_ips": fixed_ips,
    });
    if call.minor >= 70 {
        own["tag"] = json!(port.tag);
    }
    Ok(own)
}

/// `GET /servers/{server}/os-interface`
async fn index(call: Call) -> Result<Reply, CloudError> {
    let server = call.server().await?;
    let mut rows = Vec::with_capacity(server.ports.len());
    for port in &server.ports {
        rows.push(document(&call, port).await?);
    }
    Reply::json(&json!({"interfaceAttachments": rows}))
}

fn find<'a>(call: &Call, server: &'a Server) -> Result<&'a ServerPort, CloudError> {
    let ident = call.parameter("port");
    let port = parse_uuid(ident).and_then(|uuid| server.ports.iter().find(|port| port.port == uuid));
    port.ok_or_else(|| {
        CloudError::not_found(format!("Port {ident} is not attached to instance {}.", server.uuid))
    })
}

/// `GET /servers/{server}/os-interface/{port}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let server = call.server().await?;
    let port = find(&call, &server)?;
    Reply::json(&json!({"interfaceAttachment": document(&call, port).await?}))
}

/// `POST /servers/{server}/os-interface`
async fn create(call: Call) -> Result<Reply, CloudError> {
    let server = call.server().await?;
    let body = call.json()?;
    let wanted = if body.as_object().is_some_and(serde_json::Map::is_empty) {
        WantedPort::default()
    } else {
        wanted(&call, &only(&body, "interfaceAttachment")?)?
    };
    let port = call.state.conductor.attach_server_port(server.uuid, wanted, &call.requester()?).await?;
    Reply::json(&json!({"interfaceAttachment": document(&call, &port).await?}))
}

fn wanted(call: &Call, fields: &Fields<'_>) -> Result<WantedPort, CloudError> {
    let mut known = vec!["port_id", "net_id", "fixed_ips"];
    if call.minor >= 49 {
        known.push("tag");
    }
    fields.only(&known)?;
    let named = |name| fields.nullable_text(name, 1..=255).map(Option::flatten);
    let port = named("port_id")?.map(|text| uuid("port_id", text)).transpose()?;
    let network = named("net_id")?.map(|text| uuid("net_id", text)).transpose()?;
    if port.is_some() && network.is_some() {
        return Err(CloudError::invalid("Must not input both network_id and port_id"));
    }
    let fixed_ip = match fields.list("fixed_ips")?.unwrap_or_default() {
        [] => None,
        [one] => {
            let one = Fields::new("fixed_ips", one)?;
            one.only(&["ip_address"])?;
            fixed_ip(&one, "ip_address")?
        }
        _ => {
            return Err(CloudError::invalid(
                "fixed_ips has at most one address: a port's others are given to the port.",
            ));
        }
    };
    if fixed_ip.is_some() && network.is_none() {
        return Err(CloudError::invalid("Must input network_id when request IP address"));
    }
    let tag = fields.text("tag", 1..=60)?.map(str::to_owned);
    Ok(WantedPort { network, port, fixed_ip, tag, ..WantedPort::default() })
}

/// `PUT /servers/{server}/os-interface/{port}`
async fn update(call: Call) -> Result<Reply, CloudError> {
    call.since(85)?;
    let server = call.server().await?;
    let port = find(&call, &server)?;
    Err(CloudError::invalid(format!(
        "An attached port is not changed here: change it in the network service (openstack port set {}).",
        port.port
    )))
}

/// `DELETE /servers/{server}/os-interface/{port}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let server = call.server().await?;
    let port = find(&call, &server)?.port;
    call.state.conductor.detach_server_port(server.uuid, port, &call.requester()?).await?;
    Ok(Reply::empty())
}
