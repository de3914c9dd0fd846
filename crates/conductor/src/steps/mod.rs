//! Running a list of steps, whoever carries each out: one engine for cleaning, deployment and service.
//!
//! A step is recorded (`started_at`, `clean_step` …) before anything is done, and the agent's command identifier as soon as it is
//! known. A conductor that finds a started step without an identifier asks the agent for its commands first, so that a crash
//! between the call and its record does not run the step twice.

pub mod agent_side;
mod children;
pub mod command;
pub mod deploy;
pub mod offered;
mod out_of_band;
pub mod plan;
mod reserved;

use crate::boot;
use crate::hardware;
use crate::history;
use crate::measure;
use crate::outcome::{Failure, Outcome};
use crate::visit::Visit;
use model::agent::Phase;
use model::deploy_template::DeployTemplate;
use model::event::{EventKind, LogEvent};
use model::node::{AgentLink, InterfaceKind, Node, Work};
use model::state::Event;
use model::step::Step;
use serde_json::{Value, json};
use store::Edit;
use tracing::Instrument;

/// What carrying out one step came to.
pub enum Progress {
    /// Done.
    Done,
    /// The ramdisk or the BMC is at it: the node goes to its wait state.
    Waiting,
    /// Nothing goes on until a user says so.
    Held,
}

/// Shows the step under way in the field of its phase.
pub fn show_step(node: &mut Node, phase: Phase, step: Option<Step>) {
    match phase {
        Phase::Clean => node.clean_step = step,
        Phase::Deploy => node.deploy_step = step,
        Phase::Service => node.service_step = step,
    }
}

/// The step that the field of its phase shows.
pub fn shown_step(node: &Node, phase: Phase) -> Option<&Step> {
    match phase {
        Phase::Clean => node.clean_step.as_ref(),
        Phase::Deploy => node.deploy_step.as_ref(),
        Phase::Service => node.service_step.as_ref(),
    }
}

/// The same, to be changed.
pub fn shown_step_mut(node: &mut Node, phase: Phase) -> Option<&mut Step> {
    match phase {
        Phase::Clean => node.clean_step.as_mut(),
        Phase::Deploy => node.deploy_step.as_mut(),
        Phase::Service => node.service_step.as_mut(),
    }
}

/// The step that runs or runs next.
pub fn current(node: &Node) -> Option<&Step> {
    node.work.steps.get(node.work.next)
}

/// The work of a phase is over: its progress, its agent and its traces in `driver_internal_info` go. The list of steps stays as
/// null, as Ironic leaves it.
pub fn forget(node: &mut Node, phase: Phase) {
    node.work = Work::default();
    node.agent = AgentLink::default();
    show_step(node, phase, None);
    forget_progress(node, phase);
    node.driver_internal_info.insert(list_key(phase), Value::Null);
}

/// What `driver_internal_info` tells of work that is not going on any more.
pub fn forget_progress(node: &mut Node, phase: Phase) {
    for key in [&format!("{}_step_index", phase.name()), "hardware_manager_version", "agent_url"] {
        node.driver_internal_info.remove(key);
    }
    let own: &[&str] = match phase {
        Phase::Clean => &["cleaning_disable_ramdisk", "declarative_cleaning"],
        Phase::Deploy => &["user_deploy_steps", "steps_validated"],
        Phase::Service => &["service_disable_ramdisk"],
    };
    for key in own {
        node.driver_internal_info.remove(*key);
    }
}

fn list_key(phase: Phase) -> String {
    format!("{}_steps", phase.name())
}

/// Takes over a list of steps and shows it.
pub fn set_steps(node: &mut Node, phase: Phase, steps: Vec<Step>) {
    let shown: Vec<_> = steps.iter().map(Step::shown).collect();
    node.driver_internal_info.insert(list_key(phase), json!(shown));
    node.work.steps = steps;
}

/// Shows what the user asked for, until it is known whether it can be done.
pub fn show_wanted(node: &mut Node, phase: Phase) {
    let shown: Vec<_> = node.work.user_steps.iter().flatten().map(Step::wanted).collect();
    node.driver_internal_info.insert(list_key(phase), json!(shown));
    let disabled = node.work.disable_ramdisk;
    let key = if phase == Phase::Clean { "cleaning_disable_ramdisk" } else { "service_disable_ramdisk" };
    node.driver_internal_info.insert(key.into(), disabled.into());
}

/// Does this work go through the ramdisk?
pub fn needs_ramdisk(node: &Node) -> bool {
    hardware::boots_ramdisk(node) && !node.work.disable_ramdisk
}

/// What the conductor's own side offers to the node in a phase, with the site's priorities.
pub fn offers(visit: &Visit<'_>, phase: Phase) -> Vec<Step> {
    let mut offered = offered::offered(&visit.node, phase);
    if phase == Phase::Clean {
        plan::prioritise(&mut offered, &visit.conductor.settings().clean_priorities);
    }
    offered
}

/// Decides what is to be done as far as it is known without the ramdisk, once for each piece of work.
pub async fn plan_ahead(visit: &mut Visit<'_>, phase: Phase) -> Result<(), Failure> {
    if visit.node.work.is_planned {
        return Ok(());
    }
    let planned = decide(visit, phase, None).await;
    let wanted = visit.node.work.user_steps.clone();
    let (steps, without_ramdisk) = match planned {
        Ok(steps) => {
            let idle = match phase {
                // Steps that the user listed decide whether the ramdisk is worth its time.
                Phase::Clean => wanted.is_some() && plan::need_no_ramdisk(&steps),
                Phase::Service => true,
                Phase::Deploy => false,
            };
            (steps, idle)
        }
        // The ramdisk may have what is missing here.
        Err(Failure::Steps(_)) if phase != Phase::Deploy && needs_ramdisk(&visit.node) => {
            (wanted.unwrap_or_default(), false)
        }
        Err(failure) => return Err(failure),
    };
    // Until something is done by it a plan can be made anew.
    visit.edit_later(move |edit| {
        set_steps(&mut edit.node, phase, steps.clone());
        let work = &mut edit.node.work;
        work.is_planned = true;
        work.disable_ramdisk |= without_ramdisk;
        let key = match phase {
            Phase::Clean if work.user_steps.is_some() => "cleaning_disable_ramdisk",
            Phase::Service => "service_disable_ramdisk",
            _ => return,
        };
        let disabled = work.disable_ramdisk;
        edit.node.driver_internal_info.insert(key.into(), disabled.into());
    });
    Ok(())
}

/// What is to be done, by what the node's interfaces offer and, if the agent has said so, by what the agent offers.
///
/// Steps that are done, and the one that runs, keep their place.
async fn decide(visit: &Visit<'_>, phase: Phase, in_band: Option<Vec<Step>>) -> Result<Vec<Step>, Failure> {
    let node = &visit.node;
    let work = &node.work;
    let is_complete = in_band.is_some() || phase != Phase::Deploy;
    let mut offered = offers(visit, phase);
    offered.extend(in_band.unwrap_or_default());
    let wanted = work.user_steps.as_deref();
    let steps = match (phase, wanted) {
        (Phase::Clean, None) => Ok(plan::automated(&offered)),
        (Phase::Clean, Some(wanted)) => plan::listed(phase, wanted, &offered, work.disable_ramdisk)
            .map_err(|reason| format!("Cannot clean node {}: {reason}", node.uuid)),
        (Phase::Service, wanted) => {
            plan::listed(phase, wanted.unwrap_or_default(), &offered, work.disable_ramdisk)
                .map_err(|reason| format!("Cannot service node {}: {reason}", node.uuid))
        }
        (Phase::Deploy, wanted) => {
            let templates = templates(visit.conductor.store(), node).await?;
            plan::deployment(&offered, wanted.unwrap_or_default(), &templates, is_complete)
        }
    }
    .map_err(Failure::Steps)?;
    let fixed = (work.next + usize::from(work.started_at.is_some())).min(work.steps.len());
    let (done, _) = work.steps.split_at(fixed);
    if phase != Phase::Deploy {
        return Ok(steps);
    }
    let ahead = steps.into_iter().filter(|step| !done.iter().any(|gone| gone.is_same_as(step)));
    Ok(done.iter().cloned().chain(ahead).collect())
}

/// The deploy templates that the instance's traits choose.
pub async fn templates(store: &store::Store, node: &Node) -> Result<Vec<DeployTemplate>, store::StoreError> {
    let traits: Vec<String> = node
        .instance_info
        .get("traits")
        .and_then(Value::as_array)
        .map(|traits| traits.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default();
    if traits.is_empty() { Ok(Vec::new()) } else { store.deploy_templates_named(&traits).await }
}

/// Starts the ramdisk and learns which steps it offers, once each, where the work needs it. `Some` while it is awaited.
pub async fn prepare_ramdisk(visit: &mut Visit<'_>, phase: Phase) -> Result<Option<Outcome>, Failure> {
    if !needs_ramdisk(&visit.node) {
        return Ok(None);
    }
    visit.flush().await?;
    if !boot::has_called(&visit.node) {
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
    if visit.node.work.started_at.is_none() && visit.node.work.abort_requested {
        return Err(Failure::Aborted(abort_text(phase, &visit.node)));
    }
    let Some(step) = current(&visit.node).cloned() else { return Ok(None) };
    if visit.node.work.started_at.is_none() {
        begin(visit, phase, &step).await?;
    }
    let span = measure::step_span(&visit.node, &step);
    let outcome = run(visit, phase, &step).instrument(span.clone()).await;
    match outcome.inspect_err(|failure| measure::failed_span(&span, failure))? {
        Progress::Waiting => Ok(Some(Outcome::next(Event::Wait))),
        Progress::Held => Ok(Some(Outcome::next(Event::Hold))),
        Progress::Done => {
            finish(visit, &step);
            if step.reboot_requested {
                boot::start_ramdisk(visit).await?;
                return Ok(Some(Outcome::next(Event::Wait)));
            }
            Ok(Some(Outcome::Again))
        }
    }
}

async fn begin(visit: &mut Visit<'_>, phase: Phase, step: &Step) -> Result<(), Failure> {
    let now = visit.now();
    let conductor = visit.conductor.clone();
    let shown = step.clone();
    let begins = move |edit: &mut Edit| {
        if edit.node.work.next == 0 {
            edit.history.extend(history::steps_started(&conductor, &edit.node, now));
        }
        edit.node.work.started_at = Some(now);
        // What waits for the BMC has as long as what waits for the ramdisk.
        if !shown.in_band {
            edit.node.work.deadline = Some(boot::after(now, conductor.settings().callback_timeout));
        }
        let name = format!("{} started", shown.full_name());
        edit.events.push(LogEvent::new(Some(edit.node.uuid), now, EventKind::Step, name, ""));
        let index = edit.node.work.next;
        edit.node.driver_internal_info.insert(format!("{}_step_index", phase.name()), index.into());
        show_step(&mut edit.node, phase, Some(shown.clone()));
    };
    if is_pretended(&visit.node, step) {
        visit.edit_later(begins);
        return Ok(());
    }
    visit.edit(begins).await
}

/// Is nothing done outside for a step, so that its begin need not be on record before it? One that waits is put aside with its begin.
fn is_pretended(node: &Node, step: &Step) -> bool {
    let kind = step.interface.parse::<InterfaceKind>();
    kind.is_ok_and(|kind| hardware::implementation(node, kind) == "fake")
        && !(step.in_band || step.is_reserved() || step.execute_on_child_nodes)
}

/// Carries one step out, or goes on with it.
async fn run(visit: &mut Visit<'_>, phase: Phase, step: &Step) -> Result<Progress, Failure> {
    if step.execute_on_child_nodes {
        return children::run(visit, step).await;
    }
    if step.is_reserved() {
        return reserved::run(visit, step).await;
    }
    if step.in_band {
        return agent_side::run(visit, phase, step).await;
    }
    match phase {
        Phase::Deploy if step.interface == "deploy" => deploy::run(visit, step).await,
        _ => out_of_band::run(visit, step).await,
    }
}

/// Is the step under way carried out by the conductor's own side, so that in a wait state it is to be asked again how it stands?
pub fn is_polled(node: &Node, phase: Phase) -> bool {
    node.work.started_at.is_some()
        && current(node).is_some_and(|step| {
            !(step.in_band || phase == Phase::Deploy && step.interface == "deploy")
                || step.execute_on_child_nodes
                || step.is_reserved()
        })
}

/// In a wait state: asks how the step under way stands. `true`: it is done.
pub async fn poll(visit: &mut Visit<'_>, phase: Phase) -> Result<bool, Failure> {
    let Some(step) = current(&visit.node).cloned() else { return Ok(true) };
    let done = match reserved::goes_on(visit, &step).await? {
        Some(done) => done,
        None => {
            let span = measure::step_span(&visit.node, &step);
            matches!(run(visit, phase, &step).instrument(span).await?, Progress::Done)
        }
    };
    if done {
        finish(visit, &step);
    }
    Ok(done)
}

/// A step is done. That is written with what comes next: the begin of another one, or the end of all.
fn finish(visit: &mut Visit<'_>, step: &Step) {
    let now = visit.now();
    let name = step.full_name();
    measure::step(&name, visit.node.work.started_at.unwrap_or(now), now, "ok");
    visit.edit_later(move |edit| {
        let work = &mut edit.node.work;
        let started = work.started_at.take().unwrap_or(now);
        work.next += 1;
        work.failing_since = None;
        work.finished_commands.extend(work.command.take());
        work.children_done.clear();
        work.pauses.clear();
        let done = LogEvent::new(Some(edit.node.uuid), started, EventKind::Step, &name, "").until(now);
        edit.events.push(done);
    });
}

/// `last_error` of an abort, in the words that clients look for.
pub fn abort_text(phase: Phase, node: &Node) -> String {
    let operation = phase.name();
    match shown_step(node, phase) {
        Some(step) => {
            format!(
                "By request, the {operation} operation was aborted during or after the completion of step \"{}\"",
                step.full_name()
            )
        }
        None => format!("By request, the {operation} operation was aborted"),
    }
}
