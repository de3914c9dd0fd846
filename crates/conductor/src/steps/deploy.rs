//! The core deploy steps of the `direct` deploy interface (`conductor.md` §4, §5).

use super::command::{command_may_fail, command_once};
use super::{Progress, agent_side};
use crate::boot;
use crate::fake;
use crate::glance;
use crate::hardware;
use crate::image;
use crate::outcome::Failure;
use crate::partition_image::{self, BootOption};
use crate::power;
use crate::visit::Visit;
use bmc::BootDevice;
use model::agent::{CommandResult, InstallBootloaderParams, PartitionUuids, Phase, PrepareImageParams};
use model::event::{EventKind, LogEvent};
use model::node::{InterfaceKind, PowerState};
use model::step::Step;
use serde_json::{Map, Value, json};

/// Runs one core step; each may be run again after a crash.
pub async fn run(visit: &mut Visit<'_>, step: &Step) -> Result<Progress, Failure> {
    match step.step.as_str() {
        "deploy" => match hardware::implementation(&visit.node, InterfaceKind::Deploy) {
            "fake" => {
                fake::pause(visit, InterfaceKind::Deploy, "deploy").await?;
                Ok(Progress::Done)
            }
            "ramdisk" => boot_ramdisk_instance(visit).await,
            _ => start_agent(visit).await,
        },
        "write_image" => write_image(visit).await,
        "prepare_instance_boot" => prepare_instance_boot(visit).await,
        "tear_down_agent" => tear_down_agent(visit).await,
        // The flat and the noop network have nothing to switch: ramdisk and instance share one segment.
        "switch_to_tenant_network" => Ok(Progress::Done),
        "boot_instance" => boot_instance(visit).await,
        other => Err(Failure::last(format!("deploy.{other} is not a step of this version of Billet"))),
    }
}

/// `deploy`: the ramdisk is started, calls back, and says which steps it adds.
async fn start_agent(visit: &mut Visit<'_>) -> Result<Progress, Failure> {
    if !boot::has_called(&visit.node) {
        if visit.node.work.boot.as_ref().is_none_or(|boot| boot.powered_at.is_none()) {
            boot::start_ramdisk(visit).await?;
        }
        return Ok(Progress::Waiting);
    }
    if !visit.node.work.agent_steps_known {
        // The list is merged behind the step that runs: it counts as done for that.
        agent_side::merge_offered(visit, Phase::Deploy).await?;
    }
    Ok(Progress::Done)
}

/// The instance is a ramdisk: the machine boots it over the network, now and each time.
async fn boot_ramdisk_instance(visit: &mut Visit<'_>) -> Result<Progress, Failure> {
    power::ensure(visit, PowerState::Off).await?;
    boot::set_device(visit, BootDevice::Pxe, true).await?;
    power::ensure(visit, PowerState::On).await?;
    Ok(Progress::Done)
}

async fn write_image(visit: &mut Visit<'_>) -> Result<Progress, Failure> {
    let config_drive = visit.conductor.store().config_drive(visit.node.uuid).await?;
    let uefi_by_default = visit.conductor.settings().uefi_by_default;
    // Only images of our own need to know how the machine reaches us.
    let server = visit.conductor.server_of(&visit.node);
    if glance::deploys_image(&visit.node)
        && let Err(reason) = &server
    {
        return Err(Failure::last(reason.clone()));
    }
    let node =
        visit.conductor.with_images(&visit.node, server.ok().as_deref()).await.map_err(Failure::last)?;
    let image_info = image::info(&node, uefi_by_default).map_err(Failure::last)?;
    let is_kept = visit.node.instance_info.get("image_type") == node.instance_info.get("image_type")
        && visit.node.instance_info.get("kernel") == node.instance_info.get("kernel");
    if glance::deploys_image(&visit.node) && !is_kept {
        visit.edit(|edit| glance::keep_kind(&mut edit.node, &node)).await?;
    }
    let params = json!(PrepareImageParams { image_info, configdrive: config_drive.map(model::Secret::new) });
    let done = command_once(visit, "standby.prepare_image", object(params)).await?;
    let Some(result) = done else { return Ok(Progress::Waiting) };
    let said = result.command_result.as_ref().and_then(|value| value.get("result")).and_then(Value::as_str);
    let detail = said.unwrap_or("done").to_owned();
    let now = visit.now();
    let started = visit.node.work.started_at.unwrap_or(now);
    visit.note(
        LogEvent::new(Some(visit.node.uuid), started, EventKind::Agent, "standby.prepare_image", detail)
            .until(now),
    );
    Ok(Progress::Done)
}

/// `prepare_instance_boot`: the instance boots from its disk, by what the image brought along; or over the network, now and each time.
async fn prepare_instance_boot(visit: &mut Visit<'_>) -> Result<Progress, Failure> {
    let is_partition = partition_image::is_one(&visit.node);
    let uefi = hardware::wants_uefi(&visit.node, visit.conductor.settings().uefi_by_default);
    let option = match is_partition {
        true => partition_image::boot_option(&visit.node).map_err(Failure::last)?,
        false => BootOption::Local,
    };
    if is_partition {
        note_root(visit).await?;
    }
    let over_network = match option {
        BootOption::Netboot => true,
        // A whole disk has its own boot code for BIOS.
        BootOption::Local if !is_partition && !uefi => false,
        BootOption::Local | BootOption::Either => match install_bootloader(visit, is_partition).await? {
            Ok(None) => return Ok(Progress::Waiting),
            Ok(Some(_)) => false,
            Err(reason) if option == BootOption::Local => return Err(reason),
            Err(reason) => {
                let now = visit.now();
                let detail = format!("the machine boots over the network, since: {reason}");
                visit.note(LogEvent::new(Some(visit.node.uuid), now, EventKind::Step, "boot option", detail));
                true
            }
        },
    };
    if is_partition {
        visit.edit(|edit| partition_image::note_boot(&mut edit.node, over_network)).await?;
    }
    boot::set_instance_device(visit).await?;
    Ok(Progress::Done)
}

/// Learns the UUID of the root file system that was written, which the instance boots by.
async fn note_root(visit: &mut Visit<'_>) -> Result<(), Failure> {
    if visit.node.driver_internal_info.contains_key(partition_image::ROOT_UUID) {
        return Ok(());
    }
    let root = partition_uuids(visit).await?.root.filter(|root| partition_image::is_identifier(root)).ok_or_else(|| {
        Failure::last("the ramdisk told no UUID of the root file system that it wrote; is it one that writes partition images?")
    })?;
    visit
        .edit(|edit| {
            partition_image::note_layout(&mut edit.node);
            edit.node.driver_internal_info.insert(partition_image::ROOT_UUID.into(), root.as_str().into());
        })
        .await
}

/// Has the agent make the disk bootable. The inner error is its reason why it is not.
async fn install_bootloader(
    visit: &mut Visit<'_>,
    is_partition: bool,
) -> Result<Result<Option<CommandResult>, Failure>, Failure> {
    // Parameters matter to the first call only; afterwards the command is known by its identifier.
    let params = match visit.node.work.command {
        None => bootloader_params(visit, is_partition).await?,
        Some(_) => Map::new(),
    };
    command_may_fail(visit, "image.install_bootloader", params).await
}

async fn bootloader_params(visit: &Visit<'_>, is_partition: bool) -> Result<Map<String, Value>, Failure> {
    let uuids = partition_uuids(visit).await?;
    let uefi = hardware::wants_uefi(&visit.node, visit.conductor.settings().uefi_by_default);
    Ok(object(json!(InstallBootloaderParams {
        root_uuid: uuids.root.unwrap_or_default(),
        efi_system_part_uuid: uuids.efi_system_partition.filter(|_| uefi || !is_partition),
        prep_boot_part_uuid: None,
        target_boot_mode: Some(if uefi { "uefi" } else { "bios" }.into()),
        ignore_bootloader_failure: Some(false),
    })))
}

async fn partition_uuids(visit: &Visit<'_>) -> Result<PartitionUuids, Failure> {
    let answer = visit.agent()?.command("standby.get_partition_uuids", Map::new(), true).await?;
    Ok(answer
        .command_result
        .and_then(|value| serde_json::from_value(value.get("result").cloned().unwrap_or(value)).ok())
        .unwrap_or_default())
}

/// `tear_down_agent`: everything is on the disk, then the BMC cuts the power.
async fn tear_down_agent(visit: &mut Visit<'_>) -> Result<Progress, Failure> {
    if power::observe(visit).await? == PowerState::On && visit.node.agent.url.is_some() {
        let started = visit.now();
        let synced = visit.agent()?.command("standby.sync", Map::new(), true).await?;
        if let Some(error) = synced.command_error {
            return Err(Failure::last(format!("Agent returned error for standby.sync: {error}")));
        }
        let now = visit.now();
        visit.note(
            LogEvent::new(Some(visit.node.uuid), started, EventKind::Agent, "standby.sync", "").until(now),
        );
        // From here on the agent is gone, whatever happens: a second run must not wait for it.
        visit.edit(|edit| edit.node.agent = Default::default()).await?;
    }
    power::ensure(visit, PowerState::Off).await?;
    boot::end_ramdisk(visit).await?;
    Ok(Progress::Done)
}

async fn boot_instance(visit: &mut Visit<'_>) -> Result<Progress, Failure> {
    power::ensure(visit, PowerState::On).await?;
    Ok(Progress::Done)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
