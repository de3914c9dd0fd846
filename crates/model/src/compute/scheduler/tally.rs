//! Sentences on why none of many nodes could be had.

use super::Objection;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Names that are given for each reason.
const NAMED: usize = 3;
/// Nodes that are told one by one, for operators.
const DETAILED: usize = 100;
/// Reasons that are told at most; the rest is a number.
const REASONS: usize = 12;

/// Objections to many nodes, gathered.
#[derive(Debug, Default)]
pub struct Tally {
    count: usize,
    /// Nodes that were not asked for at all.
    others: usize,
    reasons: BTreeMap<Objection, Vec<String>>,
    counts: BTreeMap<Objection, usize>,
    details: String,
}

impl Tally {
    /// Adds a node that was turned away.
    pub fn add(&mut self, node: &str, objection: Objection) {
        self.count += 1;
        if matches!(objection, Objection::NotTheOne { .. }) {
            self.others += 1;
            return;
        }
        if self.count - self.others <= DETAILED {
            let _ = write!(self.details, "{node}: {}: {objection}", objection.filter());
            if let Some(remedy) = objection.remedy(node) {
                let _ = write!(self.details, ": {remedy}");
            }
            self.details.push('\n');
        }
        let objection = gathered(objection);
        *self.counts.entry(objection.clone()).or_default() += 1;
        let names = self.reasons.entry(objection).or_default();
        if names.len() < NAMED {
            names.push(node.to_owned());
        }
    }

    /// Nothing was added.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// One line for each of the first hundred nodes: which filter, what the node has, what was wanted, what would change that.
    pub fn details(&self) -> &str {
        &self.details
    }

    /// The reasons, the most frequent first, with a few names and remedies each. `pin` is the node that was asked for, if one was.
    pub fn in_sum(&self, pin: Option<&str>) -> String {
        let told = self.count - self.others;
        if told == 0 {
            return match pin {
                Some(pin) => format!(
                    "Node {pin} was asked for, and there is none of that UUID or name: openstack hypervisor list shows those that there are."
                ),
                None => "There are no nodes yet: openstack baremetal node create enrols one.".to_owned(),
            };
        }
        let mut reasons: Vec<_> = self.counts.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let mut text = format!("{told} {} turned away: ", if told == 1 { "node was" } else { "nodes were" });
        let mut remedies = Vec::new();
        for (index, (objection, count)) in reasons.iter().take(REASONS).enumerate() {
            let names = &self.reasons[*objection];
            let more = if **count > names.len() { ", …" } else { "" };
            let separator = if index == 0 { "" } else { "; " };
            let _ = write!(text, "{separator}{count} {objection} ({}{more})", names.join(", "));
            remedies.extend(names.first().and_then(|name| objection.remedy(name)));
        }
        if reasons.len() > REASONS {
            let _ = write!(text, "; and {} more reasons", reasons.len() - REASONS);
        }
        text.push('.');
        remedies.dedup();
        if !remedies.is_empty() {
            let _ = write!(text, " What would change that: {}.", remedies.join("; "));
        }
        text
    }
}

/// Objections that differ in what concerns one node only count as one.
fn gathered(objection: Objection) -> Objection {
    match objection {
        Objection::Taken { .. } => Objection::Taken { instance: String::new() },
        Objection::Leased { .. } => Objection::Leased { to: String::new() },
        other => other,
    }
}
