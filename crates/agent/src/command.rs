//! Commands: which there are, and the one that runs.

mod logs;
mod steps;

use crate::bell::lock;
use crate::bootloader;
use crate::fault::Fault;
use crate::image;
use crate::run::{Agent, Ending};
use crate::say;
use model::agent::{
    CommandRequest, CommandResult, CommandStatus, InstallBootloaderParams, Phase, PrepareImageParams,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Finished commands that are kept to be looked at.
const KEPT_RUNS: usize = 64;

/// What an asynchronous command does in its own thread.
type Work = Box<dyn FnOnce() -> Result<Value, Fault> + Send>;

enum Plan {
    /// Done before the answer is sent.
    Now(Result<Value, Fault>),
    /// Done afterwards; a heartbeat tells the end.
    Later(Work),
}

/// All commands of this agent's life, oldest first.
#[derive(Default)]
pub struct Registry {
    runs: Mutex<Vec<Arc<Run>>>,
    gate: Mutex<()>,
}

/// One command and what became of it.
pub struct Run {
    result: Mutex<CommandResult>,
    ended: Condvar,
}

impl Registry {
    /// All that are kept.
    pub fn list(&self) -> Vec<CommandResult> {
        lock(&self.runs).iter().map(|run| run.result()).collect()
    }

    /// One by its UUID.
    pub fn get(&self, id: &str) -> Option<Arc<Run>> {
        lock(&self.runs).iter().find(|run| run.result().id == id).cloned()
    }

    fn add(&self, name: &str) -> Arc<Run> {
        let result = CommandResult {
            id: uuid::Uuid::new_v4().to_string(),
            command_name: name.to_owned(),
            command_status: CommandStatus::Running,
            command_error: None,
            command_result: None,
        };
        let run = Arc::new(Run { result: Mutex::new(result), ended: Condvar::new() });
        let mut runs = lock(&self.runs);
        if runs.len() == KEPT_RUNS {
            runs.remove(0);
        }
        runs.push(run.clone());
        run
    }

    fn running(&self) -> Option<String> {
        let last = lock(&self.runs).last().map(|run| run.result())?;
        (last.command_status == CommandStatus::Running).then_some(last.command_name)
    }
}

impl Run {
    /// As it is now.
    pub fn result(&self) -> CommandResult {
        lock(&self.result).clone()
    }

    /// Waits for its end, at most `limit`.
    pub fn wait(&self, limit: Duration) {
        let end = Instant::now() + limit;
        let mut result = lock(&self.result);
        while result.command_status == CommandStatus::Running {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            result = self.ended.wait_timeout(result, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn finish(&self, outcome: Result<Value, Fault>) {
        let mut result = lock(&self.result);
        match outcome {
            Ok(value) => {
                result.command_status = CommandStatus::Succeeded;
                result.command_result = Some(value);
            }
            Err(fault) => {
                say!("{} failed: {fault}", result.command_name);
                let is_mismatch = fault.is_version_mismatch();
                result.command_status =
                    if is_mismatch { CommandStatus::VersionMismatch } else { CommandStatus::Failed };
                result.command_error = Some(fault.to_wire());
            }
        }
        self.ended.notify_all();
    }
}

/// Starts a command, and finishes it where it is a synchronous one. Fails without a trace when the request is at fault or
/// another command runs.
pub fn execute(agent: &Arc<Agent>, request: CommandRequest) -> Result<Arc<Run>, Fault> {
    // One at a time also among those that ask at the same moment.
    let _gate = lock(&agent.commands.gate);
    let (extension, name) = request
        .name
        .split_once('.')
        .ok_or_else(|| Fault::invalid_command("Command name must be of the form <extension>.<name>"))?;
    if let Some(running) = agent.commands.running() {
        return Err(Fault::busy(format!("executing command {running}")));
    }
    let planned = catch_unwind(AssertUnwindSafe(|| plan(agent, extension, name, request.params)))
        .unwrap_or_else(|_| Ok(Plan::Now(Err(panicked()))));
    match planned {
        Err(fault) if fault.is_refusal() => Err(fault),
        Err(fault) => Ok(finished(agent, name, Err(fault))),
        Ok(Plan::Now(Err(fault))) if fault.is_refusal() => Err(fault),
        Ok(Plan::Now(outcome)) => Ok(finished(agent, name, outcome.map(|value| worded(value, None)))),
        Ok(Plan::Later(work)) => {
            let run = agent.commands.add(name);
            let (own, agent_of_thread, name_of_thread) = (run.clone(), agent.clone(), name.to_owned());
            say!("{} starts", request.name);
            let spawned = std::thread::Builder::new().name("command".into()).spawn(move || {
                let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(panicked()));
                own.finish(outcome.map(|value| worded(value, Some(&name_of_thread))));
                agent_of_thread.force_heartbeat();
            });
            if let Err(error) = spawned {
                run.finish(Err(Fault::execution(format!("no thread for it: {error}"))));
            }
            Ok(run)
        }
    }
}

fn panicked() -> Fault {
    Fault::execution("an internal error of the agent; its console says where. Please report it")
}

fn finished(agent: &Agent, name: &str, outcome: Result<Value, Fault>) -> Arc<Run> {
    let run = agent.commands.add(name);
    run.finish(outcome);
    run
}

/// Bare texts become objects, those of asynchronous commands with the command's name before them.
fn worded(value: Value, command: Option<&str>) -> Value {
    match (value, command) {
        (Value::String(text), Some(name)) => serde_json::json!({"result": format!("{name}: {text}")}),
        (Value::String(text), None) => serde_json::json!({"result": text}),
        (other, _) => other,
    }
}

fn read<T: DeserializeOwned>(params: Map<String, Value>) -> Result<T, Fault> {
    serde_json::from_value(Value::Object(params)).map_err(|error| Fault::invalid_params(error.to_string()))
}

fn plan(agent: &Arc<Agent>, extension: &str, name: &str, params: Map<String, Value>) -> Result<Plan, Fault> {
    let later = |work: fn(&Arc<Agent>) -> Result<Value, Fault>| {
        let agent = agent.clone();
        Ok(Plan::Later(Box::new(move || work(&agent))))
    };
    match (extension, name) {
        ("clean", "get_clean_steps") => Ok(Plan::Now(steps::list(agent, Phase::Clean, params))),
        ("deploy", "get_deploy_steps") => Ok(Plan::Now(steps::list(agent, Phase::Deploy, params))),
        ("service", "get_service_steps") => Ok(Plan::Now(steps::list(agent, Phase::Service, params))),
        ("clean", "execute_clean_step") => Ok(Plan::Later(steps::execute(agent, Phase::Clean, params)?)),
        ("deploy", "execute_deploy_step") => Ok(Plan::Later(steps::execute(agent, Phase::Deploy, params)?)),
        ("service", "execute_service_step") => {
            Ok(Plan::Later(steps::execute(agent, Phase::Service, params)?))
        }
        ("standby", "prepare_image") => {
            let params: PrepareImageParams = read(params)?;
            image::validate(&params.image_info)?;
            let agent = agent.clone();
            Ok(Plan::Later(Box::new(move || image::prepare(&agent, &params).map(Value::String))))
        }
        ("standby", "get_partition_uuids") => {
            let uuids = lock(&agent.partitions).clone().unwrap_or_default();
            Ok(Plan::Now(Ok(serde_json::json!(uuids))))
        }
        ("standby", "sync") => {
            sync();
            Ok(Plan::Now(Ok(Value::Null)))
        }
        ("standby", "power_off") => later(|agent| end(agent, Ending::PowerOff)),
        ("standby", "run_image") => later(|agent| end(agent, Ending::RebootNow)),
        ("image", "install_bootloader") => {
            let params: InstallBootloaderParams = read(params)?;
            let agent = agent.clone();
            Ok(Plan::Later(Box::new(move || bootloader::install(&agent, &params))))
        }
        ("log", "collect_system_logs") => Ok(Plan::Now(logs::collect(agent))),
        ("poll", "get_hardware_info") => {
            let with_bmc = !agent.session().config.agent_skip_bmc_detect;
            let inventory = agent.machine.inventory(agent.options.boot_mac.as_deref(), with_bmc);
            Ok(Plan::Now(Ok(serde_json::json!(inventory))))
        }
        ("poll", "set_node_info") => Err(Fault::invalid_command(
            "Node lookup data can only be set when the agent is running in standalone mode.",
        )),
        ("system", "lockdown") => {
            agent.end(Ending::Lockdown);
            Ok(Plan::Now(Ok(Value::Null)))
        }
        ("rescue", "finalize_rescue") => Err(Fault::invalid_command(
            "this ramdisk has no system to log into; boot a rescue ramdisk with the ironic-python-agent",
        )),
        ("clean" | "deploy" | "service" | "standby" | "image" | "log" | "poll" | "system" | "rescue", _) => {
            Err(Fault::invalid_command(format!("Unknown command: {name}")))
        }
        _ => Err(Fault::not_found(format!("Extension with id {extension} not found."))),
    }
}

fn sync() {
    // SAFETY: the call touches no memory.
    unsafe { libc::sync() };
}

fn end(agent: &Arc<Agent>, ending: Ending) -> Result<Value, Fault> {
    sync();
    agent.end(ending);
    Ok(Value::Null)
}
