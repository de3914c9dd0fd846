//! `/servers/{server}/action`: what is done with a server, one deed a request.

use super::body::{Fields, refused};
use super::server_image::image;
use super::server_metadata::checked_pairs;
use super::server_networks::uuid;
use super::servers::{description, hostname, no_more_than_nova};
use super::{server_create, server_security_groups};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Post;
use axum::http::StatusCode;
use conductor::servers::{RebootKind, Rebuild};
use model::Secret;
use model::compute::{Server, VmState};
use serde_json::{Value, json};

/// Rows of the route table.
pub const ROUTES: &[Route] =
    &[Route::new(Post, "/v2.1/servers/{server}/action", Access::Project, handler!(action))
        .says("Does something with a server: starts, stops, reboots, rebuilds, rescues, locks it …")
        .success(StatusCode::ACCEPTED)];

/// What can't be done with a machine, and why.
const REFUSED: &[(&str, &str)] = &[
    (
        "addFixedIp",
        "give the server another port instead (openstack server add port, openstack server add network)",
    ),
    ("removeFixedIp", "take the port away instead (openstack server remove port)"),
    (
        "addFloatingIp",
        "there are no floating addresses: machines are reached at the addresses of their ports",
    ),
    (
        "removeFloatingIp",
        "there are no floating addresses: machines are reached at the addresses of their ports",
    ),
    (
        "changePassword",
        "nobody but its user gets into a machine; rebuild it with another key or password, or rescue it",
    ),
    ("confirmResize", "machines don't change their size, so there is nothing to confirm"),
    ("revertResize", "machines don't change their size, so there is nothing to revert"),
    ("resize", "a machine has the size that it has; make another server with the other flavor"),
    ("createImage", "no image is made of a machine's disk here; save what is on it from within"),
    ("createBackup", "no image is made of a machine's disk here; save what is on it from within"),
    ("evacuate", "a server's disk is in its machine and can't be had elsewhere; make another server"),
    ("migrate", "a server's disk is in its machine and can't be moved; make another server"),
    ("os-migrateLive", "a server's disk is in its machine and can't be moved; make another server"),
    ("injectNetworkInfo", "a machine is told of its networks when it is deployed, and by DHCP"),
    ("resetNetwork", "a machine is told of its networks when it is deployed, and by DHCP"),
    ("pause", "a machine's memory can't be frozen; stop the server"),
    ("unpause", "a machine's memory can't be frozen, so that there is nothing to go on with"),
    ("suspend", "a machine's memory can't be frozen; stop the server"),
    (
        "resume",
        "a machine's memory can't be frozen, so that there is nothing to go on with; start the server",
    ),
    ("shelve", "a server's disk is in its machine, which would not be free; stop the server"),
    ("shelveOffload", "a server's disk is in its machine, which would not be free; stop the server"),
    ("unshelve", "no server is shelved here; start it"),
    ("restore", "what was deleted is gone: its machine's disk is erased"),
    ("trigger_crash_dump", "the operating system of a machine takes no such signal here"),
    ("os-getVNCConsole", NO_CONSOLE),
    ("os-getSPICEConsole", NO_CONSOLE),
    ("os-getRDPConsole", NO_CONSOLE),
    ("os-getSerialConsole", NO_CONSOLE),
    ("os-getMKSConsole", NO_CONSOLE),
];

/// Why there is no console.
pub(super) const NO_CONSOLE: &str = "machines have no console for tenants; an operator has one by the machine's BMC (openstack \
    baremetal node console show), and a rescue lets you in by ssh (openstack server rescue)";

/// `POST /servers/{server}/action`
async fn action(call: Call) -> Result<Reply, CloudError> {
    let server = call.server().await?;
    let body = call.json()?;
    let outer = Fields::new("the request's body", &body)?;
    let mut names = outer.iter();
    let (Some((name, value)), None) = (names.next(), names.next()) else {
        return Err(CloudError::invalid("There is one action a request: the body has one key."));
    };
    let by = call.requester()?;
    let conductor = &call.state.conductor;
    match name {
        "os-start" => conductor.start_server(server.uuid, &by).await?,
        "os-stop" => conductor.stop_server(server.uuid, &by).await?,
        "reboot" => conductor.reboot_server(server.uuid, reboot_kind(value)?, &by).await?,
        "rebuild" => return rebuild(&call, &server, value).await,
        "rescue" => return rescue(&call, &server, value).await,
        "unrescue" => conductor.unrescue_server(server.uuid, &by).await?,
        "lock" => conductor.lock_server(server.uuid, lock_reason(&call, value)?, &by).await?,
        "unlock" => conductor.unlock_server(server.uuid, &by).await?,
        "forceDelete" => conductor.delete_server(server.uuid, &by).await?,
        "os-getConsoleOutput" => {
            let output = conductor.server_console_output(server.uuid).await?;
            return Ok(Reply::json(&json!({"output": output}))?.status(StatusCode::OK));
        }
        "os-resetState" => reset_state(&call, &server, value).await?,
        "addSecurityGroup" => server_security_groups::add(&call, &server, value).await?,
        "removeSecurityGroup" => server_security_groups::remove(&call, &server, value).await?,
        other => return Err(refusal(&server, other)),
    }
    Ok(Reply::empty())
}

fn refusal(server: &Server, action: &str) -> CloudError {
    match REFUSED.iter().find(|(name, _)| *name == action) {
        Some((_, why)) => CloudError::invalid(format!("Cannot '{action}' instance {}: {why}.", server.uuid)),
        None => {
            let shown: String = action.chars().take(100).collect();
            CloudError::invalid(format!("There is no such action: {shown}"))
        }
    }
}

fn reboot_kind(value: &Value) -> Result<RebootKind, CloudError> {
    let fields = Fields::new("reboot", value)?;
    fields.only(&["type"])?;
    let kind = fields.needed_text("type", 1..=16)?;
    match kind.to_ascii_uppercase().as_str() {
        "SOFT" => Ok(RebootKind::Soft),
        "HARD" => Ok(RebootKind::Hard),
        _ => Err(refused("type", &Value::from(kind), "It is one of: SOFT, HARD")),
    }
}

fn lock_reason(call: &Call, value: &Value) -> Result<Option<String>, CloudError> {
    if value.is_null() {
        return Ok(None);
    }
    if call.minor < 73 {
        return Err(refused("lock", value, "A reason is known from 2.73 on."));
    }
    let fields = Fields::new("lock", value)?;
    fields.only(&["locked_reason"])?;
    Ok(fields.text("locked_reason", 1..=255)?.map(str::to_owned))
}

/// `rescue`: answers the password, which the user `rescue` has in the ramdisk.
async fn rescue(call: &Call, server: &Server, value: &Value) -> Result<Reply, CloudError> {
    let mut password = None;
    if !value.is_null() {
        let fields = Fields::new("rescue", value)?;
        fields.only(&["adminPass", "rescue_image_ref"])?;
        if fields.has("rescue_image_ref") {
            return Err(CloudError::invalid(
                "rescue_image_ref can't be given: a machine is rescued by its node's own ramdisk.",
            ));
        }
        password = fields.text("adminPass", 1..=255)?.map(Secret::new);
    }
    let password = match password {
        Some(given) => given,
        None => server_create::password()?,
    };
    call.state.conductor.rescue_server(server.uuid, password.clone(), &call.requester()?).await?;
    Ok(Reply::json(&json!({"adminPass": password.expose()}))?.status(StatusCode::OK))
}

/// `os-resetState`: an operator says that a server is well, or isn't.
async fn reset_state(call: &Call, server: &Server, value: &Value) -> Result<(), CloudError> {
    if !call.is_operator() {
        return Err(CloudError::forbidden(
            "Policy doesn't allow os_compute_api:os-admin-actions:reset_state to be performed.",
        ));
    }
    let fields = Fields::new("os-resetState", value)?;
    fields.only(&["state"])?;
    let state = match fields.needed_text("state", 1..=16)? {
        "active" => VmState::Active,
        "error" => VmState::Error,
        other => return Err(refused("state", &Value::from(other), "It is one of: active, error")),
    };
    if state == VmState::Active && server.node.is_none() {
        return Err(CloudError::conflict(format!(
            "Cannot 'resetState' instance {} to active: it has no machine. Delete it and make another.",
            server.uuid
        )));
    }
    let edited = call.edit_server(server, |edit| {
        edit.server.come_to_rest(state);
        if state == VmState::Active {
            edit.server.fault = None;
        }
        edit.nudge = true;
        Ok(())
    });
    edited.await.map(|_| ())
}

/// `rebuild`: answers the server and its new password.
async fn rebuild(call: &Call, server: &Server, value: &Value) -> Result<Reply, CloudError> {
    let fields = Fields::new("rebuild", value)?;
    let mut known = vec![
        "imageRef",
        "name",
        "adminPass",
        "metadata",
        "preserve_ephemeral",
        "OS-DCF:diskConfig",
        "accessIPv4",
        "accessIPv6",
    ];
    let since: [(u16, &str); 4] =
        [(19, "description"), (54, "key_name"), (57, "user_data"), (90, "hostname")];
    known.extend(since.iter().filter(|(minor, _)| call.minor >= *minor).map(|(_, name)| *name));
    if call.minor >= 63 {
        known.push("trusted_image_certificates");
    }
    fields.only(&known)?;
    no_more_than_nova(&fields)?;
    let reference = fields.needed_text("imageRef", 1..=1024)?;
    let id = uuid("imageRef", reference.rsplit('/').next().unwrap_or_default())?;
    let password = match fields.text("adminPass", 1..=255)? {
        Some(given) => Secret::new(given),
        None => server_create::password()?,
    };
    let name = fields.name("name")?.map(str::to_owned);
    let description = description(&fields)?;
    let hostname = hostname(&fields)?;
    let metadata = checked_pairs(call, server, &fields).await?;
    let key = server_create::key(call, &fields).await?;
    let rebuild = Rebuild {
        image: image(call, id).await?,
        preserve_ephemeral: fields.flag("preserve_ephemeral")?.unwrap_or(false),
        user_data: server_create::user_data(&fields)?,
        admin_password: Some(password.clone()),
    };
    let change = |server: &mut Server| {
        if let Some(name) = name {
            server.name = name;
        }
        if let Some(description) = description {
            server.description = description;
        }
        if let Some(hostname) = hostname {
            server.hostname = hostname;
        }
        if let Some(metadata) = metadata {
            server.metadata = metadata;
        }
        if let Some(key) = key {
            server.key = key;
        }
    };
    let rebuilt =
        call.state.conductor.rebuild_server(server.uuid, rebuild, &call.requester()?, change).await?;
    let mut own = call.server_in_full(&rebuilt).await?;
    own["adminPass"] = json!(password.expose());
    if call.minor >= 57 {
        let secrets = call.state.store.server_secrets(server.uuid).await?;
        own["user_data"] = json!(secrets.user_data.as_ref().map(Secret::expose));
    }
    let place = call.url(&format!("/v2.1/servers/{}", server.uuid));
    Ok(Reply::json(&json!({"server": own}))?.at(place))
}
