//! What was measured, beside what is wanted.

use std::fmt::{Display, Formatter};
use std::time::Duration;

/// A limit that a value is held against.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bar {
    /// Smaller is better.
    Below(f64),
    /// Larger is better.
    AtLeast(f64),
    /// For information.
    None,
}

/// One line.
#[derive(Debug)]
struct Line {
    name: String,
    value: f64,
    unit: &'static str,
    bar: Bar,
}

/// The table of one benchmark.
#[derive(Debug, Default)]
pub struct Table {
    lines: Vec<Line>,
}

impl Table {
    /// Adds a line.
    pub(super) fn push(&mut self, name: impl Into<String>, value: f64, unit: &'static str, bar: Bar) {
        self.lines.push(Line { name: name.into(), value, unit, bar });
    }

    /// How many values miss their bars.
    #[must_use]
    pub fn missed(&self) -> usize {
        self.lines.iter().filter(|line| !line.is_met()).count()
    }
}

impl Line {
    fn is_met(&self) -> bool {
        match self.bar {
            Bar::Below(limit) => self.value < limit,
            Bar::AtLeast(limit) => self.value >= limit,
            Bar::None => true,
        }
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "| {:<58} | {:>16} | {:>16} | {:<5} |", "what", "value", "bar", "")?;
        writeln!(f, "|{:-<60}|{:->18}|{:->18}|{:-<7}|", "", ":", ":", "")?;
        for line in &self.lines {
            let (bar, verdict) = match line.bar {
                Bar::Below(limit) => (format!("< {limit} {}", line.unit), line.is_met()),
                Bar::AtLeast(limit) => (format!("≥ {limit} {}", line.unit), line.is_met()),
                Bar::None => (String::new(), true),
            };
            let verdict = match (line.bar, verdict) {
                (Bar::None, _) => "",
                (_, true) => "ok",
                (_, false) => "BELOW",
            };
            let value = format!("{} {}", digits(line.value), line.unit);
            writeln!(f, "| {:<58} | {value:>16} | {bar:>16} | {verdict:<5} |", line.name)?;
        }
        Ok(())
    }
}

/// Three digits that say something.
fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// The value in the middle; of none, zero.
pub(super) fn median(values: &mut [f64]) -> f64 {
    percentile(values, 50)
}

/// The value that so many in a hundred don't exceed.
pub(super) fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get(last * percent / 100).copied().unwrap_or_default()
}

/// Milliseconds, with their fraction.
pub(super) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_bar_is_counted_and_named() {
        let mut table = Table::default();
        table.push("fast", 3.0, "ms", Bar::Below(12.0));
        table.push("slow", 30.0, "ms", Bar::Below(12.0));
        table.push("many", 2000.0, "/s", Bar::AtLeast(2000.0));
        table.push("seen", 7.0, "MiB", Bar::None);
        assert_eq!(table.missed(), 1);
        let text = table.to_string();
        let line = |name: &str| text.lines().find(|line| line.contains(name)).unwrap().to_owned();
        assert!(line("slow").contains("BELOW") && line("many").contains("ok"), "{text}");
        assert!(!line("seen").contains("ok"), "{text}");
    }

    #[test]
    fn the_middle_is_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(percentile(&mut (0..=100).map(f64::from).collect::<Vec<_>>(), 99), 99.0);
        assert_eq!(median(&mut []), 0.0);
    }
}
