//! `deleting`: the machine goes off and forgets its instance; cleaning follows.

use crate::outcome::{Failure, Outcome};
use crate::power;
use crate::visit::Visit;
use model::node::{AgentLink, PowerState, Work};
use model::state::Event;

pub async fn run(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    power::ensure(visit, PowerState::Off).await?;
    visit.conductor.store().delete_config_drive(visit.node.uuid).await?;
    Ok(Outcome::next_with(Event::CleanUp, |node| {
        node.instance_info.clear();
        node.instance_uuid = None;
        node.instance_name = None;
        node.allocation_uuid = None;
        node.deploy_step = None;
        node.service_step = None;
        node.work = Work::default();
        node.agent = AgentLink::default();
        for key in
            ["is_whole_disk_image", "deploy_boot_mode", "deploy_steps", "deploy_step_index", "agent_url"]
        {
            node.driver_internal_info.remove(key);
        }
    }))
}
