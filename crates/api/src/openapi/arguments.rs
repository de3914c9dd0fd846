//! Arguments of paths, queries and headers.

use super::{SINCE, bodies, parameter};
use crate::baremetal::schema::{ARRAY, FLAG, INTEGER, Property, STRING, property};
use crate::route::Route;
use crate::versions;
use model::node::Fault;
use model::state::ProvisionState;
use model::version as v;
use serde_json::{Value, json};

/// One argument: what it looks like, and what it is, as half a sentence.
struct Argument(Property, &'static str);

/// Parts of paths.
const PATH: &[Argument] = &[
    Argument(text("node"), "UUID or name of the node"),
    Argument(text("port"), "UUID or name of the port"),
    Argument(text("portgroup"), "UUID or name of the port group"),
    Argument(text("chassis").format("uuid"), "UUID of the chassis"),
    Argument(text("connector").format("uuid"), "UUID of the volume connector"),
    Argument(text("target").format("uuid"), "UUID of the volume target"),
    Argument(text("allocation"), "UUID or name of the allocation"),
    Argument(text("template"), "UUID or name of the deploy template"),
    Argument(text("runbook"), "UUID or name of the runbook"),
    Argument(text("rule").format("uuid"), "UUID of the inspection rule"),
    Argument(text("setting"), "name of the BIOS setting"),
    Argument(text("event").format("uuid"), "UUID of the entry"),
    Argument(text("indicator"), "the indicator as name@component"),
    Argument(text("method"), "name of the method"),
    Argument(text("trait"), "a standard trait, or CUSTOM_ and capitals, digits, underscores"),
    Argument(text("vif"), "the virtual interface's id"),
    Argument(text("driver"), "name of the hardware type"),
    Argument(text("hostname"), "the conductor's name"),
];

/// Arguments of queries, by name; `collection.name` where one collection differs from the others.
const QUERY: &[Argument] = &[
    // Pages and fields
    Argument(
        property("limit", INTEGER).range(1, i64::MAX),
        "at most so many; the server has a limit of its own",
    ),
    Argument(text("marker").format("uuid"), "begin behind the one of this UUID"),
    Argument(text("conductors.marker"), "begin behind the conductor of this name"),
    Argument(text("sort_key"), "the field to sort by"),
    Argument(property("sort_dir", STRING).one_of(&["asc", "desc"]), "direction of sorting"),
    Argument(list("fields").since(v::FIELDS), "only these fields"),
    Argument(property("detail", FLAG).since(v::DETAIL), "all fields"),
    // Filters
    Argument(text("node"), "UUID or name of the node"),
    Argument(text("node_uuid").format("uuid"), "UUID of the node"),
    Argument(text("chassis_uuid").format("uuid"), "in this chassis"),
    Argument(text("instance_uuid").format("uuid"), "with this instance"),
    Argument(property("associated", FLAG), "with, or without, an instance"),
    Argument(property("maintenance", FLAG), "in maintenance, or not"),
    Argument(property("retired", FLAG).since(v::RETIRED), "retired, or not"),
    Argument(
        property("provision_state", STRING).one_of(ProvisionState::WORDS).since(v::PROVISION_STATE_FILTER),
        "in this state",
    ),
    Argument(text("driver"), "of this hardware type"),
    Argument(text("resource_class"), "of this resource class"),
    Argument(property("fault", STRING).one_of(Fault::WORDS), "with this fault"),
    Argument(text("conductor_group"), "of this conductor group"),
    Argument(text("conductor"), "conducted by this host"),
    Argument(text("owner"), "owned by this project"),
    Argument(text("lessee"), "leased by this project"),
    Argument(text("project"), "owned or leased by this project"),
    Argument(text("description_contains"), "with this in the description"),
    Argument(list("shard"), "in one of these shards"),
    Argument(property("sharded", FLAG), "in a shard, or in none"),
    Argument(property("include_children", FLAG), "also nodes that have a parent"),
    Argument(text("parent_node"), "below this node"),
    Argument(text("instance_name"), "with an instance of this name"),
    Argument(text("address"), "with this MAC address"),
    Argument(text("portgroup"), "in this port group, by UUID or name"),
    Argument(
        list("conductor_groups").since(v::PORT_CONDUCTOR_GROUPS),
        "of nodes in one of these conductor groups",
    ),
    Argument(text("state"), "in this state"),
    Argument(text("phase"), "of this phase of an inspection"),
    // Others
    Argument(text("method"), "name of the method"),
    Argument(list("device_types"), "only these kinds of media"),
    Argument(property("type", STRING).one_of(&["classic", "dynamic"]), "the kind of driver"),
    Argument(property("reset_interfaces", FLAG), "with a new driver: give up the interfaces of the old one"),
    Argument(list("addresses"), "MAC addresses of the ramdisk's machine"),
];

const WORD: Property = text("");

const fn text(name: &'static str) -> Property {
    property(name, STRING)
}
const fn list(name: &'static str) -> Property {
    property(name, ARRAY).items(&WORD)
}

/// The parameters of a row: its path's, its query's, the microversion's.
pub fn parameters(route: &Route) -> Value {
    let mut parameters = Vec::new();
    for name in route.path.split('/').filter_map(parameter) {
        if let Some(Argument(property, says)) = find(PATH, name) {
            let mut schema = bodies::schema(property);
            schema["minLength"] = 1.into();
            parameters.push(json!({
                "name": name, "in": "path", "required": true, "description": says, "schema": schema,
            }));
        }
    }
    for name in route.query.unwrap_or_default() {
        let Some(Argument(property, says)) = in_query(route, name) else { continue };
        let mut parameter = json!({
            "name": name, "in": "query", "description": says, "schema": bodies::schema(property),
        });
        if property.types.has(ARRAY) {
            parameter["style"] = "form".into();
            parameter["explode"] = false.into();
        }
        let own = route.query_since.iter().find(|(own, _)| own == name).map(|(_, since)| *since);
        let since = own.unwrap_or(property.since);
        if since > v::BASE {
            parameter[SINCE] = since.to_string().into();
        }
        parameters.push(parameter);
    }
    if route.is_versioned() {
        for name in [versions::USED, versions::ASKED] {
            parameters.push(json!({"$ref": format!("#/components/parameters/{name}")}));
        }
    }
    parameters.into()
}

fn find(table: &'static [Argument], name: &str) -> Option<&'static Argument> {
    table.iter().find(|Argument(property, _)| property.name == name)
}

fn in_query(route: &Route, name: &str) -> Option<&'static Argument> {
    let collection =
        route.path.strip_prefix("/v1/").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    find(QUERY, &format!("{collection}.{name}")).or_else(|| find(QUERY, name))
}

/// Parameters that all versioned operations have.
pub fn headers() -> Value {
    json!({
        versions::USED: {
            "name": versions::USED,
            "in": "header",
            "description": "The microversion to use; 1.1 where none is named.",
            "schema": {"type": "string", "pattern": r"^(latest|1\.[0-9]{1,3})$"},
        },
        versions::ASKED: {
            "name": versions::ASKED,
            "in": "header",
            "description": "The same in OpenStack's common form; it goes before the other.",
            "schema": {"type": "string", "pattern": r"^baremetal (latest|1\.[0-9]{1,3})$"},
        },
    })
}

/// Arguments that nobody described.
#[cfg(test)]
pub fn undescribed() -> impl Iterator<Item = String> {
    crate::baremetal::TABLE.routes().flat_map(|route| {
        let path = route.path.split('/').filter_map(parameter).filter(|name| find(PATH, name).is_none());
        let query = route.query.unwrap_or_default().iter().filter(|name| in_query(route, name).is_none());
        let missing: Vec<_> = path.chain(query.copied()).collect();
        missing.into_iter().map(|name| format!("{} has {name}, which openapi/arguments.rs lacks", route.path))
    })
}
