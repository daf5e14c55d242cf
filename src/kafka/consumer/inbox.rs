//! What the polling thread is told, and how it is woken: by the task, and by librdkafka when a queue has something.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::lag::TopicPartition;

/// The polling thread's letter box. Bounded by the number of partitions.
#[derive(Default)]
pub(super) struct Inbox {
    letters: Mutex<Letters>,
    woken: Condvar,
}

/// What arrived since the thread looked last.
#[derive(Default)]
pub(super) struct Letters {
    woken: bool,
    /// Records that were handed over and are done with, by partition.
    pub(super) released: BTreeMap<TopicPartition, usize>,
    /// The newest revocation that the task has let go.
    pub(super) acknowledged: Option<u64>,
    /// The task is done.
    pub(super) close: bool,
}

impl Inbox {
    /// Wakes the thread: there is something to poll, or room again.
    pub(super) fn wake(&self) {
        self.post(|_| ());
    }

    /// Posts a letter.
    pub(super) fn post(&self, write: impl FnOnce(&mut Letters)) {
        let mut letters = self.lock();
        write(&mut letters);
        letters.woken = true;
        drop(letters);
        self.woken.notify_one();
    }

    /// Waits for the next letter, at most `patience`, and takes what there is. The request to close stays.
    pub(super) fn wait(&self, patience: Duration) -> Letters {
        let deadline = Instant::now() + patience;
        let mut letters = self.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if letters.woken || left.is_zero() {
                break;
            }
            letters = self
                .woken
                .wait_timeout(letters, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        let close = letters.close;
        let taken = std::mem::take(&mut *letters);
        letters.close = close;
        taken
    }

    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
