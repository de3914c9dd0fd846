//! What the kernel says of a process and all that come from it.
//!
//! Ironic forks a worker, and its worker forks `ipmitool` for each question; a database server forks for each connection. So a server is
//! counted as the tree of its processes. Children that have ended are in their parent's account once it has waited for them.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

use crate::bench::server::ticks_per_second;
use crate::error::{Error, Result};

/// The tree of a process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tree {
    root: u32,
}

/// Memory of a tree, in MiB.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Memory {
    /// Resident, each process by itself: what several share counts several times.
    pub resident: f64,
    /// Proportional: what several share is shared out.
    pub proportional: f64,
}

/// What is used of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// Clock ticks of its children that it has waited for, in user and in kernel mode.
    ended: u64,
}

impl Tree {
    pub fn of(root: u32) -> Self {
        Self { root }
    }

    /// Processor time that the tree has used.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Invalid`] when the root is gone.
    pub fn cpu(self) -> Result<Duration> {
        let members = self.members()?;
        let ended: u64 = members.iter().map(|(_, stat)| stat.ended).sum();
        let living: Duration = members.iter().map(|(pid, _)| own(*pid)).sum();
        Ok(living + Duration::from_nanos(ended * (1_000_000_000 / ticks_per_second())))
    }

    /// Memory of its processes.
    ///
    /// # Errors
    /// As [`Tree::cpu`].
    pub fn memory(self) -> Result<Memory> {
        let mut memory = Memory::default();
        for (pid, _) in self.members()? {
            // One that ended meanwhile has none.
            let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            memory.resident += mib(&text, "Rss:");
            memory.proportional += mib(&text, "Pss:");
        }
        Ok(memory)
    }

    /// Ends every process of the tree at once.
    pub fn kill(self) {
        for (pid, _) in self.members().unwrap_or_default() {
            if let Ok(pid) = i32::try_from(pid) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }

    /// The root and its descendants.
    fn members(self) -> Result<Vec<(u32, Stat)>> {
        let path = Path::new("/proc");
        let entries = std::fs::read_dir(path).map_err(Error::io("reading", path))?;
        let all: HashMap<u32, Stat> = entries
            .flatten()
            .filter_map(|entry| {
                let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
                Some((pid, parse(&std::fs::read_to_string(entry.path().join("stat")).ok()?)?))
            })
            .collect();
        let members = descend(self.root, &all);
        if members.is_empty() {
            return Err(Error::Invalid(format!("process {} is not there any more", self.root)));
        }
        Ok(members)
    }
}

/// The root and its descendants among all processes; nothing where the root is not among them.
fn descend(root: u32, all: &HashMap<u32, Stat>) -> Vec<(u32, Stat)> {
    let mut members: Vec<_> = all.get(&root).map(|stat| (root, *stat)).into_iter().collect();
    let mut next = 0;
    while let Some((parent, _)) = members.get(next).copied() {
        members.extend(
            all.iter()
                .filter(|(pid, stat)| stat.parent == parent && **pid != root)
                .map(|(pid, stat)| (*pid, *stat)),
        );
        next += 1;
    }
    members
}

/// Processor time of a living process, to the nanosecond: ticks are too coarse for a hundred fast requests. One that has ended
/// meanwhile has none; it is in its parent's account.
fn own(pid: u32) -> Duration {
    let clock = i32::try_from(pid).ok().and_then(|pid| clock_getcpuclockid(Pid::from_raw(pid)).ok());
    clock.and_then(|clock| clock.now().ok()).map(Duration::from).unwrap_or_default()
}

fn parse(text: &str) -> Option<Stat> {
    // The second field is a name in brackets, which may hold anything; the first one behind it is the state.
    let fields: Vec<_> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let parent = fields.get(1)?.parse().ok()?;
    // cutime and cstime are the 16th and the 17th field.
    let ended = fields.get(13..15)?.iter().map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>()?;
    Some(Stat { parent, ended })
}

/// A line of `/proc/PID/smaps_rollup`.
fn mib(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib: Option<f64> = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    kib.unwrap_or_default() / 1024.0
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_line_of_the_kernel_is_read_whatever_the_name() {
        let text = "42 (a) name) S 7 42 42 0 -1 4194560 1 2 3 4 10 20 300 4000 20 0 3 0 99";
        assert_eq!(parse(text), Some(Stat { parent: 7, ended: 4300 }));
        assert_eq!(parse("42 (name"), None);
        assert_eq!(parse("42 (name) S 7 1"), None);
    }

    #[test]
    fn a_tree_has_its_own_and_no_others() {
        let stat = |parent| Stat { parent, ended: 1 };
        let all =
            [(1, 0), (10, 1), (11, 10), (12, 11), (20, 1)].map(|(pid, parent)| (pid, stat(parent))).into();
        let mut members: Vec<_> = descend(10, &all).into_iter().map(|(pid, _)| pid).collect();
        members.sort_unstable();
        assert_eq!(members, [10, 11, 12]);
        assert!(descend(99, &all).is_empty());
    }

    #[test]
    fn time_and_memory_of_children_count_and_a_tree_ends_whole() {
        // A shell whose child works, and which has waited for another that worked.
        let script = "i=0; (while [ $i -lt 60000 ]; do i=$((i+1)); done); while :; do :; done & wait";
        let mut shell = Command::new("sh").args(["-c", script]).stdin(Stdio::null()).spawn().unwrap();
        let tree = Tree::of(shell.id());
        let began = Instant::now();
        let own = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        while tree.cpu().unwrap() < Duration::from_millis(200) {
            assert!(began.elapsed() < Duration::from_secs(60), "no time is counted: {}", own(shell.id()));
            std::thread::yield_now();
        }
        let members = tree.members().unwrap();
        assert_eq!(members.len(), 2, "{members:?}");
        let memory = tree.memory().unwrap();
        assert!(memory.resident > 0.5 && memory.proportional <= memory.resident, "{memory:?}");
        tree.kill();
        shell.wait().unwrap();
        assert!(tree.cpu().is_err());
    }
}
