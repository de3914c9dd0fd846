//! Who may use how many connections at once.

use crate::lane::{self, Lane};
use sqlx::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The seats of one pool: some are kept for each lane, the rest is whoever's comes first. Whoever has a seat finds a connection.
#[derive(Debug, Clone)]
pub(super) struct Room {
    kept: [Arc<Semaphore>; Lane::ALL.len()],
    shared: Arc<Semaphore>,
    /// How many wait, by lane.
    waiting: Arc<[AtomicUsize; Lane::ALL.len()]>,
}

/// A seat, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    _permit: OwnedSemaphorePermit,
}

/// Nobody left a seat in time. Nothing was begun.
#[derive(Debug, thiserror::Error)]
#[error("the database has more to do than it gets through with in time")]
pub(crate) struct Crowded;

impl Room {
    /// Room with `kept` seats for each lane, and `shared` ones for all.
    pub fn new(kept: impl Fn(Lane) -> u32, shared: u32) -> Self {
        let semaphore = |seats: u32| Arc::new(Semaphore::new(seats as usize));
        Self {
            kept: Lane::ALL.map(|lane| semaphore(kept(lane))),
            shared: semaphore(shared),
            waiting: Arc::default(),
        }
    }

    /// Waits for a seat of the lane that this runs in; the first who came gets the first that is free.
    pub async fn enter(&self) -> Result<Seat, Error> {
        let lane = lane::current();
        self.enter_within(lane, lane.patience()).await
    }

    /// How many wait, in every lane.
    pub fn waiting(&self) -> usize {
        self.waiting.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// How many wait in the lane that this runs in.
    pub fn backlog(&self) -> usize {
        self.waiting[index(lane::current())].load(Ordering::Relaxed)
    }

    async fn enter_within(&self, lane: Lane, patience: Duration) -> Result<Seat, Error> {
        let (own, shared) = (Arc::clone(&self.kept[index(lane)]), Arc::clone(&self.shared));
        let _waiting = Waiting::new(&self.waiting[index(lane)]);
        let seat = async {
            tokio::select! {
                // Seats that nobody else can have are taken before those that others could do with.
                biased;
                permit = own.acquire_owned() => permit,
                permit = shared.acquire_owned() => permit,
            }
        };
        match tokio::time::timeout(patience, seat).await {
            Ok(Ok(permit)) => Ok(Seat { _permit: permit }),
            // The semaphores are never closed.
            Ok(Err(_)) | Err(_) => Err(Error::AnyDriverError(Box::new(Crowded))),
        }
    }
}

fn index(lane: Lane) -> usize {
    Lane::ALL.iter().position(|known| *known == lane).unwrap_or_default()
}

/// One more that waits, for as long as this lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Did it fail for want of a seat?
pub(crate) fn is_crowded(error: &Error) -> bool {
    matches!(error, Error::AnyDriverError(source) if source.is::<Crowded>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::within;

    #[tokio::test]
    async fn one_lane_leaves_the_others_their_seats() {
        let kept = |lane| match lane {
            Lane::Machine => 2,
            Lane::Look => 1,
            _ => 0,
        };
        let room = Room::new(kept, 1);
        let now = |lane| room.enter_within(lane, Duration::ZERO);
        let first = within(Lane::Look, room.enter()).await.unwrap();
        let _second = now(Lane::Look).await.unwrap();
        assert!(is_crowded(&now(Lane::Look).await.unwrap_err()), "its own seat and the shared one are taken");
        assert!(is_crowded(&now(Lane::Work).await.unwrap_err()), "it has none of its own here");
        let (_third, _fourth) = (now(Lane::Machine).await.unwrap(), now(Lane::Machine).await.unwrap());
        assert!(is_crowded(&now(Lane::Machine).await.unwrap_err()));
        let refused = now(Lane::Machine).await.unwrap_err();
        assert!(matches!(refused.into(), crate::StoreError::Busy));
        drop(first);
        now(Lane::Look).await.unwrap();
    }

    #[tokio::test]
    async fn whoever_waits_gets_the_seat_that_is_left_first() {
        let room = Room::new(|_| 1, 1);
        for is_own in [true, false] {
            let (own, shared) = (room.enter().await.unwrap(), room.enter().await.unwrap());
            let waiting = tokio::spawn({
                let room = room.clone();
                async move { room.enter().await }
            });
            let (left, _kept) = if is_own { (own, shared) } else { (shared, own) };
            while room.backlog() == 0 {
                tokio::task::yield_now().await;
            }
            drop(left);
            waiting.await.unwrap().unwrap();
        }
    }
}
