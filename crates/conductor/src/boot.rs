//! Getting the ramdisk to run on a machine: boot device, power cycle, patience, another try.

use crate::fake;
use crate::hardware;
use crate::outcome::{Failure, Outcome};
use crate::power;
use crate::visit::Visit;
use bmc::{BootDevice, BootOverride, FirmwareMode};
use jiff::{SignedDuration, Timestamp};
use model::event::{EventKind, LogEvent};
use model::node::{AgentLink, BootAttempt, InterfaceKind, Node, PowerState};

/// Sets what the machine boots from; how is left to the BMC.
pub async fn set_device(visit: &mut Visit<'_>, device: BootDevice, persistent: bool) -> Result<(), Failure> {
    if visit.node.interfaces.get(InterfaceKind::Management) == Some("noop") {
        return Ok(());
    }
    let mode = if hardware::wants_uefi(&visit.node, visit.conductor.settings().uefi_by_default) {
        FirmwareMode::Uefi
    } else {
        FirmwareMode::Bios
    };
    let wanted = BootOverride { device, persistent, mode: Some(mode) };
    fake::pause(visit, InterfaceKind::Management, &format!("boot device {device}")).await?;
    let bmc = visit.bmc()?;
    let how = if persistent { "persistently" } else { "once" };
    visit
        .ask("set boot device", bmc.set_boot_override(wanted), |()| format!("{device:?} {how}, {mode:?}"))
        .await
}

/// Makes the machine boot its instance from now on: over the network where that is how the instance boots, else from its disk.
pub async fn set_instance_device(visit: &mut Visit<'_>) -> Result<(), Failure> {
    let device = match hardware::boots_over_network(&visit.node) {
        true => BootDevice::Pxe,
        false => BootDevice::Disk,
    };
    set_device(visit, device, true).await
}

/// The power is off and the ramdisk's work is done: a machine that asks the network again is to get its instance.
pub async fn end_ramdisk(visit: &mut Visit<'_>) -> Result<(), Failure> {
    if visit.node.work.boot.as_ref().is_none_or(|boot| boot.is_over) {
        return Ok(());
    }
    visit
        .edit(|edit| {
            if let Some(boot) = &mut edit.node.work.boot {
                boot.is_over = true;
            }
        })
        .await
}

/// Restarts the machine into the ramdisk. The attempt is recorded before the power is touched; a restart of the conductor in
/// between repeats the power cycle without counting it twice.
pub async fn start_ramdisk(visit: &mut Visit<'_>) -> Result<(), Failure> {
    let now = visit.now();
    let deadline = after(now, visit.conductor.settings().callback_timeout);
    visit
        .edit(|edit| {
            let work = &mut edit.node.work;
            let attempt = match &work.boot {
                Some(boot) if boot.powered_at.is_none() => boot.attempt,
                Some(boot) => boot.attempt + 1,
                None => 1,
            };
            work.boot = Some(BootAttempt {
                attempt,
                powered_at: None,
                last_seen: None,
                last_seen_at: None,
                ramdisk_sent_at: None,
                is_over: false,
            });
            work.deadline.get_or_insert(deadline);
            work.command = None;
            work.finished_commands.clear();
            edit.node.agent = AgentLink::default();
            edit.node.driver_internal_info.remove("agent_url");
        })
        .await?;
    fake::pause(visit, InterfaceKind::Boot, "prepare the ramdisk").await?;
    power::ensure(visit, PowerState::Off).await?;
    // Until the power was off, the ramdisk of an earlier boot may have called and got the token of this one.
    if visit.conductor.store().node(&visit.node.uuid.to_string()).await?.node.agent.token.is_some() {
        visit.edit(|edit| edit.node.agent = AgentLink::default()).await?;
    }
    set_device(visit, BootDevice::Pxe, false).await?;
    power::ensure(visit, PowerState::On).await?;
    let now = visit.now();
    visit
        .edit(|edit| {
            if let Some(boot) = &mut edit.node.work.boot {
                boot.powered_at = Some(now);
            }
        })
        .await
}

/// Has the ramdisk of the boot under way called? One that called before that boot was recorded as begun may be the one before it: the
/// conductor that was about to switch its machine off may have died when it had done so.
pub fn has_called(node: &Node) -> bool {
    node.agent.url.is_some() && node.work.boot.as_ref().is_none_or(|boot| boot.powered_at.is_some())
}

/// When the boot under way is to be tried again, and why; none if it may not.
fn retry_at(node: &Node, settings: &crate::Settings) -> Option<(Timestamp, &'static str)> {
    let boot = node.work.boot.as_ref()?;
    if boot.attempt >= settings.boot_attempts {
        return None;
    }
    match boot.ramdisk_sent_at {
        Some(sent) => Some((
            after(sent, settings.boot_retry_after_fetch),
            "it fetched the ramdisk but its agent has not called",
        )),
        None => Some((after(boot.powered_at?, settings.boot_retry), "it has not fetched the ramdisk")),
    }
}

/// What to do while the ramdisk has not called: wait, try again, or give up.
pub async fn await_call(
    visit: &mut Visit<'_>,
    on_timeout: impl FnOnce(&Node) -> String,
) -> Result<Outcome, Failure> {
    let now = visit.now();
    let deadline = visit.node.work.deadline.unwrap_or(now);
    if now >= deadline {
        let text = format!("{} {}", on_timeout(&visit.node), last_seen(&visit.node));
        return Err(Failure::TimedOut(text));
    }
    if visit.node.work.boot.as_ref().is_some_and(|boot| boot.powered_at.is_none()) {
        start_ramdisk(visit).await?;
        return Ok(Outcome::Again);
    }
    match retry_at(&visit.node, visit.conductor.settings()) {
        Some((at, why)) if now >= at => {
            let detail = format!("{why}. {}", last_seen(&visit.node));
            visit.note(
                LogEvent::new(Some(visit.node.uuid), now, EventKind::Step, "boot retry", detail).failed(),
            );
            start_ramdisk(visit).await?;
            Ok(Outcome::Again)
        }
        Some((at, _)) => Ok(Outcome::Wait(Some(at.min(deadline)))),
        None => Ok(Outcome::Wait(Some(deadline))),
    }
}

/// A sentence on how far the machine got, for errors.
pub fn last_seen(node: &Node) -> String {
    let Some(boot) = &node.work.boot else {
        return "The machine was not started for the ramdisk.".to_owned();
    };
    let attempt = boot.attempt;
    match (&boot.last_seen, boot.last_seen_at) {
        (Some(seen), Some(at)) => {
            format!(
                "Last seen of it (boot attempt {attempt}): {seen} at {at}; look at its console for what came after."
            )
        }
        _ => format!(
            "Nothing was seen of it on the network (boot attempt {attempt}): check that a port with the MAC address of its \
             network boot card is registered, that the card is on the provisioning network, and that it boots from the network."
        ),
    }
}

/// A time that lies `duration` later.
pub fn after(time: Timestamp, duration: std::time::Duration) -> Timestamp {
    time.saturating_add(SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX))
        .unwrap_or(Timestamp::MAX)
}
