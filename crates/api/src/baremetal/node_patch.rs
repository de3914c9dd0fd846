//! `PATCH /v1/nodes/{node}`: a JSON patch of the node's document, and the rules by state that guard it.

use super::chassis;
use super::fields::{Masked, keep_masked, masked_instance_info};
use super::image_references;
use super::node_create::{PROPERTIES, apply, check_group, check_name, check_network_data, name_node};
use super::node_fields::{interface, since};
use super::node_rules::check_patch;
use super::nodes::whole;
use super::patch::{self, Kind, Operation};
use super::schema::{FLAG, Property, TEXT, check, property};
use crate::args::parse_uuid;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::limits::DESCRIPTION_CHARACTERS;
use crate::policy::Target;
use crate::route::Verb::Patch;
use crate::route::{Route, Takes};
use crate::wording::repr;
use model::allocation::Allocation;
use model::driver::{self, Enabled};
use model::event::{EventKind, LogEvent};
use model::node::{InterfaceKind, Interfaces, Node};
use model::state::ProvisionState as S;
use model::version::{self as v, Microversion};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] =
    &[Route::new(Patch, "/v1/nodes/{node}", "baremetal:node:update", handler!(patch))
        .own_check()
        .says("Changes a node.")
        .query(&["reset_interfaces"])
        .query_since(&[("reset_interfaces", v::RESET_INTERFACES)])
        .takes(Takes::Patch(PATCHABLE))];

/// Attributes that a patch may change, in the order in which refusals list them.
pub(super) const PATCHABLE: &[&str] = &[
    "automated_clean",
    "bios_interface",
    "boot_interface",
    "chassis_uuid",
    "conductor_group",
    "console_interface",
    "deploy_interface",
    "description",
    "disable_power_off",
    "driver",
    "driver_info",
    "extra",
    "inspect_interface",
    "instance_info",
    "instance_name",
    "instance_uuid",
    "lessee",
    "maintenance",
    "management_interface",
    "name",
    "network_data",
    "network_interface",
    "owner",
    "power_interface",
    "properties",
    "protected",
    "protected_reason",
    "raid_interface",
    "rescue_interface",
    "resource_class",
    "retired",
    "retired_reason",
    "shard",
    "storage_interface",
    "vendor_interface",
    "parent_node",
    "firmware_interface",
];

/// States in which interfaces and resource class may be changed.
const REFIT_ALLOWED: &[S] = &[S::Enroll, S::Inspecting, S::InspectWait, S::Manageable, S::Available];

/// `PATCH /v1/nodes/{node}`
pub async fn patch(call: Call) -> Result<Reply, ApiError> {
    let reset = call.query.boolean("reset_interfaces")?;
    if reset.is_some() && !call.version.has(v::RESET_INTERFACES) {
        return Err(ApiError::not_acceptable());
    }
    let reset = reset.unwrap_or(false);
    let operations = patch::read(call.json()?, call.version)?;
    check_operations(&operations, call.version, reset)?;
    let row = call.node().await?;
    let ident = call.parameter("node");
    check_patch(&call, &row.node, &operations)?;
    check_state(&row.node, &operations, ident, call.version)?;
    check_owner(&call, &row.node, &operations).await?;
    // What can't be done yields no images; it is refused below, on the node as it is then.
    let images = match changed(&row.node, &operations) {
        Ok(after) => image_references::usable(&call, &after).await?,
        Err(_) => BTreeSet::new(),
    };
    for operation in of(&operations, "name") {
        let refusal = |name: &str| format!("Node {ident}: Cannot change name to invalid name '{name}'");
        match &operation.value {
            Some(Value::String(name)) => check_name(name, call.version, refusal)?,
            Some(other) => return Err(ApiError::invalid(refusal(&repr(other)))),
            None => {}
        }
    }
    let parent = parent(&call, &row.node, &operations).await?;
    let chassis = of(&operations, "chassis_uuid").last().and_then(|operation| operation.value.as_ref());
    if let Some(chassis) = chassis.and_then(Value::as_str).and_then(parse_uuid) {
        chassis::require(&call, chassis).await?;
    }
    let now = call.now();
    let who = call.caller.user.as_deref().unwrap_or("anonymous");
    let enabled = &call.state.settings.drivers;
    let uuid = row.node.uuid;
    let node = call
        .edit_node(row, |edit| {
            let before = &edit.node;
            // Once more, on what is changed: it may have got another owner meanwhile.
            check_patch(&call, before, &operations)?;
            check_state(before, &operations, ident, call.version)?;
            let mut after = changed(before, &operations)?;
            if let Some(parent) = parent {
                after.parent_node = parent;
            }
            check_change(before, &mut after, call.version, ident)?;
            if before.conductor_group != after.conductor_group {
                check_group(&call, &after)?;
            }
            refit(before, &mut after, enabled, reset)?;
            image_references::check(Some(before), &after, &images)?;
            if after != *before {
                let paths: Vec<_> =
                    operations.iter().map(|operation| operation.path.as_str()).take(20).collect();
                edit.events.push(LogEvent::new(
                    Some(after.uuid),
                    now,
                    EventKind::Request,
                    "update",
                    format!("{}, by {who}", paths.join(" ")),
                ));
            }
            edit.node = after;
            Ok(())
        })
        .await
        .map_err(name_node(uuid))?;
    whole(&call, &node)
}

/// The operations that set an attribute as a whole.
fn of<'a>(operations: &'a [Operation], root: &'a str) -> impl Iterator<Item = &'a Operation> {
    operations.iter().filter(move |operation| operation.is_of(root) && operation.kind != Kind::Remove)
}

/// What can be refused without looking at the node.
fn check_operations(operations: &[Operation], version: Microversion, reset: bool) -> Result<(), ApiError> {
    patch::only(operations, PATCHABLE)?;
    let newer = |operation: &Operation| since(operation.root()).is_some_and(|since| !version.has(since));
    if operations.iter().any(|operation| operation.kind != Kind::Remove && newer(operation)) {
        return Err(ApiError::not_acceptable());
    }
    if reset && of(operations, "driver").next().is_none() {
        return Err(ApiError::invalid(
            "The reset_interfaces parameter can only be used when changing the node's driver.",
        ));
    }
    for operation in of(operations, "description") {
        let length = operation.value.as_ref().and_then(Value::as_str).map_or(0, |text| text.chars().count());
        if length > DESCRIPTION_CHARACTERS as usize {
            return Err(ApiError::invalid(format!(
                "Cannot update node with description exceeding {DESCRIPTION_CHARACTERS} characters"
            )));
        }
    }
    for operation in of(operations, "network_data") {
        match &operation.value {
            Some(value @ Value::Object(_)) => check_network_data("Invalid network_data:", Some(value))?,
            Some(other) => {
                return Err(ApiError::invalid(format!(
                    "Invalid network_data: {} is not of type 'object' ",
                    repr(other)
                )));
            }
            None => {}
        }
    }
    Ok(())
}

/// May the node be changed in its state at all?
fn check_state(
    node: &Node,
    operations: &[Operation],
    ident: &str,
    version: Microversion,
) -> Result<(), ApiError> {
    let frees_instance =
        matches!(operations, [one] if one.kind == Kind::Remove && one.is_of("instance_uuid"));
    if node.maintenance && frees_instance {
        return Ok(());
    }
    if node.target_provision_state.is_some() && !node.provision_state.allows_update() {
        return Err(ApiError::conflict(format!(
            "Node {ident} can not be updated while a state transition is in progress."
        )));
    }
    if node.provision_state == S::Inspecting && version.has(v::INSPECT_WAIT) {
        return Err(ApiError::conflict(format!(
            "Cannot update node \"{}\" while it is in state \"{}\".",
            node.uuid, node.provision_state
        )));
    }
    Ok(())
}

/// Whose an active node is only an operator changes, and nobody while its allocation is somebody's.
async fn check_owner(call: &Call, node: &Node, operations: &[Operation]) -> Result<(), ApiError> {
    if of(operations, "owner").next().is_none() {
        return Ok(());
    }
    if let Some(allocation) = node.allocation_uuid {
        let found = call.state.store.get::<Allocation>(&allocation.to_string()).await;
        if found.is_ok_and(|allocation| allocation.owner.is_some()) {
            return Err(ApiError::conflict(format!(
                "Cannot update owner of node \"{}\" while it is allocated to an allocation with an  owner.",
                node.uuid
            )));
        }
    }
    if node.provision_state == S::Active
        && !call.may("baremetal:node:update_owner_provisioned", &Target::node(node))
    {
        return Err(ApiError::conflict(format!(
            "Cannot update owner of node \"{}\" while it is in state \"{}\".",
            node.uuid, node.provision_state
        )));
    }
    Ok(())
}

/// The parent that a patch sets: `Some(None)` where it removes it.
async fn parent(
    call: &Call,
    node: &Node,
    operations: &[Operation],
) -> Result<Option<Option<Uuid>>, ApiError> {
    let Some(last) = operations.iter().rfind(|operation| operation.is_of("parent_node")) else {
        return Ok(None);
    };
    if last.kind == Kind::Remove {
        return Ok(Some(None));
    }
    match &last.value {
        None | Some(Value::Null) => Ok(Some(None)),
        Some(value) => {
            let row = call.linked_node(node.owner.as_deref(), "parent_node", value).await?;
            Ok(Some(Some(row.node.uuid)))
        }
    }
}

/// The attributes that a patch may change, as a document. Secrets are masked: so a refusal can't quote one.
fn document(node: &Node) -> Map<String, Value> {
    let mut map = Map::new();
    for name in PATCHABLE {
        let value = match *name {
            "automated_clean" => json!(node.automated_clean),
            "chassis_uuid" => json!(node.chassis_uuid),
            "conductor_group" => json!(node.conductor_group),
            "description" => json!(node.description),
            "disable_power_off" => json!(node.disable_power_off),
            "driver" => json!(node.driver),
            "driver_info" => json!(Masked(&node.driver_info)),
            "extra" => json!(node.extra),
            "instance_info" => masked_instance_info(&node.instance_info),
            "instance_name" => json!(node.instance_name),
            "instance_uuid" => json!(node.instance_uuid),
            "lessee" => json!(node.lessee),
            "maintenance" => json!(node.maintenance),
            "name" => json!(node.name),
            "network_data" => json!(node.network_data),
            "owner" => json!(node.owner),
            "parent_node" => json!(node.parent_node),
            "properties" => json!(node.properties),
            "protected" => json!(node.protected),
            "protected_reason" => json!(node.protected_reason),
            "resource_class" => json!(node.resource_class),
            "retired" => json!(node.retired),
            "retired_reason" => json!(node.retired_reason),
            "shard" => json!(node.shard),
            other => json!(interface(other).and_then(|kind| node.interfaces.get(kind))),
        };
        map.insert((*name).to_owned(), value);
    }
    map
}

/// The node after the patch, checked by schema. A root attribute that was removed goes back to its default.
fn changed(before: &Node, operations: &[Operation]) -> Result<Node, ApiError> {
    let mut document = document(before);
    patch::apply(&mut document, operations)?;
    let properties =
        [PROPERTIES, &[property("protected", FLAG), property("protected_reason", TEXT)] as &[Property]]
            .concat();
    check("patch", &document, &properties, &["driver"])?;
    for name in PATCHABLE {
        document.entry(*name).or_insert(Value::Null);
    }
    let mut after = before.clone();
    apply(&mut after, &document)?;
    keep_masked(&mut after.driver_info, &before.driver_info);
    keep_masked(&mut after.instance_info, &before.instance_info);
    Ok(after)
}

/// Rules over what was and what shall be.
fn check_change(before: &Node, after: &mut Node, version: Microversion, ident: &str) -> Result<(), ApiError> {
    let uuid = before.uuid;
    let state = before.provision_state;
    if before.chassis_uuid.is_some() && after.chassis_uuid.is_none() && !version.has(v::UNSET_CHASSIS) {
        return Err(ApiError::not_acceptable());
    }
    if before.driver != after.driver && before.console_enabled {
        return Err(ApiError::conflict(format!(
            "Node {ident} can not update the driver while the console is enabled. Please stop the console first."
        )));
    }
    if before.instance_info != after.instance_info
        && after.instance_name.is_none()
        && let Some(Value::String(name)) = after.instance_info.get("display_name")
    {
        after.instance_name = Some(name.clone()).filter(|name| !name.is_empty());
    }
    if before.maintenance && !after.maintenance {
        after.maintenance_reason = None;
        after.fault = None;
    }
    if before.protected != after.protected {
        if !after.protected {
            after.protected_reason = None;
        } else if !matches!(state, S::Active | S::Rescue) {
            return Err(ApiError::conflict(format!(
                "Node {uuid} can only be made protected in provision states 'active' or 'rescue', the current state is '{state}'"
            )));
        }
    }
    if before.protected_reason != after.protected_reason
        && is_given(&after.protected_reason)
        && !after.protected
    {
        return Err(ApiError::invalid("The protected_reason field can only be set when protected is True"));
    }
    if before.retired != after.retired {
        if !after.retired {
            after.retired_reason = None;
        } else if state == S::Available {
            return Err(ApiError::conflict(format!(
                "Node {uuid} can not have 'retired' set in provision state 'available', the current state is '{state}'"
            )));
        }
    }
    if before.retired_reason != after.retired_reason && is_given(&after.retired_reason) && !after.retired {
        return Err(ApiError::invalid("The retired_reason field can only be set when retired is True"));
    }
    if let (Some(was), Some(new)) = (&before.instance_uuid, &after.instance_uuid)
        && was != new
    {
        return Err(ApiError::conflict(format!("Node {uuid} is associated with instance {was}.")));
    }
    if before.allocation_uuid.is_some()
        && before.instance_uuid.is_some()
        && after.instance_uuid.is_none()
        && !before.maintenance
        && !REFIT_ALLOWED.contains(&state)
    {
        return Err(ApiError::conflict(format!(
            "Node {uuid} with an allocation can not have instance_uuid removed unless it is in one of allowed ({}) states or in \
             maintenance mode. Current state is '{state}'.",
            refit_states()
        )));
    }
    if before.resource_class != after.resource_class
        && before.resource_class.is_some()
        && !REFIT_ALLOWED.contains(&state)
    {
        return Err(ApiError::conflict(format!(
            "Node {uuid} can not have resource_class updated unless it is in one of allowed ({}) states. \
             Current state is '{state}'.",
            refit_states()
        )));
    }
    Ok(())
}

fn is_given(reason: &Option<String>) -> bool {
    reason.as_deref().is_some_and(|reason| !reason.is_empty())
}

fn refit_states() -> String {
    REFIT_ALLOWED.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(", ")
}

/// Gives the node its interfaces anew where the driver or one of them changed.
fn refit(before: &Node, after: &mut Node, enabled: &Enabled, reset: bool) -> Result<(), ApiError> {
    let new_driver = before.driver != after.driver;
    let mut changed = new_driver;
    let mut chosen = Interfaces::default();
    for kind in InterfaceKind::ALL.iter().copied() {
        let (was, is) = (before.interfaces.get(kind), after.interfaces.get(kind));
        if was != is {
            if !REFIT_ALLOWED.contains(&before.provision_state) && !after.maintenance {
                return Err(ApiError::conflict(format!(
                    "Node {} can not have {kind}_interface updated unless it is in one of allowed ({}) states or in maintenance \
                     mode. Current state is '{}'.",
                    before.uuid,
                    refit_states(),
                    before.provision_state
                )));
            }
            changed = true;
        }
        // With a new driver and a reset only what the patch itself sets stays.
        if let Some(name) = is
            && (was != Some(name) || !(new_driver && reset))
        {
            chosen.set(kind, name);
        }
    }
    if changed || before.conductor_group != after.conductor_group {
        after.interfaces =
            driver::resolve(&after.driver, &chosen, enabled, &after.conductor_group, Some(after.uuid))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use model::secret::MASK;

    fn operations(patch: Value) -> Vec<Operation> {
        patch::read(patch, Microversion::MAX).unwrap()
    }

    fn node() -> Node {
        let mut node = Node::new(Uuid::nil(), "ipmi", Timestamp::UNIX_EPOCH);
        node.interfaces =
            driver::resolve("ipmi", &Interfaces::default(), &Enabled::default(), "", None).unwrap();
        node.driver_info.insert("ipmi_password".into(), "s3cr3t".into());
        node.driver_info.insert("ipmi_address".into(), "a".into());
        node
    }

    #[test]
    fn the_document_has_every_patchable_attribute_and_a_schema_for_each() {
        let document = document(&node());
        assert_eq!(document.len(), PATCHABLE.len());
        for name in PATCHABLE {
            let known = PROPERTIES.iter().any(|property| property.name == *name);
            assert!(known || name.starts_with("protected"), "{name}");
        }
    }

    #[test]
    fn an_empty_patch_changes_nothing_and_keeps_secrets() {
        assert_eq!(changed(&node(), &[]).unwrap(), node());
    }

    #[test]
    fn a_whole_driver_info_written_back_with_its_mask_keeps_the_password() {
        let patch = operations(json!([
            {"op": "replace", "path": "/driver_info", "value": {"ipmi_password": MASK, "ipmi_address": "b"}}
        ]));
        let after = changed(&node(), &patch).unwrap();
        assert_eq!(after.driver_info["ipmi_password"], "s3cr3t");
        assert_eq!(after.driver_info["ipmi_address"], "b");
        let patch = operations(json!([{"op": "add", "path": "/driver_info/ipmi_password", "value": "new"}]));
        assert_eq!(changed(&node(), &patch).unwrap().driver_info["ipmi_password"], "new");
    }

    #[test]
    fn refusals_never_quote_a_stored_secret() {
        for path in ["/driver_info/ipmi_password/x", "/driver_info/x/y"] {
            let patch = operations(json!([{"op": "add", "path": path, "value": 1}]));
            let text = changed(&node(), &patch).unwrap_err().text;
            assert!(!text.contains("s3cr3t"), "{text}");
        }
    }

    #[test]
    fn interfaces_are_resolved_anew_only_where_something_changed() {
        let before = node();
        let mut after =
            changed(&before, &operations(json!([{"op": "remove", "path": "/deploy_interface"}]))).unwrap();
        assert_eq!(after.interfaces.get(InterfaceKind::Deploy), None);
        refit(&before, &mut after, &Enabled::default(), false).unwrap();
        assert_eq!(after.interfaces.get(InterfaceKind::Deploy), Some("autodetect"));
        let mut active = node();
        active.provision_state = S::Active;
        let mut after = changed(
            &active,
            &operations(json!([{"op": "add", "path": "/deploy_interface", "value": "direct"}])),
        )
        .unwrap();
        let refused = refit(&active, &mut after, &Enabled::default(), false).unwrap_err();
        assert_eq!(refused.status, axum::http::StatusCode::CONFLICT);
    }

    #[test]
    fn a_new_driver_with_reset_takes_its_own_interfaces() {
        let enabled = Enabled::with_hardware_types(&["ipmi", driver::FAKE]).unwrap();
        let before = node();
        let patch = operations(json!([{"op": "add", "path": "/driver", "value": driver::FAKE}]));
        let mut after = changed(&before, &patch).unwrap();
        refit(&before, &mut after, &enabled, true).unwrap();
        assert_eq!(after.interfaces.get(InterfaceKind::Power), Some("fake"));
        let mut kept = changed(&before, &patch).unwrap();
        refit(&before, &mut kept, &enabled, false).unwrap();
        assert_eq!(kept.interfaces.get(InterfaceKind::Power), Some("ipmitool"));
    }
}
