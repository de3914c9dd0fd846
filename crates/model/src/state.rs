//! The provision state machine: states, events and one table that joins them.
//!
//! The table *is* the documentation: `docs/STATES.md` is generated from it and a test walks all of it. It follows Ironic's
//! `ironic/common/states.py`, with one deliberate difference: aborting a hold goes to the failure state and is done, where Ironic
//! runs a tear-down whose follow-up event its own machine refuses.

use std::str::FromStr;

macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$vmeta:meta])* $variant:ident => $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Their words, in the same order.
            pub const WORDS: &'static [&'static str] = &[$($text,)+];

            /// The word as the API shows it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::state::UnknownWord;

            fn from_str(text: &str) -> Result<Self, $crate::state::UnknownWord> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::state::UnknownWord { what: $what, text: text.to_owned() }),
                }
            }
        }
    };
}
pub(crate) use words;

/// A word that is not in one of the contract's lists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a known {what}")]
pub struct UnknownWord {
    /// What kind of word was expected.
    pub what: &'static str,
    /// What came instead.
    pub text: String,
}

words! {
    /// Where a node stands in its life. The text form is Ironic's, not the constant's name (`wait call-back` is DEPLOYWAIT there).
    ProvisionState, "provision state" {
        /// Registered; credentials not proven yet.
        Enroll => "enroll",
        /// Credentials are being tried.
        Verifying => "verifying",
        /// Under management; not offered to tenants.
        Manageable => "manageable",
        /// Clean and ready to be deployed.
        Available => "available",
        /// Being deployed, the conductor is acting.
        Deploying => "deploying",
        /// Being deployed, waiting for the ramdisk.
        DeployWait => "wait call-back",
        /// Deployment paused by a `hold` step.
        DeployHold => "deploy hold",
        /// Deployment failed; stays until the user acts.
        DeployFailed => "deploy failed",
        /// Carries an instance.
        Active => "active",
        /// Tear-down failed.
        Error => "error",
        /// Being torn down.
        Deleting => "deleting",
        /// Being cleaned, the conductor is acting.
        Cleaning => "cleaning",
        /// Being cleaned, waiting for the ramdisk.
        CleanWait => "clean wait",
        /// Cleaning paused by a `hold` step.
        CleanHold => "clean hold",
        /// Cleaning failed.
        CleanFailed => "clean failed",
        /// Being inspected, the conductor is acting.
        Inspecting => "inspecting",
        /// Being inspected, waiting for the ramdisk.
        InspectWait => "inspect wait",
        /// Inspection failed.
        InspectFailed => "inspect failed",
        /// A running instance is being taken over.
        Adopting => "adopting",
        /// Adoption failed.
        AdoptFailed => "adopt failed",
        /// Rescue ramdisk is being started.
        Rescuing => "rescuing",
        /// Waiting for the rescue ramdisk.
        RescueWait => "rescue wait",
        /// Runs the rescue ramdisk.
        Rescue => "rescue",
        /// Rescue failed.
        RescueFailed => "rescue failed",
        /// Going back from rescue to the instance.
        Unrescuing => "unrescuing",
        /// Unrescue failed.
        UnrescueFailed => "unrescue failed",
        /// Service steps run on an active node, the conductor is acting.
        Servicing => "servicing",
        /// Service steps wait for the ramdisk.
        ServiceWait => "service wait",
        /// Service paused by a `hold` step.
        ServiceHold => "service hold",
        /// Service failed.
        ServiceFailed => "service failed",
    }
}

words! {
    /// What moves a node from one state to another: the API's verbs first, then what only the conductor says.
    Event, "event" {
        /// Verb `manage`.
        Manage => "manage",
        /// Verb `provide`.
        Provide => "provide",
        /// Verb `inspect`.
        Inspect => "inspect",
        /// Verb `clean` (manual cleaning).
        Clean => "clean",
        /// Verb `adopt`.
        Adopt => "adopt",
        /// Verb `active` (also `deploy`).
        Deploy => "active",
        /// Verb `rebuild`.
        Rebuild => "rebuild",
        /// Verb `deleted` (also `undeploy`).
        Delete => "deleted",
        /// Verb `rescue`.
        Rescue => "rescue",
        /// Verb `unrescue`.
        Unrescue => "unrescue",
        /// Verb `service`.
        Service => "service",
        /// Verb `abort`.
        Abort => "abort",
        /// Verb `unhold`.
        Unhold => "unhold",
        /// The work of this state is done.
        Done => "done",
        /// The work of this state is done and ends in `manageable` (manual cleaning, retired nodes).
        DoneManageable => "done manageable",
        /// The work failed.
        Fail => "fail",
        /// Now it is the ramdisk's turn.
        Wait => "wait",
        /// A `hold` step was reached.
        Hold => "hold",
        /// The ramdisk answered.
        Resume => "resume",
        /// Torn down: goes on to automated cleaning.
        CleanUp => "clean up",
    }
}

impl Event {
    /// The verbs that a client may send to `PUT …/states/provision`.
    pub const VERBS: &'static [Event] = &[
        Event::Manage,
        Event::Provide,
        Event::Inspect,
        Event::Clean,
        Event::Adopt,
        Event::Deploy,
        Event::Rebuild,
        Event::Delete,
        Event::Rescue,
        Event::Unrescue,
        Event::Service,
        Event::Abort,
        Event::Unhold,
    ];

    /// The words that `target` of `PUT …/states/provision` may be: the verbs' own, then synonyms of two.
    pub const TARGETS: [&'static str; Self::VERBS.len() + 2] = {
        let mut words = ["deploy"; Self::VERBS.len() + 2];
        let mut index = 0;
        while index < Self::VERBS.len() {
            words[index] = Self::VERBS[index].as_str();
            index += 1;
        }
        words[index] = "undeploy";
        words
    };

    /// May a client send this event?
    pub fn is_verb(self) -> bool {
        Self::VERBS.contains(&self)
    }

    /// Parses the `target` of `PUT …/states/provision`, synonyms `deploy` and `undeploy` included.
    pub fn from_target(target: &str) -> Option<Event> {
        match target {
            "deploy" => Some(Event::Deploy),
            "undeploy" => Some(Event::Delete),
            other => Event::from_str(other).ok().filter(|event| event.is_verb()),
        }
    }
}

/// What a transition does to `target_provision_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Left as it is: the work goes on, or failed on its way there.
    Keep,
    /// Cleared: a stable state is reached.
    Clear,
    /// The work now aims at this state.
    Set(ProvisionState),
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// State before.
    pub from: ProvisionState,
    /// What happens.
    pub event: Event,
    /// State after.
    pub to: ProvisionState,
    /// Effect on the target.
    pub target: Target,
}

const fn row(from: ProvisionState, event: Event, to: ProvisionState, target: Target) -> Transition {
    Transition { from, event, to, target }
}

/// Every transition there is; what is not in it is refused.
pub const TABLE: &[Transition] = {
    use Event as E;
    use ProvisionState as S;
    use Target::{Clear, Keep, Set};
    &[
        // Enrolment.
        row(S::Enroll, E::Manage, S::Verifying, Set(S::Manageable)),
        row(S::Verifying, E::Done, S::Manageable, Clear),
        row(S::Verifying, E::Fail, S::Enroll, Clear),
        row(S::Manageable, E::Provide, S::Cleaning, Set(S::Available)),
        row(S::Manageable, E::Clean, S::Cleaning, Set(S::Manageable)),
        row(S::Manageable, E::Inspect, S::Inspecting, Set(S::Manageable)),
        row(S::Manageable, E::Adopt, S::Adopting, Set(S::Active)),
        row(S::Available, E::Manage, S::Manageable, Clear),
        // Deployment.
        row(S::Available, E::Deploy, S::Deploying, Set(S::Active)),
        row(S::Deploying, E::Done, S::Active, Clear),
        row(S::Deploying, E::Fail, S::DeployFailed, Keep),
        row(S::Deploying, E::Wait, S::DeployWait, Keep),
        row(S::Deploying, E::Hold, S::DeployHold, Keep),
        row(S::DeployWait, E::Resume, S::Deploying, Keep),
        row(S::DeployWait, E::Fail, S::DeployFailed, Keep),
        row(S::DeployWait, E::Abort, S::DeployFailed, Keep),
        row(S::DeployWait, E::Hold, S::DeployHold, Keep),
        row(S::DeployWait, E::Delete, S::Deleting, Set(S::Available)),
        row(S::DeployHold, E::Unhold, S::DeployWait, Keep),
        row(S::DeployHold, E::Abort, S::DeployFailed, Keep),
        row(S::DeployHold, E::Fail, S::DeployFailed, Keep),
        row(S::DeployFailed, E::Deploy, S::Deploying, Set(S::Active)),
        row(S::DeployFailed, E::Rebuild, S::Deploying, Set(S::Active)),
        row(S::DeployFailed, E::Delete, S::Deleting, Set(S::Available)),
        row(S::Active, E::Rebuild, S::Deploying, Set(S::Active)),
        row(S::Active, E::Delete, S::Deleting, Set(S::Available)),
        row(S::Active, E::Rescue, S::Rescuing, Set(S::Rescue)),
        row(S::Active, E::Service, S::Servicing, Set(S::Active)),
        row(S::Error, E::Rebuild, S::Deploying, Set(S::Active)),
        row(S::Error, E::Delete, S::Deleting, Set(S::Available)),
        row(S::Deleting, E::CleanUp, S::Cleaning, Set(S::Available)),
        row(S::Deleting, E::Fail, S::Error, Clear),
        // Cleaning.
        row(S::Cleaning, E::Done, S::Available, Clear),
        row(S::Cleaning, E::DoneManageable, S::Manageable, Clear),
        row(S::Cleaning, E::Fail, S::CleanFailed, Keep),
        row(S::Cleaning, E::Wait, S::CleanWait, Keep),
        row(S::Cleaning, E::Hold, S::CleanHold, Keep),
        row(S::CleanWait, E::Resume, S::Cleaning, Keep),
        row(S::CleanWait, E::Fail, S::CleanFailed, Keep),
        row(S::CleanWait, E::Abort, S::CleanFailed, Keep),
        row(S::CleanWait, E::Hold, S::CleanHold, Keep),
        row(S::CleanHold, E::Unhold, S::CleanWait, Keep),
        row(S::CleanHold, E::Abort, S::CleanFailed, Keep),
        row(S::CleanHold, E::Fail, S::CleanFailed, Keep),
        row(S::CleanFailed, E::Manage, S::Manageable, Clear),
        // Inspection.
        row(S::Inspecting, E::Done, S::Manageable, Clear),
        row(S::Inspecting, E::Fail, S::InspectFailed, Keep),
        row(S::Inspecting, E::Wait, S::InspectWait, Keep),
        row(S::InspectWait, E::Resume, S::Inspecting, Keep),
        row(S::InspectWait, E::Done, S::Manageable, Clear),
        row(S::InspectWait, E::Fail, S::InspectFailed, Keep),
        row(S::InspectWait, E::Abort, S::InspectFailed, Keep),
        row(S::InspectFailed, E::Inspect, S::Inspecting, Set(S::Manageable)),
        row(S::InspectFailed, E::Manage, S::Manageable, Clear),
        // Adoption.
        row(S::Adopting, E::Done, S::Active, Clear),
        row(S::Adopting, E::Fail, S::AdoptFailed, Keep),
        row(S::AdoptFailed, E::Adopt, S::Adopting, Set(S::Active)),
        row(S::AdoptFailed, E::Manage, S::Manageable, Clear),
        // Rescue.
        row(S::Rescuing, E::Done, S::Rescue, Clear),
        row(S::Rescuing, E::Wait, S::RescueWait, Keep),
        row(S::Rescuing, E::Fail, S::RescueFailed, Keep),
        row(S::RescueWait, E::Resume, S::Rescuing, Keep),
        row(S::RescueWait, E::Fail, S::RescueFailed, Keep),
        row(S::RescueWait, E::Abort, S::RescueFailed, Keep),
        row(S::RescueWait, E::Delete, S::Deleting, Set(S::Available)),
        row(S::Rescue, E::Rescue, S::Rescuing, Set(S::Rescue)),
        row(S::Rescue, E::Unrescue, S::Unrescuing, Set(S::Active)),
        row(S::Rescue, E::Delete, S::Deleting, Set(S::Available)),
        row(S::RescueFailed, E::Rescue, S::Rescuing, Set(S::Rescue)),
        row(S::RescueFailed, E::Unrescue, S::Unrescuing, Set(S::Active)),
        row(S::RescueFailed, E::Delete, S::Deleting, Set(S::Available)),
        row(S::Unrescuing, E::Done, S::Active, Clear),
        row(S::Unrescuing, E::Fail, S::UnrescueFailed, Keep),
        row(S::UnrescueFailed, E::Rescue, S::Rescuing, Set(S::Rescue)),
        row(S::UnrescueFailed, E::Unrescue, S::Unrescuing, Set(S::Active)),
        row(S::UnrescueFailed, E::Delete, S::Deleting, Set(S::Available)),
        // Service.
        row(S::Servicing, E::Done, S::Active, Clear),
        row(S::Servicing, E::Wait, S::ServiceWait, Keep),
        row(S::Servicing, E::Hold, S::ServiceHold, Keep),
        row(S::Servicing, E::Fail, S::ServiceFailed, Keep),
        row(S::ServiceWait, E::Resume, S::Servicing, Keep),
        row(S::ServiceWait, E::Hold, S::ServiceHold, Keep),
        row(S::ServiceWait, E::Fail, S::ServiceFailed, Keep),
        row(S::ServiceWait, E::Abort, S::ServiceFailed, Keep),
        row(S::ServiceWait, E::Delete, S::Deleting, Set(S::Available)),
        row(S::ServiceHold, E::Unhold, S::ServiceWait, Keep),
        row(S::ServiceHold, E::Service, S::Servicing, Set(S::Active)),
        row(S::ServiceHold, E::Fail, S::ServiceFailed, Keep),
        row(S::ServiceHold, E::Abort, S::ServiceFailed, Keep),
        row(S::ServiceFailed, E::Service, S::Servicing, Set(S::Active)),
        row(S::ServiceFailed, E::Rescue, S::Rescuing, Set(S::Rescue)),
        row(S::ServiceFailed, E::Abort, S::Active, Clear),
        row(S::ServiceFailed, E::Delete, S::Deleting, Set(S::Available)),
        row(S::ServiceFailed, E::Wait, S::ServiceWait, Keep),
        row(S::ServiceFailed, E::Hold, S::ServiceHold, Keep),
    ]
};

/// What kind of state it is: who acts next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A user acts next; the target is empty.
    Stable,
    /// A user acts next; the target says what failed.
    Failure,
    /// The ramdisk or the clock acts next.
    Wait,
    /// Paused by a `hold` step until `unhold`.
    Hold,
    /// The conductor acts; the node is locked.
    Transient,
}

/// A refused event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("event \"{event}\" does not exist in state \"{state}\"")]
pub struct Refused {
    /// State the node is in.
    pub state: ProvisionState,
    /// Event that was refused.
    pub event: Event,
}

impl ProvisionState {
    /// Looks the event up in [`TABLE`].
    pub fn apply(self, event: Event) -> Result<&'static Transition, Refused> {
        TABLE.iter().find(|row| row.from == self && row.event == event).ok_or(Refused { state: self, event })
    }

    /// Who acts next in this state.
    pub const fn kind(self) -> Kind {
        use ProvisionState as S;
        match self {
            S::Enroll | S::Manageable | S::Available | S::Active | S::Error | S::Rescue => Kind::Stable,
            S::DeployFailed
            | S::CleanFailed
            | S::InspectFailed
            | S::AdoptFailed
            | S::RescueFailed
            | S::UnrescueFailed
            | S::ServiceFailed => Kind::Failure,
            S::DeployWait | S::CleanWait | S::InspectWait | S::RescueWait | S::ServiceWait => Kind::Wait,
            S::DeployHold | S::CleanHold | S::ServiceHold => Kind::Hold,
            S::Verifying
            | S::Deploying
            | S::Deleting
            | S::Cleaning
            | S::Inspecting
            | S::Adopting
            | S::Rescuing
            | S::Unrescuing
            | S::Servicing => Kind::Transient,
        }
    }

    /// May a node that is on its way be changed by its users in this state all the same?
    pub const fn allows_update(self) -> bool {
        use ProvisionState as S;
        matches!(
            self,
            S::DeployFailed
                | S::Inspecting
                | S::InspectWait
                | S::InspectFailed
                | S::CleanFailed
                | S::Error
                | S::Verifying
                | S::AdoptFailed
                | S::RescueFailed
                | S::UnrescueFailed
                | S::ServiceHold
                | S::ServiceFailed
        )
    }

    /// May a ramdisk look its node up in this state? (`api.md` §8, without fast track.)
    pub const fn answers_lookup(self) -> bool {
        use ProvisionState as S;
        matches!(
            self,
            S::Deploying
                | S::DeployWait
                | S::Cleaning
                | S::CleanWait
                | S::Inspecting
                | S::InspectWait
                | S::Rescuing
                | S::RescueWait
                | S::ServiceWait
        )
    }
}

/// The table as a Mermaid state diagram, for `docs/STATES.md`.
pub fn diagram() -> String {
    let id = |state: ProvisionState| state.as_str().replace([' ', '-'], "_");
    let mut out = String::from("stateDiagram-v2\n");
    for state in ProvisionState::ALL {
        out.push_str(&format!("    state \"{state}\" as {}\n", id(*state)));
    }
    for row in TABLE {
        out.push_str(&format!("    {} --> {}: {}\n", id(row.from), id(row.to), row.event));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// `BILLET_BLESS=1 cargo test -p model` writes the file anew.
    #[test]
    fn the_documents_diagram_is_this_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/STATES.md");
        let text = format!(
            "# Provision states\n\nMade from the table in `crates/model/src/state.rs`; a test compares the two.\n\n```mermaid\n{}```\n",
            diagram()
        );
        if std::env::var_os("BILLET_BLESS").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), text, "run with BILLET_BLESS=1 to write it anew");
    }

    #[test]
    fn thirty_states_as_the_contract_counts_them() {
        assert_eq!(ProvisionState::ALL.len(), 30);
    }

    #[test]
    fn no_event_is_ambiguous() {
        let mut seen = HashSet::new();
        for row in TABLE {
            assert!(seen.insert((row.from, row.event)), "two rows for {} in {}", row.event, row.from);
        }
    }

    #[test]
    fn the_target_is_empty_exactly_in_stable_states() {
        for row in TABLE {
            match row.to.kind() {
                Kind::Stable => assert_eq!(row.target, Target::Clear, "{} → {}", row.from, row.to),
                _ => assert_ne!(row.target, Target::Clear, "{} → {}", row.from, row.to),
            }
        }
    }

    #[test]
    fn every_state_is_reached_and_left() {
        for state in ProvisionState::ALL {
            assert!(TABLE.iter().any(|row| row.from == *state), "{state} is a dead end");
            // `error` is reached from deleting; `enroll` is also where nodes begin.
            assert!(TABLE.iter().any(|row| row.to == *state), "{state} is never entered");
        }
    }

    #[test]
    fn every_busy_state_can_fail() {
        for state in ProvisionState::ALL {
            if matches!(state.kind(), Kind::Transient | Kind::Wait | Kind::Hold) {
                assert!(state.apply(Event::Fail).is_ok(), "{state} cannot fail");
            }
        }
    }

    #[test]
    fn available_is_not_deleted_and_synonyms_parse() {
        assert_eq!(
            ProvisionState::Available.apply(Event::Delete),
            Err(Refused { state: ProvisionState::Available, event: Event::Delete })
        );
        assert_eq!(Event::from_target("deploy"), Some(Event::Deploy));
        assert_eq!(Event::from_target("undeploy"), Some(Event::Delete));
        assert!(Event::TARGETS.iter().all(|target| Event::from_target(target).is_some()));
        assert_eq!(Event::from_target("done"), None, "only verbs may come from a client");
    }
}
