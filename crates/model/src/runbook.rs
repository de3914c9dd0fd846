//! A runbook: steps with a name, to be run by cleaning or service without the user having to spell them out.

use crate::node::Object;
use crate::step::Step;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// A runbook as stored. Field names are the API's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Runbook {
    /// Identity.
    pub uuid: Uuid,
    /// Unique name.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// What is to be done.
    pub steps: Vec<RunbookStep>,
    /// Run them without booting the ramdisk.
    #[serde(default)]
    pub disable_ramdisk: bool,
    /// Everybody may read and run it.
    #[serde(default)]
    pub public: bool,
    /// Project that owns it.
    pub owner: Option<String>,
    /// Traits of the nodes on which it may run.
    #[serde(default)]
    pub traits: BTreeSet<String>,
    /// Free for the operator.
    #[serde(default)]
    pub extra: Object,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
}

/// One step of a runbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunbookStep {
    /// The step itself; its priority means nothing here.
    #[serde(flatten)]
    pub step: Step,
    /// Lower runs first.
    pub order: i64,
}

impl Runbook {
    /// The steps as they are to be run; equals keep their place.
    pub fn ordered_steps(&self) -> Vec<Step> {
        let mut steps: Vec<_> = self.steps.iter().collect();
        steps.sort_by_key(|step| step.order);
        steps.into_iter().map(|step| step.step.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_run_in_their_order() {
        let step = |name: &str, order| RunbookStep { step: Step::core("deploy", name, 0), order };
        let runbook = Runbook {
            uuid: Uuid::nil(),
            name: "CUSTOM_X".to_owned(),
            description: None,
            steps: vec![step("c", 2), step("a", 1), step("b", 1)],
            disable_ramdisk: false,
            public: false,
            owner: None,
            traits: BTreeSet::from(["CUSTOM_Y".to_owned()]),
            extra: Object::new(),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: None,
        };
        let names: Vec<_> = runbook.ordered_steps().into_iter().map(|step| step.step).collect();
        assert_eq!(names, ["a", "b", "c"]);
        let stored = serde_json::to_string(&runbook).unwrap();
        assert_eq!(serde_json::from_str::<Runbook>(&stored).unwrap(), runbook);
    }
}
