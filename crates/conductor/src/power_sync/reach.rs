//! From a node to the BMC that is asked.

use super::watched::Reach;
use crate::Conductor;
use crate::hardware::{bmc_of, implementation};
use model::node::InterfaceKind;
use store::{PowerRow, StoreError};

/// Reads the node with its secrets, which is done once for each version of a node.
pub async fn find(conductor: &Conductor, row: &PowerRow) -> Result<Reach, StoreError> {
    let node = conductor.store().node_with_secrets(row.uuid).await?.node;
    let interface = match implementation(&node, InterfaceKind::Power) {
        "ipmitool" => "ipmitool",
        "fake" => "fake",
        _ => return Ok(Reach::Nobody),
    };
    Ok(match bmc_of(conductor, &node) {
        Ok(bmc) => Reach::Bmc(bmc, interface),
        // A node whose power was never known is not set up yet: that is no failure.
        Err(_) if node.power_state.is_none() => Reach::Nobody,
        Err(problem) => Reach::Broken(problem.into()),
    })
}
