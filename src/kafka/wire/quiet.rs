//! The silence that a broker asks for.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The longest that nothing is sent because a broker asks for it. A broker that means longer reads nothing meanwhile
/// (KIP-219), so that sending earlier does no harm.
const MOST_THROTTLE: Duration = Duration::from_secs(5);

/// Until when the broker asks to be left alone (KIP-219).
#[derive(Debug, Default)]
pub(super) struct Quiet(Mutex<Option<Instant>>);

impl Quiet {
    /// Notes that the broker asks for silence from now on.
    pub(super) fn extend(&self, throttle: Duration) {
        let until = Instant::now() + throttle.min(MOST_THROTTLE);
        let mut quiet = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *quiet = (*quiet).max(Some(until));
    }

    /// Returns until when nothing may be sent; nothing where that is over.
    pub(super) fn until(&self) -> Option<Instant> {
        let quiet = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        quiet.filter(|until| *until > Instant::now())
    }
}
