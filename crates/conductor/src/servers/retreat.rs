//! A server that could not be made on its node: the node is given back, then another is tried, or the server is in error.

use super::remove::{Returned, give_back};
use super::visit::{Next, Trouble, Visit};
use model::compute::{ServerFault, TaskState, VmState};
use model::node::Node;

/// Nodes that are tried for one server (Nova's `[scheduler] max_attempts`).
pub const MAX_TRIES: usize = 3;

/// The server can't be made on the node that it has: the reason is recorded, and what was done is undone from here on.
pub async fn begin(
    visit: &mut Visit<'_>,
    event: &str,
    message: String,
    again: bool,
) -> Result<Next, Trouble> {
    let now = visit.now();
    let told = visit.failed(event, message.clone());
    tracing::warn!(server = %visit.server.uuid, %message, "a server can't be made on its node");
    visit
        .edit(|edit| {
            edit.note(told);
            let work = &mut edit.server.work;
            work.failure = Some(ServerFault { code: 500, message, details: None, created_at: now });
            work.again = again && work.tried.len() + 1 < MAX_TRIES;
            work.told = false;
        })
        .await
}

/// Undoes what was done, and ends it.
pub async fn run(visit: &mut Visit<'_>) -> Result<Next, Trouble> {
    if let Some(node) = visit.node().await? {
        match give_back(visit, &node).await? {
            Returned::Yes => {}
            Returned::NotYet(next) => return Ok(next),
            Returned::Never(reason) => return stuck(visit, &node, reason).await,
        }
    }
    visit.conductor.release_ports_of(&visit.server).await?;
    let now = visit.now();
    visit
        .edit(|edit| {
            let server = &mut edit.server;
            server.ports.clear();
            server.work.told = false;
            let node = server.node.take();
            let Some(failure) = server.work.failure.take() else { return };
            if server.work.again {
                server.work.again = false;
                server.work.tried.extend(node);
                server.work.last_failure = Some(failure.message);
                server.task_state = Some(TaskState::Scheduling);
                edit.nudge = true;
            } else {
                server.fail(failure.code, failure.message, failure.details, now);
            }
        })
        .await
}

/// The node can't be given back: the server keeps it, so that deleting the server tries again.
async fn stuck(visit: &mut Visit<'_>, node: &Node, reason: String) -> Result<Next, Trouble> {
    let now = visit.now();
    let node = node.label();
    visit
        .edit(|edit| {
            let server = &mut edit.server;
            let Some(failure) = server.work.failure.take() else { return };
            let message = format!("{} Its node {node} can't be given back: {reason}", failure.message);
            server.fail(failure.code, message, failure.details, now);
        })
        .await
}

/// The server's node is not the server's any more: somebody removed the instance, or the node.
pub async fn lost(visit: &mut Visit<'_>) -> Result<Next, Trouble> {
    let now = visit.now();
    let node = visit.server.node.map_or_else(|| "unknown".to_owned(), |node| node.to_string());
    visit.conductor.release_ports_of(&visit.server).await?;
    let message = format!(
        "The machine of this server is gone: its instance was removed from node {node}, or the node itself, by an operator \
         (openstack baremetal node undeploy, or delete). Delete the server; what was on its disk is lost."
    );
    tracing::warn!(server = %visit.server.uuid, %node, "the server's machine is gone");
    let told = visit.failed("machine", message.clone());
    visit
        .edit(|edit| {
            edit.note(told);
            edit.server.node = None;
            edit.server.ports.clear();
            edit.server.power = Default::default();
            edit.server.fail(500, message, None, now);
            debug_assert_eq!(edit.server.vm_state, VmState::Error);
        })
        .await
}
