//! `/v2.0/extensions`: what of Neutron's extensions is served. What isn't listed isn't there.

use super::error::not_found;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use serde_json::{Value, json};

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.0/extensions", Access::User, handler!(list))
        .says("Lists the extensions that are served."),
    Route::new(Get, "/v2.0/extensions/{alias}", Access::User, handler!(show)).says("Shows an extension."),
];

/// Alias, name, and what it does.
const EXTENSIONS: &[(&str, &str, &str)] = &[
    ("agent", "agent", "Shows the DHCP server."),
    ("allowed-address-pairs", "Allowed Address Pairs", "Keeps the address pairs of ports; nothing filters."),
    ("availability_zone", "Availability Zone", "Lists the availability zones."),
    ("binding", "Port Binding", "Says where a port is."),
    ("dhcp_agent_scheduler", "DHCP Agent Scheduler", "Says which networks the DHCP server answers for."),
    ("dns-integration", "DNS Integration", "Host names of ports, handed out by DHCP."),
    ("external-net", "Neutron external network", "Networks that lead out."),
    ("extra_dhcp_opt", "Neutron Extra DHCP options", "Options of DHCP for single ports."),
    ("filter-validation", "Filter parameters validation", "Refuses filters that are unknown."),
    ("ip-substring-filtering", "IP address substring filtering", "Filters ports by part of an address."),
    ("ip_allocation", "IP Allocation", "Says whether a port has addresses."),
    ("net-mtu", "Network MTU", "What a frame of a network carries."),
    ("net-mtu-writable", "Network MTU (writable)", "What a frame of a network carries, to be set."),
    ("network-ip-availability", "Network IP Availability", "Counts the addresses of networks."),
    ("network_availability_zone", "Network Availability Zone", "Availability zones of networks."),
    ("pagination", "Pagination support", "Lists in pages."),
    ("port-security", "Port Security", "Keeps whether a port is filtered; nothing filters."),
    ("project-id", "project_id field enabled", "Resources carry project_id beside tenant_id."),
    ("provider", "Provider Network", "Networks name their physical network and VLAN."),
    ("quotas", "Quota management support", "Quotas of projects."),
    ("quota_details", "Quota details management support", "Quotas of projects with what is used."),
    ("revision-if-match", "If-Match constraints based on revision_number", "Changes held to a revision."),
    ("security-group", "security-group", "Keeps security groups; nothing filters bare-metal machines."),
    ("sorting", "Sorting support", "Lists in order."),
    ("standard-attr-description", "standard-attr-description", "Resources have a description."),
    ("standard-attr-revisions", "Resource revision numbers", "Resources count their changes."),
    ("standard-attr-tag", "Tag support", "Networks, subnets, ports and security groups have tags."),
    ("standard-attr-timestamp", "Resource timestamps", "Resources say when they were made and changed."),
    ("stateful-security-group", "Stateful security group", "Keeps whether a security group is stateful."),
    ("subnet-dns-publish-fixed-ip", "Subnet DNS publish fixed IP", "Kept for clients."),
    ("subnet-service-types", "Subnet service types", "Subnets for certain kinds of ports."),
    ("tag-creation", "Tag creation", "Adds several tags at once."),
];

fn render(extension: &(&str, &str, &str)) -> Value {
    let (alias, name, description) = extension;
    json!({
        "alias": alias,
        "name": name,
        "description": description,
        "links": [],
        "updated": "2026-01-01T00:00:00-00:00",
    })
}

/// `GET /v2.0/extensions`
async fn list(_call: Call) -> Result<Reply, CloudError> {
    Reply::json(&json!({"extensions": EXTENSIONS.iter().map(render).collect::<Vec<_>>()}))
}

/// `GET /v2.0/extensions/{alias}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let alias = call.parameter("alias");
    let extension = EXTENSIONS.iter().find(|(own, ..)| *own == alias);
    let extension = extension.ok_or_else(|| not_found("Extension", alias))?;
    Reply::json(&json!({"extension": render(extension)}))
}
