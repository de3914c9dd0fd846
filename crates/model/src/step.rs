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
}

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
        }
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
