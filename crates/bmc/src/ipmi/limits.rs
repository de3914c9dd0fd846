//! How long a call may take, and how often a BMC is asked.

use std::time::Duration;

/// Limits of one BMC's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A call ends within this, whatever happens, time spent waiting for other callers included.
    pub overall: Duration,
    /// How long the first datagram is given before it is sent again. `ipmitool` waits one second; slow BMCs need it.
    pub first_wait: Duration,
    /// Each further wait is longer by half, up to this.
    pub longest_wait: Duration,
    /// Least pause between two commands to one BMC.
    pub pause: Duration,
    /// How often a datagram is sent in a session kept from an earlier call before the session is taken as dropped by the BMC.
    pub tries_in_kept_session: u32,
    /// A session silent for longer is probed before a command that must not be carried out twice (reset, power cycle, NMI).
    pub trust: Duration,
    /// A session silent for longer is closed and not used again. BMCs drop theirs after 60 seconds (6.12.15).
    pub keep: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            overall: Duration::from_secs(15),
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(4),
            pause: Duration::from_millis(20),
            tries_in_kept_session: 2,
            trust: Duration::from_secs(5),
            keep: Duration::from_secs(50),
        }
    }
}

impl Limits {
    /// The wait after the `n`th sending, from 0.
    pub(crate) fn wait(&self, n: u32) -> Duration {
        self.first_wait.mul_f64(1.5f64.powi(n.min(16) as i32)).min(self.longest_wait)
    }
}
