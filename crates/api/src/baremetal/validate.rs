//! `GET /v1/nodes/{node}/validate`: what each interface would object to.

use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::policy::Target;
use crate::route::Route;
use crate::route::Verb::Get;
use model::version::NODE_NAME;
use serde_json::{Map, json};
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/nodes/validate", "baremetal:node:validate", handler!(by_query))
        .own_check()
        .says("Says what each interface of the node that the query names would object to.")
        .query(&["node", "node_uuid"]),
    Route::new(Get, "/v1/nodes/{node}/validate", "baremetal:node:validate", handler!(validate))
        .says("Says what each interface of the node would object to.")
        .query(&[]),
];

/// `GET /v1/nodes/{node}/validate`
pub async fn validate(call: Call) -> Result<Reply, ApiError> {
    let uuid = call.node().await?.node.uuid;
    of(&call, uuid).await
}

/// `GET /v1/nodes/validate?node=` (or the older `node_uuid=`)
pub async fn by_query(call: Call) -> Result<Reply, ApiError> {
    let by_uuid = call.query.uuid("node_uuid")?.map(|uuid| uuid.to_string());
    let ident = match (by_uuid, call.query.uuid_or_name("node")?) {
        (Some(uuid), _) => uuid,
        (None, Some(ident)) => {
            if crate::args::parse_uuid(ident).is_none() && !call.version.has(NODE_NAME) {
                return Err(ApiError::not_acceptable());
            }
            ident.to_owned()
        }
        (None, None) => return Err(ApiError::invalid("Expected a logical name or UUID but received None.")),
    };
    let node = call.find_node(&ident).await?.node;
    call.check("baremetal:node:validate", &Target::node(&node))?;
    of(&call, node.uuid).await
}

async fn of(call: &Call, uuid: Uuid) -> Result<Reply, ApiError> {
    let mut interfaces = Map::new();
    for row in call.state.conductor.validate(uuid).await? {
        let shown = match row.reason {
            // Where the result is true there is no reason at all.
            None => json!({"result": true}),
            Some(reason) => json!({"result": false, "reason": reason}),
        };
        interfaces.insert(row.interface.to_string(), shown);
    }
    Reply::json(&interfaces)
}
