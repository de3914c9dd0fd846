//! The process itself, as every Prometheus client tells of it.

use crate::table;
use std::sync::OnceLock;

/// Clock ticks in a second: the kernel's interface has had 100 of them on every architecture for decades, whatever it counts in inside.
const TICKS: f64 = 100.0;

/// Reads memory, time and files of this process from `/proc`; what can't be read keeps its last value.
pub fn read() {
    if let Some(stat) = std::fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::parse) {
        table::PROCESS_CPU.set([], stat.cpu_ticks as f64 / TICKS);
        if let Some(boot) = boot_seconds() {
            table::PROCESS_START.set([], boot + stat.started_ticks as f64 / TICKS);
        }
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (key, gauge, unit) in [
        ("VmRSS:", &table::PROCESS_RESIDENT, 1024.0),
        ("VmSize:", &table::PROCESS_VIRTUAL, 1024.0),
        ("Threads:", &table::PROCESS_THREADS, 1.0),
    ] {
        let rest = status.lines().find_map(|line| line.strip_prefix(key));
        if let Some(number) = rest.and_then(first_number) {
            gauge.set([], number * unit);
        }
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        table::PROCESS_FILES.set([], files.count() as f64);
    }
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    if let Some(limit) = limits.lines().find_map(|line| line.strip_prefix("Max open files"))
        && let Some(soft) = first_number(limit)
    {
        table::PROCESS_FILE_LIMIT.set([], soft);
    }
}

fn first_number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

/// When the machine was started, in seconds since 1970.
fn boot_seconds() -> Option<f64> {
    static BOOT: OnceLock<Option<f64>> = OnceLock::new();
    *BOOT.get_or_init(|| {
        let stat = std::fs::read_to_string("/proc/stat").ok()?;
        stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
    })
}

/// What is of use in `/proc/self/stat` (proc_pid_stat(5)).
struct Stat {
    cpu_ticks: u64,
    started_ticks: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The program's name stands in brackets and may hold anything; fields are counted behind the last one, from the third.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self { cpu_ticks: field(14)? + field(15)?, started_ticks: field(22)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_a_name_with_blanks_and_brackets() {
        let text = "7 (a b) c) S 1 1 1 0 -1 4 5 6 7 8 30 12 0 0 20 0 9 0 400 1000 250 184";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.cpu_ticks, stat.started_ticks), (42, 400));
        assert!(Stat::parse("7 (x").is_none());
    }

    #[test]
    fn this_process_has_memory_and_files() {
        read();
        assert!(table::PROCESS_RESIDENT.read([]) > 1e6);
        assert!(table::PROCESS_FILES.read([]) >= 3.0);
        assert!(table::PROCESS_START.read([]) > 1.6e9);
    }
}
