//! `inspecting` and `inspect wait`: the ramdisk looks around, and its report is made use of.

use crate::boot;
use crate::fake;
use crate::hardware;
use crate::inspection;
use crate::outcome::{Failure, Outcome};
use crate::power;
use crate::visit::Visit;
use model::node::{AgentLink, InterfaceKind, PowerState, Work};
use model::state::Event;
use serde_json::json;

const TIMEOUT: &str = "Timeout reached while inspecting the node. Please check if the ramdisk responsible for the inspection is \
                       running on the node.";

pub async fn run(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    match hardware::implementation(&visit.node, InterfaceKind::Inspect) {
        "fake" => fake::pause(visit, InterfaceKind::Inspect, "inspect").await?,
        "agent" if visit.node.work.has_findings => conclude(visit).await?,
        "agent" => return start(visit).await,
        other => {
            return Err(Failure::last(format!(
                "inspect interface \"{other}\" can't be used by this version of Billet; use agent"
            )));
        }
    }
    let now = visit.now();
    Ok(Outcome::next_with(Event::Done, move |node| {
        node.inspection_started_at = None;
        node.inspection_finished_at = Some(now);
        node.work = Work::default();
        node.agent = AgentLink::default();
        node.driver_internal_info.remove("agent_url");
    }))
}

async fn start(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    if visit.node.work.boot.as_ref().is_none_or(|boot| boot.powered_at.is_none()) {
        let addresses = inspection::bmc_addresses(visit).await;
        visit
            .edit(|edit| {
                let info = &mut edit.node.driver_internal_info;
                info.remove(inspection::BMC_ADDRESSES);
                if !addresses.is_empty() {
                    info.insert(inspection::BMC_ADDRESSES.into(), json!(addresses));
                }
            })
            .await?;
        boot::start_ramdisk(visit).await?;
    }
    Ok(Outcome::next(Event::Wait))
}

async fn conclude(visit: &mut Visit<'_>) -> Result<(), Failure> {
    inspection::conclude(visit).await?;
    power::ensure(visit, PowerState::Off).await?;
    Ok(visit.conductor.store().delete_findings(visit.held.claim()).await?)
}

/// `inspect wait`: until the report comes.
pub async fn wait(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    if !boot::has_called(&visit.node) {
        return boot::await_call(visit, |_| TIMEOUT.to_owned()).await;
    }
    // The agent is there, but the report is what is awaited.
    match visit.node.work.deadline {
        Some(deadline) if visit.now() >= deadline => Err(Failure::TimedOut(TIMEOUT.to_owned())),
        deadline => Ok(Outcome::Wait(deadline)),
    }
}
