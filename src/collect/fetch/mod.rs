//! Asking the cluster: one file a phase, in the order of a cycle. Nothing here decides what a row shows.

pub(super) mod commits;
pub(super) mod groups;
pub(super) mod listing;
pub(super) mod marks;
pub(super) mod members;
pub(super) mod topology;

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::kafka::{ErrorCode, KafkaError};

/// How long after its own deadline a call is given up here: a second line of defence, should a client hang.
const GRACE: Duration = Duration::from_secs(1);

/// Awaits `call`, which ends within `limit` by itself, and gives it up soon after.
pub(super) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = T>,
) -> Result<T, KafkaError> {
    timeout(limit + GRACE, call)
        .await
        .map_err(|_| KafkaError::of(ErrorCode::TIMED_OUT))
}

/// The time one cycle has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// When the cycle has to be over.
    pub(super) end: Instant,
    /// The most one request may take.
    pub(super) request_timeout: Duration,
}

impl Budget {
    /// Returns when the groups have to be done, so that log ends can still be asked for.
    fn groups_end(&self) -> Instant {
        self.end - self.request_timeout
    }

    /// Returns the most a request may take that has to end by `end`; nothing where there is no time left.
    fn request(&self, end: Instant) -> Option<Duration> {
        let left = end.saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| left.min(self.request_timeout))
    }
}
