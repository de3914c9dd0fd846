//! Errands: what a user asked of the hardware that is carried out behind the answer. The API's side records one in the node, the
//! runner does it before anything else of the node's, and what came of it is written in one transaction with its end.

use crate::Conductor;
use crate::claim::patiently;
use crate::hardware::{self, implementation, problem};
use crate::history;
use crate::outcome::{Failure, Outcome};
use crate::request::RequestError;
use crate::visit::Visit;
use crate::wording::unsupported;
use jiff::Timestamp;
use model::errand::{Deed, Errand};
use model::event::{EventKind, LogEvent};
use model::node::{Fault, InterfaceKind, Node};
use model::state::Kind;
use model::wording::repr;
use serde_json::json;
use store::{Edit, Guard, StoreError};
use uuid::Uuid;

impl Conductor {
    /// Records an errand, if the node is free and can do it at all. A node that has another errand counts as locked.
    pub async fn errand(&self, uuid: Uuid, deed: Deed, user: Option<String>) -> Result<(), RequestError> {
        self.check_served(&self.store().node(&uuid.to_string()).await?.node).await?;
        patiently(|| async {
            let now = Timestamp::now();
            let edited = self.store().edit_node(uuid, Guard::Free, now, |edit| {
                check(&edit.node, &deed)?;
                if edit.node.errand.is_some() {
                    let (node, holder) = (uuid.to_string(), self.hostname().to_owned());
                    return Err(StoreError::Locked { node, holder }.into());
                }
                if !is_done(&edit.node, &deed) {
                    record(edit, Errand { deed: deed.clone(), begun: false, user: user.clone() }, now);
                }
                Ok(())
            });
            edited.await.map(|_| ())
        })
        .await
    }
}

fn record(edit: &mut Edit, errand: Errand, now: Timestamp) {
    let asked = LogEvent::new(Some(edit.node.uuid), now, EventKind::Request, errand.deed.name(), "");
    edit.events.push(asked);
    // A vendor's method is no operation of the node's own: it leaves the last error of one alone, as in Ironic.
    if !matches!(errand.deed, Deed::Passthru { .. }) {
        edit.node.last_error = None;
    }
    edit.node.errand = Some(errand);
    edit.node.nudge(now);
}

/// Is it so already?
fn is_done(node: &Node, deed: &Deed) -> bool {
    matches!(deed, Deed::Console(on) if *on == node.console_enabled)
}

/// What speaks against an errand; the texts are Ironic's.
fn check(node: &Node, deed: &Deed) -> Result<(), RequestError> {
    let usable =
        |kind: InterfaceKind| problem(node, kind).map_or(Ok(()), |reason| Err(RequestError::Invalid(reason)));
    match deed {
        Deed::BootMode(_) | Deed::SecureBoot(_) => {
            if matches!(node.provision_state.kind(), Kind::Transient | Kind::Wait) {
                return Err(RequestError::Conflict(format!(
                    "Node is in {} state. Since node is transitioning, the boot mode will not be set as this may interfere with \
                     ongoing changes and result in erroneous modification. Try again later.",
                    node.provision_state
                )));
            }
            usable(InterfaceKind::Management)
        }
        Deed::AttachMedia { .. } | Deed::DetachMedia(_) => {
            usable(InterfaceKind::Management)?;
            if node.maintenance && node.fault == Some(Fault::Power) {
                let verb = if matches!(deed, Deed::DetachMedia(_)) { "detach" } else { "attach" };
                return Err(RequestError::Busy(format!(
                    "Unable to {verb} virtual media for node {} due to power failure state",
                    node.uuid
                )));
            }
            Ok(())
        }
        Deed::Console(_) => {
            usable(InterfaceKind::Console)?;
            match implementation(node, InterfaceKind::Console) {
                "fake" => Ok(()),
                other => Err(RequestError::Invalid(format!(
                    "{} This version of Billet does not serve the console interface {other}.",
                    unsupported(node, "console")
                ))),
            }
        }
        Deed::Passthru { method, arguments } => {
            hardware::vendor::check(node, method, arguments).map_err(RequestError::Invalid)
        }
    }
}

/// Why an errand came to nothing: `last_error`, and the kind of its entry in the history if it gets one.
struct Problem {
    text: String,
    event_type: Option<&'static str>,
}

/// Carries out the node's errand and records what came of it.
pub async fn run(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    let Some(errand) = visit.node.errand.clone() else { return Ok(Outcome::Again) };
    let started = visit.now();
    let interrupted = errand.begun && !errand.deed.is_repeatable();
    if !errand.begun {
        visit
            .edit(|edit| {
                if let Some(errand) = &mut edit.node.errand {
                    errand.begun = true;
                }
            })
            .await?;
    }
    let problem = if interrupted {
        Some(Problem {
            text: format!(
                "The conductor was restarted while it carried out {}; it is not known whether that was done. Look, then ask again.",
                errand.deed.name()
            ),
            event_type: Some("takeover"),
        })
    } else {
        carry_out(visit, &errand.deed).await?
    };
    let now = visit.now();
    let conductor = visit.conductor;
    visit
        .edit(|edit| {
            let text = problem.as_ref().map_or("", |problem| &problem.text);
            let mut event =
                LogEvent::new(Some(edit.node.uuid), started, EventKind::Step, errand.deed.name(), text)
                    .until(now);
            event.ok = problem.is_none();
            edit.events.push(event);
            edit.node.errand = None;
            match &problem {
                None => apply(&mut edit.node, &errand.deed),
                Some(problem) => {
                    edit.node.last_error = Some(problem.text.clone());
                    edit.history.extend(problem.event_type.map(|kind| {
                        history::error(conductor, &edit.node, kind, &problem.text, now)
                            .by(errand.user.clone(), None)
                    }));
                }
            }
        })
        .await?;
    Ok(Outcome::Again)
}

/// What a deed that was done changes in the node.
fn apply(node: &mut Node, deed: &Deed) {
    match deed {
        Deed::BootMode(mode) => node.boot_mode = Some(mode.clone()),
        Deed::SecureBoot(on) => node.secure_boot = Some(*on),
        Deed::Console(on) => node.console_enabled = *on,
        Deed::AttachMedia { .. } | Deed::DetachMedia(_) | Deed::Passthru { .. } => {}
    }
}

/// Does it; `Err` only for what the runner must hear of.
async fn carry_out(visit: &mut Visit<'_>, deed: &Deed) -> Result<Option<Problem>, Failure> {
    let node = &visit.node;
    let uuid = node.uuid;
    let problem = |text: String, event_type| Ok(Some(Problem { text, event_type }));
    match deed {
        // Ironic's text, whose opening quote is never closed.
        Deed::BootMode(mode) => problem(
            format!("Failed to change boot mode to '{mode}: {}", unsupported(node, "set_boot_mode")),
            None,
        ),
        Deed::SecureBoot(on) => problem(
            format!(
                "Failed to change secure_boot state to '{}': {}",
                repr(&json!(on)),
                unsupported(node, "set_secure_boot_state")
            ),
            None,
        ),
        // Pretended consoles have nothing behind them.
        Deed::Console(_) => Ok(None),
        Deed::AttachMedia { device_type, .. } => problem(
            format!(
                "Could not attach device {device_type} to node {uuid}: Publishing images is not supported for driver {}",
                node.driver
            ),
            Some("UNKNOWN"),
        ),
        Deed::DetachMedia(types) => problem(
            format!(
                "Could not detach device(s) {} from node {uuid}: {}",
                repr(&json!(types)),
                unsupported(node, "detach_virtual_media")
            ),
            Some("UNKNOWN"),
        ),
        Deed::Passthru { method, arguments } => {
            match hardware::vendor::call(visit, method, arguments).await {
                Ok(()) => Ok(None),
                Err(failure @ Failure::Store(_)) => Err(failure),
                Err(failure) => problem(
                    format!("Async execution of {method} failed with error: {failure}"),
                    Some("UNKNOWN"),
                ),
            }
        }
    }
}
