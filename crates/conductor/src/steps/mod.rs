//! Running a list of steps, whoever carries each out: one engine for cleaning, deployment and service.
//!
//! A step is recorded (`started_at`, `clean_step` …) before anything is done, and the agent's command identifier as soon as it is
//! known. A conductor that finds a started step without an identifier asks the agent for its commands first, so that a crash
//! between the call and its record does not run the step twice.

pub mod agent_side;
pub mod deploy;
pub mod out_of_band;

use crate::boot;
use crate::hardware;
use crate::history;
use crate::outcome::{Failure, Outcome};
use crate::visit::Visit;
use model::agent::{CommandResult, CommandStatus, Phase};
use model::event::{EventKind, LogEvent};
use model::node::{AgentLink, Node, Work};
use model::state::Event;
use model::step::Step;
use serde_json::{Map, Value};

/// What carrying out one step came to.
pub enum Progress {
    /// Done.
    Done,
    /// The ramdisk is at it, or is being started: the node goes to its wait state.
    Waiting,
}

/// Shows the step under way in the field of its phase.
pub fn show_step(node: &mut Node, phase: Phase, step: Option<Step>) {
    match phase {
        Phase::Clean => node.clean_step = step,
        Phase::Deploy => node.deploy_step = step,
        Phase::Service => node.service_step = step,
    }
}

/// The work of a phase is over: its progress, its agent and its traces in `driver_internal_info` go.
pub fn forget(node: &mut Node, phase: Phase) {
    node.work = Work::default();
    node.agent = AgentLink::default();
    show_step(node, phase, None);
    let name = phase.name();
    for key in
        [&format!("{name}_steps"), &format!("{name}_step_index"), "hardware_manager_version", "agent_url"]
    {
        node.driver_internal_info.remove(key);
    }
}

/// Does this work go through the ramdisk?
pub fn needs_ramdisk(node: &Node) -> bool {
    hardware::uses_ramdisk(node) && !node.work.disable_ramdisk
}

/// Starts the ramdisk and learns which steps it offers, once each, where the work needs it. `Some` while it is awaited.
pub async fn prepare_ramdisk(visit: &mut Visit<'_>, phase: Phase) -> Result<Option<Outcome>, Failure> {
    if !needs_ramdisk(&visit.node) {
        return Ok(None);
    }
    if visit.node.agent.url.is_none() {
        if visit.node.work.boot.as_ref().is_none_or(|boot| boot.powered_at.is_none()) {
            boot::start_ramdisk(visit).await?;
        }
        return Ok(Some(Outcome::next(Event::Wait)));
    }
    if !visit.node.work.agent_steps_known {
        agent_side::merge_offered(visit, phase).await?;
    }
    Ok(None)
}

/// Runs or goes on with the step at `work.next`; at the end of the list there is none, and `None` comes back.
pub async fn advance(visit: &mut Visit<'_>, phase: Phase) -> Result<Option<Outcome>, Failure> {
    let Some(step) = visit.node.work.steps.get(visit.node.work.next).cloned() else { return Ok(None) };
    if visit.node.work.started_at.is_none() {
        if visit.node.work.abort_requested {
            return Err(Failure::last(abort_text(phase, &visit.node)));
        }
        let now = visit.now();
        let shown = step.clone();
        let conductor = visit.conductor;
        visit
            .edit(|edit| {
                if edit.node.work.next == 0 {
                    edit.history.extend(history::steps_started(conductor, &edit.node, now));
                }
                edit.node.work.started_at = Some(now);
                edit.events.push(LogEvent::new(
                    Some(edit.node.uuid),
                    now,
                    EventKind::Step,
                    format!("{} started", shown.full_name()),
                    "",
                ));
                let index = edit.node.work.next;
                edit.node.driver_internal_info.insert(format!("{}_step_index", phase.name()), index.into());
                show_step(&mut edit.node, phase, Some(shown));
            })
            .await?;
    }
    let progress = match phase {
        Phase::Deploy if !step.in_band => deploy::run(visit, &step).await?,
        _ if step.in_band => agent_side::run(visit, phase, &step).await?,
        _ => out_of_band::run(visit, &step).await?,
    };
    match progress {
        Progress::Waiting => Ok(Some(Outcome::next(Event::Wait))),
        Progress::Done => {
            finish(visit, &step).await?;
            if step.reboot_requested {
                boot::start_ramdisk(visit).await?;
                return Ok(Some(Outcome::next(Event::Wait)));
            }
            Ok(Some(Outcome::Again))
        }
    }
}

async fn finish(visit: &mut Visit<'_>, step: &Step) -> Result<(), Failure> {
    let now = visit.now();
    let name = step.full_name();
    visit
        .edit(|edit| {
            let work = &mut edit.node.work;
            let started = work.started_at.take().unwrap_or(now);
            work.next += 1;
            work.failing_since = None;
            work.finished_commands.extend(work.command.take());
            edit.events
                .push(LogEvent::new(Some(edit.node.uuid), started, EventKind::Step, name, "").until(now));
        })
        .await
}

/// Issues an agent command once, however often this is called for the same step, and says how it stands.
///
/// `None`: it runs. Failure: it failed, with the agent's own words.
pub async fn command_once(
    visit: &mut Visit<'_>,
    name: &str,
    params: Map<String, Value>,
) -> Result<Option<CommandResult>, Failure> {
    let agent = visit.agent()?;
    let short = name.rsplit('.').next().unwrap_or(name).to_owned();
    let commands = agent.commands().await?;
    let known = visit.node.work.command.clone();
    let found = commands.into_iter().find(|command| match &known {
        Some(id) => command.id == *id,
        // Ours, if the conductor died between the call and its record.
        None => command.command_name == short && !visit.node.work.finished_commands.contains(&command.id),
    });
    let result = match (found, known) {
        (Some(result), _) => result,
        (None, Some(id)) => {
            return Err(Failure::last(format!(
                "the agent of node {} no longer knows command {id} ({name}): the machine was restarted while it ran. Try again.",
                visit.node.label()
            )));
        }
        (None, None) => agent.command(name, params, false).await?,
    };
    if visit.node.work.command.as_ref() != Some(&result.id) {
        let id = result.id.clone();
        visit.edit(|edit| edit.node.work.command = Some(id)).await?;
    }
    settled(result)
}

/// Splits a command's result into running, succeeded and failed.
fn settled(result: CommandResult) -> Result<Option<CommandResult>, Failure> {
    match result.command_status {
        CommandStatus::Running => Ok(None),
        CommandStatus::Succeeded => Ok(Some(result)),
        CommandStatus::Failed | CommandStatus::VersionMismatch | CommandStatus::Unknown => {
            let reason =
                result.command_error.map_or_else(|| "no reason given".to_owned(), |error| error.to_string());
            Err(Failure::last(format!("Agent returned error for {}: {reason}", result.command_name)))
        }
    }
}

/// Is the command that the node waits for at an end?
pub async fn command_ended(visit: &Visit<'_>) -> Result<bool, Failure> {
    let Some(id) = &visit.node.work.command else { return Ok(true) };
    let commands = visit.agent()?.commands().await?;
    Ok(commands
        .iter()
        .find(|command| command.id == *id)
        .is_none_or(|command| command.command_status != CommandStatus::Running))
}

/// `last_error` of an abort, in the words that clients look for.
pub fn abort_text(phase: Phase, node: &Node) -> String {
    let operation = phase.name();
    let step = match phase {
        Phase::Clean => &node.clean_step,
        Phase::Deploy => &node.deploy_step,
        Phase::Service => &node.service_step,
    };
    match step {
        Some(step) => {
            format!(
                "By request, the {operation} operation was aborted during or after the completion of step: {}",
                step.full_name()
            )
        }
        None => format!("By request, the {operation} operation was aborted"),
    }
}
