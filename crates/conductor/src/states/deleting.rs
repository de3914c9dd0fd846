//! `deleting`: the machine goes off and forgets its instance; cleaning follows.

use crate::fail;
use crate::fake;
use crate::hardware;
use crate::outcome::{Failure, Outcome};
use crate::power;
use crate::steps;
use crate::visit::Visit;
use model::agent::Phase;
use model::node::{InterfaceKind, PowerState};
use model::state::Event;

/// What a deployment and a service leave in `driver_internal_info`.
const TRACES: &[&str] = &[
    "instance",
    "root_uuid_or_disk_id",
    "boot_option",
    "is_whole_disk_image",
    "is_source_a_path",
    "deploy_boot_mode",
    "agent_url",
];

pub async fn run(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    fake::pause(visit, InterfaceKind::Deploy, "tear down").await?;
    if hardware::implementation(&visit.node, InterfaceKind::Deploy) != "fake" {
        power::ensure(visit, PowerState::Off).await?;
    }
    visit.conductor.store().delete_held_config_drive(visit.held.claim()).await?;
    visit.conductor.store().detach_vifs(visit.held.claim(), visit.now()).await?;
    Ok(Outcome::next_with(Event::CleanUp, |node| {
        node.instance_info.clear();
        node.instance_uuid = None;
        node.instance_name = None;
        node.allocation_uuid = None;
        fail::forget_rescue_password(node);
        // A service that was cut off by the deletion left its traces, if there was one.
        if node.driver_internal_info.contains_key("service_steps") {
            steps::forget(node, Phase::Service);
        }
        steps::forget(node, Phase::Deploy);
        for key in TRACES {
            node.driver_internal_info.remove(*key);
        }
        if node.driver_internal_info.remove("automatic_lessee").is_some() {
            node.lessee = None;
        }
    }))
}
