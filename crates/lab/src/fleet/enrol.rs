//! Enrolling a fleet: a node and a port for each machine, by the API as everybody else.

use std::net::{Ipv4Addr, SocketAddr};

use futures_util::{StreamExt, TryStreamExt, stream};
use hyper::StatusCode;
use serde_json::json;

use super::api::Api;
use super::{BMC_PASSWORD, BMC_PORT, BMC_USER, address, mac};
use crate::error::{Error, Result};

/// Machines that are enrolled at one time.
const AT_ONCE: usize = 32;

/// How a machine is to be enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The node's name.
    pub name: String,
    /// MAC of its network card.
    pub mac: String,
    /// Address of its BMC; its port is [`BMC_PORT`].
    pub bmc: Ipv4Addr,
}

impl Entry {
    pub(super) fn of(number: u32) -> Self {
        Self { name: format!("fleet-{number:06}"), mac: mac(number), bmc: address(number) }
    }
}

/// Enrols machines with the hardware type `ipmi`; one that is there already stays as it is. `token` goes with each request, if there
/// is one. Returns how many were new.
///
/// # Errors
/// [`Error::Invalid`] with the first refusal.
pub async fn enrol(api: Vec<SocketAddr>, token: Option<&str>, entries: Vec<Entry>) -> Result<usize> {
    let api = Api::new(api);
    let enrolled = stream::iter(entries.iter().map(|entry| one(&api, token, entry)))
        .buffer_unordered(AT_ONCE)
        .try_fold(0, |sum, is_new| async move { Ok(sum + usize::from(is_new)) })
        .await;
    enrolled.map_err(Error::Invalid)
}

async fn one(api: &Api, token: Option<&str>, entry: &Entry) -> Result<bool, String> {
    let node = json!({
        "name": entry.name,
        "driver": "ipmi",
        "driver_info": {
            "ipmi_address": entry.bmc.to_string(),
            "ipmi_port": BMC_PORT,
            "ipmi_username": BMC_USER,
            "ipmi_password": BMC_PASSWORD,
        },
        "properties": {
            "cpus": 16, "cpu_arch": "x86_64", "memory_mb": 65_536, "local_gb": 500,
            "capabilities": "boot_mode:uefi",
        },
        "resource_class": "fleet",
    });
    let made = match api.ask("POST", "/v1/nodes", Some(&node), token).await? {
        (StatusCode::CREATED, made) => made,
        (StatusCode::CONFLICT, _) => return Ok(false),
        (status, answer) => return Err(format!("{}: {status}: {answer}", entry.name)),
    };
    let port = json!({"node_uuid": made["uuid"], "address": entry.mac});
    match api.ask("POST", "/v1/ports", Some(&port), token).await? {
        (StatusCode::CREATED, _) => Ok(true),
        (status, answer) => Err(format!("the port of {}: {status}: {answer}", entry.name)),
    }
}
