//! Failure states: once, after the failure, the machine is left as its state demands; then a user acts.

use super::servicing;
use crate::outcome::{Failure, Outcome};
use crate::power;
use crate::visit::Visit;
use model::node::{Fault, PowerState, Work};
use model::state::ProvisionState as S;

pub async fn run(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    if !visit.node.work.tear_down {
        return Ok(Outcome::Wait(None));
    }
    // The BMC may be what failed; the attempt is in the event log, and the next verb switches the machine anyway.
    if let Err(error) = leave(visit).await
        && error.is_runners()
    {
        return Err(error);
    }
    visit
        .edit(|edit| {
            let node = &mut edit.node;
            // A ramdisk that is left running is known by its boot: aborting the failed service ends it.
            let boot = node.work.boot.take().filter(|_| node.fault == Some(Fault::Service));
            node.work = Work { boot, ..Work::default() };
        })
        .await?;
    Ok(Outcome::Wait(None))
}

/// A machine that runs the ramdisk is switched off, or gets its instance back, or is left to be looked at where a step failed.
async fn leave(visit: &mut Visit<'_>) -> Result<(), Failure> {
    if visit.node.work.boot.is_none() {
        return Ok(());
    }
    let node = &visit.node;
    match (node.provision_state, node.fault) {
        (S::CleanFailed, Some(Fault::Clean)) | (S::ServiceFailed, Some(Fault::Service)) => Ok(()),
        (S::DeployFailed, _) if !visit.conductor.settings().power_off_after_deploy_failure => Ok(()),
        (S::ServiceFailed, _) => servicing::restore(visit).await,
        _ => power::ensure(visit, PowerState::Off).await,
    }
}
