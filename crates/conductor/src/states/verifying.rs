//! `verifying`: are the BMC's address and credentials right?

use crate::outcome::{Failure, Outcome};
use crate::power;
use crate::visit::Visit;
use model::state::Event;

pub async fn run(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    match power::observe(visit).await {
        Ok(_) => Ok(Outcome::next(Event::Done)),
        Err(error) if error.is_runners() => Err(error),
        // Somebody waits in front of the screen: no patience here, they can try again at once.
        Err(error) => Err(Failure::last(format!(
            "Failed to get power state for node {}. Error: {error}",
            visit.node.uuid
        ))),
    }
}
