//! Lines for whoever watches the machine's console, and for `log.collect_system_logs`.
//!
//! Tokens, passwords and config drives never come here: callers pass names, sizes and addresses.

use crate::bell::lock;
use std::collections::VecDeque;
use std::fmt;
use std::io::Write;
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

/// How many lines are kept; some 100 bytes each.
const KEPT_LINES: usize = 4000;

static LINES: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());
static START: OnceLock<Instant> = OnceLock::new();

/// Writes one line to the console and keeps it. Control characters, which may come from the network, are shown escaped.
pub fn say(text: fmt::Arguments<'_>) {
    let seconds = START.get_or_init(Instant::now).elapsed().as_secs_f64();
    let mut line = String::new();
    for c in text.to_string().chars().take(2000) {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    // A console that is gone is no reason to stop.
    let _ = writeln!(std::io::stdout().lock(), "billet-agent: {line}");
    let mut lines = lock(&LINES);
    if lines.len() == KEPT_LINES {
        lines.pop_front();
    }
    lines.push_back(format!("{seconds:9.3} {line}"));
}

/// The kept lines, oldest first, each with the seconds since the start.
pub fn kept() -> String {
    let lines = lock(&LINES);
    let mut text = String::new();
    for line in lines.iter() {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// Writes one line to the console, formatted as by `format!`.
#[macro_export]
macro_rules! say {
    ($($arg:tt)*) => { $crate::console::say(format_args!($($arg)*)) };
}
