//! Clean, deploy and service steps.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One step as a user writes it, as a driver or the agent offers it, and as `clean_step`/`deploy_step`/`service_step` show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Interface that carries the step out: `deploy`, `raid`, `bios` …
    pub interface: String,
    /// Name within the interface.
    pub step: String,
    /// Arguments; empty where the step takes none.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub args: Map<String, Value>,
    /// Higher runs first; 0 is "only when asked for".
    #[serde(default)]
    pub priority: i64,
    /// May an abort cut it short?
    #[serde(default)]
    pub abortable: bool,
    /// The ramdisk, not the conductor, carries it out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_band: bool,
    /// The machine must be rebooted when it is done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reboot_requested: bool,
    /// Arguments that it takes, by name: `{description, required}`. None: nothing is known of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argsinfo: Option<Map<String, Value>>,
    /// Must the ramdisk run meanwhile? None: nothing is said, which means yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires_ramdisk: Option<bool>,
    /// Is it for the node's children in place of the node itself?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub execute_on_child_nodes: bool,
    /// Only these children, by UUID; empty: all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limit_child_node_execution: Vec<String>,
    /// An abort was asked for; it takes effect behind this step.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub abort_after: bool,
}

/// Steps that every node has, whatever its interfaces: they act on the power, or on the work itself.
pub const RESERVED: &[&str] = &["power_on", "power_off", "reboot", "hold", "wait"];

impl Step {
    /// A step of the conductor's own, without arguments.
    pub fn core(interface: &str, step: &str, priority: i64) -> Self {
        Self {
            interface: interface.to_owned(),
            step: step.to_owned(),
            args: Map::new(),
            priority,
            abortable: false,
            in_band: false,
            reboot_requested: false,
            argsinfo: None,
            requires_ramdisk: None,
            execute_on_child_nodes: false,
            limit_child_node_execution: Vec::new(),
            abort_after: false,
        }
    }

    /// Is it one of [`RESERVED`]?
    pub fn is_reserved(&self) -> bool {
        RESERVED.contains(&self.step.as_str())
    }

    /// Is it the same deed, whatever its arguments and priority?
    pub fn is_same_as(&self, other: &Step) -> bool {
        self.interface == other.interface && self.step == other.step
    }

    /// The step as a user wrote it.
    pub fn wanted(&self) -> Value {
        let mut shown = self.shown();
        if let Some(map) = shown.as_object_mut() {
            map.remove("abortable");
            map.remove("priority");
        }
        shown
    }

    /// The step as `clean_step`, `deploy_step` and `service_step` show it: without what only the conductor needs to know.
    pub fn shown(&self) -> Value {
        let mut shown = serde_json::json!(self);
        if let Some(map) = shown.as_object_mut() {
            map.remove("in_band");
        }
        shown
    }

    /// `interface.step`, as errors and configuration name it.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.interface, self.step)
    }
}

/// Rank of an interface among steps of equal priority; higher runs first (`conductor.md` §3).
fn interface_rank(interface: &str) -> u8 {
    match interface {
        "vendor" => 7,
        "power" => 6,
        "management" => 5,
        "firmware" => 4,
        "deploy" => 3,
        "bios" => 2,
        "raid" => 1,
        _ => 0,
    }
}

/// Sorts steps for automated execution: by priority, then by interface, both descending; names settle what is left.
pub fn sort(steps: &mut [Step]) {
    steps.sort_by(|a, b| {
        b.priority
            .cmp(&a.priority)
            .then_with(|| interface_rank(&b.interface).cmp(&interface_rank(&a.interface)))
            .then_with(|| a.step.cmp(&b.step))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_priorities_are_ordered_by_interface() {
        let mut steps = vec![
            Step::core("raid", "a", 10),
            Step::core("deploy", "erase_devices_metadata", 99),
            Step::core("power", "b", 10),
            Step::core("deploy", "c", 10),
        ];
        sort(&mut steps);
        let names: Vec<_> = steps.iter().map(Step::full_name).collect();
        assert_eq!(names, ["deploy.erase_devices_metadata", "power.b", "deploy.c", "raid.a"]);
    }
}
