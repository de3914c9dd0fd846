//! One session, and until when this process may rely on it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use store::uptime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A session of this process.
#[derive(Debug)]
pub(crate) struct Session {
    id: Uuid,
    /// [`uptime`] in nanoseconds up to which nobody else takes what hangs on it.
    until: AtomicU64,
    leads: AtomicBool,
    ended: CancellationToken,
}

/// No end: of a conductor that has not joined, which is alone.
const NEVER: u64 = u64::MAX;

impl Session {
    /// That of a conductor which has not joined: it lasts, and leads nobody.
    pub fn solitary() -> Self {
        Self {
            id: Uuid::new_v4(),
            until: AtomicU64::new(NEVER),
            leads: AtomicBool::new(false),
            ended: CancellationToken::new(),
        }
    }

    /// One that begins.
    pub fn begin(id: Uuid, until: Duration) -> Self {
        Self { id, until: AtomicU64::new(nanos(until)), ..Self::solitary() }
    }

    pub fn id(&self) -> Uuid {
        self.id
    }

    pub fn is_joined(&self) -> bool {
        self.until.load(Ordering::Acquire) != NEVER
    }

    /// May others take by now what hangs on it?
    pub fn is_over(&self) -> bool {
        self.ended.is_cancelled() || nanos(uptime()) >= self.until.load(Ordering::Acquire)
    }

    /// How long it may still be relied on; none: not any more.
    pub fn left(&self) -> Option<Duration> {
        let until = Duration::from_nanos(self.until.load(Ordering::Acquire));
        if self.is_over() { None } else { until.checked_sub(uptime()) }
    }

    pub fn prolong(&self, until: Duration) {
        self.until.fetch_max(nanos(until), Ordering::AcqRel);
    }

    /// It is over, for everybody who relies on it.
    pub fn end(&self) {
        self.ended.cancel();
    }

    /// Returns when it has ended.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Notes whether it leads; `true`: now it does and before it didn't.
    pub fn lead(&self, leads: bool) -> bool {
        !self.leads.swap(leads, Ordering::AcqRel) && leads
    }

    pub fn is_leader(&self) -> bool {
        self.leads.load(Ordering::Acquire) && !self.is_over()
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_over_by_the_clock_or_by_word_and_stays_so() {
        let hour = Duration::from_secs(3600);
        assert!(Session::begin(Uuid::nil(), uptime()).is_over());
        let session = Session::begin(Uuid::nil(), uptime() + hour);
        assert!(!session.is_over() && session.left().is_some_and(|left| left <= hour));
        session.end();
        session.prolong(uptime() + hour + hour);
        assert!(session.is_over() && session.left().is_none());
        assert!(!Session::solitary().is_over());
    }
}
