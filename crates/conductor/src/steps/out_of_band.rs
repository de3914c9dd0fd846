//! Steps that the conductor carries out through the BMC or, for pretended hardware, in the node's own records: those of `bios`,
//! `firmware`, `raid`, `vendor`, `management` and `power`. Which of them are offered, with which priority, is told elsewhere.

use super::Progress;
use crate::fake;
use crate::hardware::{self, bios, firmware, raid, vendor};
use crate::outcome::Failure;
use crate::visit::Visit;
use model::step::Step;

/// Carries out one step. Doing it again after a crash ends where doing it once does, but for `vendor.send_raw`, whose bytes are the
/// user's own business.
pub async fn run(visit: &mut Visit<'_>, step: &Step) -> Result<Progress, Failure> {
    let kind = step.interface.parse().ok();
    let implementation =
        kind.map_or_else(String::new, |kind| hardware::implementation(&visit.node, kind).to_owned());
    if let Some(kind) = kind.filter(|_| step.step != "trigger_servicewait") {
        fake::pause(visit, kind, &step.step).await?;
    }
    let arguments = &step.args;
    match (step.interface.as_str(), implementation.as_str(), step.step.as_str()) {
        ("bios", "fake", "apply_configuration") => bios::apply(visit, arguments).await?,
        ("bios", "fake", "factory_reset") => bios::factory_reset(visit).await?,
        // What pretended hardware has is what was recorded: there is nothing to read.
        ("bios", "fake", "cache_bios_settings") => {}
        ("firmware", "fake", "update") => firmware::update(visit, arguments).await?,
        ("raid", "fake", "create_configuration") => raid::create(visit, arguments).await?,
        ("raid", "fake", "apply_configuration") => raid::apply(visit, arguments).await?,
        ("raid", "fake", "delete_configuration") => raid::delete(visit).await?,
        ("vendor", "fake", "log_passthrough") | ("vendor", "ipmitool", "send_raw") => {
            vendor::call(visit, &step.step, arguments).await?;
        }
        ("vendor", "fake", "trigger_servicewait") => return Ok(Progress::Waiting),
        _ => {
            return Err(Failure::last(format!(
                "step {} of node {} can't be carried out: no interface of the node offers it",
                step.full_name(),
                visit.node.label()
            )));
        }
    }
    Ok(Progress::Done)
}
