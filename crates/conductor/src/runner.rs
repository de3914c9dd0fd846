//! The reconciler: finds nodes that are due, claims each, runs its handler, writes what came of it.
//!
//! Every node is its own task, so a slow BMC costs only itself. The runner is the only one that writes states.

use crate::Conductor;
use crate::agent::AgentError;
use crate::boot;
use crate::errand;
use crate::fail;
use crate::history;
use crate::measure;
use crate::members::Held;
use crate::outcome::{Failure, Outcome};
use crate::power;
use crate::states;
use crate::visit::Visit;
use crate::visits::Visits;
use bmc::BmcError;
use jiff::Timestamp;
use model::event::{EventKind, LogEvent};
use model::node::Node;
use model::state::{Event, Kind, ProvisionState};
use std::time::Duration;
use store::{NodeVersion, StoreError};
use telemetry::request::on_behalf_of;
use telemetry::table;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

/// Nodes that are taken up in one round, and changes that may wait for their turn before no more are: a node that is claimed and
/// then waits is kept from others who might have time for it.
pub const ROUND: usize = 256;
/// Until those who wait are looked at again.
const BREATH: Duration = Duration::from_millis(50);
/// Longest sleep: a look at the clock in case a nudge was lost.
const LONGEST_SLEEP: Duration = Duration::from_secs(2);
/// Pause after the database failed, and before a BMC or agent that failed is asked again.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// Handlers that may run in one visit before the claim is given back, so that a fault in a handler can't spin for ever.
const TURNS: usize = 1000;

/// Runs until `stop`, then lets the visits under way come to their next record.
pub async fn run(conductor: Conductor, stop: CancellationToken) {
    let visits = Visits::new(stop.clone());
    conductor.set_visits(Some(visits.clone()));
    while !stop.is_cancelled() {
        conductor.bmcs().evict_idle();
        let sleep = match take_up(&conductor, &visits).await {
            Ok(sleep) => sleep,
            Err(error) => {
                tracing::error!(%error, "nodes that are due can't be claimed");
                RETRY_PAUSE
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = conductor.store().due() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
    conductor.set_visits(None);
    visits.end().await;
}

/// Claims what is due and attends to it; returns how long nothing more will be.
async fn take_up(conductor: &Conductor, visits: &Visits) -> Result<Duration, StoreError> {
    let served = conductor.served();
    let now = Timestamp::now();
    let room = ROUND.saturating_sub(conductor.store().backlog());
    if room == 0 {
        return Ok(BREATH);
    }
    // Most wake-ups find nothing, and readers don't stand in the writers' queue.
    let Some(next) = conductor.store().next_due(&served).await? else { return Ok(LONGEST_SLEEP) };
    if next > now {
        return Ok(Duration::try_from(next.duration_since(now)).unwrap_or_default().min(LONGEST_SLEEP));
    }
    // Without a session nothing is claimed; the next one nudges.
    let claimed = conductor.claim_due(&served, now, i64::try_from(room).unwrap_or_default()).await?;
    let Some(claimed) = claimed else { return Ok(LONGEST_SLEEP) };
    for (held, version) in claimed {
        visits.begin(conductor.clone(), held, version);
    }
    Ok(Duration::ZERO)
}

/// One visit: from claim to release.
pub async fn attend(
    conductor: Conductor,
    held: Held,
    version: Result<NodeVersion, StoreError>,
    stop: CancellationToken,
) {
    let uuid = held.claim().node;
    match version {
        Ok(version) => {
            let span = measure::visit_span(&version.node);
            let origin = measure::origin_of(&version.node, &span);
            let _measured = measure::Visited::begin(&version.node);
            let visit = pay(&conductor, &held, version, &stop).instrument(span);
            if on_behalf_of(origin, visit).await {
                held.settle();
                return;
            }
        }
        Err(error) => fall_back(uuid, &error, &stop).await,
    }
    if let Err(error) = held.release().await {
        tracing::error!(node = %uuid, %error, "the claim can't be released yet");
    }
}

/// Does what there is to do about a node for now. `true`: the claim ended with it.
async fn pay(conductor: &Conductor, held: &Held, version: NodeVersion, stop: &CancellationToken) -> bool {
    let uuid = version.node.uuid;
    let mut visit = Visit::new(conductor, held, version);
    if held.keep(go_on(&mut visit, stop)).await.is_err() {
        table::CLAIMS_LOST.count([]);
        tracing::warn!(node = %uuid, "the claim was lost; another conductor goes on");
    }
    match visit.flush().await {
        // What was seen is told all the same.
        Ok(()) | Err(Failure::Store(StoreError::ClaimLost { .. })) => {}
        Err(error) => tracing::error!(node = %uuid, %error, "what was seen of the node can't be written"),
    }
    visit.is_released
}

async fn go_on(visit: &mut Visit<'_>, stop: &CancellationToken) {
    let node = visit.node.uuid;
    for _ in 0..TURNS {
        if stop.is_cancelled() {
            return;
        }
        match turn(visit).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(Failure::Store(StoreError::ClaimLost { .. } | StoreError::NotFound { .. })) => return,
            Err(error) => {
                fall_back(node, &error, stop).await;
                return;
            }
        }
    }
    tracing::error!(%node, "{TURNS} handlers ran in one visit without an end");
}

/// A visit failed by no fault of the node's; it is repeated after a pause.
async fn fall_back(node: Uuid, error: &(dyn std::error::Error + Sync), stop: &CancellationToken) {
    tracing::error!(%node, error = %error, "a visit failed; it is repeated");
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(RETRY_PAUSE) => {}
    }
}

/// One handler and the record of what came of it. `false`: nothing more to do for now.
async fn turn(visit: &mut Visit<'_>) -> Result<bool, Failure> {
    let nudges = visit.node.nudges;
    let outcome = match visit.node.target_power_state {
        _ if visit.node.errand.is_some() => errand::run(visit).await,
        Some(target) if visit.node.provision_state.kind() != Kind::Transient => {
            power::reconcile(visit, target).await
        }
        _ => states::handle(visit).await,
    };
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error @ Failure::Store(_)) => return Err(error),
        Err(Failure::Later(until)) => Outcome::Wait(Some(until)),
        Err(failure) => match patience(visit, &failure) {
            Some(until) => be_patient(visit, &failure, until).await?,
            None => {
                fail::record(visit, failure).await?;
                return Ok(true);
            }
        },
    };
    match outcome {
        Outcome::Again => {
            visit.refresh().await?;
            Ok(true)
        }
        Outcome::Wait(until) => wait(visit, nudges, until).await,
        Outcome::Next(event, change) => transition(visit, nudges, event, change).await,
    }
}

/// Puts the node aside until `until`, unless something came in while the handler ran.
async fn wait(visit: &mut Visit<'_>, nudges: u64, until: Option<Timestamp>) -> Result<bool, Failure> {
    let mut nudged = false;
    visit
        .edit(|edit| {
            nudged = edit.node.nudges != nudges;
            if !nudged {
                edit.node.due = until;
                edit.release = true;
            }
        })
        .await?;
    Ok(nudged)
}

/// Moves the state machine on. `false`: the node has come to rest, and its claim ended with the transition, so that whoever sees the
/// new state can act on it.
async fn transition(
    visit: &mut Visit<'_>,
    nudges: u64,
    event: Event,
    change: crate::outcome::Change,
) -> Result<bool, Failure> {
    let now = visit.now();
    let from = visit.node.provision_state;
    let conductor = visit.conductor;
    let mut refused = None;
    visit
        .edit(|edit| {
            let told = history::steps_ended(conductor, &edit.node, event, now);
            refused = edit.node.apply(event, now).err();
            if refused.is_some() {
                return;
            }
            edit.history.extend(told);
            edit.node.work.pauses.clear();
            edit.node.work.failing_since = None;
            change(&mut edit.node);
            edit.release = rests(&edit.node) && edit.node.nudges == nudges;
            edit.node.due = (!edit.release).then_some(now);
            edit.events.push(moved(&edit.node, from, now, ""));
        })
        .await?;
    // A user's verb (abort, deleted) may have moved the node on in a wait state; the next turn sees where it is.
    if let Some(error) = refused {
        tracing::info!(node = %visit.node.uuid, %error, "the state moved on meanwhile");
    }
    Ok(!visit.is_released)
}

/// Has nobody but a user anything to do with the node?
fn rests(node: &Node) -> bool {
    node.provision_state.kind() == Kind::Stable
        && node.target_power_state.is_none()
        && node.errand.is_none()
        && !node.work.tear_down
}

/// The event of a transition that was just made.
pub fn moved(node: &Node, from: ProvisionState, now: Timestamp, detail: &str) -> LogEvent {
    LogEvent::new(
        Some(node.uuid),
        now,
        EventKind::Transition,
        format!("{from} → {}", node.provision_state),
        detail,
    )
}

/// Until when is this failure to be borne? `None`: it is final.
fn patience(visit: &Visit<'_>, failure: &Failure) -> Option<Timestamp> {
    let may_recover = match failure {
        Failure::Bmc { source, .. } => may_recover(source),
        Failure::Agent(error) => matches!(error, AgentError::Unreachable { .. } | AgentError::Busy { .. }),
        _ => false,
    };
    if !may_recover {
        return None;
    }
    let now = visit.now();
    let since = visit.node.work.failing_since.unwrap_or(now);
    let until = boot::after(since, visit.conductor.settings().bmc_patience);
    (now < until).then_some(until)
}

/// Would the same call succeed later, with nobody doing anything about it?
fn may_recover(error: &BmcError) -> bool {
    error.is_transient()
}

async fn be_patient(visit: &mut Visit<'_>, failure: &Failure, until: Timestamp) -> Result<Outcome, Failure> {
    let now = visit.now();
    tracing::warn!(node = %visit.node.uuid, error = %failure, %until, "borne for now");
    let text = failure.to_string();
    visit
        .edit(|edit| {
            if edit.node.work.failing_since.is_none() {
                edit.node.work.failing_since = Some(now);
                edit.events.push(
                    LogEvent::new(
                        Some(edit.node.uuid),
                        now,
                        EventKind::Step,
                        "retrying",
                        format!("until {until}: {text}"),
                    )
                    .failed(),
                );
            }
        })
        .await?;
    Ok(Outcome::Wait(Some(boot::after(now, RETRY_PAUSE))))
}

/// Moves a node on a user's verb; used by the API's side of the conductor.
pub fn begin(edit: &mut store::Edit, event: Event, now: Timestamp) -> Result<(), model::state::Refused> {
    let request = LogEvent::new(Some(edit.node.uuid), now, EventKind::Request, event.as_str(), "");
    let noted = edit.events.len();
    edit.events.push(request);
    proceed(edit, event, now).inspect_err(|_| edit.events.truncate(noted))
}

/// Moves a node on for what came from outside, and lets the reconciler look at it at once.
pub fn proceed(edit: &mut store::Edit, event: Event, now: Timestamp) -> Result<(), model::state::Refused> {
    let from = edit.node.provision_state;
    edit.node.apply(event, now)?;
    edit.node.work.pauses.clear();
    let event = moved(&edit.node, from, now, "");
    edit.events.push(event);
    // A stable state is the users'; nobody need look at it.
    if edit.node.provision_state.kind() != Kind::Stable {
        edit.node.nudge(now);
    }
    Ok(())
}
