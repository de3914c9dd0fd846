//! `/os-services`: Nova's services, which are all in this process.

use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Put};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.1/os-services", Access::Operator, handler!(index))
        .says("Lists the services of compute."),
    Route::new(Put, "/v2.1/os-services/{service}", Access::Operator, handler!(update))
        .says("Refuses to disable a service: nodes are taken out of use one by one."),
    Route::new(Delete, "/v2.1/os-services/{service}", Access::Operator, handler!(delete))
        .says("Refuses to delete a service: it runs."),
];

/// Name of each service and its zone.
const BINARIES: &[(&str, &str)] =
    &[("nova-scheduler", "internal"), ("nova-conductor", "internal"), (COMPUTE, super::DEFAULT_ZONE)];
const COMPUTE: &str = "nova-compute";

/// One service.
pub(super) struct Service<'a> {
    binary: &'static str,
    zone: &'static str,
    /// The conductor that it is.
    pub host: &'a str,
}

impl Service<'_> {
    /// An identity that stays: the same name on the same host has the same one.
    fn uuid(&self) -> Uuid {
        let named = format!("{} on {}", self.binary, self.host);
        let bytes = digest(&SHA256, named.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&bytes.as_ref()[..16]);
        uuid::Builder::from_random_bytes(id).into_uuid()
    }

    /// The identity as the microversion has it.
    pub fn id(&self, call: &Call) -> Value {
        if call.minor >= 53 { json!(self.uuid()) } else { json!(super::number(self.uuid())) }
    }
}

fn all(call: &Call) -> impl Iterator<Item = Service<'_>> {
    let host = call.state.conductor.hostname();
    BINARIES.iter().map(move |(binary, zone)| Service { binary, zone, host })
}

/// The service that makes servers.
pub(super) fn compute(call: &Call) -> Service<'_> {
    Service { binary: COMPUTE, zone: super::DEFAULT_ZONE, host: call.state.conductor.hostname() }
}

/// `GET /os-services`
async fn index(call: Call) -> Result<Reply, CloudError> {
    call.only_query(&["host", "binary"])?;
    let asked = |name: &str, value: &str| {
        call.query.first(name).is_none_or(|wanted| wanted.is_empty() || wanted == value)
    };
    let now = super::body::fine_time(call.now());
    let rows = all(&call)
        .filter(|service| asked("host", service.host) && asked("binary", service.binary))
        .map(|service| {
            let mut own = json!({
                "id": service.id(&call),
                "binary": service.binary,
                "host": service.host,
                "zone": service.zone,
                "status": "enabled",
                "state": "up",
                "updated_at": now,
                "disabled_reason": null,
            });
            if call.minor >= 11 {
                own["forced_down"] = json!(false);
            }
            own
        });
    Reply::json(&json!({"services": rows.collect::<Vec<_>>()}))
}

/// The service that a path names; below 2.53 a path names a deed.
fn find(call: &Call) -> Result<Service<'_>, CloudError> {
    let id = call.parameter("service");
    let is_it = |service: &Service<'_>| match service.id(call) {
        Value::String(own) => own.eq_ignore_ascii_case(id),
        own => id.parse().ok() == own.as_u64(),
    };
    all(call).find(is_it).ok_or_else(|| CloudError::not_found(format!("Service {id} could not be found.")))
}

/// `PUT /os-services/{service}`
async fn update(call: Call) -> Result<Reply, CloudError> {
    if call.minor >= 53 {
        find(&call)?;
    }
    Err(CloudError::invalid(
        "A service can't be disabled or forced down here: the one conductor makes all servers. Take nodes out of use instead \
         (openstack baremetal node maintenance set NODE), or stop the process.",
    ))
}

/// `DELETE /os-services/{service}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let service = find(&call)?;
    Err(CloudError::conflict(format!(
        "Service {} on {} runs, and can't be deleted: it goes with the process.",
        service.binary, service.host
    )))
}
