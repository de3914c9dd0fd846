//! `rescuing` and `unrescuing`: the node is told to, and is watched.

use super::retreat;
use super::visit::{Next, Trouble, Visit, is_of, soon};
use crate::request::{ProvisionRequest, RequestError};
use model::compute::{PowerView, TaskState, VmState};
use model::node::Node;
use model::state::{Event, Kind, ProvisionState};

pub async fn run(visit: &mut Visit<'_>) -> Result<Next, Trouble> {
    let Some(node) = visit.node().await? else { return retreat::lost(visit).await };
    if !visit.server.work.told {
        return tell(visit, &node).await;
    }
    let (goal, vm_state) = match visit.server.task_state {
        Some(TaskState::Rescuing) => (ProvisionState::Rescue, VmState::Rescued),
        _ => (ProvisionState::Active, VmState::Active),
    };
    match node.provision_state {
        state if state == goal => end(visit, &node, vm_state).await,
        state if matches!(state.kind(), Kind::Transient | Kind::Wait) => Ok(Next::Rest(None)),
        state => {
            let why = node.last_error.clone().unwrap_or_else(|| format!("the node is in state {state}"));
            fail(visit, &node, &why).await
        }
    }
}

async fn tell(visit: &mut Visit<'_>, node: &Node) -> Result<Next, Trouble> {
    let conductor = visit.conductor;
    let is_rescue = visit.server.task_state == Some(TaskState::Rescuing);
    let mut secrets = conductor.store().server_secrets(visit.server.uuid).await?;
    let request = ProvisionRequest {
        verb: if is_rescue { Event::Rescue } else { Event::Unrescue },
        config_drive: None,
        steps: None,
        disable_ramdisk: false,
        rescue_password: secrets.rescue_password.take().filter(|_| is_rescue),
    };
    let told = async {
        let known = conductor.store().node_with_secrets(node.uuid).await?;
        let prepared = conductor.prepare(known, &request).await?;
        let event = visit.begun(if is_rescue { "rescue" } else { "unrescue" });
        visit
            .edit_with_node(node.uuid, |edit, machine| {
                if !is_of(&machine.edit.node, &edit.server) {
                    return Err(Trouble::Moved);
                }
                conductor.enter(&mut machine.edit, &request, &prepared, event.started_at)?;
                edit.server.work.told = true;
                // The node has the hash; nobody needs the password any more.
                edit.secrets = Some(secrets);
                edit.note(event);
                Ok(())
            })
            .await
    };
    match told.await {
        Err(Trouble::Refused(RequestError::Busy(_) | RequestError::Conflict(_))) => Ok(Next::Rest(soon())),
        Err(Trouble::Refused(refusal)) => fail(visit, node, &refusal.to_string()).await,
        other => other,
    }
}

async fn end(visit: &mut Visit<'_>, node: &Node, vm_state: VmState) -> Result<Next, Trouble> {
    let event = visit.done(if vm_state == VmState::Rescued { "rescue" } else { "unrescue" }, None);
    let power = PowerView::of_node(node.power_state);
    visit
        .edit(|edit| {
            edit.note(event);
            edit.server.power = power;
            edit.server.fault = None;
            edit.server.come_to_rest(vm_state);
        })
        .await
}

async fn fail(visit: &mut Visit<'_>, node: &Node, why: &str) -> Result<Next, Trouble> {
    let now = visit.now();
    let (event, verb) = match visit.server.task_state {
        Some(TaskState::Rescuing) => ("rescue", "rescued"),
        _ => ("unrescue", "brought back from its rescue"),
    };
    let message = format!(
        "Instance {} cannot be {verb}: {why} Its node is {} (state \"{}\").",
        visit.server.uuid,
        node.label(),
        node.provision_state
    );
    tracing::warn!(server = %visit.server.uuid, %message, "failed");
    let told = visit.failed(event, message.clone());
    let remains = node.provision_state == ProvisionState::Active && visit.server.vm_state == VmState::Active;
    visit
        .edit(|edit| {
            edit.note(told);
            if remains {
                // Refused before anything was done: the server runs as before.
                edit.server.come_to_rest(VmState::Active);
            } else {
                edit.server.fail(500, message, None, now);
            }
        })
        .await
}
