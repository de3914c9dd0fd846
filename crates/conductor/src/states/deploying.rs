//! `deploying`: the image goes to the disk and the machine boots from it.

use crate::outcome::{Failure, Outcome};
use crate::steps::{self, deploy};
use crate::visit::Visit;
use model::agent::Phase;
use model::state::Event;

pub async fn run(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    if visit.node.work.steps.is_empty() {
        let steps = deploy::core_steps(&visit.node);
        visit
            .edit(|edit| {
                edit.node.driver_internal_info.insert("deploy_steps".into(), serde_json::json!(steps));
                edit.node.work.steps = steps;
            })
            .await?;
    }
    if let Some(outcome) = steps::advance(visit, Phase::Deploy).await? {
        return Ok(outcome);
    }
    Ok(Outcome::next_with(Event::Done, |node| {
        steps::forget(node, Phase::Deploy);
        node.last_error = None;
    }))
}
