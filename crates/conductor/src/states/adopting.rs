//! `adopting`: a machine that runs already comes under management; nothing is written to it.

use crate::outcome::{Failure, Outcome};
use crate::power;
use crate::visit::Visit;
use model::state::Event;

pub async fn run(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    power::observe(visit).await?;
    Ok(Outcome::next(Event::Done))
}
