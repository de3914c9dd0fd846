//! `POST /v1/continue_inspection`: a ramdisk reports what it found.

use crate::Conductor;
use crate::lookup;
use crate::request::{InspectionReport, RequestError};
use crate::runner;
use crate::visit::Visit;
use jiff::Timestamp;
use model::Secret;
use model::event::{EventKind, LogEvent};
use model::node::{Node, Object};
use model::state::{Event, ProvisionState};
use std::collections::BTreeSet;
use std::net::IpAddr;
use store::{Guard, Inventory, NodeQuery, StoreError};
use uuid::Uuid;

/// Key of `driver_internal_info` under which the BMC's addresses are kept while an inspection is awaited.
pub const BMC_ADDRESSES: &str = "lookup_bmc_addresses";

/// The addresses of a node's BMC, by which its ramdisk may be known. A BMC that is reached through another one says nothing.
pub async fn bmc_addresses(visit: &Visit<'_>) -> BTreeSet<String> {
    let info = &visit.node.driver_info;
    let is_bridged =
        info.get("ipmi_bridging").and_then(|value| value.as_str()).is_some_and(|mode| mode != "no");
    let mut found = BTreeSet::new();
    for (key, value) in info {
        if !key.ends_with("_address") || key.starts_with("ipmi_") && is_bridged {
            continue;
        }
        let Some(text) = value.as_str() else { continue };
        let host = text.split_once("//").map_or(text, |(_, rest)| rest);
        let host = host.split('/').next().unwrap_or_default();
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let bare = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None if host.matches(':').count() == 1 => host.split(':').next().unwrap_or_default(),
            None => host,
        };
        match bare.parse::<IpAddr>() {
            Ok(ip) if !ip.is_loopback() => {
                found.insert(ip.to_string());
            }
            Ok(_) => {}
            Err(_) => found.extend(resolve(bare).await),
        }
    }
    found
}

async fn resolve(host: &str) -> Vec<String> {
    match tokio::net::lookup_host((host, 0)).await {
        Ok(addresses) => addresses
            .map(|address| address.ip())
            .filter(|ip| !ip.is_loopback())
            .map(|ip| ip.to_string())
            .collect(),
        Err(_) => Vec::new(),
    }
}

impl Conductor {
    /// Takes a ramdisk's report for the node that it is found to be from, and lets the conductor look at it. Out come the node and,
    /// if `with_token`, what a lookup would give.
    ///
    /// 404 for everything that doesn't fit, so that strangers learn nothing; the reason is in the event log.
    pub async fn continue_inspection(
        &self,
        report: InspectionReport,
        with_token: bool,
    ) -> Result<(Node, Option<Secret>), RequestError> {
        let uuid = self.inspected(&report).await?;
        let now = Timestamp::now();
        let found = Inventory { inventory: report.inventory, plugin_data: report.plugin_data };
        self.store().put_findings(uuid, &found).await?;
        let fresh = lookup::new_token()?;
        let (token, node) = self
            .store()
            .edit_node(uuid, Guard::Any, now, |edit| {
                if edit.node.provision_state != ProvisionState::InspectWait {
                    return Err(hidden());
                }
                runner::proceed(edit, Event::Resume, now).map_err(|_| hidden())?;
                edit.node.work.has_findings = true;
                edit.node.agent.last_heartbeat = Some(now);
                let heard = edit.node.driver_internal_info.entry("agent_last_heartbeat");
                *heard.or_insert_with(|| "".into()) = now.to_string().into();
                let received = LogEvent::new(
                    Some(uuid),
                    now,
                    EventKind::Agent,
                    "continue_inspection",
                    "inventory received",
                );
                edit.events.push(received);
                Ok::<_, RequestError>(with_token.then(|| lookup::hand_out(&mut edit.node, fresh)))
            })
            .await?;
        Ok((node, token))
    }

    /// The node that awaits this report: by its UUID if that was given, by the MAC addresses, by the BMC's addresses. They must not
    /// contradict each other.
    async fn inspected(&self, report: &InspectionReport) -> Result<Uuid, RequestError> {
        let store = self.store();
        let mut known = match report.node_uuid {
            Some(uuid) => Some(store.node(&uuid.to_string()).await.map_err(missing)?.node),
            None => None,
        };
        let mut by_macs = BTreeSet::new();
        for address in &report.macs {
            if let Some(port) = store.port_by_addresses(std::slice::from_ref(address)).await? {
                by_macs.insert(port.node_uuid);
            }
        }
        match (&known, by_macs.len()) {
            (_, 0) => {}
            (Some(node), 1) if by_macs.contains(&node.uuid) => {}
            (None, 1) => {
                let uuid = by_macs.first().map(Uuid::to_string).unwrap_or_default();
                known = Some(store.node(&uuid).await.map_err(missing)?.node);
            }
            _ => return Err(hidden()),
        }
        if let Some(node) = &known
            && node.provision_state != ProvisionState::InspectWait
        {
            return Err(hidden());
        }
        let by_bmc = self.by_bmc_addresses(&report.bmc_addresses).await?;
        match (known, by_bmc.as_slice()) {
            (Some(node), []) => Ok(node.uuid),
            (Some(node), found) if found.contains(&node.uuid) => Ok(node.uuid),
            (None, [only]) => Ok(*only),
            _ => Err(hidden()),
        }
    }

    async fn by_bmc_addresses(&self, addresses: &[String]) -> Result<Vec<Uuid>, RequestError> {
        if addresses.is_empty() {
            return Ok(Vec::new());
        }
        let query = NodeQuery {
            equal: vec![("provision_state", ProvisionState::InspectWait.as_str().to_owned())],
            include_children: true,
            limit: i64::MAX,
            ..NodeQuery::default()
        };
        let waiting = self.store().nodes(&query).await?;
        let fits = |info: &Object| {
            let own = info.get(BMC_ADDRESSES).and_then(|list| list.as_array());
            own.into_iter().flatten().any(|own| addresses.iter().any(|address| own == address.as_str()))
        };
        Ok(waiting
            .into_iter()
            .filter(|row| fits(&row.node.driver_internal_info))
            .map(|row| row.node.uuid)
            .collect())
    }
}

fn hidden() -> RequestError {
    RequestError::NotFound("Resource could not be found.".to_owned())
}

fn missing(error: StoreError) -> RequestError {
    match error {
        StoreError::NotFound { .. } => hidden(),
        other => other.into(),
    }
}
