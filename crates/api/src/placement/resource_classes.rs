//! `/resource_classes`

use super::provider::all;
use super::since;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/resource_classes", Access::Operator, handler!(list))
        .says("Lists resource classes: the standard ones, and those of nodes."),
    Route::new(Get, "/resource_classes/{class}", Access::Operator, handler!(show))
        .says("Shows a resource class."),
];

/// Those that every Placement has (os-resource-classes).
const STANDARD: &[&str] = &[
    "VCPU",
    "MEMORY_MB",
    "DISK_GB",
    "PCI_DEVICE",
    "SRIOV_NET_VF",
    "NUMA_SOCKET",
    "NUMA_CORE",
    "NUMA_THREAD",
    "NUMA_MEMORY_MB",
    "IPV4_ADDRESS",
    "VGPU",
    "VGPU_DISPLAY_HEAD",
    "NET_BW_EGR_KILOBIT_PER_SEC",
    "NET_BW_IGR_KILOBIT_PER_SEC",
    "PCPU",
    "MEM_ENCRYPTION_CONTEXT",
    "FPGA",
    "PGPU",
    "NET_PACKET_RATE_KILOPACKET_PER_SEC",
    "NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC",
    "NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC",
];

async fn custom(call: &Call) -> Result<BTreeSet<String>, CloudError> {
    Ok(all(call).await?.into_iter().filter_map(|provider| provider.class).collect())
}

async fn list(call: Call) -> Result<Reply, CloudError> {
    since(&call, 2)?;
    let custom = custom(&call).await?;
    let names = STANDARD.iter().copied().chain(custom.iter().map(String::as_str));
    Reply::json(&json!({"resource_classes": names.map(document).collect::<Vec<_>>()}))
}

async fn show(call: Call) -> Result<Reply, CloudError> {
    since(&call, 2)?;
    let class = call.parameter("class");
    if STANDARD.contains(&class) || custom(&call).await?.contains(class) {
        return Reply::json(&document(class));
    }
    Err(CloudError::not_found(format!("No such resource class: {class}.")))
}

fn document(name: &str) -> Value {
    json!({"name": name, "links": [{"rel": "self", "href": format!("/placement/resource_classes/{name}")}]})
}
