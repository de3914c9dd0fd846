//! The request that is being answered, wherever the work on it has got to within its task.
//!
//! What is written into a node's log on behalf of a request names it, so that an operator who has the identifier that a client was
//! told finds everything that came of it.

use std::future::Future;
use std::sync::Arc;

/// Where work came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Identifier of the request, as its client was told: `req-…`.
    pub id: Arc<str>,
    /// The span of the request, in the words of W3C's header `traceparent`; none where traces go nowhere.
    pub traceparent: Option<Arc<str>>,
}

impl Origin {
    /// A request of which no more is known than its identifier.
    pub fn of_request(id: &str) -> Self {
        Self { id: id.into(), traceparent: None }
    }
}

tokio::task_local! {
    static CURRENT: Option<Origin>;
}

/// Does `work` on behalf of `origin`; what it spawns is on its own.
pub async fn on_behalf_of<F: Future>(origin: Option<Origin>, work: F) -> F::Output {
    CURRENT.scope(origin, work).await
}

/// On whose behalf this runs.
pub fn current() -> Option<Origin> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}
