//! The table: what each of the two takes, how many times one is better, and what is wanted.

use std::fmt::{Display, Formatter};

/// What one of the two was measured to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figure {
    /// In the row's unit.
    pub value: f64,
    /// Processor time of the server for one operation, milliseconds.
    pub cpu_ms: Option<f64>,
    /// The same of its database server.
    pub database_ms: Option<f64>,
}

impl Figure {
    /// Something that is not done by operations.
    pub fn plain(value: f64) -> Self {
        Self { value, cpu_ms: None, database_ms: None }
    }
}

/// What is wanted: how many times better than Ironic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    /// By the value.
    Value(f64),
    /// By the server's processor time.
    Cpu(f64),
    /// Nothing: for information.
    None,
}

/// What is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Better {
    Less,
    More,
}

#[derive(Debug)]
struct Row {
    name: String,
    unit: &'static str,
    better: Better,
    goal: Goal,
    ironic: Figure,
    billet: Figure,
}

impl Row {
    fn ratio(&self) -> f64 {
        match self.better {
            Better::Less => self.ironic.value / self.billet.value,
            Better::More => self.billet.value / self.ironic.value,
        }
    }

    /// Nothing where the rounds were too short for the kernel to count anything.
    fn cpu_ratio(&self) -> Option<f64> {
        Some(self.ironic.cpu_ms? / self.billet.cpu_ms.filter(|cpu| *cpu > 0.0)?)
    }

    /// Whether the goal is met; nothing where there is none.
    fn is_met(&self) -> Option<bool> {
        match self.goal {
            Goal::Value(wanted) => Some(self.ratio() >= wanted),
            Goal::Cpu(wanted) => Some(self.cpu_ratio().is_some_and(|ratio| ratio >= wanted)),
            Goal::None => None,
        }
    }
}

/// The table of one pair of databases.
#[derive(Debug)]
pub struct Comparison {
    title: String,
    rows: Vec<Row>,
}

impl Comparison {
    pub(super) fn new(title: String) -> Self {
        Self { title, rows: Vec::new() }
    }

    pub(super) fn push(
        &mut self,
        name: impl Into<String>,
        unit: &'static str,
        better: Better,
        goal: Goal,
        [ironic, billet]: [Figure; 2],
    ) {
        self.rows.push(Row { name: name.into(), unit, better, goal, ironic, billet });
    }

    /// How many goals are missed.
    #[must_use]
    pub fn missed(&self) -> usize {
        self.rows.iter().filter(|row| row.is_met() == Some(false)).count()
    }
}

impl Display for Comparison {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let has_database =
            self.rows.iter().any(|row| row.ironic.database_ms.or(row.billet.database_ms).is_some());
        writeln!(f, "### {}\n", self.title)?;
        write!(f, "| scenario | unit | Ironic | Billet | times better | CPU ms Ironic | CPU ms Billet |")?;
        if has_database {
            write!(f, " database CPU ms Ironic | database CPU ms Billet |")?;
        }
        writeln!(f, " times per CPU second | bar | |")?;
        let columns = if has_database { 8 } else { 6 };
        writeln!(f, "|---|---|{}---:|---|", "---:|".repeat(columns))?;
        for row in &self.rows {
            let figure = |value: Option<f64>| value.map_or_else(String::new, digits);
            write!(
                f,
                "| {} | {} | {} | {} | {} | {} | {} |",
                row.name,
                row.unit,
                digits(row.ironic.value),
                digits(row.billet.value),
                digits(row.ratio()),
                figure(row.ironic.cpu_ms),
                figure(row.billet.cpu_ms),
            )?;
            if has_database {
                write!(f, " {} | {} |", figure(row.ironic.database_ms), figure(row.billet.database_ms))?;
            }
            let (bar, verdict) = match (row.goal, row.is_met()) {
                (Goal::Value(wanted), Some(is_met)) => (format!("{wanted} times"), is_met),
                (Goal::Cpu(wanted), Some(is_met)) => (format!("{wanted} times per CPU second"), is_met),
                _ => (String::new(), true),
            };
            let verdict = match (bar.is_empty(), verdict) {
                (true, _) => "",
                (_, true) => "met",
                (_, false) => "**missed**",
            };
            writeln!(f, " {} | {bar} | {verdict} |", figure(row.cpu_ratio()))?;
        }
        match (self.missed(), self.rows.iter().filter(|row| row.is_met().is_some()).count()) {
            (_, 0) => Ok(()),
            (0, wanted) => writeln!(f, "\nAll {wanted} bars are met."),
            (missed, wanted) => writeln!(f, "\n{missed} of {wanted} bars are missed."),
        }
    }
}

/// Three digits that say something, and never a dozen zeros.
fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.1 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(value: f64, cpu_ms: f64) -> Figure {
        Figure { value, cpu_ms: Some(cpu_ms), database_ms: None }
    }

    fn line<'a>(text: &'a str, name: &str) -> &'a str {
        text.lines().find(|line| line.starts_with(&format!("| {name} |"))).unwrap()
    }

    #[test]
    fn ratios_say_how_many_times_better_whatever_the_unit() {
        let mut table = Comparison::new("Both on SQLite".to_owned());
        table.push("show", "ms", Better::Less, Goal::Cpu(100.0), [figure(15.0, 15.0), figure(0.3, 0.1)]);
        table.push("cycles", "/s", Better::More, Goal::Cpu(100.0), [figure(2.0, 500.0), figure(200.0, 5.1)]);
        table.push(
            "memory",
            "MiB",
            Better::Less,
            Goal::Value(10.0),
            [Figure::plain(300.0), Figure::plain(15.0)],
        );
        table.push("seen", "MiB", Better::Less, Goal::None, [Figure::plain(3.0), Figure::plain(4.0)]);
        let text = table.to_string();
        assert_eq!(
            line(&text, "show"),
            "| show | ms | 15.0 | 0.300 | 50.0 | 15.0 | 0.100 | 150 | 100 times per CPU second | met |"
        );
        assert_eq!(
            line(&text, "cycles"),
            "| cycles | /s | 2.00 | 200 | 100 | 500 | 5.10 | 98.0 | 100 times per CPU second | **missed** |"
        );
        assert_eq!(line(&text, "memory"), "| memory | MiB | 300 | 15.0 | 20.0 |  |  |  | 10 times | met |");
        assert!(line(&text, "seen").ends_with("|  |  |"), "{text}");
        assert_eq!(table.missed(), 1);
        assert!(text.contains("1 of 3 bars are missed"), "{text}");
    }

    #[test]
    fn every_row_has_as_many_columns_as_the_heading() {
        for database_ms in [None, Some(2.0)] {
            let mut table = Comparison::new("title".to_owned());
            let figures = [Figure { database_ms, ..figure(3.0, 1.0) }, figure(1.0, 0.5)];
            table.push("one", "ms", Better::Less, Goal::None, figures);
            let text = table.to_string();
            let counts: Vec<_> = text
                .lines()
                .filter(|line| line.starts_with('|'))
                .map(|line| line.matches('|').count())
                .collect();
            assert_eq!(counts.len(), 3);
            assert!(counts.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
            assert_eq!(text.contains("database"), database_ms.is_some());
        }
    }

    #[test]
    fn work_that_the_kernel_did_not_count_meets_no_bar() {
        let mut table = Comparison::new("title".to_owned());
        table.push("one", "ms", Better::Less, Goal::Cpu(100.0), [figure(3.0, 7.0), figure(1.0, 0.0)]);
        assert_eq!(table.missed(), 1, "what can't be counted is no proof");
    }
}
