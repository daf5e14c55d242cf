//! A limited number of seats, for connections and for event streams. Those that are taken are counted.

use std::sync::Arc;

use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Seats, some of which may be taken.
#[derive(Debug)]
pub(super) struct Seats {
    free: Arc<Semaphore>,
    taken: IntGauge,
}

/// A seat that is taken until this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    taken: IntGauge,
    _permit: OwnedSemaphorePermit,
}

impl Seats {
    /// Returns `limit` free seats; `taken` counts those that are not.
    pub(super) fn new(limit: usize, taken: IntGauge) -> Self {
        Self {
            free: Arc::new(Semaphore::new(limit)),
            taken,
        }
    }

    /// Takes a seat; `None` where all are taken.
    pub(super) fn take(&self) -> Option<Seat> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        self.taken.inc();
        Some(Seat {
            taken: self.taken.clone(),
            _permit: permit,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.taken.dec();
    }
}
