//! Steps that run on a node's children in place of the node itself (`execute_on_child_nodes`).

use super::{Progress, out_of_band, reserved};
use crate::boot;
use crate::members::Held;
use crate::outcome::Failure;
use crate::visit::Visit;
use model::event::{EventKind, LogEvent};
use model::step::Step;
use std::time::Duration;
use store::{NodeQuery, StoreError};
use uuid::Uuid;

/// A child that somebody holds is tried again after this time.
const LOCKED_PAUSE: Duration = Duration::from_secs(2);

/// Runs the step on one child after another. Each that is done is recorded, so that a restart does not run the step there twice.
pub async fn run(visit: &mut Visit<'_>, step: &Step) -> Result<Progress, Failure> {
    for child in of_node(visit, &step.limit_child_node_execution).await? {
        if visit.node.work.children_done.contains(&child) {
            continue;
        }
        let held = match visit.conductor.claim(child).await {
            Ok(held) => held,
            Err(StoreError::Locked { .. }) => {
                return Err(Failure::Later(boot::after(visit.now(), LOCKED_PAUSE)));
            }
            Err(StoreError::NotFound { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let outcome = on_child(visit, &held, step).await;
        held.release().await?;
        outcome?;
        visit.edit(|edit| edit.node.work.children_done.push(child)).await?;
    }
    Ok(Progress::Done)
}

async fn of_node(visit: &Visit<'_>, only: &[String]) -> Result<Vec<Uuid>, Failure> {
    let query = NodeQuery {
        equal: vec![("parent_node", visit.node.uuid.to_string())],
        limit: i64::MAX,
        ..NodeQuery::default()
    };
    let rows = visit.conductor.store().nodes(&query).await?;
    let children = rows.into_iter().map(|row| row.node.uuid);
    Ok(children
        .filter(|uuid| {
            only.is_empty() || only.iter().any(|wanted| wanted.eq_ignore_ascii_case(&uuid.to_string()))
        })
        .collect())
}

async fn on_child(visit: &Visit<'_>, held: &Held, step: &Step) -> Result<(), Failure> {
    let conductor = visit.conductor;
    let started = visit.now();
    let version = conductor.store().node_with_secrets(held.claim().node).await?;
    let mut child = Visit::new(conductor, held, version);
    let own = Step { execute_on_child_nodes: false, ..step.clone() };
    let progress = if own.is_reserved() {
        reserved::run(&mut child, &own).await
    } else {
        out_of_band::run(&mut child, &own).await
    };
    child.flush().await?;
    match progress {
        Ok(Progress::Done) => {}
        Ok(Progress::Waiting | Progress::Held) => {
            return Err(Failure::last(format!(
                "While executing step {} on child node {}, step returned invalid value: it would have to wait, and a step on \
                 a child must be done at once",
                step.full_name(),
                child.node.uuid
            )));
        }
        Err(later @ (Failure::Later(_) | Failure::Store(_))) => return Err(later),
        Err(failure) => {
            return Err(Failure::last(format!("on child node {}: {failure}", child.node.label())));
        }
    }
    let now = child.now();
    let name = format!("{} for its parent", step.full_name());
    child
        .edit(|edit| {
            edit.node.work.pauses.clear();
            let done = LogEvent::new(Some(edit.node.uuid), started, EventKind::Step, &name, "").until(now);
            edit.events.push(done);
        })
        .await
}
