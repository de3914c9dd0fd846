//! How far a phase has come, and what it was like.

use std::collections::{HashMap, VecDeque};
use std::fmt::{Display, Formatter};
use std::time::{Duration, Instant};

use super::super::table::percentile;

/// The nodes of a phase.
pub(super) struct Progress {
    waiting: VecDeque<String>,
    under_way: HashMap<String, Instant>,
    done: Vec<(String, Duration)>,
    failures: Vec<String>,
}

impl Progress {
    pub fn new(names: Vec<String>) -> Self {
        Self { waiting: names.into(), under_way: HashMap::new(), done: Vec::new(), failures: Vec::new() }
    }

    /// The next node to be asked for, if there is room.
    pub fn next(&mut self, at_once: usize) -> Option<String> {
        if self.under_way.len() < at_once { self.waiting.pop_front() } else { None }
    }

    /// It was accepted.
    pub fn begin(&mut self, name: String) {
        self.under_way.insert(name, Instant::now());
    }

    /// It was not accepted now.
    pub fn put_off(&mut self, name: String) {
        self.waiting.push_back(name);
    }

    /// Where a node is.
    pub fn see(&mut self, name: &str, state: &str, goal: &str, error: Option<&str>) {
        let has_failed = state.ends_with("failed") || matches!(state, "error" | "enroll");
        if state != goal && !has_failed {
            return;
        }
        let Some((name, began)) = self.under_way.remove_entry(name) else { return };
        if has_failed {
            self.failures.push(format!("{name}: {state}: {}", error.unwrap_or("no error")));
        } else {
            self.done.push((name, began.elapsed()));
        }
    }

    pub fn ended(&self) -> usize {
        self.done.len() + self.failures.len()
    }

    pub fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// In a few words.
    pub fn shown(&self) -> String {
        let some: Vec<_> = self.under_way.keys().take(3).map(String::as_str).collect();
        format!("{} done, {} under way ({} …)", self.ended(), self.under_way.len(), some.join(", "))
    }

    /// Those that are done with the time that each took, and what is wrong with the others.
    pub fn split(self) -> (Vec<(String, Duration)>, Vec<String>) {
        (self.done, self.failures)
    }
}

/// What a phase was like. Processor times in seconds, memory in MiB.
#[derive(Debug, Clone, Default)]
pub(super) struct Phase {
    pub name: String,
    pub nodes: usize,
    pub failed: usize,
    pub seconds: f64,
    /// Of each node, in seconds; none where that was not looked at.
    pub waits: Vec<f64>,
    pub server_cpu: f64,
    pub fleet_cpu: f64,
    pub memory: f64,
    /// The first failure.
    pub reason: Option<String>,
    /// Since the phase's begin, seconds: processor time of the server and of the fleet in percent of a CPU, memory.
    pub samples: Vec<[f64; 4]>,
}

/// All phases.
#[derive(Debug, Default)]
pub struct Phases {
    phases: Vec<Phase>,
    /// Images written by all machines.
    pub(super) written: u64,
}

impl Phases {
    pub(super) fn push(&mut self, phase: Phase) {
        self.phases.push(phase);
    }
}

impl Display for Phases {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "| phase | nodes | failed | s | per s | p50 s | p99 s | server CPU s | ms a node | fleet CPU s | memory MiB |"
        )?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")?;
        for phase in &self.phases {
            let mut waits = phase.waits.clone();
            let [middle, high] = if waits.is_empty() {
                [String::new(), String::new()]
            } else {
                [50, 99].map(|percent| format!("{:.1}", percentile(&mut waits, percent)))
            };
            writeln!(
                f,
                "| {} | {} | {} | {:.1} | {:.0} | {middle} | {high} | {:.1} | {:.1} | {:.1} | {:.0} |",
                phase.name,
                phase.nodes,
                phase.failed,
                phase.seconds,
                phase.nodes as f64 / phase.seconds,
                phase.server_cpu,
                phase.server_cpu * 1000.0 / phase.nodes.max(1) as f64,
                phase.fleet_cpu,
                phase.memory,
            )?;
        }
        writeln!(f, "\n{} images were written in all.", self.written)?;
        for (phase, reason) in self.phases.iter().filter_map(|phase| Some((phase, phase.reason.as_ref()?))) {
            writeln!(f, "{}: {} failed, the first: {reason}", phase.name, phase.failed)?;
        }
        writeln!(
            f,
            "\n| phase | after s | server % of a CPU | fleet % of a CPU | memory MiB |\n|---|---:|---:|---:|---:|"
        )?;
        for phase in &self.phases {
            // At most eight lines a phase.
            for [at, server, fleet, memory] in
                phase.samples.iter().step_by(phase.samples.len().div_ceil(8).max(1))
            {
                writeln!(f, "| {} | {at:.0} | {server:.0} | {fleet:.0} | {memory:.0} |", phase.name)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_under_way_so_many_at_a_time_until_all_have_ended() {
        let mut progress = Progress::new(["a", "b", "c"].map(str::to_owned).to_vec());
        while let Some(name) = progress.next(2) {
            progress.begin(name);
        }
        assert_eq!(progress.under_way.len(), 2);
        progress.see("a", "cleaning", "available", None);
        progress.see("c", "available", "available", None);
        assert_eq!(progress.ended(), 0, "one is on its way, the other was not asked for");
        progress.see("a", "available", "available", None);
        progress.see("b", "clean failed", "available", Some("no disk"));
        let name = progress.next(2).unwrap();
        progress.put_off(name);
        assert!(!progress.is_over());
        let name = progress.next(2).unwrap();
        progress.begin(name);
        progress.see("c", "available", "available", None);
        assert!(progress.is_over());
        let (done, failures) = progress.split();
        assert_eq!(done.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(failures, ["b: clean failed: no disk"]);
    }
}
