//! Processor time and memory over a phase.

use std::time::{Duration, Instant};

use super::phase::Phase;
use crate::bench::server::{Server, own_cpu};
use crate::error::Result;

/// Between two samples.
const EVERY: Duration = Duration::from_secs(1);

/// What the kernel says at one time: processor time of the server and of this process, in seconds.
#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    server: f64,
    fleet: f64,
}

impl Reading {
    fn take(server: &Server) -> Result<Self> {
        let (server, fleet) = (server.cpu()?.as_secs_f64(), own_cpu()?.as_secs_f64());
        Ok(Self { at: Instant::now(), server, fleet })
    }
}

/// Reads over one phase.
pub(super) struct Meter {
    first: Reading,
    last: Reading,
    samples: Vec<[f64; 4]>,
}

impl Meter {
    pub fn start(server: &Server) -> Result<Self> {
        let first = Reading::take(server)?;
        Ok(Self { first, last: first, samples: Vec::new() })
    }

    /// Reads, if it is time.
    pub fn sample(&mut self, server: &Server) -> Result<()> {
        let took = self.last.at.elapsed();
        if took < EVERY {
            return Ok(());
        }
        let now = Reading::take(server)?;
        let share = |now: f64, before: f64| (now - before) / took.as_secs_f64() * 100.0;
        self.samples.push([
            self.first.at.elapsed().as_secs_f64(),
            share(now.server, self.last.server),
            share(now.fleet, self.last.fleet),
            server.memory_mib("VmRSS")?,
        ]);
        self.last = now;
        Ok(())
    }

    /// The phase as a whole.
    pub fn end(
        self,
        name: &str,
        nodes: usize,
        waits: Vec<f64>,
        failed: usize,
        server: &Server,
    ) -> Result<Phase> {
        let now = Reading::take(server)?;
        Ok(Phase {
            name: name.to_owned(),
            nodes,
            failed,
            seconds: self.first.at.elapsed().as_secs_f64(),
            waits,
            server_cpu: now.server - self.first.server,
            fleet_cpu: now.fleet - self.first.fleet,
            memory: server.memory_mib("VmRSS")?,
            reason: None,
            samples: self.samples,
        })
    }
}
