//! `POST /v1/nodes`, and what creation and change of a node share: its schema, its names, and how a document becomes a node.

use super::chassis;
use super::image_references;
use super::node_fields::since;
use super::nodes::whole;
use super::schema::{ARRAY, BAG, FLAG, OBJECT, Property, STRING, TEXT, check, limited, property};
use crate::args::{boolean, is_node_name, object, parse_uuid, uuid};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::limits::DESCRIPTION_CHARACTERS;
use crate::policy::Target;
use crate::route::Verb::Post;
use crate::route::{Route, Takes};
use crate::wording::repr;
use axum::http::StatusCode;
use model::driver;
use model::event::{EventKind, LogEvent};
use model::node::{InterfaceKind, Interfaces, Node, Object};
use model::state::ProvisionState;
use model::version::{self as v, Microversion};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[Route::new(Post, "/v1/nodes", "baremetal:node:create", handler!(create))
    .own_check()
    .success(StatusCode::CREATED)
    .says("Registers a node.")
    .query(&[])
    .takes(Takes::Object(PROPERTIES, &["driver"]))];

const NETWORK_DATA: &[Property] = &[
    property("links", ARRAY).items(&property("", OBJECT)),
    property("networks", ARRAY).items(&property("", OBJECT)),
    property("services", ARRAY).items(&property("", OBJECT)),
];

/// What a body may carry when a node is created.
pub const PROPERTIES: &[Property] = &[
    property("automated_clean", FLAG),
    property("bios_interface", TEXT),
    property("boot_interface", TEXT),
    property("boot_mode", TEXT),
    property("chassis_uuid", TEXT).format("uuid"),
    property("conductor_group", TEXT),
    property("console_enabled", FLAG),
    property("console_interface", TEXT),
    property("deploy_interface", TEXT),
    limited("description", TEXT, 0, DESCRIPTION_CHARACTERS as usize),
    property("disable_power_off", FLAG),
    property("driver", STRING),
    property("driver_info", BAG),
    property("extra", BAG),
    property("firmware_interface", TEXT),
    property("inspect_interface", TEXT),
    property("instance_info", BAG),
    limited("instance_name", TEXT, 1, 255),
    property("instance_uuid", TEXT).format("uuid"),
    property("lessee", TEXT),
    property("management_interface", TEXT),
    property("maintenance", FLAG),
    property("name", TEXT),
    property("network_data", BAG).keys(NETWORK_DATA, &[]),
    property("network_interface", TEXT),
    property("owner", TEXT),
    limited("parent_node", TEXT, 0, 255),
    property("power_interface", TEXT),
    property("properties", BAG),
    property("raid_interface", TEXT),
    property("rescue_interface", TEXT),
    limited("resource_class", TEXT, 0, 80),
    property("retired", FLAG),
    property("retired_reason", TEXT),
    property("secure_boot", FLAG),
    property("shard", TEXT),
    property("storage_interface", TEXT),
    property("uuid", TEXT).format("uuid"),
    property("vendor_interface", TEXT),
];

/// Words that would hide a node behind another route.
const RESERVED: &[&str] = &[
    "allocation",
    "bios",
    "children",
    "detail",
    "firmware",
    "history",
    "inventory",
    "maintenance",
    "management",
    "portgroups",
    "ports",
    "states",
    "traits",
    "validate",
    "vendor_passthru",
    "vifs",
    "vmedia",
    "volume",
];

/// `POST /v1/nodes`
pub async fn create(call: Call) -> Result<Reply, ApiError> {
    let own_project = check_create(&call)?;
    let body = object("node", call.json()?)?;
    check_network_data("Schema error for node:", body.get("network_data"))?;
    check("node", &body, PROPERTIES, &["driver"])?;
    let now = call.now();
    let own =
        body.get("uuid").filter(|value| !value.is_null()).map(|value| uuid("uuid", value)).transpose()?;
    let mut node = Node::new(own.unwrap_or_else(Uuid::new_v4), String::new(), now);
    apply(&mut node, &body)?;
    refuse_newer(&body, call.version)?;
    if let Some(name) = &node.name {
        check_name(name, call.version, |name| format!("Cannot create node with invalid name '{name}'"))?;
    }
    if !call.version.has(v::ENROLL_STATE) {
        node.provision_state = ProvisionState::Available;
    }
    let settings = &call.state.settings;
    if node.conductor_group.is_empty() {
        node.conductor_group = settings.default_conductor_group.clone();
    }
    check_group(&call, &node)?;
    if node.resource_class.as_deref().is_none_or(str::is_empty) {
        node.resource_class = settings.default_resource_class.clone();
    }
    if let Some(project) = own_project {
        if node.owner.as_ref().is_some_and(|owner| !owner.is_empty() && *owner != project) {
            return Err(ApiError::invalid(
                "Cannot create a node as a project scoped admin with an owner other than your own project.",
            ));
        }
        node.owner = Some(project);
    }
    if let Some(chassis) = node.chassis_uuid {
        chassis::require(&call, chassis).await?;
    }
    if let Some(parent) = body.get("parent_node").filter(|parent| !parent.is_null() && *parent != "") {
        let parent = call.linked_node(node.owner.as_deref(), "parent_node", parent).await?;
        node.parent_node = Some(parent.node.uuid);
    }
    node.interfaces = driver::resolve(
        &node.driver,
        &node.interfaces,
        &settings.drivers,
        &node.conductor_group,
        Some(node.uuid),
    )?;
    let who = call.caller.user.as_deref().unwrap_or("anonymous");
    let event = LogEvent::new(
        Some(node.uuid),
        now,
        EventKind::Request,
        "create",
        format!("driver {}, by {who}", node.driver),
    );
    image_references::check(None, &node, &image_references::usable(&call, &node).await?)?;
    call.state.store.create_node(&node, &[event]).await.map_err(name_node(node.uuid))?;
    let location = call.url(&format!("nodes/{}", node.uuid));
    Ok(whole(&call, &node)?.at(location))
}

/// The refusal of an instance that another node has: it names the node that was to have it.
pub fn name_node<E: Into<ApiError>>(uuid: Uuid) -> impl Fn(E) -> ApiError {
    move |error| {
        let mut error: ApiError = error.into();
        if error.status == StatusCode::CONFLICT && error.text.ends_with("with this other node") {
            error.text = format!("{} {uuid}", error.text);
        }
        error
    }
}

/// Operators create nodes of any owner; admins of a project nodes of that project, which comes back, unless the site forbids it.
fn check_create(call: &Call) -> Result<Option<String>, ApiError> {
    let own = call.state.settings.project_admin_can_manage_own_nodes
        && !call.is_operator()
        && call.may("baremetal:node:create:self_owned_node", &Target::NONE);
    // A token for a domain has no project that a node could belong to.
    match call.project().filter(|_| own) {
        Some(project) => Ok(Some(project.to_owned())),
        None => call.check("baremetal:node:create", &Target::NONE).map(|()| None),
    }
}

/// Is there a conductor for the node's group?
pub fn check_group(call: &Call, node: &Node) -> Result<(), ApiError> {
    if call.state.conductor.share().is_served(&node.conductor_group, &node.driver) {
        return Ok(());
    }
    let group: String = node.conductor_group.chars().take(crate::limits::QUOTED_CHARACTERS).collect();
    Err(driver::InterfaceError::Driver { driver: node.driver.clone(), group }.into())
}

/// Refuses fields that the microversion doesn't have. `name: null` has always been let through.
fn refuse_newer(body: &Map<String, Value>, version: Microversion) -> Result<(), ApiError> {
    for (key, value) in body {
        let empty = value.is_null() || (key == "conductor_group" && value == "");
        if !empty && since(key).is_some_and(|since| !version.has(since)) {
            return Err(ApiError::not_acceptable());
        }
    }
    Ok(())
}

/// May a node be called so?
pub fn check_name(
    name: &str,
    version: Microversion,
    refusal: impl Fn(&str) -> String,
) -> Result<(), ApiError> {
    if !version.has(v::NODE_NAME) {
        return Err(ApiError::not_acceptable());
    }
    if !is_node_name(name, version) || parse_uuid(name).is_some() {
        let shown: String = name.chars().take(crate::limits::QUOTED_CHARACTERS).collect();
        return Err(ApiError::invalid(refusal(&shown)));
    }
    if RESERVED.contains(&name) {
        return Err(ApiError::invalid(format!(
            "The word \"{name}\" is reserved and can not be used as a node name. Reserved words are: {}.",
            RESERVED.join(", ")
        )));
    }
    Ok(())
}

/// `network_data` is an object of lists: `links`, `networks`, `services`.
///
/// `prefix` begins the refusal.
pub fn check_network_data(prefix: &str, value: Option<&Value>) -> Result<(), ApiError> {
    let Some(value) = value else { return Ok(()) };
    let fits = match value {
        Value::Null => true,
        Value::Object(map) => map.iter().all(|(key, list)| {
            matches!(key.as_str(), "links" | "networks" | "services")
                && list.as_array().is_some_and(|list| list.iter().all(Value::is_object))
        }),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "{prefix} {shown} is not valid under any of the given schemas. Possible root cause: {shown} is not of \
         type 'null'. network_data has the lists \"links\", \"networks\" and \"services\".",
        shown = repr(value)
    )))
}

/// Writes a checked document into a node. Keys that are absent leave the node as it is; `null` is the field's default.
///
/// `uuid`, `parent_node` and the microversion are the caller's.
pub fn apply(node: &mut Node, body: &Map<String, Value>) -> Result<(), ApiError> {
    for (key, value) in body {
        match key.as_str() {
            "automated_clean" => node.automated_clean = maybe(key, value, boolean)?,
            "boot_mode" => node.boot_mode = text(value),
            "chassis_uuid" => node.chassis_uuid = maybe(key, value, uuid)?,
            "conductor_group" => node.conductor_group = text(value).unwrap_or_default().to_lowercase(),
            "console_enabled" => node.console_enabled = maybe(key, value, boolean)?.unwrap_or(false),
            "description" => node.description = text(value),
            "disable_power_off" => node.disable_power_off = maybe(key, value, boolean)?.unwrap_or(false),
            "driver" => node.driver = text(value).unwrap_or_default(),
            "driver_info" => node.driver_info = bag(value),
            "extra" => node.extra = bag(value),
            "instance_info" => node.instance_info = bag(value),
            "instance_name" => node.instance_name = text(value),
            "instance_uuid" => node.instance_uuid = maybe(key, value, uuid)?.map(|uuid| uuid.to_string()),
            "lessee" => node.lessee = text(value),
            "maintenance" => node.maintenance = maybe(key, value, boolean)?.unwrap_or(false),
            "name" => node.name = text(value),
            "network_data" => node.network_data = bag(value),
            "owner" => node.owner = text(value),
            "properties" => node.properties = bag(value),
            "protected" => node.protected = maybe(key, value, boolean)?.unwrap_or(false),
            "protected_reason" => node.protected_reason = text(value),
            "resource_class" => node.resource_class = text(value),
            "retired" => node.retired = maybe(key, value, boolean)?.unwrap_or(false),
            "retired_reason" => node.retired_reason = text(value),
            "secure_boot" => node.secure_boot = maybe(key, value, boolean)?,
            "shard" => node.shard = text(value),
            _ => {}
        }
    }
    node.interfaces = interfaces(&node.interfaces, body);
    Ok(())
}

/// The interfaces that a document chooses; `null` unsets one, an absent key leaves it.
fn interfaces(stored: &Interfaces, body: &Map<String, Value>) -> Interfaces {
    let mut chosen = Interfaces::default();
    for kind in InterfaceKind::ALL.iter().copied() {
        let name = match body.get(&format!("{kind}_interface")) {
            Some(value) => value.as_str(),
            None => stored.get(kind),
        };
        if let Some(name) = name {
            chosen.set(kind, name);
        }
    }
    chosen
}

fn maybe<T>(
    key: &str,
    value: &Value,
    read: impl Fn(&str, &Value) -> Result<T, ApiError>,
) -> Result<Option<T>, ApiError> {
    if value.is_null() { Ok(None) } else { read(key, value).map(Some) }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn bag(value: &Value) -> Object {
    value.as_object().cloned().unwrap_or_default()
}
