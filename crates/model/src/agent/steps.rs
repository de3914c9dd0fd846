//! Listing and running clean, deploy and service steps in the ramdisk.

use super::or_default;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Which of the three families of steps; the protocol's keys differ by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// `clean.*`
    Clean,
    /// `deploy.*`
    Deploy,
    /// `service.*`
    Service,
}

impl Phase {
    /// The extension's name and the prefix of the keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Deploy => "deploy",
            Self::Service => "service",
        }
    }

    /// The command that lists the steps, `clean.get_clean_steps`.
    pub fn get_command(self) -> String {
        format!("{0}.get_{0}_steps", self.name())
    }

    /// The command that runs one step, `clean.execute_clean_step`.
    pub fn execute_command(self) -> String {
        format!("{0}.execute_{0}_step", self.name())
    }
}

/// A step that the agent offers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentStep {
    /// Its name.
    pub step: String,
    /// 0 runs only when asked for; higher runs earlier.
    #[serde(deserialize_with = "or_default")]
    pub priority: i64,
    /// `deploy`, `raid` …
    #[serde(deserialize_with = "or_default")]
    pub interface: String,
    /// Whether the machine has to be rebooted afterwards.
    #[serde(deserialize_with = "or_default")]
    pub reboot_requested: bool,
    /// Whether it may be cut.
    #[serde(deserialize_with = "or_default")]
    pub abortable: bool,
    /// Arguments by name: `{description, required}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argsinfo: Option<Value>,
    /// Whether a ramdisk must run; absent means true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requires_ramdisk: Option<bool>,
    /// Keys that later releases add.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Parameters of `get_*_steps`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GetStepsParams {
    /// The node as the API shows it.
    #[serde(deserialize_with = "or_default")]
    pub node: Map<String, Value>,
    /// The node's ports.
    #[serde(deserialize_with = "or_default")]
    pub ports: Vec<Value>,
}

/// Result of `get_*_steps`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepList {
    /// Steps by hardware manager.
    pub steps: BTreeMap<String, Vec<AgentStep>>,
    /// Version by hardware manager; goes back with each `execute_*_step`.
    pub versions: BTreeMap<String, String>,
}

impl StepList {
    /// Reads `command_result` of a `get_*_steps` of `phase`. Fails when it is not such an object.
    pub fn from_result(phase: Phase, result: &Value) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Part<T: Default>(#[serde(deserialize_with = "or_default", bound = "T: Deserialize<'de>")] T);
        let part = |key: &str| result.get(key).cloned().unwrap_or(Value::Null);
        let steps: Part<BTreeMap<String, Vec<AgentStep>>> =
            serde_json::from_value(part(&format!("{}_steps", phase.name())))?;
        let versions: Part<BTreeMap<String, String>> =
            serde_json::from_value(part("hardware_manager_version"))?;
        Ok(Self { steps: steps.0, versions: versions.0 })
    }

    /// The object to send as `command_result`.
    pub fn to_result(&self, phase: Phase) -> Value {
        serde_json::json!({
            format!("{}_steps", phase.name()): self.steps,
            "hardware_manager_version": self.versions,
        })
    }
}

/// The `step` of an `execute_*_step`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepCall {
    /// Its name.
    pub step: String,
    /// `deploy`, `raid` …
    #[serde(default, deserialize_with = "or_default")]
    pub interface: String,
    /// Its priority, only carried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// Named arguments.
    #[serde(default, deserialize_with = "or_default")]
    pub args: Map<String, Value>,
    /// Keys that are only echoed.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Parameters of `execute_*_step`.
#[derive(Debug, Clone, Default)]
pub struct ExecuteStepParams {
    /// The step to run.
    pub step: StepCall,
    /// The node as the API shows it, without secrets.
    pub node: Map<String, Value>,
    /// The node's ports.
    pub ports: Vec<Value>,
    /// Versions that the steps were listed with (`clean_version` …); `None` goes unchecked.
    pub versions: Option<BTreeMap<String, String>>,
}

impl ExecuteStepParams {
    /// The `params` of the command.
    pub fn to_params(&self, phase: Phase) -> Map<String, Value> {
        let mut params = Map::new();
        params.insert("step".into(), serde_json::json!(self.step));
        params.insert("node".into(), Value::Object(self.node.clone()));
        params.insert("ports".into(), Value::Array(self.ports.clone()));
        params.insert(format!("{}_version", phase.name()), serde_json::json!(self.versions));
        params
    }

    /// Reads the `params` of the command. Fails when `step` is missing or has no name.
    pub fn from_params(phase: Phase, params: &Map<String, Value>) -> Result<Self, serde_json::Error> {
        let part = |key: &str| params.get(key).cloned().unwrap_or(Value::Null);
        Ok(Self {
            step: serde_json::from_value(part("step"))?,
            node: serde_json::from_value::<Option<_>>(part("node"))?.unwrap_or_default(),
            ports: serde_json::from_value::<Option<_>>(part("ports"))?.unwrap_or_default(),
            versions: serde_json::from_value(part(&format!("{}_version", phase.name())))?,
        })
    }
}

/// Result of `execute_*_step`: `{clean_result, clean_step}`.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutcome {
    /// What the step returned.
    pub result: Value,
    /// The step that ran, as it was sent.
    pub step: Value,
}

impl StepOutcome {
    /// The object to send as `command_result`.
    pub fn to_result(&self, phase: Phase) -> Value {
        serde_json::json!({
            format!("{}_result", phase.name()): self.result,
            format!("{}_step", phase.name()): self.step,
        })
    }

    /// Reads `command_result` of an `execute_*_step`; missing keys become `null`.
    pub fn from_result(phase: Phase, result: &Value) -> Self {
        let part = |key: &str| result.get(format!("{}_{key}", phase.name())).cloned().unwrap_or(Value::Null);
        Self { result: part("result"), step: part("step") }
    }
}
