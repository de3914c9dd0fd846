//! Where a server is to be: availability zone, host and node, server group.

use super::availability_zones;
use super::body::{Fields, refused};
use crate::cloud::{Call, CloudError};
use axum::http::StatusCode;
use model::compute::ServerGroup;
use serde_json::Value;

/// Where a server is to be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Availability zone.
    pub zone: Option<String>,
    /// Conductor.
    pub host: Option<String>,
    /// Node, by UUID or name.
    pub node: Option<String>,
}

/// Reads `availability_zone` (`zone`, or `zone:host:node` of operators), `host` and `hypervisor_hostname`.
pub(super) async fn place(call: &Call, fields: &Fields<'_>) -> Result<Place, CloudError> {
    let mut place = match fields.nullable_text("availability_zone", 1..=255)?.flatten() {
        Some(text) => parsed(text)?,
        None => Place::default(),
    };
    let is_pinned = place.host.is_some() || place.node.is_some();
    let host = fields.nullable_text("host", 1..=255)?.flatten();
    let node = fields.nullable_text("hypervisor_hostname", 1..=255)?.flatten();
    if is_pinned && (host.is_some() || node.is_some()) {
        return Err(CloudError::invalid(
            "One mechanism with host and/or hypervisor_hostname and another mechanism with zone:host:node are mutually exclusive.",
        ));
    }
    place.host = place.host.or(host.map(str::to_owned));
    place.node = place.node.or(node.map(str::to_owned));
    let names_machine = place.host.is_some() || place.node.is_some();
    if names_machine && !call.is_operator() {
        return Err(CloudError::forbidden(
            "Policy doesn't allow os_compute_api:servers:create:forced_host to be performed: only operators choose the machine; \
             an availability zone alone may be named.",
        ));
    }
    if let Some(host) = place.host.as_ref().filter(|host| *host != call.state.conductor.hostname()) {
        return Err(CloudError::invalid(format!(
            "Compute host {host} could not be found: the conductor here is called {}, and a node is named behind it \
             (zone:host:node, or --hypervisor-hostname).",
            call.state.conductor.hostname()
        )));
    }
    if names_machine {
        // Whoever chooses the machine has chosen its zone, as in Nova.
        place.zone = None;
    }
    if let Some(zone) = &place.zone {
        let known = availability_zones::names(call).await?;
        if !known.contains(zone) {
            let known: Vec<_> = known.into_iter().collect();
            return Err(CloudError::invalid(format!(
                "The requested availability zone is not available: {zone} is none of {}.",
                known.join(", ")
            )));
        }
    }
    Ok(place)
}

fn parsed(text: &str) -> Result<Place, CloudError> {
    let some = |part: &str| (!part.is_empty()).then(|| part.to_owned());
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [zone] => Ok(Place { zone: some(zone), ..Place::default() }),
        [zone, host] => Ok(Place { zone: some(zone), host: some(host), node: None }),
        [zone, host, node] => Ok(Place { zone: some(zone), host: some(host), node: some(node) }),
        _ => {
            Err(refused("availability_zone", &Value::from(text), "It is ZONE, ZONE:HOST or ZONE:HOST:NODE."))
        }
    }
}

/// Hints that ask for what a machine can't be.
const IMPOSSIBLE: &[(&str, &str)] = &[
    ("same_host", "a machine carries one server"),
    ("query", "a flavor's properties say what a machine must have"),
    ("target_cell", "there are no cells"),
    ("build_near_host_ip", "machines are chosen by what they are"),
];

/// The server group of the scheduler hints.
pub(super) async fn group(call: &Call, outer: &Fields<'_>) -> Result<Option<ServerGroup>, CloudError> {
    let name = ["os:scheduler_hints", "OS-SCH-HNT:scheduler_hints"].into_iter().find(|name| outer.has(name));
    let Some(name) = name else { return Ok(None) };
    let hints = outer.object(name)?;
    if let Some((hint, why)) = IMPOSSIBLE.iter().find(|(hint, _)| hints.has(hint)) {
        return Err(CloudError::invalid(format!("Scheduler hint {hint} can't be followed: {why}.")));
    }
    let ident = match hints.get("group") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(list)) => match list.as_slice() {
            [Value::String(one)] => one.clone(),
            _ => return Err(refused("group", &Value::Array(list.clone()), "It is the UUID of one group.")),
        },
        Some(_) => hints.needed_text("group", 1..=255)?.to_owned(),
    };
    match call.server_group(&ident).await {
        Err(error) if error.status == StatusCode::NOT_FOUND => Err(CloudError::invalid(error.text)),
        other => other.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_may_name_host_and_node() {
        let read = |text: &str| {
            parsed(text).map(|place| [place.zone, place.host, place.node].map(Option::unwrap_or_default))
        };
        assert_eq!(read("nova").unwrap(), ["nova", "", ""]);
        assert_eq!(read("nova:h").unwrap(), ["nova", "h", ""]);
        assert_eq!(read("nova:h:n").unwrap(), ["nova", "h", "n"]);
        assert_eq!(read("nova::n").unwrap(), ["nova", "", "n"]);
        assert!(read("a:b:c:d").is_err());
    }
}
