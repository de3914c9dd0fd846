//! The columns that mirror a node's document.

use crate::select::Column;
use model::compute::scheduler::size;
use model::node::Node;

/// The columns that mirror the document.
pub(super) fn projected(node: &Node) -> Vec<(&'static str, Column)> {
    use Column as C;
    let number = |what: &str| C::Number(size(node, what).map(|size| i64::try_from(size).unwrap_or(i64::MAX)));
    vec![
        ("name", C::text(node.name.as_deref())),
        ("instance_uuid", C::text(node.instance_uuid.as_deref())),
        ("provision_state", C::text(Some(node.provision_state.as_str()))),
        ("power_state", C::text(node.power_state.map(|state| state.as_str()))),
        ("driver", C::text(Some(&node.driver))),
        ("maintenance", C::flag(node.maintenance)),
        ("retired", C::flag(node.retired)),
        ("fault", C::text(node.fault.map(|fault| fault.as_str()))),
        ("resource_class", C::text(node.resource_class.as_deref())),
        ("conductor_group", C::text(Some(&node.conductor_group))),
        ("chassis_uuid", C::id(node.chassis_uuid)),
        ("owner", C::text(node.owner.as_deref())),
        ("lessee", C::text(node.lessee.as_deref())),
        ("shard", C::text(node.shard.as_deref())),
        ("parent_node", C::id(node.parent_node)),
        ("description", C::text(node.description.as_deref())),
        ("instance_name", C::text(node.instance_name.as_deref())),
        ("created_us", C::time(Some(node.created_at))),
        ("updated_us", C::time(node.updated_at)),
        ("provision_updated_us", C::time(node.provision_updated_at)),
        ("due_us", C::time(node.due)),
        ("cpus", number("cpus")),
        ("memory_mb", number("memory_mb")),
        ("local_gb", number("local_gb")),
    ]
}
