//! A clock that nobody sets and that no sleep stops: for leases, which end by the time that passes outside.

use std::time::Duration;

/// Time since the machine started, suspended or not (`CLOCK_BOOTTIME`).
pub fn uptime() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}
