//! Steps that the conductor carries out through the BMC or, for pretended hardware, in the node's own records: those of `bios`,
//! `firmware`, `raid`, `vendor`, `management` and `power`. Which of them are offered, with which priority, is told elsewhere.

use super::Progress;
use crate::hardware::{self, bios, firmware, raid, vendor};
use crate::outcome::Failure;
use crate::power;
use crate::visit::Visit;
use bmc::PowerAction;
use model::node::PowerState;
use model::step::Step;

/// Carries out one step. Doing it again after a crash ends where doing it once does, but for `vendor.send_raw`, whose bytes are the
/// user's own business.
pub async fn run(visit: &mut Visit<'_>, step: &Step) -> Result<Progress, Failure> {
    let implementation = step
        .interface
        .parse()
        .map_or_else(|_| String::new(), |kind| hardware::implementation(&visit.node, kind).to_owned());
    let arguments = &step.args;
    match (step.interface.as_str(), implementation.as_str(), step.step.as_str()) {
        // Ironic's reserved names: they mean the same with every interface.
        (_, _, "power_on") => power::ensure(visit, PowerState::On).await?,
        (_, _, "power_off") => power::ensure(visit, PowerState::Off).await?,
        (_, _, "reboot") => {
            let limit = visit.conductor.settings().power_timeout;
            power::reboot(visit, PowerAction::Off, "power off", limit).await?;
        }
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
