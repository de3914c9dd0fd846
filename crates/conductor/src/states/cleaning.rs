//! `cleaning`: the ramdisk erases what the last tenant left, or does what the operator listed.

use crate::hardware;
use crate::outcome::{Failure, Outcome};
use crate::power;
use crate::provision::power_reason;
use crate::steps;
use crate::visit::Visit;
use model::agent::Phase;
use model::node::{Node, PowerState};
use model::state::{Event, ProvisionState};
use serde_json::{Value, json};

/// What agents look for to know how thorough erasing is to be; the site's defaults, which a node's own values go before.
fn erasing() -> [(&'static str, Value); 8] {
    [
        ("agent_continue_if_ata_erase_failed", json!(false)),
        ("agent_continue_if_secure_erase_failed", json!(false)),
        ("agent_enable_ata_secure_erase", json!(true)),
        ("agent_enable_nvme_secure_erase", json!(true)),
        ("agent_erase_devices_iterations", json!(1)),
        ("agent_erase_devices_zeroize", json!(true)),
        ("agent_erase_skip_read_only", json!(false)),
        ("disk_erasure_concurrency", json!(4)),
    ]
}

pub async fn run(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    if is_automated(&visit.node)
        && !visit.node.automated_clean.unwrap_or(visit.conductor.settings().automated_clean)
    {
        return Ok(end(&visit.node, visit.node.driver_internal_info.contains_key("clean_steps")));
    }
    if !visit.node.work.is_planned {
        if let Some(reason) = power_reason(&visit.node) {
            return Err(Failure::Steps(format!(
                "Validation of node {} for cleaning failed: {reason}",
                visit.node.uuid
            )));
        }
        steps::plan_ahead(visit, Phase::Clean).await?;
        if steps::needs_ramdisk(&visit.node) {
            visit
                .edit(|edit| {
                    for (key, value) in erasing() {
                        edit.node.driver_internal_info.entry(key).or_insert(value);
                    }
                })
                .await?;
        }
    }
    if let Some(outcome) = steps::prepare_ramdisk(visit, Phase::Clean).await? {
        return Ok(outcome);
    }
    if let Some(outcome) = steps::advance(visit, Phase::Clean).await? {
        return Ok(outcome);
    }
    if steps::needs_ramdisk(&visit.node) {
        power::ensure(visit, PowerState::Off).await?;
    }
    Ok(end(&visit.node, true))
}

/// Manual cleaning aims at `manageable`, automated cleaning at `available`.
pub fn is_automated(node: &Node) -> bool {
    node.target_provision_state != Some(ProvisionState::Manageable)
}

fn end(node: &Node, has_list: bool) -> Outcome {
    let event = if is_automated(node) && !node.retired { Event::Done } else { Event::DoneManageable };
    Outcome::next_with(event, move |node| {
        steps::forget(node, Phase::Clean);
        if !has_list {
            node.driver_internal_info.remove("clean_steps");
        }
        hardware::restore_deploy_interface(node);
    })
}
