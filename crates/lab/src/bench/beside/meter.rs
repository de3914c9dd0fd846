//! Rounds of work: what they took and what they cost, medians over all.

use std::time::Instant;

use super::comparison::Figure;
use super::product::Running;
use crate::bench::table::median;
use crate::error::{Error, Result};

/// The rounds of one scenario with one server.
#[derive(Debug, Default)]
pub(super) struct Meter {
    rounds: Vec<Round>,
}

/// Of one operation, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Round {
    wall: f64,
    cpu: f64,
    database: Option<f64>,
}

impl Meter {
    /// One round; `work` tells how many operations it was.
    ///
    /// # Errors
    /// Those of the work; [`Error::Invalid`] where nothing was done.
    pub fn round(&mut self, running: &Running, work: impl FnOnce() -> Result<u64>) -> Result<()> {
        let ((cpu_before, database_before), began) = (running.cpu()?, Instant::now());
        let operations = work()?;
        let seconds = began.elapsed().as_secs_f64();
        let (cpu, database) = running.cpu()?;
        if operations == 0 {
            return Err(Error::Invalid("a round came to its end, and nothing was done in it".to_owned()));
        }
        let each = |seconds: f64| seconds * 1000.0 / operations as f64;
        let database = database.zip(database_before);
        self.rounds.push(Round {
            wall: each(seconds),
            cpu: each(cpu.saturating_sub(cpu_before).as_secs_f64()),
            database: database.map(|(after, before)| each(after.saturating_sub(before).as_secs_f64())),
        });
        Ok(())
    }

    /// Milliseconds for each operation.
    pub fn each(&self) -> Figure {
        self.figure(|wall| wall)
    }

    /// Operations a second.
    pub fn rate(&self) -> Figure {
        self.figure(|wall| 1000.0 / wall)
    }

    fn figure(&self, value: impl Fn(f64) -> f64) -> Figure {
        let middle = |of: &dyn Fn(&Round) -> Option<f64>| {
            let mut values: Vec<_> = self.rounds.iter().filter_map(of).collect();
            (!values.is_empty()).then(|| median(&mut values))
        };
        Figure {
            value: value(middle(&|round| Some(round.wall)).unwrap_or_default()),
            cpu_ms: middle(&|round| Some(round.cpu)),
            database_ms: middle(&|round| round.database),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_round_counts_in_each_column() {
        let round = |wall, cpu| Round { wall, cpu, database: None };
        let meter = Meter { rounds: vec![round(10.0, 1.0), round(500.0, 3.0), round(20.0, 2.0)] };
        assert_eq!(meter.each(), Figure { value: 20.0, cpu_ms: Some(2.0), database_ms: None });
        assert_eq!(meter.rate().value, 50.0);
    }

    #[test]
    fn a_database_has_a_column_of_its_own() {
        let rounds = [4.0, 6.0, 5.0].map(|database| Round { wall: 1.0, cpu: 1.0, database: Some(database) });
        assert_eq!(Meter { rounds: rounds.to_vec() }.each().database_ms, Some(5.0));
    }
}
