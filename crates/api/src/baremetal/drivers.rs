//! `/v1/drivers`: hardware types; for clients from before 1.30 also the classic names that stand for them.

use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Route;
use crate::route::Verb::Get;
use crate::wording::repr_text;
use model::driver::{CLASSIC_DRIVERS, HardwareType, properties as properties_of};
use model::node::InterfaceKind;
use model::version as v;
use serde_json::{Map, Value, json};

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/drivers", "baremetal:driver:get", handler!(list))
        .says("Lists hardware types.")
        .query(&["type", "detail", "fields"])
        .query_since(&[
            ("type", v::DYNAMIC_DRIVERS),
            ("detail", v::DYNAMIC_DRIVERS),
            ("fields", v::DRIVER_FIELDS),
        ]),
    Route::new(Get, "/v1/drivers/{driver}", "baremetal:driver:get", handler!(show))
        .says("Shows a hardware type.")
        .query(&["fields"])
        .query_since(&[("fields", v::DRIVER_FIELDS)]),
    Route::new(
        Get,
        "/v1/drivers/{driver}/properties",
        "baremetal:driver:get_properties",
        handler!(properties),
    )
    .says("Describes what driver_info of such a node may have.")
    .query(&[]),
];

/// `GET /v1/drivers`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    let args = &call.query;
    let fields = args.list("fields")?;
    let detail = args.boolean("detail")?;
    if fields.is_some() && detail == Some(true) {
        return Err(ApiError::invalid("Can not specify ?detail=True and fields in the same request."));
    }
    if (detail.is_some() || args.value("type").is_some()) && !call.version.has(v::DYNAMIC_DRIVERS) {
        return Err(ApiError::needs(v::DYNAMIC_DRIVERS));
    }
    check_fields(&call, fields.as_deref())?;
    let dynamic = match args.text("type")? {
        None | Some("dynamic") => true,
        Some("classic") => false,
        Some(_) => {
            return Err(ApiError::invalid(
                "\"type\" filter must be one of \"classic\" or \"dynamic\", if specified.",
            ));
        }
    };
    let enabled = &call.state.settings.drivers;
    let mut drivers = Vec::new();
    if dynamic {
        let share = call.state.conductor.share();
        for hardware in enabled.hardware_types() {
            if share.hosts_of(hardware.name).is_empty() {
                continue;
            }
            drivers.push(chosen(
                shown(&call, hardware.name, hardware, detail.unwrap_or(false)),
                fields.as_deref(),
            )?);
        }
    }
    if !call.version.has(v::DYNAMIC_DRIVERS) {
        for classic in CLASSIC_DRIVERS {
            if let Some(hardware) = enabled.serves(classic.name) {
                drivers.push(shown(&call, classic.name, hardware, false));
            }
        }
    }
    Reply::json(&json!({"drivers": drivers}))
}

/// `GET /v1/drivers/{driver}`
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    let fields = call.query.list("fields")?;
    check_fields(&call, fields.as_deref())?;
    let name = call.parameter("driver");
    let hardware = hardware(&call, name)?;
    Reply::json(&chosen(shown(&call, name, hardware, true), fields.as_deref())?)
}

/// `GET /v1/drivers/{driver}/properties`
pub async fn properties(call: Call) -> Result<Reply, ApiError> {
    let hardware = serving(&call)?;
    let rows: Map<String, Value> =
        properties_of(hardware).into_iter().map(|(key, text)| (key.to_owned(), text.into())).collect();
    Reply::json(&rows)
}

fn check_fields(call: &Call, fields: Option<&[String]>) -> Result<(), ApiError> {
    let Some(fields) = fields else { return Ok(()) };
    if !call.version.has(v::DRIVER_FIELDS) {
        return Err(ApiError::not_acceptable());
    }
    let mut known = ["hosts", "links", "name"].map(str::to_owned).to_vec();
    for kind in FIELD_ORDER.iter().filter(|kind| call.version.has(since(**kind))) {
        known.extend([format!("default_{kind}_interface"), format!("enabled_{kind}_interfaces")]);
    }
    known.extend(["properties", "type"].map(str::to_owned));
    match fields.iter().find(|name| !known.contains(name)) {
        None => Ok(()),
        Some(name) => {
            let known: Vec<_> = known.iter().map(|name| repr_text(name)).collect();
            Err(ApiError::invalid(format!(
                "Schema error: {} is not one of [{}]",
                repr_text(name),
                known.join(", ")
            )))
        }
    }
}

/// The interfaces in the order in which Ironic's refusal of an unknown field names them.
const FIELD_ORDER: &[InterfaceKind] = &[
    InterfaceKind::Boot,
    InterfaceKind::Console,
    InterfaceKind::Deploy,
    InterfaceKind::Inspect,
    InterfaceKind::Management,
    InterfaceKind::Network,
    InterfaceKind::Power,
    InterfaceKind::Raid,
    InterfaceKind::Vendor,
    InterfaceKind::Storage,
    InterfaceKind::Rescue,
    InterfaceKind::Bios,
    InterfaceKind::Firmware,
];

/// The microversion from which a driver shows an interface.
fn since(kind: InterfaceKind) -> v::Microversion {
    match kind {
        InterfaceKind::Storage => v::STORAGE_INTERFACE,
        InterfaceKind::Rescue => v::RESCUE,
        InterfaceKind::Bios => v::BIOS,
        InterfaceKind::Firmware => v::FIRMWARE,
        _ => v::DYNAMIC_DRIVERS,
    }
}

/// The hardware type behind the driver that the path names, for what lies below the driver itself: Ironic words its absence
/// differently there.
pub fn serving(call: &Call) -> Result<&'static HardwareType, ApiError> {
    let name = call.parameter("driver");
    call.state.settings.drivers.serves(name).ok_or_else(|| {
        let name: String = name.chars().take(crate::limits::QUOTED_CHARACTERS).collect();
        ApiError::not_found(format!("The driver '{name}' is unknown."))
    })
}

fn hardware(call: &Call, name: &str) -> Result<&'static HardwareType, ApiError> {
    call.state.settings.drivers.serves(name).ok_or_else(|| {
        let name: String = name.chars().take(crate::limits::QUOTED_CHARACTERS).collect();
        ApiError::not_found(format!("Could not find the following driver(s) or hardware type(s): {name}."))
    })
}

fn shown(call: &Call, name: &str, hardware: &HardwareType, detail: bool) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("name".into(), name.into());
    map.insert("hosts".into(), json!(call.state.conductor.share().hosts_of(name)));
    map.insert("links".into(), json!(call.links(&format!("drivers/{name}"))));
    if call.version.has(v::STATE_LINKS) {
        map.insert("properties".into(), json!(call.links(&format!("drivers/{name}/properties"))));
    }
    if !call.version.has(v::DYNAMIC_DRIVERS) {
        return map;
    }
    map.insert("type".into(), "dynamic".into());
    if !detail {
        return map;
    }
    let enabled = &call.state.settings.drivers;
    for kind in InterfaceKind::ALL.iter().copied() {
        if call.version.has(since(kind)) {
            map.insert(format!("default_{kind}_interface"), json!(enabled.default_of(hardware, kind)));
            map.insert(format!("enabled_{kind}_interfaces"), json!(enabled.usable(hardware, kind)));
        }
    }
    map
}

fn chosen(mut map: Map<String, Value>, fields: Option<&[String]>) -> Result<Map<String, Value>, ApiError> {
    let Some(fields) = fields else { return Ok(map) };
    let unknown: Vec<_> = fields.iter().filter(|name| !map.contains_key(*name)).cloned().collect();
    if !unknown.is_empty() {
        let text: String = unknown.join(", ").chars().take(crate::limits::QUOTED_CHARACTERS).collect();
        return Err(ApiError::invalid(format!("Field(s) \"{text}\" are not valid")));
    }
    map.retain(|name, _| name == "links" || fields.contains(name));
    Ok(map)
}
