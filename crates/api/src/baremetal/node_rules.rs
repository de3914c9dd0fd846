//! Which rules a patch of a node is held to: one for each attribute that has its own, else the general one.

use super::node_fields::interface;
use super::patch::Operation;
use crate::args::boolean;
use crate::call::Call;
use crate::error::ApiError;
use crate::policy::Target;
use model::node::Node;

/// Holds a patch to the rules of what it touches.
pub fn check_patch(call: &Call, node: &Node, operations: &[Operation]) -> Result<(), ApiError> {
    let target = Target::node(node);
    if operations.is_empty() {
        return call.check(GENERAL, &target);
    }
    operations.iter().try_for_each(|operation| call.check(rule(operation), &target))
}

const GENERAL: &str = "baremetal:node:update";

/// The rule for one operation.
fn rule(operation: &Operation) -> &'static str {
    match operation.root() {
        "instance_info" | "instance_name" => "baremetal:node:update_instance_info",
        "extra" => "baremetal:node:update_extra",
        "driver_info" => "baremetal:node:update:driver_info",
        "properties" => "baremetal:node:update:properties",
        "chassis_uuid" => "baremetal:node:update:chassis_uuid",
        "instance_uuid" => "baremetal:node:update:instance_uuid",
        "lessee" => "baremetal:node:update:lessee",
        "owner" => "baremetal:node:update:owner",
        "driver" => "baremetal:node:update:driver_interfaces",
        "network_data" => "baremetal:node:update:network_data",
        "conductor_group" => "baremetal:node:update:conductor_group",
        "name" => "baremetal:node:update:name",
        "retired" | "retired_reason" => "baremetal:node:update:retired",
        "shard" => "baremetal:node:update:shard",
        "parent_node" => "baremetal:node:update:parent_node",
        "disable_power_off" => "baremetal:node:update:disable_power_off",
        "automated_clean" if turns_cleaning_off(operation) => "baremetal:node:disable_cleaning",
        other if interface(other).is_some() => "baremetal:node:update:driver_interfaces",
        _ => GENERAL,
    }
}

fn turns_cleaning_off(operation: &Operation) -> bool {
    operation.value.as_ref().is_some_and(|value| boolean("automated_clean", value) == Ok(false))
}

#[cfg(test)]
mod tests {
    use super::super::patch::read;
    use super::*;
    use crate::policy::find;
    use model::version::Microversion;
    use serde_json::{Value, json};

    fn rule_of(path: &str, value: Value) -> &'static str {
        let patch = json!([{"op": "add", "path": path, "value": value}]);
        rule(&read(patch, Microversion::MAX).unwrap()[0])
    }

    #[test]
    fn every_patchable_attribute_has_a_rule_that_exists() {
        for name in super::super::node_patch::PATCHABLE {
            let rule = rule_of(&format!("/{name}"), json!(null));
            assert!(find(rule).is_some(), "{name}: {rule}");
        }
    }

    #[test]
    fn rules_follow_what_is_touched() {
        assert_eq!(rule_of("/driver_info/ipmi_address", json!("a")), "baremetal:node:update:driver_info");
        assert_eq!(rule_of("/bios_interface", json!("x")), "baremetal:node:update:driver_interfaces");
        assert_eq!(rule_of("/automated_clean", json!("no")), "baremetal:node:disable_cleaning");
        assert_eq!(rule_of("/automated_clean", json!(true)), GENERAL);
        assert_eq!(rule_of("/description", json!("x")), GENERAL);
    }
}
