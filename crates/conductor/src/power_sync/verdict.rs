//! What follows from an answer: decided by a pure function, then written in one transaction that looks again whether the node is still
//! as it was when it was asked.

use super::PowerSync;
use crate::{Conductor, history};
use jiff::Timestamp;
use model::event::{EventKind, LogEvent};
use model::node::{Fault, Node, PowerState, PowerTarget};
use store::power_sync::rests;
use store::{Edit, Guard, PowerRow, StoreError};

/// What the BMC said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The power.
    Power(PowerState),
    /// Nothing of use: why.
    Failed(String),
}

/// What is done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Agree,
    /// The record follows the machine.
    Adopt(PowerState),
    /// The machine is brought back to what is recorded; this is what it said.
    Force(PowerState),
    /// It is noted that it failed, and tried again.
    Retry(String),
    /// The node goes into maintenance: what the machine said at last, and what went wrong.
    GiveUp(Option<PowerState>, Option<String>),
    /// The BMC is back.
    Recover(PowerState),
}

/// What follows from an answer; `failures` is how many there have been in a row, this one included.
pub fn of(row: &PowerRow, answer: &Answer, failures: u32, settings: &PowerSync) -> Verdict {
    let is_last = failures >= settings.max_retries.max(1);
    match answer {
        Answer::Power(state) if row.is_failed => Verdict::Recover(*state),
        Answer::Failed(_) if row.is_failed => Verdict::Agree,
        Answer::Power(state) => match row.power_state {
            Some(recorded) if recorded == *state => Verdict::Agree,
            None => Verdict::Adopt(*state),
            // Nobody can be brought to "error".
            Some(PowerState::Error) => Verdict::Adopt(*state),
            Some(_) if is_last => Verdict::GiveUp(Some(*state), None),
            Some(_) if settings.force => Verdict::Force(*state),
            Some(_) => Verdict::Adopt(*state),
        },
        Answer::Failed(problem) if is_last => Verdict::GiveUp(None, Some(problem.clone())),
        Answer::Failed(problem) => Verdict::Retry(problem.clone()),
    }
}

/// What became of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is written, or there was nothing to write.
    Stands,
    /// It is written that the node is given up.
    GivenUp,
    /// It is not written: the node had changed since it was asked, or could not be written. The next sweep sees to it.
    TooLate,
}

/// Writes a verdict down, unless the node is held or has changed meanwhile.
pub async fn carry_out(
    conductor: &Conductor,
    row: &PowerRow,
    verdict: Verdict,
    failures: u32,
    started: Timestamp,
) -> Outcome {
    if verdict == Verdict::Agree {
        return Outcome::Stands;
    }
    let now = Timestamp::now();
    let gives_up = matches!(verdict, Verdict::GiveUp(..));
    let written = conductor
        .store()
        .edit_node(row.uuid, Guard::Free, now, |edit| {
            let stands = still_stands(&edit.node, row);
            if stands {
                write(conductor, edit, &verdict, failures, started, now);
            }
            Ok::<_, StoreError>(stands)
        })
        .await;
    match written {
        Ok((true, _)) if gives_up => Outcome::GivenUp,
        Ok((true, _)) => Outcome::Stands,
        Ok((false, _)) | Err(StoreError::Locked { .. } | StoreError::NotFound { .. }) => Outcome::TooLate,
        Err(error) => {
            tracing::error!(node = %row.uuid, %error, "what its BMC said of its power can't be written");
            Outcome::TooLate
        }
    }
}

/// Is the node as it was when it was asked?
fn still_stands(node: &Node, row: &PowerRow) -> bool {
    let is_failed = node.maintenance && node.fault == Some(Fault::Power);
    rests(node.provision_state)
        && node.power_state == row.power_state
        && node.target_power_state.is_none()
        && node.errand.is_none()
        && node.due.is_none()
        && is_failed == row.is_failed
        && (is_failed || !node.maintenance)
}

/// Changes the node and tells of it.
fn write(
    conductor: &Conductor,
    edit: &mut Edit,
    verdict: &Verdict,
    failures: u32,
    started: Timestamp,
    now: Timestamp,
) {
    let node = &mut edit.node;
    let recorded = word(node.power_state);
    let retries = conductor.settings().power_sync.max_retries;
    let mut is_well = true;
    let detail = match verdict {
        Verdict::Agree => return,
        Verdict::Force(found) if !node.disable_power_off => {
            let goal =
                if node.power_state == Some(PowerState::On) { PowerTarget::On } else { PowerTarget::Off };
            node.target_power_state = Some(goal);
            node.work.power_sync = true;
            node.nudge(now);
            is_well = false;
            format!(
                "the machine is {found}, and {recorded} is recorded: it is brought back to that (attempt {failures} of {retries})"
            )
        }
        Verdict::Adopt(found) | Verdict::Force(found) => {
            node.power_state = Some(*found);
            format!("the machine is {found}, and {recorded} was recorded: the record follows the machine")
        }
        Verdict::Retry(problem) => {
            is_well = false;
            format!("attempt {failures} of {retries}: {problem}")
        }
        Verdict::GiveUp(found, problem) => {
            let text = given_up(node, *found, problem.as_deref());
            node.power_state = *found;
            node.maintenance = true;
            node.maintenance_reason = Some(text.clone());
            node.fault = Some(Fault::Power);
            node.last_error = Some(text.clone());
            edit.history.push(history::error(conductor, node, "monitoring", &text, now));
            is_well = false;
            text
        }
        Verdict::Recover(found) => {
            node.power_state = Some(*found);
            node.maintenance = false;
            node.maintenance_reason = None;
            node.fault = None;
            node.last_error = None;
            format!("the BMC answers again, the machine is {found}: maintenance is over")
        }
    };
    if is_well {
        tracing::info!(node = %node.uuid, "power sync: {detail}");
    } else {
        tracing::warn!(node = %node.uuid, "power sync: {detail}");
    }
    let mut event = LogEvent::new(Some(node.uuid), started, EventKind::Bmc, "power sync", detail).until(now);
    event.ok = is_well;
    edit.events.push(event);
}

/// `last_error`, in Ironic's words.
fn given_up(node: &Node, found: Option<PowerState>, problem: Option<&str>) -> String {
    let found = word(found);
    let mut text = format!(
        "During sync_power_state, max retries exceeded for node {}, node state {found} does not match expected state '{}'. \
         Updating DB state to '{found}' Switching node to maintenance mode.",
        node.uuid,
        word(node.power_state)
    );
    if let Some(problem) = problem {
        text.push_str(" Error: ");
        text.push_str(problem);
    }
    text
}

fn word(state: Option<PowerState>) -> &'static str {
    state.map_or("None", PowerState::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn row(power_state: Option<PowerState>, is_failed: bool) -> PowerRow {
        PowerRow {
            id: 1,
            uuid: Uuid::nil(),
            conductor_group: String::new(),
            driver: "ipmi".into(),
            power_state,
            updated_us: 0,
            is_failed,
        }
    }

    #[test]
    fn every_answer_has_its_consequence() {
        use PowerState::{Error, Off, On};
        let force = PowerSync::default();
        let adopt = PowerSync { force: false, ..force };
        let said = Answer::Power;
        let failed = || Answer::Failed("no route".into());
        let no_route = || Some("no route".to_owned());
        for (row, answer, failures, settings, expected) in [
            (row(Some(On), false), said(On), 0, &force, Verdict::Agree),
            (row(None, false), said(On), 0, &force, Verdict::Adopt(On)),
            (row(Some(Error), false), said(Off), 1, &force, Verdict::Adopt(Off)),
            (row(Some(On), false), said(Off), 1, &force, Verdict::Force(Off)),
            (row(Some(On), false), said(Off), 1, &adopt, Verdict::Adopt(Off)),
            (row(Some(On), false), said(Off), 3, &force, Verdict::GiveUp(Some(Off), None)),
            (row(Some(On), false), failed(), 2, &force, Verdict::Retry("no route".into())),
            (row(Some(On), false), failed(), 3, &force, Verdict::GiveUp(None, no_route())),
            (row(None, true), failed(), 0, &force, Verdict::Agree),
            (row(None, true), said(On), 0, &force, Verdict::Recover(On)),
        ] {
            assert_eq!(of(&row, &answer, failures, settings), expected, "{row:?} {answer:?} {failures}");
        }
    }

    #[test]
    fn who_is_given_up_reads_why_in_ironics_words() {
        let mut node = Node::new(Uuid::nil(), "ipmi", Timestamp::UNIX_EPOCH);
        node.power_state = Some(PowerState::On);
        assert_eq!(
            given_up(&node, None, Some("no route")),
            "During sync_power_state, max retries exceeded for node 00000000-0000-0000-0000-000000000000, node state None does not \
             match expected state 'power on'. Updating DB state to 'None' Switching node to maintenance mode. Error: no route"
        );
    }
}
