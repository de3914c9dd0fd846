//! Every rule, with Ironic's defaults (`ironic/common/policy.py`), and Billet's own few.
//!
//! The table is sorted by name. `who_may.txt` beside this file says of each rule whom Ironic's own engine admits; the tests compare.

use super::Check::{self, AdminProject, All, Any, Everybody, Has, LegacyProject, Of, ServiceProject, System};
use super::Part::{AllocationOwner, NodeLessee, NodeOwner, RunbookOwner};
use super::Role::{Admin, BaremetalAdmin, Manager, Member, Reader, Service};
use super::Rule;

// Scope system, or the cloud's own services.
const ELEVATED_SERVICE: Check = All(&[Has(Service), ServiceProject]);
const SYSTEM_ADMIN: Check = All(&[Has(Admin), System]);
const SYSTEM_SERVICE: Check = All(&[Has(Service), System]);
const SYSTEM_MEMBER: Check = Any(&[All(&[Has(Member), System]), ELEVATED_SERVICE]);
const SYSTEM_READER: Check = Any(&[All(&[Has(Reader), System]), SYSTEM_SERVICE, ELEVATED_SERVICE]);

// Projects, by what a node is to them.
const OWNER_ADMIN: Check = All(&[Has(Admin), Of(NodeOwner)]);
const OWNER_MANAGER: Check = All(&[Has(Manager), Of(NodeOwner)]);
const OWNER_MEMBER: Check = All(&[Has(Member), Of(NodeOwner)]);
const OWNER_READER: Check = All(&[Has(Reader), Of(NodeOwner)]);
const OWNER_SERVICE: Check = All(&[Has(Service), Of(NodeOwner)]);
const LESSEE_ADMIN: Check = All(&[Has(Admin), Of(NodeLessee)]);
const LESSEE_MANAGER: Check = All(&[Has(Manager), Of(NodeLessee)]);
const PROJECT_MEMBER: Check = All(&[Has(Member), Any(&[Of(NodeOwner), Of(NodeLessee)])]);
const PROJECT_READER: Check = All(&[Has(Reader), Any(&[Of(NodeOwner), Of(NodeLessee)])]);

// Compositions that many rules share; the names are Ironic's.
const SYSTEM_OR_PROJECT_MEMBER: Check = Any(&[SYSTEM_MEMBER, PROJECT_MEMBER, SYSTEM_SERVICE]);
const SYSTEM_OR_PROJECT_READER: Check = Any(&[SYSTEM_READER, PROJECT_READER, OWNER_SERVICE]);
const SYSTEM_OR_OWNER_READER: Check = Any(&[SYSTEM_READER, OWNER_READER, OWNER_SERVICE]);
const SYSTEM_OR_OWNER_MEMBER_AND_LESSEE_ADMIN: Check =
    Any(&[SYSTEM_MEMBER, SYSTEM_SERVICE, OWNER_MEMBER, LESSEE_ADMIN, LESSEE_MANAGER, OWNER_SERVICE]);
const SYSTEM_ADMIN_OR_OWNER_ADMIN: Check =
    Any(&[SYSTEM_ADMIN, SYSTEM_SERVICE, OWNER_ADMIN, OWNER_MANAGER, OWNER_SERVICE]);
const SYSTEM_MEMBER_OR_OWNER_ADMIN: Check =
    Any(&[SYSTEM_MEMBER, SYSTEM_SERVICE, OWNER_ADMIN, OWNER_MANAGER, OWNER_SERVICE]);
const SYSTEM_MEMBER_OR_OWNER_MEMBER: Check =
    Any(&[SYSTEM_MEMBER, SYSTEM_SERVICE, OWNER_MEMBER, OWNER_SERVICE]);
const SYSTEM_MEMBER_OR_OWNER_LESSEE_ADMIN: Check = Any(&[
    SYSTEM_MEMBER,
    SYSTEM_SERVICE,
    OWNER_ADMIN,
    OWNER_MANAGER,
    LESSEE_ADMIN,
    LESSEE_MANAGER,
    OWNER_SERVICE,
]);
const ALLOCATION_MEMBER: Check = Any(&[SYSTEM_MEMBER, All(&[Has(Member), Of(AllocationOwner)])]);
const ALLOCATION_READER: Check = Any(&[SYSTEM_READER, All(&[Has(Reader), Of(AllocationOwner)])]);
const ALLOCATION_CREATOR: Check = Any(&[SYSTEM_MEMBER, Has(Member)]);
const RUNBOOK_ADMIN: Check = Any(&[SYSTEM_MEMBER, All(&[Has(Manager), Of(RunbookOwner)]), Has(Service)]);
const RUNBOOK_READER: Check = Any(&[SYSTEM_READER, All(&[Has(Reader), Of(RunbookOwner)]), Has(Service)]);
const RUNBOOK_CREATOR: Check = Any(&[SYSTEM_MEMBER, Has(Manager), Has(Service)]);
const API_READER: Check = Any(&[Has(Reader), Has(Service)]);
const TARGET_PROPERTIES_READER: Check = Any(&[SYSTEM_READER, Has(Admin)]);

const fn rule(name: &'static str, check: Check) -> Rule {
    Rule { name, check, system_only: false }
}

const fn system_only(name: &'static str, check: Check) -> Rule {
    Rule { name, check, system_only: true }
}

/// Every rule, sorted by name.
pub static RULES: &[Rule] = &[
    rule("baremetal:allocation:create", ALLOCATION_CREATOR),
    rule(
        "baremetal:allocation:create_pre_rbac",
        Any(&[All(&[LegacyProject, Has(BaremetalAdmin)]), All(&[AdminProject, Has(Admin)])]),
    ),
    rule("baremetal:allocation:create_restricted", SYSTEM_MEMBER),
    rule("baremetal:allocation:delete", ALLOCATION_MEMBER),
    rule("baremetal:allocation:get", ALLOCATION_READER),
    rule("baremetal:allocation:list", API_READER),
    rule("baremetal:allocation:list_all", SYSTEM_READER),
    rule("baremetal:allocation:update", ALLOCATION_MEMBER),
    system_only("baremetal:chassis:create", SYSTEM_ADMIN),
    system_only("baremetal:chassis:delete", SYSTEM_ADMIN),
    system_only("baremetal:chassis:get", SYSTEM_READER),
    system_only("baremetal:chassis:update", SYSTEM_MEMBER),
    rule("baremetal:conductor:get", SYSTEM_READER),
    rule("baremetal:deploy_template:create", SYSTEM_ADMIN),
    rule("baremetal:deploy_template:delete", SYSTEM_ADMIN),
    rule("baremetal:deploy_template:get", SYSTEM_READER),
    rule("baremetal:deploy_template:update", SYSTEM_ADMIN),
    system_only("baremetal:driver:get", SYSTEM_READER),
    system_only("baremetal:driver:get_properties", SYSTEM_READER),
    system_only("baremetal:driver:get_raid_logical_disk_properties", SYSTEM_READER),
    rule("baremetal:driver:ipa_continue_inspection", Everybody),
    rule("baremetal:driver:ipa_lookup", Everybody),
    system_only("baremetal:driver:vendor_passthru", SYSTEM_ADMIN),
    system_only("baremetal:events:post", SYSTEM_ADMIN),
    rule("baremetal:inspection_rule:create", SYSTEM_ADMIN),
    rule("baremetal:inspection_rule:delete", SYSTEM_ADMIN),
    rule("baremetal:inspection_rule:get", SYSTEM_READER),
    rule("baremetal:inspection_rule:list_all", SYSTEM_READER),
    rule("baremetal:inspection_rule:update", SYSTEM_ADMIN),
    rule("baremetal:node:bios:get", SYSTEM_OR_PROJECT_READER),
    rule("baremetal:node:clear_maintenance", SYSTEM_OR_OWNER_MEMBER_AND_LESSEE_ADMIN),
    rule("baremetal:node:create", Any(&[SYSTEM_ADMIN, SYSTEM_SERVICE])),
    rule("baremetal:node:create:self_owned_node", Any(&[Has(Admin), Has(Service)])),
    rule("baremetal:node:delete", SYSTEM_ADMIN),
    rule("baremetal:node:delete:self_owned_node", OWNER_ADMIN),
    rule("baremetal:node:disable_cleaning", SYSTEM_ADMIN),
    rule("baremetal:node:firmware:get", SYSTEM_OR_PROJECT_READER),
    rule("baremetal:node:get", SYSTEM_OR_PROJECT_READER),
    rule("baremetal:node:get:driver_info", SYSTEM_OR_OWNER_READER),
    rule("baremetal:node:get:driver_internal_info", SYSTEM_OR_OWNER_READER),
    rule("baremetal:node:get:filter_threshold", SYSTEM_READER),
    rule("baremetal:node:get:last_error", SYSTEM_OR_OWNER_READER),
    rule("baremetal:node:get:reservation", SYSTEM_OR_OWNER_READER),
    rule("baremetal:node:get_boot_device", SYSTEM_MEMBER_OR_OWNER_ADMIN),
    rule("baremetal:node:get_console", SYSTEM_MEMBER_OR_OWNER_MEMBER),
    rule("baremetal:node:get_indicator_state", SYSTEM_OR_PROJECT_READER),
    rule("baremetal:node:get_states", SYSTEM_OR_PROJECT_READER),
    rule("baremetal:node:history:get", SYSTEM_OR_OWNER_READER),
    rule("baremetal:node:inject_nmi", SYSTEM_MEMBER_OR_OWNER_ADMIN),
    rule("baremetal:node:inventory:get", SYSTEM_OR_OWNER_READER),
    rule("baremetal:node:ipa_heartbeat", Everybody),
    rule("baremetal:node:list", API_READER),
    rule("baremetal:node:list_all", SYSTEM_READER),
    rule("baremetal:node:set_boot_device", SYSTEM_MEMBER_OR_OWNER_ADMIN),
    rule("baremetal:node:set_boot_mode", SYSTEM_OR_PROJECT_MEMBER),
    rule("baremetal:node:set_console_state", SYSTEM_MEMBER_OR_OWNER_MEMBER),
    rule("baremetal:node:set_indicator_state", SYSTEM_MEMBER_OR_OWNER_MEMBER),
    rule("baremetal:node:set_maintenance", SYSTEM_OR_OWNER_MEMBER_AND_LESSEE_ADMIN),
    rule("baremetal:node:set_power_state", SYSTEM_OR_PROJECT_MEMBER),
    rule("baremetal:node:set_provision_state", SYSTEM_OR_OWNER_MEMBER_AND_LESSEE_ADMIN),
    rule("baremetal:node:set_provision_state:clean_steps", SYSTEM_OR_OWNER_MEMBER_AND_LESSEE_ADMIN),
    rule("baremetal:node:set_provision_state:service_steps", SYSTEM_OR_OWNER_MEMBER_AND_LESSEE_ADMIN),
    rule("baremetal:node:set_raid_state", SYSTEM_MEMBER_OR_OWNER_MEMBER),
    rule("baremetal:node:set_secure_boot", SYSTEM_OR_PROJECT_MEMBER),
    rule("baremetal:node:traits:delete", SYSTEM_MEMBER_OR_OWNER_ADMIN),
    rule("baremetal:node:traits:list", SYSTEM_OR_PROJECT_READER),
    rule("baremetal:node:traits:set", SYSTEM_MEMBER_OR_OWNER_ADMIN),
    rule("baremetal:node:update", SYSTEM_OR_PROJECT_MEMBER),
    rule("baremetal:node:update:chassis_uuid", SYSTEM_ADMIN),
    rule("baremetal:node:update:conductor_group", SYSTEM_MEMBER),
    rule("baremetal:node:update:disable_power_off", SYSTEM_ADMIN),
    rule("baremetal:node:update:driver_info", SYSTEM_MEMBER_OR_OWNER_MEMBER),
    rule("baremetal:node:update:driver_interfaces", SYSTEM_MEMBER_OR_OWNER_ADMIN),
    rule("baremetal:node:update:instance_uuid", SYSTEM_MEMBER_OR_OWNER_MEMBER),
    rule("baremetal:node:update:lessee", SYSTEM_MEMBER_OR_OWNER_MEMBER),
    rule("baremetal:node:update:name", SYSTEM_MEMBER_OR_OWNER_MEMBER),
    rule("baremetal:node:update:network_data", SYSTEM_MEMBER_OR_OWNER_MEMBER),
    rule("baremetal:node:update:owner", SYSTEM_MEMBER),
    rule("baremetal:node:update:parent_node", SYSTEM_MEMBER),
    rule("baremetal:node:update:properties", SYSTEM_MEMBER_OR_OWNER_MEMBER),
    rule("baremetal:node:update:retired", SYSTEM_MEMBER_OR_OWNER_MEMBER),
    rule("baremetal:node:update:shard", SYSTEM_ADMIN),
    rule("baremetal:node:update_extra", SYSTEM_OR_PROJECT_MEMBER),
    rule("baremetal:node:update_instance_info", SYSTEM_OR_OWNER_MEMBER_AND_LESSEE_ADMIN),
    system_only("baremetal:node:update_owner_provisioned", SYSTEM_ADMIN),
    rule("baremetal:node:validate", SYSTEM_OR_OWNER_MEMBER_AND_LESSEE_ADMIN),
    rule("baremetal:node:vendor_passthru", SYSTEM_ADMIN),
    rule("baremetal:node:vif:attach", SYSTEM_OR_OWNER_MEMBER_AND_LESSEE_ADMIN),
    rule("baremetal:node:vif:detach", SYSTEM_OR_OWNER_MEMBER_AND_LESSEE_ADMIN),
    rule("baremetal:node:vif:list", SYSTEM_OR_PROJECT_READER),
    rule("baremetal:node:vmedia:attach", SYSTEM_OR_PROJECT_MEMBER),
    rule("baremetal:node:vmedia:detach", SYSTEM_OR_PROJECT_MEMBER),
    rule("baremetal:node:vmedia:get", SYSTEM_OR_PROJECT_READER),
    rule("baremetal:port:create", SYSTEM_ADMIN_OR_OWNER_ADMIN),
    rule("baremetal:port:delete", SYSTEM_ADMIN_OR_OWNER_ADMIN),
    rule("baremetal:port:get", SYSTEM_OR_PROJECT_READER),
    rule("baremetal:port:list", API_READER),
    rule("baremetal:port:list_all", SYSTEM_READER),
    rule("baremetal:port:update", SYSTEM_MEMBER_OR_OWNER_ADMIN),
    rule("baremetal:portgroup:create", SYSTEM_ADMIN_OR_OWNER_ADMIN),
    rule("baremetal:portgroup:delete", SYSTEM_ADMIN_OR_OWNER_ADMIN),
    rule("baremetal:portgroup:get", SYSTEM_OR_PROJECT_READER),
    rule("baremetal:portgroup:list", API_READER),
    rule("baremetal:portgroup:list_all", SYSTEM_READER),
    rule("baremetal:portgroup:update", SYSTEM_MEMBER_OR_OWNER_ADMIN),
    rule("baremetal:runbook:create", RUNBOOK_CREATOR),
    rule("baremetal:runbook:delete", RUNBOOK_ADMIN),
    rule("baremetal:runbook:get", RUNBOOK_READER),
    rule("baremetal:runbook:list", API_READER),
    rule("baremetal:runbook:list_all", SYSTEM_READER),
    rule("baremetal:runbook:update", RUNBOOK_ADMIN),
    rule("baremetal:runbook:update:owner", SYSTEM_MEMBER),
    rule("baremetal:runbook:update:public", SYSTEM_MEMBER),
    rule("baremetal:runbook:use", RUNBOOK_ADMIN),
    rule("baremetal:shards:get", SYSTEM_READER),
    rule("baremetal:volume:create", SYSTEM_MEMBER_OR_OWNER_LESSEE_ADMIN),
    rule("baremetal:volume:delete", SYSTEM_MEMBER_OR_OWNER_LESSEE_ADMIN),
    rule("baremetal:volume:get", SYSTEM_OR_PROJECT_READER),
    rule("baremetal:volume:list", API_READER),
    rule("baremetal:volume:list_all", SYSTEM_READER),
    rule("baremetal:volume:update", SYSTEM_OR_OWNER_MEMBER_AND_LESSEE_ADMIN),
    rule("baremetal:volume:view_target_properties", TARGET_PROPERTIES_READER),
    rule("billet:node:events", SYSTEM_OR_OWNER_READER),
    rule("public_api", Everybody),
];

/// The rule of this name.
pub fn find(name: &str) -> Option<&'static Rule> {
    RULES.binary_search_by(|rule| rule.name.cmp(name)).ok().map(|index| &RULES[index])
}
