//! A server at rest: what its machine does by itself, or by its operators, is what the server shows.

use super::retreat;
use super::visit::{Next, Trouble, Visit};
use model::compute::{PowerView, VmState};
use model::node::PowerState;
use model::state::ProvisionState;

pub async fn run(visit: &mut Visit<'_>) -> Result<Next, Trouble> {
    use ProvisionState as S;
    if visit.server.node.is_none() {
        return Ok(Next::Rest(None));
    }
    let Some(node) = visit.node().await? else { return retreat::lost(visit).await };
    // While a change is under way nothing is known.
    if node.target_power_state.is_some() {
        return Ok(Next::Rest(None));
    }
    let power = PowerView::of_node(node.power_state);
    let vm_state = match (node.provision_state, visit.server.vm_state) {
        // Only a verb of its user, or its end, brings a server out of an error.
        (_, VmState::Error) => VmState::Error,
        (S::Rescue, _) => VmState::Rescued,
        (S::Active, VmState::Rescued) => VmState::Active,
        // Where nothing changed, the last state stands: a pretended machine may run while it is off.
        (S::Active, state) if power == visit.server.power => state,
        (S::Active, _) => match node.power_state {
            Some(PowerState::Off) => VmState::Stopped,
            _ => VmState::Active,
        },
        (S::DeployFailed | S::RescueFailed | S::UnrescueFailed | S::ServiceFailed | S::Error, _) => {
            return broken(visit, &node).await;
        }
        (_, state) => state,
    };
    if (vm_state, power) == (visit.server.vm_state, visit.server.power) {
        return Ok(Next::Rest(None));
    }
    visit
        .edit(|edit| {
            edit.server.vm_state = vm_state;
            edit.server.power = power;
        })
        .await
}

/// An operator's work on the node failed.
async fn broken(visit: &mut Visit<'_>, node: &model::node::Node) -> Result<Next, Trouble> {
    let now = visit.now();
    let message = format!(
        "The machine of this server, node {}, is in state \"{}\" after an operator's work on it: {} Rebuild the server, or delete it.",
        node.label(),
        node.provision_state,
        node.last_error.as_deref().unwrap_or("no error is recorded.")
    );
    tracing::warn!(server = %visit.server.uuid, %message, "the server's machine is broken");
    visit.edit(|edit| edit.server.fail(500, message, None, now)).await
}
