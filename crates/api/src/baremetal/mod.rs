//! The bare-metal service (Ironic's API v1), and Billet's own additions to it under `/billet/v1`.
//!
//! To add an endpoint: write `async fn(Call) -> Result<Reply, ApiError>` in its resource's file, a row in that file's `ROUTES`, and the file's line below.

mod allocation_create;
mod allocations;
mod bios;
mod boot_device;
mod boot_mode;
mod chassis;
mod conductors;
mod console;
mod deploy_templates;
mod discovery;
mod drivers;
mod events;
mod external_events;
mod fields;
mod firmware;
mod history;
mod image_references;
mod indicators;
mod inspection_rules;
mod inventory;
mod maintenance;
mod node_create;
mod node_fields;
mod node_link;
mod node_list;
mod node_patch;
mod node_rows;
mod node_rules;
mod nodes;
mod passthru;
mod patch;
mod port_document;
mod port_fields;
mod port_list;
mod port_rules;
mod portgroup_document;
mod portgroup_list;
mod portgroups;
mod ports;
mod power;
mod provision;
mod query_schema;
mod raid;
mod ramdisk;
mod records;
mod redaction;
mod runbook_traits;
mod runbooks;
pub mod schema;
mod shards;
mod shown_nodes;
mod states;
mod steps;
mod traits;
mod validate;
mod vifs;
mod vmedia;
mod volume;
mod volume_connectors;
mod volume_targets;

use crate::route::{Route, Table};
use fields::Field;
use model::volume::{VolumeConnector, VolumeTarget};
use std::sync::LazyLock;
use volume::Volume;

pub use shown_nodes::ShownNodes;
pub(crate) use traits::is_trait;

/// Every route that is served.
pub static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(ROUTES));

/// The lists of all resources.
const ROUTES: &[&[Route]] = &[
    discovery::ROUTES,
    ramdisk::ROUTES,
    node_list::ROUTES,
    node_create::ROUTES,
    validate::ROUTES,
    nodes::ROUTES,
    node_patch::ROUTES,
    maintenance::ROUTES,
    states::ROUTES,
    power::ROUTES,
    provision::ROUTES,
    inventory::ROUTES,
    console::ROUTES,
    boot_device::ROUTES,
    boot_mode::ROUTES,
    raid::ROUTES,
    indicators::ROUTES,
    passthru::ROUTES,
    bios::ROUTES,
    firmware::ROUTES,
    history::ROUTES,
    vmedia::ROUTES,
    traits::ROUTES,
    vifs::ROUTES,
    chassis::ROUTES,
    volume::ROUTES,
    volume_connectors::ROUTES,
    volume_targets::ROUTES,
    port_list::ROUTES,
    ports::ROUTES,
    portgroup_list::ROUTES,
    portgroups::ROUTES,
    drivers::ROUTES,
    conductors::ROUTES,
    events::ROUTES,
    allocations::ROUTES,
    allocation_create::ROUTES,
    deploy_templates::ROUTES,
    runbooks::ROUTES,
    runbook_traits::ROUTES,
    inspection_rules::ROUTES,
    shards::ROUTES,
    external_events::ROUTES,
];

/// The fields of a resource, for the schemas of the OpenAPI document.
pub struct Fields {
    /// Name of its schema.
    pub schema: &'static str,
    /// Last word of its collection's path, and key of its lists.
    pub collection: &'static str,
    lists: &'static [&'static [Field]],
}

impl Fields {
    /// Each field, and the microversion that it came with.
    pub fn all(&self) -> impl Iterator<Item = Field> + use<> {
        self.lists.iter().copied().flatten().copied()
    }
}

/// What is shown beside the fields that `fields=` may name.
const LINKS: &[Field] = &[("links", model::version::BASE)];

/// The resources that have a list of fields.
pub const RESOURCES: &[Fields] = &[
    Fields { schema: "Node", collection: "nodes", lists: node_fields::ALL },
    Fields { schema: "Port", collection: "ports", lists: &[port_fields::FIELDS] },
    Fields { schema: "Portgroup", collection: "portgroups", lists: &[portgroup_document::FIELDS] },
    Fields { schema: "Chassis", collection: "chassis", lists: &[chassis::FIELDS] },
    Fields { schema: "VolumeConnector", collection: "connectors", lists: &[VolumeConnector::FIELDS] },
    Fields { schema: "VolumeTarget", collection: "targets", lists: &[VolumeTarget::FIELDS] },
    Fields { schema: "Allocation", collection: "allocations", lists: &[allocations::FIELDS] },
    Fields { schema: "DeployTemplate", collection: "deploy_templates", lists: &[deploy_templates::FIELDS] },
    Fields { schema: "Runbook", collection: "runbooks", lists: &[runbooks::FIELDS] },
    Fields { schema: "InspectionRule", collection: "inspection_rules", lists: &[inspection_rules::FIELDS] },
    Fields { schema: "BiosSetting", collection: "bios", lists: &[bios::FIELDS] },
    Fields { schema: "FirmwareComponent", collection: "firmware", lists: &[firmware::FIELDS] },
    Fields { schema: "HistoryEntry", collection: "history", lists: &[history::FIELDS, LINKS] },
    Fields { schema: "Conductor", collection: "conductors", lists: &[conductors::FIELDS] },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Verb::{Get, Put};
    use crate::route::{Audience, Found};

    fn example(path: &str) -> Vec<String> {
        path.split('/').filter(|part| !part.is_empty()).map(|part| part.replace(['{', '}'], "")).collect()
    }

    #[test]
    fn every_row_is_reached_by_its_own_path() {
        for route in TABLE.routes() {
            match TABLE.find(Some(route.verb), &example(route.path), Audience::Operator) {
                Found::Route(found, _) => {
                    assert!(std::ptr::eq(found, route), "{:?} {}", route.verb, route.path)
                }
                other => panic!("{:?} {}: {other:?}", route.verb, route.path),
            }
        }
    }

    #[test]
    fn what_is_public_is_what_the_contract_lists() {
        let public: Vec<_> = TABLE.routes().filter(|route| route.public).map(|route| route.path).collect();
        assert_eq!(
            public,
            [
                "/",
                "/v1",
                "/healthcheck",
                "/openapi.json",
                "/v1/lookup",
                "/v1/heartbeat/{node}",
                "/v1/continue_inspection"
            ]
        );
    }

    #[test]
    fn ramdisks_reach_only_public_routes() {
        assert!(TABLE.routes().filter(|route| route.ramdisk).all(|route| route.public));
        let nodes = example("/v1/nodes");
        assert!(matches!(TABLE.find(Some(Get), &nodes, Audience::Ramdisk), Found::Nothing));
        assert!(matches!(TABLE.find(Some(Put), &nodes, Audience::Operator), Found::OtherMethod(_)));
    }
}
