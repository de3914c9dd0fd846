//! What users ask for: provision verbs and power. Checked against the node as it is, recorded, and left to the reconciler.

use crate::Conductor;
use crate::claim::patiently;
use crate::config_drive;
use crate::fail;
use crate::glance;
use crate::hardware;
use crate::history;
use crate::image;
use crate::partition_image;
use crate::request::{PowerRequest, ProvisionRequest, RequestError};
use crate::rescue_password;
use crate::runner;
use crate::steps::{self, abort_text, offered, plan};
use crate::wording::invalid_state;
use bmc::ipmi::Settings as IpmiSettings;
use jiff::Timestamp;
use model::Secret;
use model::agent::Phase;
use model::event::{EventKind, LogEvent};
use model::node::{InterfaceKind, Node, PowerTarget, Work};
use model::secret::MASK;
use model::state::{Event, Kind, ProvisionState, Refused};
use model::step::Step;
use serde_json::Value;
use std::borrow::Cow;
use store::{Edit, NodeVersion};
use uuid::Uuid;

impl Conductor {
    /// `PUT …/states/provision`: checks the verb against state, maintenance and protection, validates what must be right before it
    /// starts, and records it. The work itself begins when this has returned.
    pub async fn provision(&self, uuid: Uuid, request: ProvisionRequest) -> Result<(), RequestError> {
        self.provision_known(self.store().node_with_secrets(uuid).await?, request).await
    }

    /// As [`Conductor::provision`], of a node that was just read.
    pub async fn provision_known(
        &self,
        known: NodeVersion,
        request: ProvisionRequest,
    ) -> Result<(), RequestError> {
        let now = Timestamp::now();
        let prepared = self.prepare(known, &request).await?;
        let enter = |edit: &mut Edit| self.enter(edit, &request, &prepared, now);
        patiently(|| self.ask(&prepared.known, enter)).await
    }

    /// The first half of [`Conductor::provision`]: what can be looked at before the node is changed. The config drive is stored.
    pub(crate) async fn prepare(
        &self,
        known: NodeVersion,
        request: &ProvisionRequest,
    ) -> Result<Prepared, RequestError> {
        self.check_room(request.verb).await?;
        let uuid = known.node.uuid;
        let mut node = Cow::Borrowed(&known.node);
        self.check_served(&node).await?;
        if starts_deployment(request.verb) {
            hardware::detect_deploy_interface(node.to_mut());
            let wrong = |reason: String| not_deployable(&node, &reason);
            self.check_ramdisk_images(&node).await.map_err(wrong)?;
            let resolved = self.with_images(&node, None).await.map_err(wrong)?;
            self.check(&resolved, request)?;
            self.check_steps(&node, request).await?;
        } else {
            self.check(&node, request)?;
        }
        let drive = match &request.config_drive {
            Some(value) => config_drive::stored_form(&node, value).map_err(RequestError::Invalid)?,
            None => None,
        };
        let password = match &request.rescue_password {
            Some(password) if request.verb == Event::Rescue => Some(rescue_password::hash(password)?),
            _ => None,
        };
        match &drive {
            Some(drive) => self.store().put_config_drive(uuid, drive).await?,
            // An empty one was asked for: what an earlier attempt left must not go onto the disk.
            None if request.config_drive.is_some() => self.store().delete_config_drive(uuid).await?,
            None => {}
        }
        Ok(Prepared { known, has_drive: drive.is_some(), password })
    }

    /// The second half: the verb is checked against the node as it is now, and written into it.
    pub(crate) fn enter(
        &self,
        edit: &mut Edit,
        request: &ProvisionRequest,
        prepared: &Prepared,
        now: Timestamp,
    ) -> Result<(), RequestError> {
        if starts_deployment(request.verb) {
            hardware::detect_deploy_interface(&mut edit.node);
        }
        // The node may have changed since it was read: what decides is checked again under the lock.
        self.check(&edit.node, request)?;
        if prepared.has_drive {
            edit.node.instance_info.insert("configdrive".into(), MASK.into());
        } else if request.config_drive.is_some() {
            edit.node.instance_info.remove("configdrive");
        }
        let uefi = hardware::wants_uefi(&edit.node, self.settings().uefi_by_default);
        let before = edit.node.provision_state;
        apply(edit, request, prepared.password.as_ref(), uefi, now)?;
        if request.verb == Event::Abort
            && edit.node.provision_state != before
            && let Some(text) = &edit.node.last_error
        {
            edit.history.push(history::aborted(self, &edit.node, text, now));
        }
        Ok(())
    }

    /// `[conductor] max_concurrent_deploy` and `max_concurrent_clean`.
    async fn check_room(&self, verb: Event) -> Result<(), RequestError> {
        use ProvisionState as S;
        let settings = self.settings();
        let (what, states, most): (_, &[S], _) = match verb {
            Event::Deploy | Event::Rebuild => {
                ("provisioning", &[S::Deploying, S::DeployWait], settings.max_concurrent_deploy)
            }
            Event::Delete | Event::Clean => (
                if verb == Event::Delete { "unprovisioning" } else { "cleaning" },
                &[S::Deleting, S::Cleaning, S::CleanWait],
                settings.max_concurrent_clean,
            ),
            _ => return Ok(()),
        };
        if self.store().count_nodes_in(states).await? < u64::from(most) {
            return Ok(());
        }
        Err(RequestError::Busy(format!(
            "Unable to process request at this time. The concurrent action limit for {what} has been reached. Please contact \
             your administrator and try again later."
        )))
    }

    /// Do the instance's traits and the steps that they and the verb bring fit the node?
    async fn check_steps(&self, node: &Node, request: &ProvisionRequest) -> Result<(), RequestError> {
        let wrong = |reason: String| not_deployable(node, &reason);
        check_traits(node).map_err(wrong)?;
        let offered = offered::offered(node, Phase::Deploy);
        let templates = steps::templates(self.store(), node).await?;
        let wanted = request.steps.as_deref().unwrap_or_default();
        plan::deployment(&offered, wanted, &templates, false).map_err(wrong)?;
        Ok(())
    }

    fn check(&self, node: &Node, request: &ProvisionRequest) -> Result<(), RequestError> {
        let verb = request.verb;
        if node.provision_state.apply(verb).is_err() {
            return Err(RequestError::Invalid(invalid_state(verb.as_str(), node)));
        }
        self.check_owners_wishes(node, verb)?;
        let unsupported = |kind: InterfaceKind| {
            let implementation = hardware::implementation(node, kind);
            (implementation.is_empty() || implementation.starts_with("no-")).then(|| {
                format!("Driver {} does not support {kind} (disabled or not implemented).", node.driver)
            })
        };
        let rescue = |reason: String, verb: &str| {
            let instance = node.instance_uuid.as_deref().unwrap_or("None");
            format!(
                "Failed to {verb} instance {instance} for node {}: Validation failed: {reason}",
                node.uuid
            )
        };
        let power = power_reason(node);
        let uuid = node.uuid;
        let refusal = match verb {
            Event::Deploy | Event::Rebuild => {
                return self.ready_to_deploy(node).map_err(|reason| not_deployable(node, &reason));
            }
            Event::Inspect => power.or_else(|| unsupported(InterfaceKind::Inspect)),
            Event::Rescue => power
                .or_else(|| unsupported(InterfaceKind::Rescue))
                .or_else(|| self.rescue_files_reason(node))
                .map(|reason| rescue(reason, "rescue")),
            Event::Unrescue => power.map(|reason| rescue(reason, "unrescue")),
            Event::Clean => {
                power.map(|reason| format!("Validation of node {uuid} for cleaning failed: {reason}"))
            }
            Event::Service => {
                power.map(|reason| format!("Validation of node {uuid} for servicing failed: {reason}"))
            }
            Event::Delete => power.map(|reason| {
                format!("Failed to validate power driver interface. Can not delete instance. Error: {reason}")
            }),
            _ => None,
        };
        refusal.map_or(Ok(()), |reason| Err(RequestError::Invalid(reason)))
    }

    /// Protection, maintenance and retirement.
    fn check_owners_wishes(&self, node: &Node, verb: Event) -> Result<(), RequestError> {
        let uuid = node.uuid;
        if node.protected && matches!(verb, Event::Delete | Event::Rebuild) {
            return Err(RequestError::Forbidden(format!(
                "Node {uuid} is protected and cannot be undeployed, rebuilt or deleted. Unset \"protected\" first."
            )));
        }
        let busy = match verb {
            Event::Deploy | Event::Rebuild => Some("provisioning"),
            Event::Clean => Some("cleaning"),
            Event::Rescue => Some("rescuing"),
            Event::Unrescue => Some("unrescuing"),
            Event::Service => Some("service"),
            Event::Provide if !self.settings().allow_provisioning_in_maintenance => Some("providing"),
            _ => None,
        };
        if let Some(operation) = busy.filter(|_| node.maintenance) {
            return Err(RequestError::Invalid(format!(
                "The {operation} operation can't be performed on node {uuid} because it's in maintenance mode."
            )));
        }
        if node.retired && verb == Event::Provide {
            return Err(RequestError::Invalid(format!(
                "The providing operation can't be performed on node {uuid} because it is retired."
            )));
        }
        if node.maintenance && verb == Event::Abort && node.provision_state == ProvisionState::ServiceFailed {
            return Err(RequestError::Conflict(format!(
                "Can not abort service on node \"{uuid}\" while it is in maintenance mode. Please remove the node from \
                 maintenance prior to issuing the request to abort the service operation."
            )));
        }
        Ok(())
    }

    /// What is missing for a rescue through the ramdisk, if anything is.
    fn rescue_files_reason(&self, node: &Node) -> Option<String> {
        let is_agent = hardware::implementation(node, InterfaceKind::Rescue) == "agent";
        let is_own =
            ["rescue_kernel", "rescue_ramdisk"].iter().all(|key| node.driver_info.contains_key(*key));
        if !is_agent || is_own {
            return None;
        }
        crate::validation::boot_files(self.settings(), node).err()
    }

    /// Everything that must be right before a deployment may start; the error is the first thing that is not.
    fn ready_to_deploy(&self, node: &Node) -> Result<(), String> {
        if let Some(reason) = power_reason(node) {
            return Err(reason);
        }
        match hardware::implementation(node, InterfaceKind::Deploy) {
            "fake" => Ok(()),
            "ramdisk" => image::ramdisk_instance(node).map(|_| ()),
            "direct" => {
                // What the image service says of an image was looked at before the node was locked.
                if !glance::deploys_image(node) {
                    image::info(node, self.settings().uefi_by_default)?;
                }
                crate::validation::boot_files(self.settings(), node)
            }
            other => Err(format!(
                "deploy interface \"{other}\" can't be used by this version of Billet; use direct, ramdisk or autodetect"
            )),
        }
    }

    /// `PUT …/states/power`: records the change; the reconciler makes it.
    pub async fn power(&self, uuid: Uuid, request: PowerRequest) -> Result<(), RequestError> {
        self.power_known(&self.store().node_with_secrets(uuid).await?, request).await
    }

    /// As [`Conductor::power`], of a node that was just read.
    pub async fn power_known(&self, known: &NodeVersion, request: PowerRequest) -> Result<(), RequestError> {
        let now = Timestamp::now();
        self.check_served(&known.node).await?;
        patiently(|| self.ask(known, |edit| enter_power(edit, request, now))).await
    }
}

/// Writes a power change that is asked for into a node, if nothing speaks against it.
pub(crate) fn enter_power(
    edit: &mut Edit,
    request: PowerRequest,
    now: Timestamp,
) -> Result<(), RequestError> {
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
}

/// What was found out and made before a verb is written into its node.
pub(crate) struct Prepared {
    /// The node as it was read for it.
    known: NodeVersion,
    has_drive: bool,
    password: Option<Secret>,
}

/// What is wrong with the node's power settings, if anything is. Asks nobody.
pub fn power_reason(node: &Node) -> Option<String> {
    match hardware::implementation(node, InterfaceKind::Power) {
        "ipmitool" => IpmiSettings::parse(&node.driver_info).err().map(|error| error.to_string()),
        _ => None,
    }
}

fn starts_deployment(verb: Event) -> bool {
    matches!(verb, Event::Deploy | Event::Rebuild)
}

fn not_deployable(node: &Node, reason: &str) -> RequestError {
    RequestError::Invalid(format!("Failed to validate deploy or power info for node {}: {reason}", node.uuid))
}

/// The traits that an instance asks for must be the node's.
fn check_traits(node: &Node) -> Result<(), String> {
    let wanted = match node.instance_info.get("traits") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(list)) => list.iter().map(Value::as_str).collect::<Option<Vec<_>>>(),
        Some(Value::String(text)) if text.is_empty() => return Ok(()),
        Some(_) => None,
    };
    let wanted = wanted.ok_or_else(|| {
        format!(
            "Error parsing traits from Node {} instance_info field. A list of strings is expected.",
            node.uuid
        )
    })?;
    let missing: Vec<_> = wanted.into_iter().filter(|name| !node.traits.contains(*name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "Cannot specify instance traits that are not also set on the node. Node {} is missing traits {}",
        node.uuid,
        missing.join(", ")
    ))
}

/// Writes the verb into the node.
fn apply(
    edit: &mut Edit,
    request: &ProvisionRequest,
    password: Option<&Secret>,
    uefi: bool,
    now: Timestamp,
) -> Result<(), RequestError> {
    let before = edit.node.provision_state;
    let refused = |edit: &Edit| RequestError::Invalid(invalid_state(request.verb.as_str(), &edit.node));
    if request.verb == Event::Abort {
        if before.kind() == Kind::Wait && abort_later(edit, now) {
            return Ok(());
        }
        runner::begin(edit, Event::Abort, now).map_err(|_| refused(edit))?;
        return abort(edit, before, now).map_err(|_| refused(edit));
    }
    runner::begin(edit, request.verb, now).map_err(|_| refused(edit))?;
    let node = &mut edit.node;
    match request.verb {
        // Work goes on where it was held.
        Event::Unhold => return Ok(()),
        // Nothing is begun that could fail: what failed before stays to be read.
        Event::Manage if node.provision_state == ProvisionState::Manageable => {}
        _ => node.last_error = None,
    }
    node.work = Work {
        user_steps: request.steps.clone(),
        disable_ramdisk: request.disable_ramdisk,
        ..Work::default()
    };
    node.agent = Default::default();
    node.driver_internal_info.remove("agent_url");
    match request.verb {
        Event::Deploy | Event::Rebuild => start_deployment(node, request, uefi),
        Event::Clean => {
            steps::show_wanted(node, Phase::Clean);
            node.driver_internal_info.insert("declarative_cleaning".into(), true.into());
        }
        Event::Service => steps::show_wanted(node, Phase::Service),
        Event::Inspect => {
            node.inspection_started_at = Some(now);
            node.inspection_finished_at = None;
        }
        Event::Rescue => {
            if let Some(password) = password {
                node.instance_info.insert("hashed_rescue_password".into(), password.expose().into());
            }
        }
        Event::Adopt => hardware::detect_deploy_interface(node),
        _ => {}
    }
    Ok(())
}

/// What a deployment notes of its image and of its tenant when it begins.
fn start_deployment(node: &mut Node, request: &ProvisionRequest, uefi: bool) {
    partition_image::forget_boot(node);
    // An image of the image service says what it is when it is written.
    if node.instance_info.contains_key("image_source") && !glance::deploys_image(node) {
        let is_whole = !partition_image::is_one(node);
        let kind = if is_whole { "whole-disk" } else { "partition" };
        node.instance_info.insert("image_type".into(), kind.into());
        node.driver_internal_info.insert("is_whole_disk_image".into(), is_whole.into());
    }
    if hardware::boots_ramdisk(node) {
        let mode = if uefi { "uefi" } else { "bios" };
        node.driver_internal_info.insert("deploy_boot_mode".into(), mode.into());
    }
    if let Some(steps) = &request.steps {
        let shown: Vec<_> = steps.iter().map(Step::shown).collect();
        node.driver_internal_info.insert("user_deploy_steps".into(), shown.into());
    }
    if request.verb == Event::Deploy
        && node.lessee.is_none()
        && let Some(project) = node.instance_info.get("project_id").and_then(Value::as_str)
    {
        node.lessee = Some(project.to_owned());
        node.driver_internal_info.insert("automatic_lessee".into(), true.into());
    }
}

/// What is left of work that was cut short.
fn abort(edit: &mut Edit, before: ProvisionState, now: Timestamp) -> Result<(), Refused> {
    let node = &mut edit.node;
    node.last_error = Some(match (before, fail::phase_of(before)) {
        (_, Some(phase)) => abort_text(phase, node),
        (ProvisionState::RescueWait, _) => "By request, the rescue operation was aborted.".to_owned(),
        _ => "Inspection was aborted by request.".to_owned(),
    });
    fail::abandon(node, before, true);
    if fail::phase_of(before) == Some(Phase::Service) {
        // An aborted service ends where it began; its instance is booted again.
        if node.provision_state == ProvisionState::ServiceFailed {
            node.apply(Event::Abort, now)?;
        }
        node.work.tear_down = true;
    }
    node.nudge(now);
    Ok(())
}

/// A step that can't be cut short ends first; the abort takes effect behind it.
fn abort_later(edit: &mut Edit, now: Timestamp) -> bool {
    let node = &mut edit.node;
    let Some(phase) = fail::phase_of(node.provision_state) else { return false };
    let is_at_it = match steps::current(node) {
        Some(step) if step.abortable => false,
        Some(step) if step.in_band => node.work.command.is_some(),
        Some(_) => steps::is_polled(node, phase),
        None => false,
    };
    if is_at_it {
        node.work.abort_requested = true;
        if let Some(step) = steps::shown_step_mut(node, phase) {
            step.abort_after = true;
        }
        node.nudge(now);
        let note = "the running step can't be cut short; the abort takes effect behind it";
        edit.events.push(LogEvent::new(Some(edit.node.uuid), now, EventKind::Request, "abort", note));
    }
    is_at_it
}
