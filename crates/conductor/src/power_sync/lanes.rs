//! Places for BMCs that answer at once.
//!
//! What is bounded is how many packets are on their way to BMCs that may be alive: enough to keep the processors busy, few enough that
//! no buffer overflows. A BMC that is silent for a moment is out of the count, so that any number of dead ones delays the others by
//! their number over [`PLACES`], times [`PATIENCE`].

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// BMCs that are asked at one time, those that are slow to answer left out.
const PLACES: usize = 256;
/// How long a BMC keeps its place. Live ones answer within a few milliseconds on their network, and take some hundred to log in.
const PATIENCE: Duration = Duration::from_millis(100);

/// The places of one process.
#[derive(Clone)]
pub struct Lanes(Arc<Semaphore>);

/// A place, until the BMC has answered or was too slow.
pub struct Place(Option<OwnedSemaphorePermit>);

impl Lanes {
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(PLACES)))
    }

    /// Waits for a free place.
    pub async fn enter(&self) -> Place {
        Place(self.0.clone().acquire_owned().await.ok())
    }
}

impl Place {
    /// Waits for an answer, and gives the place back before it takes long.
    pub async fn wait<F: Future>(mut self, answer: F) -> F::Output {
        let mut answer = std::pin::pin!(answer);
        match timeout(PATIENCE, answer.as_mut()).await {
            Ok(answer) => answer,
            Err(_) => {
                self.0 = None;
                answer.await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_are_bounded_and_silent_ones_leave_theirs() {
        let lanes = Lanes::new();
        for _ in 0..PLACES {
            let place = lanes.enter().await;
            tokio::spawn(place.wait(std::future::pending::<()>()));
        }
        assert_eq!(lanes.0.available_permits(), 0);
        assert_eq!(lanes.enter().await.wait(std::future::ready(7)).await, 7);
    }
}
