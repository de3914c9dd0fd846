//! The loop: which servers are due, and a look at each.

use super::visit::{Next, Trouble, Visit, soon};
use super::{networking, power, remove, rescue, retreat, schedule, spawn, watch};
use crate::Conductor;
use jiff::{SignedDuration, Timestamp};
use model::compute::{Server, TaskState};
use std::collections::HashSet;
use std::time::Duration;
use store::{DueServer, StoreError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Servers that are looked at at once. Looks are work for the database only, which writes for many of them together.
const AT_ONCE: usize = 64;
/// Servers that are found their nodes in one round.
pub const ROUND: usize = 256;
/// Longest sleep: a look at the clock in case a nudge was lost.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
/// Pause after the database failed.
const RETRY_PAUSE: SignedDuration = SignedDuration::from_secs(5);
/// Steps in one look, so that a fault in a handler can't spin for ever.
const TURNS: usize = 100;

/// Runs until `stop`, then lets the looks under way come to their next record.
pub async fn run(conductor: Conductor, stop: CancellationToken) {
    let mut looks: JoinSet<Vec<Uuid>> = JoinSet::new();
    let mut busy: HashSet<Uuid> = HashSet::new();
    while !stop.is_cancelled() {
        // Two would do no harm, each step being checked again, but they would do everything twice.
        conductor.until_leader(&stop).await;
        let sleep = match take_up(&conductor, &mut looks, &mut busy).await {
            Ok(sleep) => sleep,
            Err(error) => {
                tracing::error!(%error, "servers that are due can't be read");
                RETRY_PAUSE.try_into().unwrap_or(LONGEST_SLEEP)
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            Some(done) = looks.join_next() => done.unwrap_or_default().iter().for_each(|uuid| { busy.remove(uuid); }),
            () = conductor.store().servers_due() => {}
            () = tokio::time::sleep(sleep) => {}
        }
        // As long as half of them are at work there is no need to ask who is next each time that one is done.
        while looks.len() > AT_ONCE / 2 {
            let Some(done) = looks.join_next().await else { break };
            done.unwrap_or_default().iter().for_each(|uuid| {
                busy.remove(uuid);
            });
        }
        while let Some(done) = looks.try_join_next() {
            done.unwrap_or_default().iter().for_each(|uuid| {
                busy.remove(uuid);
            });
        }
    }
    while looks.join_next().await.is_some() {}
}

/// Begins a look at every server that is due, as far as there is room; returns how long nothing more will be.
async fn take_up(
    conductor: &Conductor,
    looks: &mut JoinSet<Vec<Uuid>>,
    busy: &mut HashSet<Uuid>,
) -> Result<Duration, StoreError> {
    let now = Timestamp::now();
    let limit = i64::try_from(busy.len() + AT_ONCE + ROUND).unwrap_or(i64::MAX);
    let due = conductor.store().due_servers(now, limit).await?;
    let is_sought = |due: &DueServer| due.task_state == Some(TaskState::Scheduling);
    let (sought, others): (Vec<_>, Vec<_>) =
        due.into_iter().filter(|due| !busy.contains(&due.uuid)).partition(is_sought);
    // One round at a time: two that choose among the same nodes would only disturb each other.
    if !sought.is_empty() && !busy.contains(&Uuid::nil()) {
        let sought: Vec<_> = sought.into_iter().take(ROUND).collect();
        let mut uuids: Vec<_> = sought.iter().map(|due| due.uuid).collect();
        uuids.push(Uuid::nil());
        busy.extend(&uuids);
        let conductor = conductor.clone();
        looks.spawn(async move {
            schedule::round(&conductor, sought).await;
            uuids
        });
    }
    for due in others {
        if looks.len() > AT_ONCE {
            break;
        }
        busy.insert(due.uuid);
        let conductor = conductor.clone();
        looks.spawn(async move {
            look(&conductor, due).await;
            vec![due.uuid]
        });
    }
    let next = conductor.store().next_server_due(now).await?;
    Ok(next
        .and_then(|next| Duration::try_from(next.duration_since(now)).ok())
        .unwrap_or(LONGEST_SLEEP)
        .min(LONGEST_SLEEP))
}

/// One look: handlers run until there is nothing more to do for now.
async fn look(conductor: &Conductor, due: DueServer) {
    let uuid = due.uuid;
    let mut until = Some(Timestamp::now().saturating_add(RETRY_PAUSE).unwrap_or(Timestamp::MAX));
    let Some(server) = read(conductor, uuid).await else { return };
    let mut visit = Visit { conductor, server };
    for _ in 0..TURNS {
        match step(&mut visit).await {
            Ok(Next::Again) => {}
            Ok(Next::Rest(time)) => {
                until = time;
                break;
            }
            Ok(Next::Gone) | Err(Trouble::Store(StoreError::NotFound { what: "Server", .. })) => return,
            Err(Trouble::Moved) => match read(conductor, uuid).await {
                Some(server) => visit.server = server,
                None => return,
            },
            // A node that is held for a moment will be free; one that went is seen at the next look.
            Err(Trouble::Store(StoreError::NotFound { .. } | StoreError::Locked { .. })) => {
                until = soon();
                break;
            }
            Err(error) => {
                tracing::error!(server = %uuid, %error, "a look at a server failed; it is repeated");
                break;
            }
        }
        // A server that looks for a node is for the next round.
        if visit.server.task_state == Some(TaskState::Scheduling) {
            return;
        }
    }
    if let Err(error) = conductor.store().rest_server(uuid, due.nudges, until).await {
        tracing::error!(server = %uuid, %error, "a server can't be put aside; it is looked at again");
    }
}

/// Reads a server; none where it is gone. One that can't be read stays due.
pub(super) async fn read(conductor: &Conductor, uuid: Uuid) -> Option<Server> {
    match conductor.store().get::<Server>(&uuid.to_string()).await {
        Ok(server) => Some(server),
        Err(StoreError::NotFound { .. }) => None,
        Err(error) => {
            tracing::error!(server = %uuid, %error, "a server can't be read");
            None
        }
    }
}

/// Calls the handler of what is being done with the server.
async fn step(visit: &mut Visit<'_>) -> Result<Next, Trouble> {
    if visit.server.work.failure.is_some() {
        return retreat::run(visit).await;
    }
    match visit.server.task_state {
        None => watch::run(visit).await,
        Some(TaskState::Scheduling) => Ok(Next::Rest(None)),
        Some(TaskState::Networking) => networking::run(visit).await,
        Some(TaskState::Spawning | TaskState::Rebuilding) => spawn::run(visit).await,
        Some(TaskState::Deleting) => remove::run(visit).await,
        Some(
            TaskState::Rebooting | TaskState::RebootingHard | TaskState::PoweringOff | TaskState::PoweringOn,
        ) => power::run(visit).await,
        Some(TaskState::Rescuing | TaskState::Unrescuing) => rescue::run(visit).await,
    }
}
