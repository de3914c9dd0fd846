//! `adopting`: a machine that runs already comes under management; nothing is written to it.

use crate::hardware;
use crate::image;
use crate::outcome::{Failure, Outcome};
use crate::power;
use crate::provision::power_reason;
use crate::visit::Visit;
use model::state::Event;

pub async fn run(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    if let Some(reason) = power_reason(&visit.node) {
        return Err(Failure::last(reason));
    }
    // An instance that boots over the network must be there to be booted; others boot by themselves.
    if hardware::instance_is_ramdisk(&visit.node) {
        image::ramdisk_instance(&visit.node).map_err(Failure::last)?;
    }
    power::observe(visit).await?;
    Ok(Outcome::next(Event::Done))
}
