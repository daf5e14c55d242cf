//! A log with a known schedule, its time index, and consumers that commit by a rule.

use std::time::Duration;

use super::super::history::Sighting;
use super::super::index_search::IndexAnswer;
use super::super::offset::Offset;
use super::super::timestamp::Timestamp;

/// Returns an instant after the simulation's beginning, which is some day in 2024.
pub(super) fn at(after_start_ms: u64) -> Timestamp {
    instant(1_710_000_000_000).after(Duration::from_millis(after_start_ms))
}

pub(super) fn instant(since_epoch_ms: i64) -> Timestamp {
    Timestamp::new(since_epoch_ms).expect("tests use times after the epoch")
}

pub(super) fn offset(raw: usize) -> Offset {
    i64::try_from(raw)
        .ok()
        .and_then(Offset::new)
        .expect("tests use small offsets")
}

/// How records come in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Producer {
    /// One record in so many milliseconds.
    Steady { every_ms: u64 },
    /// So many records, spread over `lasting_ms`, then none until the period ends.
    Bursts {
        period_ms: u64,
        records: u64,
        lasting_ms: u64,
    },
    /// A few records at the beginning, then none.
    Idle,
}

impl Producer {
    pub(super) const ONE_A_MINUTE: Self = Self::Steady { every_ms: 60_000 };

    /// Returns when each record is written, in milliseconds after the start.
    fn schedule(self, length_ms: u64, phase_ms: u64) -> Vec<u64> {
        let every = |ms: u64| (phase_ms % ms..length_ms).step_by(usize::try_from(ms).expect("ms"));
        match self {
            Self::Steady { every_ms } => every(every_ms).collect(),
            Self::Bursts {
                period_ms,
                records,
                lasting_ms,
            } => every(period_ms)
                .flat_map(|start| {
                    (0..records).map(move |record| start + record * lasting_ms / records)
                })
                .filter(|&written| written < length_ms)
                .collect(),
            Self::Idle => (0..50).collect(),
        }
    }
}

/// What a group has committed at an instant.
#[derive(Clone, Copy, Debug)]
pub(super) enum Consumer {
    KeepsUp,
    Behind {
        by_ms: u64,
    },
    Stops {
        at_ms: u64,
    },
    Batches {
        every_ms: u64,
    },
    /// Consumes one second of records in two.
    FallsBehind,
}

/// One partition.
#[derive(Clone, Debug)]
pub(super) struct Log {
    /// Ascending, where the age is that since the append.
    written: Vec<Timestamp>,
    /// The latest timestamp of all records up to each: what a time index goes by.
    latest: Vec<Timestamp>,
}

impl Log {
    pub(super) fn new(producer: Producer, length_ms: u64, phase_ms: u64) -> Self {
        let schedule = producer.schedule(length_ms, phase_ms);
        Self::dated(schedule.into_iter().map(at).collect())
    }

    /// A log whose records bear these timestamps, in whatever order; their age counts from them.
    pub(super) fn dated(written: Vec<Timestamp>) -> Self {
        let latest = written
            .iter()
            .scan(Timestamp::EPOCH, |latest, &timestamp| {
                *latest = timestamp.max(*latest);
                Some(*latest)
            })
            .collect();
        Self { written, latest }
    }

    pub(super) fn len(&self) -> usize {
        self.written.len()
    }

    pub(super) fn end_at(&self, now: Timestamp) -> Offset {
        offset(self.written.partition_point(|&written| written <= now))
    }

    pub(super) fn written(&self, position: Offset) -> Option<Timestamp> {
        let record = usize::try_from(position.value()).expect("small");
        self.written.get(record).copied()
    }

    pub(super) fn committed_at(&self, consumer: Consumer, now_ms: u64) -> Offset {
        self.end_at(at(match consumer {
            Consumer::KeepsUp => now_ms,
            Consumer::Behind { by_ms } => now_ms.saturating_sub(by_ms),
            Consumer::Stops { at_ms } => now_ms.min(at_ms),
            Consumer::Batches { every_ms } => now_ms - now_ms % every_ms,
            Consumer::FallsBehind => now_ms / 2,
        }))
    }

    /// Returns how long the first record past `committed` has been waiting.
    pub(super) fn true_age(&self, committed: Offset, now: Timestamp) -> Duration {
        self.written(committed)
            .map_or(Duration::ZERO, |written| now.since(written))
    }

    /// Answers as a broker does: the first record, by offset, with the timestamp or a later one.
    pub(super) fn first_from(&self, asked: Timestamp) -> IndexAnswer {
        let record = self.latest.partition_point(|&latest| latest < asked);
        self.latest
            .get(record)
            .map_or(IndexAnswer::NoRecord, |&timestamp| IndexAnswer::Record {
                offset: offset(record),
                timestamp,
            })
    }

    /// Looks at the end as a poller does: it was true `until_ms` after the request and `back_ms` before the answer.
    pub(super) fn sighting(&self, asked_ms: u64, until_ms: u64, back_ms: u64) -> Sighting {
        Sighting {
            end: self.end_at(at(asked_ms + until_ms)),
            asked_at: at(asked_ms),
            answered_at: at(asked_ms + until_ms + back_ms),
        }
    }
}
