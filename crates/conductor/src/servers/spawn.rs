//! `spawning` and `rebuilding`: the node is told to deploy, and what it says is the answer.

use super::retreat;
use super::visit::{Next, Trouble, Visit, is_of, soon, when_there_is_room};
use crate::request::{ProvisionRequest, RequestError};
use model::compute::scheduler::Request;
use model::compute::{PowerView, Server, TaskState, VmState};
use model::node::{Node, Object};
use model::secret::MASK;
use model::state::{Event, ProvisionState};
use serde_json::{Value, json};

pub async fn run(visit: &mut Visit<'_>) -> Result<Next, Trouble> {
    use ProvisionState as S;
    let Some(node) = visit.node().await? else { return retreat::lost(visit).await };
    if !visit.server.work.told {
        return tell(visit, &node).await;
    }
    match node.provision_state {
        S::Active => arrive(visit, &node).await,
        S::Deploying | S::DeployWait | S::DeployHold => Ok(Next::Rest(None)),
        state => {
            let why = node.last_error.clone().unwrap_or_else(|| format!("the node is in state {state}"));
            let text = format!("{} What was done: billet why {}", sentence(&why), node.label());
            fail(visit, &node, &text).await
        }
    }
}

fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

fn is_rebuild(server: &Server) -> bool {
    server.task_state == Some(TaskState::Rebuilding)
}

fn event_of(server: &Server) -> &'static str {
    if is_rebuild(server) { "rebuilding" } else { "spawning" }
}

/// Tells the node what is to be put on it, and to do so.
async fn tell(visit: &mut Visit<'_>, node: &Node) -> Result<Next, Trouble> {
    let conductor = visit.conductor;
    let is_rebuild = is_rebuild(&visit.server);
    if is_rebuild {
        let info = rebuilt_info(&node.instance_info, &visit.server, conductor.hostname());
        if info != node.instance_info {
            visit
                .edit_with_node(node.uuid, |edit, machine| {
                    if !is_of(&machine.edit.node, &edit.server) {
                        return Err(Trouble::Moved);
                    }
                    let node = &mut machine.edit.node;
                    node.instance_info =
                        rebuilt_info(&node.instance_info, &edit.server, conductor.hostname());
                    node.instance_name = Some(edit.server.name.clone());
                    Ok(())
                })
                .await?;
        }
    }
    let request = ProvisionRequest {
        verb: if is_rebuild { Event::Rebuild } else { Event::Deploy },
        config_drive: None,
        steps: None,
        disable_ramdisk: false,
        rescue_password: None,
    };
    let told = async {
        let known = conductor.store().node_with_secrets(node.uuid).await?;
        let prepared = conductor.prepare(known, &request).await?;
        let drive = conductor.config_drive_of(&visit.server).await?;
        // What was paused until another one leads must not overwrite what that one wrote.
        if !conductor.is_leader() {
            return Ok(Next::Rest(soon()));
        }
        conductor.store().put_config_drive(node.uuid, &drive).await?;
        let event = visit.begun(event_of(&visit.server));
        visit
            .edit_with_node(node.uuid, |edit, machine| {
                if !is_of(&machine.edit.node, &edit.server) {
                    return Err(Trouble::Moved);
                }
                machine.edit.node.instance_info.insert("configdrive".into(), MASK.into());
                conductor.enter(&mut machine.edit, &request, &prepared, event.started_at)?;
                edit.server.work.told = true;
                edit.note(event);
                Ok(())
            })
            .await
    };
    match told.await {
        Err(Trouble::Refused(RequestError::Busy(_))) => Ok(Next::Rest(when_there_is_room())),
        // The node is held for the moment.
        Err(Trouble::Refused(RequestError::Conflict(_))) => Ok(Next::Rest(soon())),
        Err(Trouble::Refused(refusal)) => fail(visit, node, &sentence(&refusal.to_string())).await,
        other => other,
    }
}

/// The machine runs.
async fn arrive(visit: &mut Visit<'_>, node: &Node) -> Result<Next, Trouble> {
    let now = visit.now();
    let event = visit.done(event_of(&visit.server), None);
    let power = PowerView::of_node(node.power_state);
    tracing::info!(server = %visit.server.uuid, node = %node.uuid, "the server runs");
    visit
        .edit(|edit| {
            edit.note(event);
            let server = &mut edit.server;
            let then_stop = server.work.then_stop;
            server.come_to_rest(VmState::Active);
            server.power = power;
            server.fault = None;
            server.launched_at = Some(now);
            if then_stop {
                server.task_state = Some(TaskState::PoweringOff);
            }
        })
        .await?;
    visit.wake(TaskState::Spawning).await
}

/// The machine does not run: another is tried, unless this one carries the server's data.
async fn fail(visit: &mut Visit<'_>, node: &Node, why: &str) -> Result<Next, Trouble> {
    let server = &visit.server;
    if !is_rebuild(server) {
        let message = format!("Build of instance {} on node {} failed: {why}", server.uuid, node.label());
        return retreat::begin(visit, "spawning", message, true).await;
    }
    let now = visit.now();
    let message = format!("Rebuild of instance {} on node {} failed: {why}", server.uuid, node.label());
    tracing::warn!(server = %server.uuid, %message, "rebuild failed");
    let event = visit.failed("rebuilding", message.clone());
    visit
        .edit(|edit| {
            edit.note(event);
            edit.server.fail(500, message, None, now);
        })
        .await
}

/// `instance_info` with another image and another name in it; what only the node knows of stays.
fn rebuilt_info(before: &Object, server: &Server, host: &str) -> Object {
    const OURS: &[&str] = &["ephemeral_gb", "preserve_ephemeral", "traits", "capabilities"];
    let mut info = before.clone();
    info.retain(|key, _| !OURS.contains(&key.as_str()) && !key.starts_with("image_"));
    info.extend(instance_info(server, host));
    info
}

/// What Nova's ironic driver writes into a node for an instance (its `virt/ironic/patcher.py`). Numbers are texts there.
pub fn instance_info(server: &Server, host: &str) -> Object {
    let flavor = &server.flavor;
    let request = Request::new(server, host);
    let mut info = Object::new();
    let mut put = |key: &str, value: Value| info.insert(key.to_owned(), value);
    if let Some(image) = &server.image {
        put("image_source", image.id.clone().into());
    }
    for (key, value) in [
        ("root_gb", flavor.disk_gb),
        ("swap_mb", flavor.swap_mb),
        ("vcpus", flavor.vcpus),
        ("memory_mb", flavor.ram_mb),
        ("local_gb", flavor.disk_gb + flavor.ephemeral_gb),
    ] {
        put(key, value.to_string().into());
    }
    if flavor.ephemeral_gb > 0 {
        put("ephemeral_gb", flavor.ephemeral_gb.to_string().into());
    }
    if server.work.preserve_ephemeral {
        put("preserve_ephemeral", "True".into());
    }
    put("display_name", server.name.clone().into());
    put("nova_host_id", host.into());
    put("project_id", server.project_id.clone().into());
    put("user_id", server.user_id.clone().into());
    put("flavor_name", flavor.name.clone().into());
    put("traits", request.required_traits().into());
    let capabilities: Object = request
        .capabilities()
        .iter()
        // A requirement with an operator is for the scheduler alone.
        .filter(|(_, value)| value.split_whitespace().count() == 1)
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    if !capabilities.is_empty() {
        put("capabilities", capabilities.into());
    }
    info
}
