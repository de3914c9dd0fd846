//! Finds nodes for the servers that look for one.
//!
//! A round takes up many servers: what is known of the nodes is read once for all of them, each is given the node that fits it best, and
//! then all take theirs at the same time, so that the database writes for many together. A server and its node become each other's in one
//! transaction that looks at both again; who comes too late chooses anew.

mod pool;

mod take;

use super::reconcile::read;
use super::visit::soon;
use crate::Conductor;
use jiff::{SignedDuration, Timestamp};
use model::compute::scheduler::{Request, Tally};
use model::compute::{ActionEvent, Server, TaskState};
use pool::Pool;
pub use pool::uses_ports;
use std::collections::HashMap;
use store::{DueServer, ServerEdit, StoreError};
use take::Taken;
use tokio::task::JoinSet;

/// How long a server waits while every node that would fit it is held by other work.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// A server that looks for a node.
struct Seeker {
    server: Server,
    nudges: i64,
}

/// Finds nodes for these servers, or says why there is none. What fails in the database stays due.
pub async fn round(conductor: &Conductor, due: Vec<DueServer>) {
    let mut seekers = Vec::with_capacity(due.len());
    for due in due {
        if let Some(server) = read(conductor, due.uuid).await
            && server.task_state == Some(TaskState::Scheduling)
        {
            seekers.push(Seeker { server, nudges: due.nudges });
        }
    }
    if let Err(error) = seek(conductor, seekers).await {
        tracing::error!(%error, "the database failed those who look for nodes");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

async fn seek(conductor: &Conductor, mut seekers: Vec<Seeker>) -> Result<(), StoreError> {
    let mut pool = Pool::read(conductor, seekers.iter().map(|seeker| &seeker.server)).await?;
    let mut refusals = Refusals::new();
    while !seekers.is_empty() {
        let mut takes = JoinSet::new();
        let mut left = Vec::new();
        for seeker in seekers.drain(..) {
            let request = Request::new(&seeker.server, conductor.hostname());
            match pool.choose(&seeker.server, &request) {
                Some((index, node)) => {
                    let conductor = conductor.clone();
                    takes.spawn(async move {
                        let taken = take::take(&conductor, &seeker.server, node).await;
                        (seeker, index, taken)
                    });
                }
                None => left.push(seeker),
            }
        }
        // Only a part of the nodes may have been looked at.
        if !left.is_empty() && pool.read_all(conductor, left.iter().map(|seeker| &seeker.server)).await? {
            seekers.append(&mut left);
        }
        let mut is_known = true;
        while let Some(done) = takes.join_next().await {
            let Ok((seeker, index, taken)) = done else { continue };
            match taken? {
                Taken::Yes => {}
                // Another process has found it one, and the node is free still.
                Taken::Moved => {
                    pool.put_back(index);
                    is_known = false;
                }
                Taken::Held => {
                    pool.hold(index);
                    seekers.push(seeker);
                }
                Taken::Unfit(node, objection) => {
                    pool.object(index, *node, &seeker.server, objection);
                    is_known = false;
                    seekers.push(seeker);
                }
                Taken::Gone => {
                    pool.forget(index);
                    seekers.push(seeker);
                }
            }
        }
        if !is_known {
            // What one did not take may be for another.
            seekers.append(&mut left);
        }
        for seeker in left {
            give_up(conductor, &mut pool, &mut refusals, seeker).await?;
        }
    }
    Ok(())
}

/// No node fits: the server waits where one only is held for the moment, and else is told why not.
async fn give_up(
    conductor: &Conductor,
    pool: &mut Pool,
    refusals: &mut Refusals,
    seeker: Seeker,
) -> Result<(), StoreError> {
    let store = conductor.store();
    let request = Request::new(&seeker.server, conductor.hostname());
    let now = Timestamp::now();
    if pool.has_held(&seeker.server, &request) {
        let since = seeker.server.work.waiting_since.unwrap_or(now);
        if now.duration_since(since) < PATIENCE {
            if seeker.server.work.waiting_since.is_none() {
                note(conductor, &seeker.server, |edit| edit.server.work.waiting_since = Some(now)).await?;
            }
            return store.rest_server(seeker.server.uuid, seeker.nudges, soon()).await;
        }
    }
    let alike = alike(&seeker.server);
    let (message, details) = match refusals.get(&alike) {
        Some(told) => told.clone(),
        None => {
            let tally = pool.tally(conductor, &seeker.server, &request).await?;
            let told = refusal(&seeker.server, &request, &tally);
            refusals.insert(alike, told.clone());
            told
        }
    };
    tracing::warn!(server = %seeker.server.uuid, %message, "no node");
    note(conductor, &seeker.server, |edit| {
        edit.note(ActionEvent::failed("schedule", conductor.hostname(), message.clone(), now));
        edit.server.fail(500, message, Some(details), now);
    })
    .await?;
    store.rest_server(seeker.server.uuid, seeker.nudges, None).await
}

/// What was told to servers that ask for the same: ten thousand nodes are not looked at again for each of a thousand.
type Refusals = HashMap<String, (String, String)>;

/// All that decides about a node.
fn alike(server: &Server) -> String {
    let asks = (&server.flavor, &server.image, &server.wanted_node, &server.wanted_host);
    let more = (&server.availability_zone, &server.project_id, &server.work.tried, &server.work.last_failure);
    let ports = Request::new(server, "").ports();
    // A server of which this can't be written is like no other.
    serde_json::to_string(&(asks, more, ports)).unwrap_or_else(|_| server.uuid.to_string())
}

/// Nova's sentence, what became of earlier tries, and what became of each node.
fn refusal(server: &Server, request: &Request<'_>, tally: &Tally) -> (String, String) {
    let mut message = "No valid host was found. ".to_owned();
    if let Some(failure) = &server.work.last_failure {
        message.push_str(&format!(
            "It was tried on {} {}, the last of which failed: {failure} For another try: ",
            server.work.tried.len(),
            if server.work.tried.len() == 1 { "node" } else { "nodes" }
        ));
    }
    message.push_str(&tally.in_sum(request.pin()));
    (message, tally.details().to_owned())
}

/// Changes a server that still looks for a node.
async fn note(
    conductor: &Conductor,
    server: &Server,
    change: impl FnOnce(&mut ServerEdit),
) -> Result<(), StoreError> {
    let edited = conductor.store().edit_server(server.uuid, Timestamp::now(), |edit| {
        if edit.server.task_state == Some(TaskState::Scheduling) && edit.server.work == server.work {
            change(edit);
        }
        Ok::<_, StoreError>(())
    });
    match edited.await {
        Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
