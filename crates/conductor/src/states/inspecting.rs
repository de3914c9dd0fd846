//! `inspecting`: only fake hardware is inspected by this version; requests for others are refused before they get here.

use crate::hardware;
use crate::outcome::{Failure, Outcome};
use crate::visit::Visit;
use model::node::InterfaceKind;
use model::state::Event;

pub async fn run(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    let implementation = hardware::implementation(&visit.node, InterfaceKind::Inspect);
    if implementation != "fake" {
        return Err(Failure::last(format!(
            "inspect interface \"{implementation}\" is not served by this version of Billet"
        )));
    }
    let now = visit.now();
    Ok(Outcome::next_with(Event::Done, move |node| node.inspection_finished_at = Some(now)))
}
