//! When the next commit is due, and the one that is in flight.
//!
//! At most one commit is in flight. The offsets of a failed one are still uncommitted on their partitions, so the next
//! one contains them.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::config::{Backoff, CommitMode, CommitStrategy};
use crate::kafka::consumer::CommitAnswer;
use crate::kafka::{ErrorCode, KafkaError};
use crate::lag::{Offset, TopicPartition};

/// How soon a failed commit is tried again.
const RETRY: Backoff = Backoff {
    initial: Duration::from_millis(200),
    max: Duration::from_secs(5),
};

/// The commits of one task consumer: when the next one is due, and the one in flight.
#[derive(Debug)]
pub(super) struct CommitSchedule {
    strategy: CommitStrategy,
    patience: Duration,
    done: usize,
    oldest: Option<Instant>,
    retry_at: Option<Instant>,
    failures: u32,
    in_flight: Option<CommitInFlight>,
}

#[derive(Debug)]
struct CommitInFlight {
    answer: CommitAnswer,
    offsets: Vec<(TopicPartition, Offset)>,
    started: Instant,
    deadline: Instant,
    mode: CommitMode,
}

/// A commit that was answered, or was not in time.
#[derive(Debug)]
pub(super) struct CompletedCommit {
    pub(super) offsets: Vec<(TopicPartition, Offset)>,
    pub(super) result: Result<(), KafkaError>,
    pub(super) duration: Duration,
    pub(super) mode: CommitMode,
}

impl CommitSchedule {
    pub(super) fn new(strategy: CommitStrategy, patience: Duration) -> Self {
        Self {
            strategy,
            patience,
            done: 0,
            oldest: None,
            retry_at: None,
            failures: 0,
            in_flight: None,
        }
    }

    /// Notes records that are done and not committed.
    pub(super) fn add(&mut self, records: usize, now: Instant) {
        self.done += records;
        if records > 0 {
            self.oldest.get_or_insert(now);
        }
    }

    /// Forgets what was to be committed: there is nothing left.
    pub(super) fn clear(&mut self) {
        self.done = 0;
        self.oldest = None;
        self.retry_at = None;
    }

    /// Returns when the next commit is due, which may be past; `None` while none is, or one is in flight.
    pub(super) fn due_at(&self) -> Option<Instant> {
        if self.in_flight.is_some() {
            return None;
        }
        if self.retry_at.is_some() {
            return self.retry_at;
        }
        match self.strategy {
            CommitStrategy::Auto { .. } | CommitStrategy::AutoStore { .. } => None,
            CommitStrategy::PerMessage => self.oldest,
            CommitStrategy::PerBatch { records, .. } if self.done >= records.get() => self.oldest,
            CommitStrategy::PerBatch { interval, .. } => {
                self.oldest.map(|oldest| oldest + interval)
            }
        }
    }

    /// Returns [`Self::due_at`] where processing does not wait for the commit, so that it may be sent in between.
    pub(super) fn due_at_without_waiting(&self) -> Option<Instant> {
        self.due_at()
            .filter(|_| self.mode() == Some(CommitMode::Async))
    }

    /// Returns whether processing waits for this strategy's commits; `None` where librdkafka commits.
    pub(super) fn mode(&self) -> Option<CommitMode> {
        self.strategy.mode()
    }

    /// Returns how many records may be done before the next commit, of at most `limit` at once.
    ///
    /// 0 while a synchronous commit that failed is to be tried again, and while a batch is full and the commit of the
    /// one before is still in flight.
    pub(super) fn room(&self, limit: usize) -> usize {
        if self.retry_at.is_some() && self.mode() == Some(CommitMode::Sync) {
            return 0;
        }
        match self.strategy {
            CommitStrategy::Auto { .. } | CommitStrategy::AutoStore { .. } => limit,
            CommitStrategy::PerMessage => 1,
            CommitStrategy::PerBatch { records, .. } => {
                limit.min(records.get().saturating_sub(self.done))
            }
        }
    }

    /// Returns whether a commit is in flight.
    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Starts to wait for the answer to a commit of `offsets`.
    pub(super) fn begin(
        &mut self,
        answer: CommitAnswer,
        offsets: Vec<(TopicPartition, Offset)>,
        mode: CommitMode,
        now: Instant,
    ) {
        self.done = 0;
        self.oldest = None;
        self.retry_at = None;
        self.in_flight = Some(CommitInFlight {
            answer,
            offsets,
            started: now,
            deadline: now + self.patience,
            mode,
        });
    }

    /// Returns the answer to the commit in flight, `TIMED_OUT` at its deadline; waits for ever where there is none.
    ///
    /// # Cancel safety
    ///
    /// The answer is not lost when the future is dropped.
    pub(super) async fn completed(&mut self) -> CompletedCommit {
        let Some(in_flight) = &mut self.in_flight else {
            return std::future::pending().await;
        };
        let left = in_flight.deadline.saturating_duration_since(Instant::now());
        let result = timeout(left, &mut in_flight.answer)
            .await
            .unwrap_or_else(|_| Err(KafkaError::of(ErrorCode::TIMED_OUT)));
        let CommitInFlight {
            offsets,
            started,
            mode,
            ..
        } = self.in_flight.take().expect("it was there above");
        let now = Instant::now();
        match &result {
            Ok(()) => self.failures = 0,
            Err(_) => {
                self.failures = self.failures.saturating_add(1);
                self.retry_at = Some(now + RETRY.delay_after(self.failures));
            }
        }
        CompletedCommit {
            offsets,
            result,
            duration: now - started,
            mode,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    fn per_batch(records: usize, interval: Duration) -> CommitSchedule {
        let strategy = CommitStrategy::PerBatch {
            records: NonZeroUsize::new(records).expect("not zero"),
            interval,
            mode: CommitMode::Async,
        };
        CommitSchedule::new(strategy, Duration::from_secs(1))
    }

    #[test]
    fn a_batch_is_due_when_it_is_full_or_old() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut commits = per_batch(3, second);
        assert_eq!(commits.due_at(), None);
        commits.add(2, now);
        assert_eq!(commits.due_at(), Some(now + second));
        commits.add(1, now + second / 2);
        assert_eq!(commits.due_at(), Some(now));
    }

    #[test]
    fn a_full_batch_is_committed_before_the_next_record() {
        let now = Instant::now();
        let mut commits = per_batch(3, Duration::from_secs(1));
        assert_eq!(commits.room(500), 3);
        commits.add(2, now);
        assert_eq!(commits.room(500), 1);
        commits.add(1, now);
        assert_eq!(commits.room(500), 0);
        commits.clear();
        assert_eq!(commits.room(2), 2);
    }

    #[test]
    fn each_message_is_due_at_once_and_librdkafkas_commits_never() {
        let now = Instant::now();
        let mut each = CommitSchedule::new(CommitStrategy::PerMessage, Duration::from_secs(1));
        each.add(1, now);
        assert_eq!(each.due_at(), Some(now));
        let interval = Duration::from_millis(100);
        for strategy in [
            CommitStrategy::Auto { interval },
            CommitStrategy::AutoStore { interval },
        ] {
            let mut auto = CommitSchedule::new(strategy, Duration::from_secs(1));
            auto.add(9, now);
            assert_eq!(auto.due_at(), None);
        }
    }
}
