//! The bare-metal service (Ironic's API v1), and Billet's own additions to it under `/billet/v1`.
//!
//! To add an endpoint: write `async fn(Call) -> Result<Reply, ApiError>` in its resource's file, and a row here.

mod boot_device;
mod conductors;
mod console;
mod discovery;
mod drivers;
mod events;
mod fields;
mod maintenance;
mod node_create;
mod node_fields;
mod node_list;
mod node_patch;
mod nodes;
mod patch;
mod port_fields;
mod ports;
mod power;
mod provision;
mod ramdisk;
mod schema;
mod states;
mod traits;
mod validate;
mod vifs;

use crate::handler;
use crate::limits::PROVISION_BODY_BYTES;
use crate::route::Verb::{Delete, Get, Patch, Post, Put};
use crate::route::{Route, Table};
use axum::http::StatusCode;
use model::version as v;

const CREATED: StatusCode = StatusCode::CREATED;
const ACCEPTED: StatusCode = StatusCode::ACCEPTED;
const NO_CONTENT: StatusCode = StatusCode::NO_CONTENT;

/// Every route that is served.
pub const TABLE: Table = Table(ROUTES);

const ROUTES: &[Route] = &[
    // Discovery.
    Route::new(Get, "/", "public_api", handler!(discovery::root)).public().ramdisk(),
    Route::new(Get, "/v1", "public_api", handler!(discovery::v1)).public().ramdisk(),
    Route::new(Get, "/healthcheck", "public_api", handler!(discovery::health)).public(),
    // Ramdisks.
    Route::new(Get, "/v1/lookup", "baremetal:driver:ipa_lookup", handler!(ramdisk::lookup))
        .since(v::RAMDISK)
        .public()
        .ramdisk(),
    Route::new(Post, "/v1/heartbeat/{node}", "baremetal:node:ipa_heartbeat", handler!(ramdisk::heartbeat))
        .since(v::RAMDISK)
        .success(ACCEPTED)
        .public()
        .ramdisk(),
    // Nodes.
    Route::new(Get, "/v1/nodes", "baremetal:node:list", handler!(node_list::list)),
    Route::new(Post, "/v1/nodes", "baremetal:node:create", handler!(node_create::create)).success(CREATED),
    Route::new(Get, "/v1/nodes/detail", "baremetal:node:list", handler!(node_list::detail)),
    Route::new(Get, "/v1/nodes/validate", "baremetal:node:validate", handler!(validate::by_query)),
    Route::new(Get, "/v1/nodes/{node}", "baremetal:node:get", handler!(nodes::show)),
    Route::new(Patch, "/v1/nodes/{node}", "baremetal:node:update", handler!(node_patch::patch)),
    Route::new(Delete, "/v1/nodes/{node}", "baremetal:node:delete", handler!(nodes::delete))
        .success(NO_CONTENT),
    Route::new(Get, "/v1/nodes/{node}/validate", "baremetal:node:validate", handler!(validate::validate)),
    Route::new(
        Put,
        "/v1/nodes/{node}/maintenance",
        "baremetal:node:set_maintenance",
        handler!(maintenance::set),
    )
    .success(ACCEPTED),
    Route::new(
        Delete,
        "/v1/nodes/{node}/maintenance",
        "baremetal:node:clear_maintenance",
        handler!(maintenance::clear),
    )
    .success(ACCEPTED),
    Route::new(Get, "/v1/nodes/{node}/states", "baremetal:node:get_states", handler!(states::show)),
    Route::new(Put, "/v1/nodes/{node}/states/power", "baremetal:node:set_power_state", handler!(power::set))
        .success(ACCEPTED),
    Route::new(
        Put,
        "/v1/nodes/{node}/states/provision",
        "baremetal:node:set_provision_state",
        handler!(provision::set),
    )
    .success(ACCEPTED)
    .body_limit(PROVISION_BODY_BYTES),
    Route::new(Get, "/v1/nodes/{node}/states/console", "baremetal:node:get_console", handler!(console::show)),
    Route::new(
        Put,
        "/v1/nodes/{node}/states/console",
        "baremetal:node:set_console_state",
        handler!(console::set),
    )
    .success(ACCEPTED),
    Route::new(
        Get,
        "/v1/nodes/{node}/management/boot_device",
        "baremetal:node:get_boot_device",
        handler!(boot_device::show),
    ),
    Route::new(
        Put,
        "/v1/nodes/{node}/management/boot_device",
        "baremetal:node:set_boot_device",
        handler!(boot_device::set),
    )
    .success(NO_CONTENT),
    Route::new(
        Get,
        "/v1/nodes/{node}/management/boot_device/supported",
        "baremetal:node:get_boot_device",
        handler!(boot_device::supported),
    ),
    Route::new(Get, "/v1/nodes/{node}/traits", "baremetal:node:traits:list", handler!(traits::list))
        .since(v::TRAITS)
        .below(StatusCode::NOT_ACCEPTABLE),
    Route::new(Put, "/v1/nodes/{node}/traits", "baremetal:node:traits:set", handler!(traits::replace))
        .since(v::TRAITS)
        .below(StatusCode::METHOD_NOT_ALLOWED)
        .success(NO_CONTENT),
    Route::new(Delete, "/v1/nodes/{node}/traits", "baremetal:node:traits:delete", handler!(traits::clear))
        .since(v::TRAITS)
        .success(NO_CONTENT),
    Route::new(Put, "/v1/nodes/{node}/traits/{trait}", "baremetal:node:traits:set", handler!(traits::add))
        .since(v::TRAITS)
        .below(StatusCode::METHOD_NOT_ALLOWED)
        .success(NO_CONTENT),
    Route::new(
        Delete,
        "/v1/nodes/{node}/traits/{trait}",
        "baremetal:node:traits:delete",
        handler!(traits::remove),
    )
    .since(v::TRAITS)
    .success(NO_CONTENT),
    Route::new(Get, "/v1/nodes/{node}/vifs", "baremetal:node:vif:list", handler!(vifs::list)).since(v::VIFS),
    Route::new(Post, "/v1/nodes/{node}/vifs", "baremetal:node:vif:attach", handler!(vifs::attach))
        .since(v::VIFS)
        .success(NO_CONTENT),
    Route::new(Delete, "/v1/nodes/{node}/vifs/{vif}", "baremetal:node:vif:detach", handler!(vifs::detach))
        .since(v::VIFS)
        .success(NO_CONTENT),
    Route::new(Get, "/v1/nodes/{node}/children", "baremetal:node:get", handler!(nodes::children))
        .since(v::PARENT_NODE),
    Route::new(Get, "/v1/nodes/{node}/ports", "baremetal:port:list", handler!(ports::list_of_node)),
    Route::new(Get, "/v1/nodes/{node}/ports/detail", "baremetal:port:list", handler!(ports::detail_of_node)),
    // Ports.
    Route::new(Get, "/v1/ports", "baremetal:port:list", handler!(ports::list)),
    Route::new(Post, "/v1/ports", "baremetal:port:create", handler!(ports::create)).success(CREATED),
    Route::new(Get, "/v1/ports/detail", "baremetal:port:list", handler!(ports::detail)),
    Route::new(Get, "/v1/ports/{port}", "baremetal:port:get", handler!(ports::show)),
    Route::new(Patch, "/v1/ports/{port}", "baremetal:port:update", handler!(ports::patch)),
    Route::new(Delete, "/v1/ports/{port}", "baremetal:port:delete", handler!(ports::delete))
        .success(NO_CONTENT),
    // Drivers and conductors.
    Route::new(Get, "/v1/drivers", "baremetal:driver:get", handler!(drivers::list)),
    Route::new(Get, "/v1/drivers/{driver}", "baremetal:driver:get", handler!(drivers::show)),
    Route::new(
        Get,
        "/v1/drivers/{driver}/properties",
        "baremetal:driver:get_properties",
        handler!(drivers::properties),
    ),
    Route::new(Get, "/v1/conductors", "baremetal:conductor:get", handler!(conductors::list))
        .since(v::CONDUCTORS),
    Route::new(Get, "/v1/conductors/{hostname}", "baremetal:conductor:get", handler!(conductors::show))
        .since(v::CONDUCTORS),
    // Billet's own: versioned by its path.
    Route::new(Get, "/billet/v1/nodes/{node}/events", "billet:node:events", handler!(events::list)),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Audience, Found};

    fn example(path: &str) -> Vec<String> {
        path.split('/').filter(|part| !part.is_empty()).map(|part| part.replace(['{', '}'], "")).collect()
    }

    #[test]
    fn every_row_is_reached_by_its_own_path() {
        for route in ROUTES {
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
        let public: Vec<_> = ROUTES.iter().filter(|route| route.public).map(|route| route.path).collect();
        assert_eq!(public, ["/", "/v1", "/healthcheck", "/v1/lookup", "/v1/heartbeat/{node}"]);
    }

    #[test]
    fn ramdisks_reach_only_public_routes() {
        assert!(ROUTES.iter().filter(|route| route.ramdisk).all(|route| route.public));
        let nodes = example("/v1/nodes");
        assert!(matches!(TABLE.find(Some(Get), &nodes, Audience::Ramdisk), Found::Nothing));
        assert!(matches!(TABLE.find(Some(Put), &nodes, Audience::Operator), Found::OtherMethod(_)));
    }
}
