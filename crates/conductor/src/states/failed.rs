//! Failure states: once, after the failure, the machine is switched off; then a user acts.

use crate::outcome::{Failure, Outcome};
use crate::power;
use crate::visit::Visit;
use model::node::{AgentLink, PowerState, Work};
use model::state::ProvisionState;

pub async fn run(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    if !visit.node.work.tear_down {
        return Ok(Outcome::Wait(None));
    }
    let keep_on = visit.node.provision_state == ProvisionState::DeployFailed
        && !visit.conductor.settings().power_off_after_deploy_failure;
    if !keep_on {
        // The BMC may be what failed; the attempt is in the event log, and the next verb switches the machine anyway.
        if let Err(error @ Failure::Store(_)) = power::ensure(visit, PowerState::Off).await {
            return Err(error);
        }
    }
    visit
        .edit(|edit| {
            edit.node.work = Work::default();
            edit.node.agent = AgentLink::default();
        })
        .await?;
    Ok(Outcome::Wait(None))
}
