//! Inspection rules.

use crate::record::{Query, Record};
use crate::select::Column;
use crate::{Result, Store};
use model::inspection_rule::InspectionRule;
use uuid::Uuid;

impl Record for InspectionRule {
    const TABLE: &'static str = "inspection_rules";
    const WHAT: &'static str = "Rule";
    const IS_NAMED: bool = false;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("id", "id"),
        ("uuid", "uuid"),
        ("description", "description"),
        ("priority", "priority"),
        ("phase", "phase"),
        ("sensitive", "sensitive"),
        ("created_at", "created_us"),
        ("updated_at", "updated_us"),
    ];

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("description", Column::text(self.description.as_deref())),
            ("priority", Column::Number(Some(self.priority))),
            ("phase", Column::text(self.phase.as_deref())),
            ("sensitive", Column::flag(self.sensitive)),
            ("created_us", Column::time(Some(self.created_at))),
            ("updated_us", Column::time(self.updated_at)),
        ]
    }
}

impl Store {
    /// The rules of a phase in the order in which they are to be applied: by priority, highest first, then by age.
    pub async fn inspection_rules(&self, phase: &str) -> Result<Vec<InspectionRule>> {
        let mut rules: Vec<InspectionRule> = self.list(&Query::equal("phase", phase)).await?;
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.priority));
        Ok(rules)
    }
}
