//! Clean, deploy and service steps.

use super::Work;
use crate::erase;
use crate::fault::Fault;
use crate::run::Agent;
use crate::say;
use model::agent::{AgentStep, ExecuteStepParams, GetStepsParams, Phase, StepList, StepOutcome};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// The manager's name and, separately, its version: a conductor that listed the steps of another version starts again.
const MANAGER: &str = "BilletHardwareManager";
const VERSIONS: (&str, &str) = ("billet_hardware_manager", "1");

/// Steps of cleaning with the priorities of ironic-python-agent; 0 runs when asked for.
const CLEAN_STEPS: [(&str, i64); 3] =
    [("erase_devices_metadata", 99), ("erase_devices", 10), ("erase_devices_express", 0)];
/// Steps that a deploy template may ask for.
const DEPLOY_STEPS: [(&str, i64); 1] = [("erase_devices_metadata", 0)];

fn versions() -> BTreeMap<String, String> {
    [(VERSIONS.0.to_owned(), VERSIONS.1.to_owned())].into()
}

/// `get_*_steps`.
pub(super) fn list(agent: &Agent, phase: Phase, params: Map<String, Value>) -> Result<Value, Fault> {
    let params: GetStepsParams = super::read(params)?;
    agent.refresh_node(&params.node);
    let steps = match phase {
        Phase::Clean => &CLEAN_STEPS[..],
        Phase::Deploy => &DEPLOY_STEPS[..],
        Phase::Service => &[],
    };
    let steps: Vec<AgentStep> = steps
        .iter()
        .map(|(name, priority)| AgentStep {
            step: (*name).to_owned(),
            priority: *priority,
            interface: "deploy".to_owned(),
            abortable: phase == Phase::Clean,
            ..AgentStep::default()
        })
        .collect();
    let steps = [(MANAGER.to_owned(), steps)].into();
    Ok(StepList { steps, versions: versions() }.to_result(phase))
}

/// `execute_*_step`: reads the request at once, the step itself is done later.
pub(super) fn execute(agent: &Arc<Agent>, phase: Phase, params: Map<String, Value>) -> Result<Work, Fault> {
    let step = params.get("step").cloned().unwrap_or(Value::Null);
    let params = ExecuteStepParams::from_params(phase, &params)
        .map_err(|error| Fault::invalid_params(format!("Malformed {}_step: {error}", phase.name())))?;
    agent.refresh_node(&params.node);
    let agent = agent.clone();
    Ok(Box::new(move || {
        if params.versions.as_ref().is_some_and(|known| *known != versions()) {
            return Err(Fault::version_mismatch(format!(
                "Current versions: {:?}, versions used by ironic: {:?}",
                versions(),
                params.versions.unwrap_or_default()
            )));
        }
        let started = Instant::now();
        let name = params.step.step.as_str();
        say!("{} step {name}", phase.name());
        let result = run(&agent, phase, name)?;
        say!("{} step {name} done in {:.1} s", phase.name(), started.elapsed().as_secs_f64());
        Ok(StepOutcome { result, step }.to_result(phase))
    }))
}

fn run(agent: &Agent, phase: Phase, name: &str) -> Result<Value, Fault> {
    match (phase, name) {
        (Phase::Clean | Phase::Deploy, "erase_devices_metadata") => erase::erase_metadata(&agent.machine),
        (Phase::Clean, "erase_devices") => {
            erase::erase_all(&agent.machine, &agent.session().node.driver_internal_info)
        }
        (Phase::Clean, "erase_devices_express") => erase::erase_express(&agent.machine),
        (Phase::Clean, _) => Err(Fault::cleaning(unknown(phase, name))),
        (Phase::Deploy, _) => Err(Fault::deployment(unknown(phase, name))),
        (Phase::Service, _) => Err(Fault::servicing(unknown(phase, name))),
    }
}

fn unknown(phase: Phase, name: &str) -> String {
    let name: String = name.chars().take(64).collect();
    format!(
        "this ramdisk has no {} step {name:?}; list its steps, or boot a ramdisk that has it",
        phase.name()
    )
}
