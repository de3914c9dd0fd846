//! `servicing`: steps on a machine that carries an instance, in the order that the operator gave.

use crate::boot;
use crate::outcome::{Failure, Outcome};
use crate::power;
use crate::steps;
use crate::visit::Visit;
use bmc::BootDevice;
use model::agent::Phase;
use model::node::PowerState;
use model::state::Event;

pub async fn run(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    if let Some(outcome) = steps::prepare_ramdisk(visit, Phase::Service).await? {
        return Ok(outcome);
    }
    if let Some(outcome) = steps::advance(visit, Phase::Service).await? {
        return Ok(outcome);
    }
    if steps::needs_ramdisk(&visit.node) {
        power::ensure(visit, PowerState::Off).await?;
        boot::set_device(visit, BootDevice::Disk, true).await?;
        power::ensure(visit, PowerState::On).await?;
    }
    Ok(Outcome::next_with(Event::Done, |node| {
        steps::forget(node, Phase::Service);
    }))
}
