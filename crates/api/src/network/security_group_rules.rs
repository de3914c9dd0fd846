//! `/v2.0/security-group-rules`.

use super::attributes::{Attributes, wrong};
use super::error::{invalid_input, not_found};
use super::listing::{Collection, no_own_filter, one};
use super::security_groups;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Post};
use axum::http::StatusCode;
use model::network::{Cidr, Direction, SecurityGroup, SecurityGroupRule};
use serde_json::{Value, json};
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.0/security-group-rules", Access::Project, handler!(list))
        .says("Lists the rules of security groups."),
    Route::new(Post, "/v2.0/security-group-rules", Access::Project, handler!(create))
        .says("Adds a rule to a security group.")
        .success(StatusCode::CREATED),
    Route::new(Get, "/v2.0/security-group-rules/{rule}", Access::Project, handler!(show))
        .says("Shows a rule of a security group."),
    Route::new(Delete, "/v2.0/security-group-rules/{rule}", Access::Project, handler!(delete))
        .says("Removes a rule from its security group.")
        .success(StatusCode::NO_CONTENT),
];

const COLLECTION: Collection = Collection {
    name: "security-group-rules",
    what: "Security group rule",
    fields: &[
        "id",
        "description",
        "tenant_id",
        "project_id",
        "security_group_id",
        "direction",
        "ethertype",
        "protocol",
        "port_range_min",
        "port_range_max",
        "remote_ip_prefix",
        "remote_group_id",
        "remote_address_group_id",
        "revision_number",
        "created_at",
        "updated_at",
    ],
    columns: &[],
    own: no_own_filter,
};

/// A rule as it is shown.
pub fn render(group: &SecurityGroup, rule: &SecurityGroupRule) -> Value {
    json!({
        "id": rule.id,
        "description": rule.description,
        "tenant_id": group.project_id,
        "project_id": group.project_id,
        "security_group_id": group.id,
        "direction": rule.direction,
        "ethertype": rule.ethertype,
        "protocol": rule.protocol,
        "port_range_min": rule.port_range_min,
        "port_range_max": rule.port_range_max,
        "remote_ip_prefix": rule.remote_ip_prefix,
        "normalized_cidr": rule.remote_ip_prefix,
        "remote_group_id": rule.remote_group_id,
        "remote_address_group_id": null,
        "belongs_to_default_sg": group.name == model::network::DEFAULT_GROUP,
        "tags": [],
        "revision_number": 0,
        "created_at": super::time(rule.created_at),
        "updated_at": super::time(rule.created_at),
    })
}

/// `GET /v2.0/security-group-rules`
async fn list(call: Call) -> Result<Reply, CloudError> {
    let groups = security_groups::visible(&call).await?;
    let items = groups.iter().flat_map(|group| group.rules.iter().map(|rule| render(group, rule)));
    COLLECTION.answer(&call, items.collect())
}

/// The rule that a path names, with its group, if the caller may see it.
async fn find(call: &Call) -> Result<(SecurityGroup, SecurityGroupRule), CloudError> {
    let ident = call.parameter("rule");
    let groups = security_groups::visible(call).await?;
    let found = groups.into_iter().find_map(|group| {
        let rule = group.rules.iter().find(|rule| rule.id.to_string() == ident).cloned()?;
        Some((group, rule))
    });
    found.ok_or_else(|| not_found("Security group rule", ident))
}

/// `GET /v2.0/security-group-rules/{rule}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let (group, rule) = find(&call).await?;
    one(&call, "security_group_rule", render(&group, &rule))
}

/// `POST /v2.0/security-group-rules`
async fn create(call: Call) -> Result<Reply, CloudError> {
    let mut attributes = Attributes::read(&call, "security_group_rule")?;
    let id = attributes.needed_uuid("security_group_id")?;
    let group = security_groups::named(&call, &id.to_string()).await?;
    // Rules are their group's, whoever adds them.
    drop((attributes.take("tenant_id"), attributes.take("project_id")));
    let rule = read(&call, &mut attributes).await?;
    attributes.finish(&[])?;
    let now = call.now();
    let done = call.state.store.edit_security_group(group.id, |group| {
        let is_same = |own: &&SecurityGroupRule| {
            let same = SecurityGroupRule {
                id: own.id,
                created_at: own.created_at,
                description: own.description.clone(),
                ..rule.clone()
            };
            **own == same
        };
        if let Some(own) = group.rules.iter().find(is_same) {
            let text = format!("Security group rule already exists. Rule id is {}.", own.id);
            return Err(CloudError::conflict(text).kind("SecurityGroupRuleExists"));
        }
        group.rules.push(rule.clone());
        group.revision_number += 1;
        group.updated_at = now;
        Ok(())
    });
    one(&call, "security_group_rule", render(&done.await?, &rule))
}

async fn read(call: &Call, attributes: &mut Attributes) -> Result<SecurityGroupRule, CloudError> {
    let word = attributes.text("direction", 40)?.unwrap_or_default();
    let direction: Direction =
        word.parse().map_err(|_| wrong("direction", &format!("'{word}' is not in [ingress, egress]")))?;
    let remote = attributes.text("remote_ip_prefix", 100)?.filter(|text| !text.is_empty());
    let remote: Option<Cidr> = remote
        .map(|text| text.parse().map_err(|error| wrong("remote_ip_prefix", &format!("{error}"))))
        .transpose()?;
    let ethertype = match attributes.text("ethertype", 10)?.unwrap_or_default().to_ascii_lowercase().as_str()
    {
        "" | "ipv4" => "IPv4",
        "ipv6" => "IPv6",
        other => return Err(wrong("ethertype", &format!("'{other}' is not in [IPv4, IPv6]"))),
    };
    if let Some(remote) = remote.filter(|remote| (remote.version() == 4) != (ethertype == "IPv4")) {
        let text = format!("Conflicting value ethertype {ethertype} for CIDR {remote}.");
        return Err(CloudError::invalid(text).kind("SecurityGroupRuleParameterConflict"));
    }
    let protocol = match attributes.take("protocol") {
        None | Some(Value::Null) => None,
        Some(Value::Number(number)) if number.as_u64().is_some_and(|number| number <= 255) => {
            Some(number.to_string())
        }
        Some(Value::String(text)) if text.is_empty() || text.eq_ignore_ascii_case("any") => None,
        Some(Value::String(text))
            if text.len() <= 40 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') =>
        {
            Some(text.to_ascii_lowercase())
        }
        Some(other) => {
            return Err(wrong(
                "protocol",
                &format!("{} is no protocol's name or number", model::wording::repr(&other)),
            ));
        }
    };
    let port_range_min = attributes.number("port_range_min", 0..=65535)?;
    let port_range_max = attributes.number("port_range_max", 0..=65535)?;
    let is_icmp = protocol.as_deref().is_some_and(|name| name.contains("icmp"));
    if protocol.is_none() && (port_range_min.is_some() || port_range_max.is_some()) {
        return Err(invalid_input("ports are given together with a protocol"));
    }
    if !is_icmp && port_range_min.is_some() && port_range_min > port_range_max {
        return Err(CloudError::invalid("For TCP/UDP protocols, port_range_min must be <= port_range_max.")
            .kind("SecurityGroupInvalidPortRange"));
    }
    let remote_group_id = attributes.uuid("remote_group_id")?;
    if let Some(group) = remote_group_id {
        security_groups::named(call, &group.to_string()).await?;
        if remote.is_some() {
            return Err(invalid_input("a rule has a remote_ip_prefix or a remote_group_id, not both"));
        }
    }
    let address_group = attributes.take("remote_address_group_id");
    if address_group.is_some_and(|value| !value.is_null()) {
        return Err(invalid_input("there are no address groups here"));
    }
    let mut description = String::new();
    attributes.set_text("description", &mut description)?;
    Ok(SecurityGroupRule {
        id: Uuid::new_v4(),
        description,
        direction,
        ethertype: ethertype.to_owned(),
        protocol,
        port_range_min,
        port_range_max,
        remote_ip_prefix: remote.map(|remote| remote.to_string()),
        remote_group_id,
        created_at: call.now(),
    })
}

/// `DELETE /v2.0/security-group-rules/{rule}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let (group, rule) = find(&call).await?;
    let now = call.now();
    call.state
        .store
        .edit_security_group(group.id, |group| {
            group.rules.retain(|own| own.id != rule.id);
            group.revision_number += 1;
            group.updated_at = now;
            Ok::<_, CloudError>(())
        })
        .await?;
    Ok(Reply::empty())
}
