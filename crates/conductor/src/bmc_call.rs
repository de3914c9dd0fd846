//! Where every call to a BMC passes, with its outcome and its duration.

use crate::Conductor;
use bmc::BmcError;
use std::time::Instant;

impl Conductor {
    /// Waits for a call to a BMC; how long it took and what came of it is known here and nowhere else.
    pub(crate) async fn timed<T>(
        &self,
        doing: &'static str,
        call: impl Future<Output = Result<T, BmcError>>,
    ) -> Result<T, BmcError> {
        let started = Instant::now();
        let outcome = call.await;
        let error = outcome.as_ref().err().map(BmcError::kind);
        tracing::trace!(doing, took = ?started.elapsed(), error, "a BMC was called");
        outcome
    }
}
