//! `/servers/{server}/os-security-groups`, and the actions that name one. Ports have them for clients' sake: nothing filters a machine's
//! traffic here.

use super::body::Fields;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use model::compute::Server;
use model::network::{DEFAULT_GROUP, SecurityGroup, SecurityGroupRule};
use serde_json::{Value, json};
use store::Query;

/// Rows of the route table.
pub const ROUTES: &[Route] =
    &[Route::new(Get, "/v2.1/servers/{server}/os-security-groups", Access::Project, handler!(index))
        .says("Lists a server's security groups.")];

/// Groups of one server.
const GROUPS: usize = 64;

async fn of_project(call: &Call, project: &str) -> Result<Vec<SecurityGroup>, CloudError> {
    Ok(call.state.store.list(&Query::equal("owner", project)).await?)
}

/// A project's group by its name or UUID. Every project has `default`, though it may not be made yet.
fn find<'a>(groups: &'a [SecurityGroup], ident: &str) -> Option<&'a SecurityGroup> {
    groups.iter().find(|group| group.name == ident || group.id.to_string().eq_ignore_ascii_case(ident))
}

fn missing(ident: &str) -> String {
    format!("Unable to find security_group with name or id '{ident}'.")
}

/// The names of the groups that a request for a server gives.
pub(super) async fn named(call: &Call, fields: &Fields<'_>) -> Result<Vec<String>, CloudError> {
    let list = fields.list("security_groups")?.unwrap_or_default();
    if list.len() > GROUPS {
        return Err(CloudError::invalid(format!("A server is in at most {GROUPS} security groups.")));
    }
    let mut names: Vec<String> = Vec::new();
    for value in list {
        let group = Fields::new("security_groups", value)?;
        group.only(&["name"])?;
        let name = group.needed_text("name", 1..=255)?;
        if !names.iter().any(|there| there == name) {
            names.push(name.to_owned());
        }
    }
    if names.iter().any(|name| name != DEFAULT_GROUP) {
        let groups = of_project(call, call.project()?).await?;
        for name in &mut names {
            if name == DEFAULT_GROUP {
                continue;
            }
            let found = find(&groups, name).ok_or_else(|| CloudError::invalid(missing(name)))?;
            name.clone_from(&found.name);
        }
    }
    Ok(names)
}

/// `GET /servers/{server}/os-security-groups`
async fn index(call: Call) -> Result<Reply, CloudError> {
    let server = call.server().await?;
    let groups = of_project(&call, &server.project_id).await?;
    let names = if server.security_groups.is_empty() {
        vec![DEFAULT_GROUP.to_owned()]
    } else {
        server.security_groups.clone()
    };
    let rows: Vec<_> = names.iter().filter_map(|name| find(&groups, name)).map(document).collect();
    Reply::json(&json!({"security_groups": rows}))
}

fn document(group: &SecurityGroup) -> Value {
    json!({
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "tenant_id": group.project_id,
        "rules": group.rules.iter().map(|rule| self::rule(group, rule)).collect::<Vec<_>>(),
    })
}

fn rule(group: &SecurityGroup, rule: &SecurityGroupRule) -> Value {
    json!({
        "id": rule.id,
        "parent_group_id": group.id,
        "ip_protocol": rule.protocol,
        "from_port": rule.port_range_min,
        "to_port": rule.port_range_max,
        "ip_range": rule.remote_ip_prefix.as_ref().map_or_else(|| json!({}), |cidr| json!({"cidr": cidr})),
        "group": {},
    })
}

fn name_of(value: &Value) -> Result<String, CloudError> {
    let fields = Fields::new("security group", value)?;
    fields.only(&["name"])?;
    Ok(fields.needed_text("name", 1..=255)?.to_owned())
}

/// `addSecurityGroup`
pub(super) async fn add(call: &Call, server: &Server, value: &Value) -> Result<(), CloudError> {
    let ident = name_of(value)?;
    let groups = of_project(call, &server.project_id).await?;
    let name = match find(&groups, &ident) {
        Some(group) => group.name.clone(),
        None if ident == DEFAULT_GROUP => ident,
        None => return Err(CloudError::not_found(missing(&ident))),
    };
    let edited = call.edit_server(server, |edit| {
        let own = &mut edit.server.security_groups;
        if own.is_empty() {
            own.push(DEFAULT_GROUP.to_owned());
        }
        if !own.contains(&name) {
            own.push(name);
        }
        if own.len() > GROUPS {
            return Err(CloudError::invalid(format!("A server is in at most {GROUPS} security groups.")));
        }
        Ok(())
    });
    edited.await.map(|_| ())
}

/// `removeSecurityGroup`
pub(super) async fn remove(call: &Call, server: &Server, value: &Value) -> Result<(), CloudError> {
    let ident = name_of(value)?;
    let groups = of_project(call, &server.project_id).await?;
    let name = find(&groups, &ident).map_or(ident.clone(), |group| group.name.clone());
    let edited = call.edit_server(server, |edit| {
        let own = &mut edit.server.security_groups;
        match own.iter().position(|there| *there == name) {
            Some(place) => {
                own.remove(place);
                Ok(())
            }
            None => Err(CloudError::not_found(format!(
                "Security group {ident} is not associated with the instance {}.",
                edit.server.uuid
            ))),
        }
    });
    edited.await.map(|_| ())
}
