//! `rescuing` and `unrescuing`: only fake hardware is rescued by this version; requests for others are refused before they get here.

use crate::hardware;
use crate::outcome::{Failure, Outcome};
use crate::visit::Visit;
use model::node::InterfaceKind;
use model::state::Event;

pub async fn run(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    let implementation = hardware::implementation(&visit.node, InterfaceKind::Rescue);
    if implementation != "fake" {
        return Err(Failure::last(format!(
            "rescue interface \"{implementation}\" is not served by this version of Billet"
        )));
    }
    Ok(Outcome::next_with(Event::Done, |node| {
        node.instance_info.remove("rescue_password");
    }))
}
