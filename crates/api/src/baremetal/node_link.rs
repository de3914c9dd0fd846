//! The node that a resource belongs to: how a patch links it to another one, and how both are held meanwhile.

use super::patch::{Kind, Operation};
use crate::call::Call;
use crate::error::ApiError;
use model::node::Node;
use std::future::Future;
use uuid::Uuid;

/// The node that a resource of `own` belongs to after a patch: the first that `/node_uuid` is set to, else `own`.
///
/// One that isn't there, and one of another owner, get the same refusal.
pub async fn linked_node(call: &Call, operations: &[Operation], own: Uuid) -> Result<Node, ApiError> {
    let node = call.find_node(&own.to_string()).await?.node;
    let set = |operation: &&Operation| operation.is_of("node_uuid") && operation.kind != Kind::Remove;
    let Some(value) = operations.iter().find(set).and_then(|operation| operation.value.as_ref()) else {
        return Ok(node);
    };
    Ok(call.linked_node(node.owner.as_deref(), "node_uuid", value).await?.node)
}

/// Holds both nodes while `work` runs; they may be the same.
pub async fn hold_both<T>(
    call: &Call,
    nodes: [Uuid; 2],
    work: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let [one, other] = nodes;
    if one == other {
        return call.hold(one, work).await;
    }
    call.hold(one, call.hold(other, work)).await
}
