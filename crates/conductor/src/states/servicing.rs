//! `servicing`: steps on a machine that carries an instance, in the order that the operator gave.

use crate::boot;
use crate::hardware;
use crate::outcome::{Failure, Outcome};
use crate::power;
use crate::steps::{self, agent_side};
use crate::visit::Visit;
use bmc::BootDevice;
use model::agent::Phase;
use model::node::{AgentLink, PowerState, Work};
use model::state::Event;

pub async fn run(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    let needs_ramdisk = hardware::uses_ramdisk(&visit.node) && !visit.node.work.disable_ramdisk;
    if needs_ramdisk {
        if visit.node.agent.url.is_none() {
            if visit.node.work.boot.as_ref().is_none_or(|boot| boot.powered_at.is_none()) {
                boot::start_ramdisk(visit).await?;
            }
            return Ok(Outcome::next(Event::Wait));
        }
        if !visit.node.work.agent_steps_known {
            agent_side::merge_offered(visit, Phase::Service).await?;
        }
    }
    if let Some(outcome) = steps::advance(visit, Phase::Service).await? {
        return Ok(outcome);
    }
    if needs_ramdisk {
        power::ensure(visit, PowerState::Off).await?;
        boot::set_device(visit, BootDevice::Disk, true).await?;
        power::ensure(visit, PowerState::On).await?;
    }
    Ok(Outcome::next_with(Event::Done, |node| {
        node.work = Work::default();
        node.agent = AgentLink::default();
        node.service_step = None;
        for key in ["service_steps", "service_step_index", "hardware_manager_version", "agent_url"] {
            node.driver_internal_info.remove(key);
        }
    }))
}
