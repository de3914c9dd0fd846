//! What answers carry: a schema for each resource, made from its list of fields.

use super::{SINCE, bodies, parameter};
use crate::baremetal::schema::{
    ARRAY, BAG, BOOLEAN, INTEGER, LIST, NULL, NUMBER, OBJECT, Property, STRING, TEXT, property,
};
use crate::baremetal::{Fields, RESOURCES};
use crate::route::{Route, Verb};
use model::node::{Fault, PowerState};
use model::state::ProvisionState;
use model::version::{self as v, BASE, Microversion};
use serde_json::{Map, Value, json};

/// What the schema of a resource is made from: it is named by the last word of the path.
fn resource(route: &Route) -> Option<&'static Fields> {
    let name = collection(route)?;
    // A node has one allocation.
    let name = if name == "allocation" { "allocations" } else { name };
    RESOURCES.iter().find(|resource| resource.collection == name)
}

fn collection(route: &Route) -> Option<&'static str> {
    route.path.split('/').rfind(|segment| parameter(segment).is_none() && *segment != "detail")
}

/// The microversion of a field of the resource that a route is about.
pub fn since(route: &Route, field: &str) -> Option<Microversion> {
    resource(route)?.all().find(|(name, _)| *name == field).map(|(_, since)| since)
}

/// Content type and schema of a successful answer.
pub fn answer(route: &Route) -> (&'static str, Value) {
    if route.path == "/healthcheck" {
        return ("text/plain", json!({"type": "string"}));
    }
    let own = ANSWERS.iter().find(|(path, _)| *path == route.path && route.verb == Verb::Get);
    let schema = match (own, resource(route)) {
        (Some((_, property)), _) => bodies::schema(property),
        (None, None) => json!({}),
        (None, Some(resource)) => {
            let one = json!({"$ref": format!("#/components/schemas/{}", resource.schema)});
            let names_many = collection(route) == Some(resource.collection) && !route.path.ends_with('}');
            if route.verb == Verb::Get && names_many { list(resource.collection, one) } else { one }
        }
    };
    ("application/json", schema)
}

fn list(collection: &str, one: Value) -> Value {
    json!({
        "type": "object",
        "properties": {
            collection: {"type": "array", "items": one},
            "next": {"type": "string", "format": "uri", "description": "Where the next page is, if this one is full."},
        },
        "required": [collection],
    })
}

/// All schemas by name.
pub fn schemas() -> Value {
    let mut schemas = Map::new();
    for resource in RESOURCES {
        let properties: Map<String, Value> = resource
            .all()
            .map(|(name, since)| {
                let mut schema = described(resource, name).map_or(json!({}), bodies::schema);
                if since > BASE {
                    schema[SINCE] = since.to_string().into();
                }
                (name.to_owned(), schema)
            })
            .collect();
        schemas.insert(
            resource.schema.to_owned(),
            json!({"type": "object", "properties": properties, "additionalProperties": false}),
        );
    }
    schemas.insert("Error".into(), error());
    Value::Object(schemas)
}

/// A refusal. What is too large or too deep is told without the wrapping.
fn error() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        "type": "object",
        "properties": {
            "error_message": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": {
                    "type": "object",
                    "properties": {
                        "faultcode": {"enum": ["Client", "Server"]},
                        "faultstring": text("What went wrong."),
                        "debuginfo": {"type": "null"},
                    },
                    "required": ["faultcode", "faultstring", "debuginfo"],
                },
            },
            "faultcode": {"enum": ["Client", "Server"]},
            "faultstring": text("What went wrong."),
            "error": {
                "type": "object",
                "properties": {"message": text("What went wrong."), "code": {"type": "integer"}},
            },
        },
        "anyOf": [{"required": ["error_message"]}, {"required": ["faultcode", "faultstring"]}],
    })
}

/// What a field looks like: in this resource, or in every resource that has it.
fn described(resource: &Fields, field: &str) -> Option<&'static Property> {
    let own = format!("{}.{field}", resource.schema);
    let named = |name: &str| TYPES.iter().find(|property| property.name == name);
    named(&own).or_else(|| named(field)).or_else(|| field.ends_with("_interface").then_some(&INTERFACE))
}

/// Fields that nobody described.
#[cfg(test)]
pub fn undescribed() -> impl Iterator<Item = String> {
    RESOURCES.iter().flat_map(|resource| {
        let fields = resource.all().map(|(name, _)| name);
        let missing = fields.filter(|name| described(resource, name).is_none());
        missing.map(|name| format!("{}.{name} has no type in openapi/resources.rs", resource.schema))
    })
}

const LINK: Property = property("", OBJECT)
    .keys(&[property("href", STRING).format("uri"), property("rel", STRING)], &["href", "rel"]);
const INTERFACE: Property = property("", TEXT);
const WORD: Property = property("", STRING);

const fn uuid(name: &'static str) -> Property {
    property(name, STRING).format("uuid")
}
const fn maybe_uuid(name: &'static str) -> Property {
    property(name, TEXT).format("uuid")
}
const fn time(name: &'static str) -> Property {
    property(name, STRING).format("date-time")
}
const fn maybe_time(name: &'static str) -> Property {
    property(name, TEXT).format("date-time")
}
const fn links(name: &'static str) -> Property {
    property(name, ARRAY).items(&LINK)
}

const TEXTS: Property = property("", OBJECT).values(&WORD);
const VERDICT: Property = property("", OBJECT)
    .keys(&[property("result", BOOLEAN.or(NULL)), property("reason", STRING)], &["result"]);

const fn object(keys: &'static [Property]) -> Property {
    property("", OBJECT).keys(keys, &[])
}

/// Answers to `GET` that are no resource with a list of fields, by path.
const ANSWERS: &[(&str, Property)] = &[
    (
        "/",
        object(&[WORD.named("name"), WORD.named("description"), VERSION.named("default_version"), VERSIONS]),
    ),
    ("/v1", property("", OBJECT)),
    ("/openapi.json", property("", OBJECT)),
    ("/v1/volume", VOLUME),
    ("/v1/nodes/{node}/volume", VOLUME),
    ("/v1/shards", object(&[property("shards", ARRAY).items(&SHARD)])),
    ("/v1/nodes/{node}/bios/{setting}", property("", OBJECT).values(&BAG_OF_ANYTHING)),
    (
        "/v1/nodes/{node}/inventory",
        object(&[BAG_OF_ANYTHING.named("inventory"), BAG_OF_ANYTHING.named("plugin_data")]),
    ),
    ("/v1/nodes/{node}/management/indicators", object(&[property("indicators", ARRAY).items(&INDICATOR)])),
    ("/v1/nodes/{node}/management/indicators/{indicator}", object(&[property("state", TEXT)])),
    ("/v1/nodes/{node}/vmedia", property("", ARRAY).items(&MEDIUM)),
    ("/v1/nodes/{node}/vendor_passthru/methods", METHODS),
    ("/v1/nodes/{node}/vendor_passthru", ANYTHING),
    ("/v1/nodes/{node}/vendor_passthru/{method}", ANYTHING),
    ("/v1/drivers/{driver}/vendor_passthru/methods", METHODS),
    ("/v1/drivers/{driver}/vendor_passthru", ANYTHING),
    ("/v1/drivers/{driver}/vendor_passthru/{method}", ANYTHING),
    ("/v1/drivers/{driver}/raid/logical_disk_properties", TEXTS),
    ("/v1/runbooks/{runbook}/traits", object(&[property("traits", ARRAY).items(&WORD)])),
    ("/v1/lookup", object(&[property("node", OBJECT), property("config", OBJECT)])),
    ("/v1/nodes/validate", property("", OBJECT).values(&VERDICT)),
    ("/v1/nodes/{node}/validate", property("", OBJECT).values(&VERDICT)),
    (
        "/v1/nodes/{node}/children",
        object(&[property("children", ARRAY).items(&uuid("")), LINK.named("links")]),
    ),
    (
        "/v1/nodes/{node}/states",
        object(&[
            property("console_enabled", BOOLEAN),
            property("last_error", TEXT),
            property("power_state", TEXT).one_of(PowerState::WORDS),
            property("provision_state", TEXT).one_of(ProvisionState::WORDS),
            property("target_power_state", TEXT).one_of(PowerState::WORDS),
            property("target_provision_state", TEXT).one_of(ProvisionState::WORDS),
            maybe_time("provision_updated_at"),
            property("raid_config", OBJECT).since(v::RAID),
            property("target_raid_config", OBJECT).since(v::RAID),
            property("boot_mode", TEXT).since(v::BOOT_MODE),
            property("secure_boot", BOOLEAN.or(NULL)).since(v::BOOT_MODE),
        ]),
    ),
    (
        "/v1/nodes/{node}/states/console",
        object(&[
            property("console_enabled", BOOLEAN),
            property("console_info", BAG).keys(&[WORD.named("type"), WORD.named("url")], &[]),
        ]),
    ),
    (
        "/v1/nodes/{node}/management/boot_device",
        object(&[property("boot_device", TEXT), property("persistent", BOOLEAN.or(NULL))]),
    ),
    (
        "/v1/nodes/{node}/management/boot_device/supported",
        object(&[property("supported_boot_devices", ARRAY).items(&WORD)]),
    ),
    ("/v1/nodes/{node}/traits", object(&[property("traits", ARRAY).items(&WORD)])),
    ("/v1/nodes/{node}/vifs", object(&[property("vifs", ARRAY).items(&object(&[WORD.named("id")]))])),
    ("/v1/drivers", object(&[property("drivers", ARRAY).items(&DRIVER)])),
    ("/v1/drivers/{driver}", DRIVER),
    ("/v1/drivers/{driver}/properties", TEXTS),
    (
        "/billet/v1/nodes/{node}/events",
        object(&[
            uuid("node_uuid"),
            property("request_id", TEXT.or(NULL)),
            property("events", ARRAY).items(&EVENT),
        ]),
    ),
];

const BAG_OF_ANYTHING: Property = property("", OBJECT);
const ANYTHING: Property = property("", STRING.or(NUMBER).or(BOOLEAN).or(OBJECT).or(ARRAY).or(NULL));
const METHODS: Property = property("", OBJECT).values(&BAG_OF_ANYTHING);
const SHARD: Property = object(&[WORD.named("name"), property("count", INTEGER)]);
const INDICATOR: Property = object(&[
    WORD.named("name"),
    WORD.named("component"),
    property("readonly", BOOLEAN),
    property("states", ARRAY).items(&WORD),
    links("links"),
]);
const MEDIUM: Property = object(&[
    property("image", TEXT),
    property("inserted", BOOLEAN),
    property("media_types", ARRAY).items(&WORD),
]);
const VOLUME: Property = object(&[links("links"), links("connectors"), links("targets")]);
const VERSION: Property = object(&[
    WORD.named("id"),
    WORD.named("status"),
    WORD.named("min_version"),
    WORD.named("version"),
    links("links"),
]);
const VERSIONS: Property = property("versions", ARRAY).items(&VERSION);
const DRIVER: Property = object(&[
    WORD.named("name"),
    property("hosts", ARRAY).items(&WORD),
    links("links"),
    links("properties").since(v::STATE_LINKS),
    WORD.named("type").since(v::DYNAMIC_DRIVERS),
])
// `default_X_interface` and `enabled_X_interfaces`
.values(&property("", TEXT.or(ARRAY)).items(&WORD));
const EVENT: Property = object(&[
    time("at"),
    property("duration_us", INTEGER.or(NULL)),
    WORD.named("kind"),
    WORD.named("name"),
    property("ok", BOOLEAN),
    property("detail", TEXT),
]);

/// What fields look like, by name; `Resource.field` where one resource differs from the others.
const TYPES: &[Property] = &[
    // What several have.
    uuid("uuid"),
    time("created_at"),
    maybe_time("updated_at"),
    property("name", TEXT),
    property("description", TEXT),
    property("extra", OBJECT),
    property("owner", TEXT),
    property("resource_class", TEXT),
    property("traits", ARRAY).items(&WORD),
    property("last_error", TEXT),
    property("internal_info", OBJECT),
    uuid("node_uuid"),
    property("address", STRING),
    property("physical_network", TEXT),
    property("category", TEXT),
    property("properties", OBJECT),
    links("links"),
    links("ports"),
    // Node
    property("automated_clean", BOOLEAN.or(NULL)),
    property("boot_mode", TEXT),
    property("clean_step", OBJECT),
    property("conductor_group", STRING),
    property("console_enabled", BOOLEAN),
    property("disable_power_off", BOOLEAN),
    property("deploy_step", OBJECT),
    property("driver", STRING),
    property("driver_info", OBJECT),
    property("driver_internal_info", OBJECT),
    property("fault", TEXT).one_of(Fault::WORDS),
    property("health", TEXT),
    maybe_time("inspection_finished_at"),
    maybe_time("inspection_started_at"),
    property("instance_info", OBJECT),
    property("instance_name", TEXT),
    maybe_uuid("instance_uuid"),
    property("lessee", TEXT),
    property("maintenance", BOOLEAN),
    property("maintenance_reason", TEXT),
    property("network_data", OBJECT),
    maybe_uuid("parent_node"),
    property("power_state", TEXT).one_of(PowerState::WORDS),
    property("protected", BOOLEAN),
    property("protected_reason", TEXT),
    property("provision_state", TEXT).one_of(ProvisionState::WORDS),
    maybe_time("provision_updated_at"),
    property("raid_config", OBJECT),
    property("reservation", TEXT),
    property("retired", BOOLEAN),
    property("retired_reason", TEXT),
    property("secure_boot", BOOLEAN.or(NULL)),
    property("service_step", OBJECT),
    property("shard", TEXT),
    property("target_power_state", TEXT).one_of(PowerState::WORDS),
    property("target_provision_state", TEXT).one_of(ProvisionState::WORDS),
    property("target_raid_config", OBJECT),
    property("conductor", TEXT),
    maybe_uuid("allocation_uuid"),
    maybe_uuid("chassis_uuid"),
    links("states"),
    links("portgroups"),
    links("volume"),
    // Port
    property("is_smartnic", BOOLEAN),
    property("local_link_connection", OBJECT),
    property("pxe_enabled", BOOLEAN),
    property("vendor", TEXT),
    property("available_for_dynamic_portgroup", BOOLEAN),
    maybe_uuid("portgroup_uuid"),
    // Port group
    property("Portgroup.address", TEXT),
    property("mode", TEXT),
    property("standalone_ports_supported", BOOLEAN),
    property("dynamic_portgroup", BOOLEAN),
    // Chassis: the links stand in a list of their own.
    property("nodes", ARRAY).items(&links("")),
    // Volumes
    property("connector_id", STRING),
    property("type", STRING),
    property("boot_index", INTEGER),
    property("volume_id", STRING),
    property("volume_type", STRING),
    // Allocation
    property("candidate_nodes", ARRAY).items(&WORD),
    property("state", TEXT),
    maybe_uuid("Allocation.node_uuid"),
    // Deploy templates, runbooks, inspection rules
    property("steps", ARRAY).items(&BAG_OF_ANYTHING),
    property("public", BOOLEAN),
    property("disable_ramdisk", BOOLEAN),
    property("priority", INTEGER),
    property("sensitive", BOOLEAN),
    property("phase", TEXT),
    property("conditions", LIST).items(&BAG_OF_ANYTHING),
    property("actions", LIST).items(&BAG_OF_ANYTHING),
    // BIOS settings
    property("value", TEXT),
    property("attribute_type", TEXT),
    property("allowable_values", LIST).items(&WORD),
    property("lower_bound", INTEGER.or(NULL)),
    property("upper_bound", INTEGER.or(NULL)),
    property("min_length", INTEGER.or(NULL)),
    property("max_length", INTEGER.or(NULL)),
    property("read_only", BOOLEAN.or(NULL)),
    property("reset_required", BOOLEAN.or(NULL)),
    property("unique", BOOLEAN.or(NULL)),
    // Firmware
    property("component", STRING),
    property("initial_version", TEXT),
    property("current_version", TEXT),
    property("last_version_flashed", TEXT),
    property("model", TEXT),
    property("serial_number", TEXT),
    // History
    property("severity", TEXT),
    property("event_type", TEXT),
    property("event", TEXT),
    property("user", TEXT),
    property("project", TEXT),
    property("HistoryEntry.target_provision_state", TEXT),
    property("duration_seconds", NUMBER.or(NULL)),
    // Conductor
    property("hostname", STRING),
    property("alive", BOOLEAN),
    property("drivers", ARRAY).items(&WORD),
];
