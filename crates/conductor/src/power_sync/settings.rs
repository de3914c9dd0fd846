//! What can be set of it, with Ironic's names and defaults.

use std::time::Duration;

/// How power is synchronised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PowerSync {
    /// `[conductor] sync_power_state_interval`: each BMC is asked at least so often; 0 for never.
    pub interval: Duration,
    /// `[conductor] force_power_state_during_sync`: bring the machine back to the recorded power; else the record follows the machine.
    pub force: bool,
    /// `[conductor] power_state_sync_max_retries`: so many failures in a row put the node into maintenance.
    pub max_retries: u32,
    /// `[conductor] power_failure_recovery_interval`: how often a BMC is asked that failed so; 0 for never.
    pub recovery_interval: Duration,
}

impl Default for PowerSync {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(120),
            force: true,
            max_retries: 3,
            recovery_interval: Duration::from_secs(300),
        }
    }
}
