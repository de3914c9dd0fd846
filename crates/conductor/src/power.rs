//! Power: bringing a machine to a state and proving that it is there; changes that users ask for.

use crate::fake;
use crate::history;
use crate::measure;
use crate::outcome::{Failure, Outcome};
use crate::visit::Visit;
use bmc::PowerAction;
use model::event::{EventKind, LogEvent};
use model::node::{InterfaceKind, PowerState, PowerTarget};
use std::time::{Duration, Instant};

/// First and longest pause between two looks at the power.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// Reads the power and records it.
pub async fn observe(visit: &mut Visit<'_>) -> Result<PowerState, Failure> {
    let bmc = visit.bmc()?;
    let state = visit.ask("power status", bmc.power_state(), |state| recorded(*state).to_string()).await?;
    let state = recorded(state);
    if visit.node.power_state != Some(state) {
        visit.edit(|edit| edit.node.power_state = Some(state)).await?;
    }
    Ok(state)
}

/// Brings the machine to `goal` and waits until the BMC says that it is there. Nothing is done if it is already.
pub async fn ensure(visit: &mut Visit<'_>, goal: PowerState) -> Result<(), Failure> {
    if observe(visit).await? == goal {
        return Ok(());
    }
    let (action, doing) = match goal {
        PowerState::On => (PowerAction::On, "power on"),
        _ => (PowerAction::Off, "power off"),
    };
    let limit = visit.conductor.settings().power_timeout;
    act_and_wait(visit, action, doing, goal, limit).await
}

/// Switches the machine off and on again, or resets it where it may not be switched off.
pub async fn cycle(visit: &mut Visit<'_>) -> Result<(), Failure> {
    let limit = visit.conductor.settings().power_timeout;
    reboot(visit, PowerAction::Off, "power off", limit).await
}

/// Sends one action and waits, at most `limit`, for the state that it should lead to.
async fn act_and_wait(
    visit: &mut Visit<'_>,
    action: PowerAction,
    doing: &'static str,
    goal: PowerState,
    limit: Duration,
) -> Result<(), Failure> {
    fake::pause(visit, InterfaceKind::Power, doing).await?;
    let bmc = visit.bmc()?;
    visit.ask(doing, bmc.set_power(action), |()| "accepted".to_owned()).await?;
    let started = Instant::now();
    let mut pause = FIRST_LOOK;
    loop {
        let looked = measure::bmc(&visit.node, "power status", bmc.power_state()).await;
        let state = recorded(looked.map_err(|source| Failure::Bmc { doing, source })?);
        if state == goal {
            let now = visit.now().to_string();
            visit
                .edit(|edit| {
                    edit.node.power_state = Some(goal);
                    edit.node
                        .driver_internal_info
                        .insert("last_power_state_change".into(), now.as_str().into());
                })
                .await?;
            return Ok(());
        }
        if started.elapsed() >= limit {
            return Err(Failure::last(format!(
                "Failed to change power state to '{goal}': the BMC accepted \"{doing}\" but still reports '{state}' after {} s. \
                 Look at the machine's console and at the BMC's event log.",
                limit.as_secs()
            )));
        }
        visit.flush().await?;
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_LOOK);
    }
}

/// Carries out a power change that a user asked for.
pub async fn reconcile(visit: &mut Visit<'_>, target: PowerTarget) -> Result<Outcome, Failure> {
    let started = visit.now();
    let settings = visit.conductor.settings();
    let patience = |default: Duration, node: &model::node::Node| {
        node.power_timeout_seconds.map_or(default, Duration::from_secs)
    };
    let hard = patience(settings.power_timeout, &visit.node);
    let soft = patience(settings.soft_power_off_timeout, &visit.node);
    let done = match target {
        PowerTarget::On => ensure(visit, PowerState::On).await,
        PowerTarget::Off => ensure(visit, PowerState::Off).await,
        PowerTarget::SoftOff => {
            act_and_wait(visit, PowerAction::SoftOff, "soft power off", PowerState::Off, soft).await
        }
        PowerTarget::Reboot => reboot(visit, PowerAction::Off, "power off", hard).await,
        PowerTarget::SoftReboot => reboot(visit, PowerAction::SoftOff, "soft power off", soft).await,
    };
    let error = match done {
        Ok(()) => None,
        Err(error) if error.is_runners() => return Err(error),
        Err(error) => Some(format!("Failed to change power state to '{target}': {error}")),
    };
    let now = visit.now();
    let conductor = visit.conductor;
    visit
        .edit(|edit| {
            let name = format!("requested {target}");
            let mut event = LogEvent::new(
                Some(edit.node.uuid),
                started,
                EventKind::Step,
                name,
                error.clone().unwrap_or_default(),
            )
            .until(now);
            event.ok = error.is_none();
            edit.events.push(event);
            if let Some(text) = &error {
                edit.history.push(history::error(conductor, &edit.node, "UNKNOWN", text, now));
            }
            edit.node.target_power_state = None;
            edit.node.power_timeout_seconds = None;
            edit.node.work.pauses.clear();
            // A machine that could not be brought back to what is recorded is asked for again.
            if edit.node.work.power_sync && error.is_some() {
                edit.node.power_state = Some(target.outcome());
            }
            edit.node.work.power_sync = false;
            edit.node.last_error = error.clone();
        })
        .await?;
    Ok(Outcome::Again)
}

/// Switches the machine off by `off` and on again, or resets it where it may not be switched off.
pub async fn reboot(
    visit: &mut Visit<'_>,
    off: PowerAction,
    doing: &'static str,
    limit: Duration,
) -> Result<(), Failure> {
    // A machine that may not be switched off is reset instead (`disable_power_off`).
    let is_on = observe(visit).await? == PowerState::On;
    if is_on && visit.node.disable_power_off {
        let bmc = visit.bmc()?;
        return visit.ask("power reset", bmc.set_power(PowerAction::Reset), |()| "accepted".to_owned()).await;
    }
    if is_on {
        act_and_wait(visit, off, doing, PowerState::Off, limit).await?;
    }
    ensure(visit, PowerState::On).await
}

/// The BMC's word as the node records it.
pub fn recorded(state: bmc::PowerState) -> PowerState {
    match state {
        bmc::PowerState::On => PowerState::On,
        bmc::PowerState::Off => PowerState::Off,
    }
}
