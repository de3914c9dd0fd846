//! What users ask for: provision verbs and power. Checked against the node as it is, recorded, and left to the reconciler.

use crate::Conductor;
use crate::config_drive;
use crate::hardware;
use crate::history;
use crate::image;
use crate::request::{PowerRequest, ProvisionRequest, RequestError};
use crate::runner;
use crate::steps::abort_text;
use crate::wording::invalid_state;
use bmc::ipmi::Settings as IpmiSettings;
use jiff::Timestamp;
use model::agent::Phase;
use model::event::{EventKind, LogEvent};
use model::node::{InterfaceKind, Node, PowerTarget, Work};
use model::secret::MASK;
use model::state::{Event, Kind, ProvisionState};
use store::{Edit, Guard};
use uuid::Uuid;

impl Conductor {
    /// `PUT …/states/provision`: checks the verb against state, maintenance and protection, validates what must be right before it
    /// starts, and records it. The work itself begins when this has returned.
    pub async fn provision(&self, uuid: Uuid, request: ProvisionRequest) -> Result<(), RequestError> {
        let now = Timestamp::now();
        let row = self.store().node_with_secrets(uuid).await?;
        self.check(&row.node, &request)?;
        let drive = match &request.config_drive {
            Some(value) => config_drive::stored_form(&row.node, value).map_err(RequestError::Invalid)?,
            None => None,
        };
        match &drive {
            Some(drive) => self.store().put_config_drive(uuid, drive).await?,
            // An empty one was asked for: what an earlier attempt left must not go onto the disk.
            None if request.config_drive.is_some() => self.store().delete_config_drive(uuid).await?,
            None => {}
        }
        let settings = self.settings();
        self.store()
            .edit_node(uuid, Guard::Free, now, |edit| {
                // The node may have changed since it was read: what decides is checked again under the lock.
                self.check(&edit.node, &request)?;
                if drive.is_some() {
                    edit.node.instance_info.insert("configdrive".into(), MASK.into());
                } else if request.config_drive.is_some() {
                    edit.node.instance_info.remove("configdrive");
                }
                let uefi = hardware::wants_uefi(&edit.node, settings.uefi_by_default);
                let before = edit.node.provision_state;
                apply(edit, &request, uefi, now)?;
                if request.verb == Event::Abort
                    && edit.node.provision_state != before
                    && let Some(text) = &edit.node.last_error
                {
                    edit.history.push(history::aborted(self, &edit.node, text, now));
                }
                Ok::<_, RequestError>(())
            })
            .await?;
        Ok(())
    }

    fn check(&self, node: &Node, request: &ProvisionRequest) -> Result<(), RequestError> {
        let verb = request.verb;
        if node.provision_state.apply(verb).is_err() {
            return Err(RequestError::Invalid(invalid_state(verb.as_str(), node)));
        }
        if node.protected && matches!(verb, Event::Delete | Event::Rebuild) {
            return Err(RequestError::Forbidden(format!(
                "Node {} is protected and cannot be undeployed, rebuilt or deleted. Unset \"protected\" first.",
                node.uuid
            )));
        }
        if node.maintenance
            && matches!(
                verb,
                Event::Deploy
                    | Event::Rebuild
                    | Event::Clean
                    | Event::Rescue
                    | Event::Unrescue
                    | Event::Service
            )
        {
            return Err(RequestError::Invalid(format!(
                "The {verb} operation can't be performed on node {} because it's in maintenance mode.",
                node.uuid
            )));
        }
        if node.retired && matches!(verb, Event::Provide | Event::Deploy) {
            return Err(RequestError::Invalid(format!(
                "The {verb} operation can't be performed on node {} because it is retired.",
                node.uuid
            )));
        }
        let unsupported = |kind: InterfaceKind| {
            let implementation = hardware::implementation(node, kind);
            (implementation.is_empty() || implementation.starts_with("no-")).then(|| {
                RequestError::Invalid(format!(
                    "Driver {} does not support {kind} (disabled or not implemented).",
                    node.driver
                ))
            })
        };
        let refusal = match verb {
            Event::Deploy | Event::Rebuild => {
                return self.ready_to_deploy(node).map_err(|reason| {
                    RequestError::Invalid(format!(
                        "Failed to validate deploy or power info for node {}: {reason}",
                        node.uuid
                    ))
                });
            }
            Event::Inspect => unsupported(InterfaceKind::Inspect),
            Event::Rescue | Event::Unrescue => unsupported(InterfaceKind::Rescue),
            Event::Provide | Event::Clean | Event::Adopt | Event::Service | Event::Delete => power_reason(
                node,
            )
            .map(|reason| {
                RequestError::Invalid(match verb {
                    Event::Delete => format!(
                        "Failed to validate power driver interface. Can not delete instance. Error: {reason}"
                    ),
                    _ => format!(
                        "Failed to validate power driver interface for node {}. Error: {reason}",
                        node.uuid
                    ),
                })
            }),
            _ => None,
        };
        refusal.map_or(Ok(()), Err)
    }

    /// Everything that must be right before a deployment may start; the error is the first thing that is not.
    fn ready_to_deploy(&self, node: &Node) -> Result<(), String> {
        if let Some(reason) = power_reason(node) {
            return Err(reason);
        }
        if hardware::uses_ramdisk(node) {
            image::info(node, self.settings().uefi_by_default)?;
            crate::validation::boot_files(self.settings(), node)?;
        }
        Ok(())
    }

    /// `PUT …/states/power`: records the change; the reconciler makes it.
    pub async fn power(&self, uuid: Uuid, request: PowerRequest) -> Result<(), RequestError> {
        let now = Timestamp::now();
        self.store()
            .edit_node(uuid, Guard::Free, now, |edit| {
                let node = &mut edit.node;
                if let Some(reason) = power_reason(node) {
                    return Err(RequestError::Invalid(reason));
                }
                if matches!(node.provision_state, ProvisionState::Cleaning | ProvisionState::CleanWait) {
                    return Err(RequestError::Invalid(invalid_state(request.target.as_str(), node)));
                }
                if node.disable_power_off && matches!(request.target, PowerTarget::Off | PowerTarget::SoftOff) {
                    return Err(RequestError::Conflict(format!("Power off is disabled for node {}", node.uuid)));
                }
                if node.target_power_state.is_some() {
                    return Err(RequestError::Conflict(format!(
                        "Node {} is already changing its power state; try again when target_power_state is empty.",
                        node.uuid
                    )));
                }
                node.target_power_state = Some(request.target);
                node.power_timeout_seconds = request.timeout_seconds;
                node.last_error = None;
                node.nudge(now);
                let asked = LogEvent::new(Some(node.uuid), now, EventKind::Request, request.target.as_str(), "");
                edit.events.push(asked);
                Ok(())
            })
            .await?;
        Ok(())
    }
}

/// What is wrong with the node's power settings, if anything is. Asks nobody.
pub fn power_reason(node: &Node) -> Option<String> {
    match hardware::implementation(node, InterfaceKind::Power) {
        "ipmitool" => IpmiSettings::parse(&node.driver_info).err().map(|error| error.to_string()),
        _ => None,
    }
}

/// Writes the verb into the node.
fn apply(
    edit: &mut Edit,
    request: &ProvisionRequest,
    uefi: bool,
    now: Timestamp,
) -> Result<(), RequestError> {
    let before = edit.node.provision_state;
    let refused = |edit: &Edit| RequestError::Invalid(invalid_state(request.verb.as_str(), &edit.node));
    if request.verb == Event::Abort && before.kind() == Kind::Wait && abort_later(edit, now) {
        return Ok(());
    }
    runner::begin(edit, request.verb, now).map_err(|_| refused(edit))?;
    let node = &mut edit.node;
    match request.verb {
        Event::Abort => {
            node.last_error = Some(match before {
                ProvisionState::CleanWait | ProvisionState::CleanHold => abort_text(Phase::Clean, node),
                ProvisionState::DeployWait | ProvisionState::DeployHold => abort_text(Phase::Deploy, node),
                ProvisionState::RescueWait => "By request, the rescue operation was aborted.".to_owned(),
                ProvisionState::InspectWait => "Inspection was aborted by request.".to_owned(),
                _ => abort_text(Phase::Service, node),
            });
            node.work.tear_down = node.provision_state.kind() == Kind::Failure;
            node.deploy_step = None;
        }
        Event::Unhold => {}
        _ => {
            node.last_error = None;
            node.work = Work {
                user_steps: request
                    .steps
                    .clone()
                    .filter(|_| request.verb != Event::Deploy && request.verb != Event::Rebuild),
                disable_ramdisk: request.disable_ramdisk,
                ..Work::default()
            };
            node.agent = Default::default();
        }
    }
    match request.verb {
        Event::Deploy | Event::Rebuild => {
            node.driver_internal_info
                .extend(image::internal_marks(uefi).map(|(key, value)| (key.to_owned(), value)));
        }
        Event::Inspect => node.inspection_started_at = Some(now),
        Event::Rescue => {
            if let Some(password) = &request.rescue_password {
                node.instance_info.insert("rescue_password".into(), password.expose().into());
            }
        }
        _ => {}
    }
    Ok(())
}

/// A step that can't be cut short ends first; the abort takes effect behind it.
fn abort_later(edit: &mut Edit, now: Timestamp) -> bool {
    let node = &mut edit.node;
    let running = node.work.command.is_some()
        && node.work.steps.get(node.work.next).is_some_and(|step| !step.abortable && step.in_band);
    if running {
        node.work.abort_requested = true;
        node.nudge(now);
        let note = "the running step can't be cut short; the abort takes effect behind it";
        edit.events.push(LogEvent::new(Some(edit.node.uuid), now, EventKind::Request, "abort", note));
    }
    running
}
