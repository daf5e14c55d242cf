//! Producers and consumers that keep to a schedule.

use std::thread;
use std::time::{Duration, Instant};

use super::world::{Commits, Log};
use crate::support::Kafka;

/// When records are written; each writes to a topic of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Producer {
    /// 20 records a second.
    Steady,
    /// 200 records at once, every 20 seconds.
    Bursts,
    /// One record a minute, or every 10 seconds in a short run.
    Seldom,
    /// Eight records in the first 16 seconds, then none.
    Idle,
}

/// What a group commits; it reads nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consumer {
    /// Every record once it is written.
    KeepsUp,
    /// Every record 10 seconds after it was written.
    TenBehind,
    /// Keeps up for 12 seconds, then nothing any more.
    Stops,
    /// All that is there, every 15 seconds.
    Batches,
    /// Half of what is there.
    HalfRate,
}

/// In the order of their numbers.
pub(crate) const PRODUCERS: [Producer; 4] = [
    Producer::Steady,
    Producer::Bursts,
    Producer::Seldom,
    Producer::Idle,
];

const CONSUMERS: [Consumer; 5] = [
    Consumer::KeepsUp,
    Consumer::TenBehind,
    Consumer::Stops,
    Consumer::Batches,
    Consumer::HalfRate,
];

impl Producer {
    pub(crate) fn topic(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Returns how many records are due when.
    fn schedule(self, run: Duration) -> Vec<(Duration, usize)> {
        let (first_ms, every_ms, count) = match self {
            Self::Steady => (0, 50, 1),
            Self::Bursts => (2_000, 20_000, 200),
            Self::Seldom if run >= Duration::from_secs(180) => (1_000, 60_000, 1),
            Self::Seldom => (1_000, 10_000, 1),
            Self::Idle => (0, 2_000, 1),
        };
        let end = match self {
            Self::Idle => run.min(Duration::from_secs(16)),
            _ => run,
        };
        (0..)
            .map(|number: u64| Duration::from_millis(first_ms + number * every_ms))
            .take_while(|due| *due < end)
            .map(|due| (due, count))
            .collect()
    }

    pub(crate) fn write(self, kafka: &Kafka, log: &Log, began: Instant, run: Duration) {
        let topic = self.topic();
        for (due, count) in self.schedule(run) {
            sleep_until(began + due);
            log.append(kafka, &topic, count);
        }
    }
}

impl Consumer {
    pub(crate) fn group(self, producer: Producer) -> String {
        format!("{producer:?}-{self:?}").to_lowercase()
    }

    /// Returns the offset to commit `now`.
    fn position(self, log: &Log, committed: usize, began: Instant, now: Instant) -> usize {
        let elapsed = now.duration_since(began).as_secs();
        match self {
            Self::Stops if elapsed >= 12 => committed,
            Self::KeepsUp | Self::Stops => log.end_at(now),
            Self::TenBehind if elapsed < 10 => committed,
            Self::TenBehind => log.end_at(now - Duration::from_secs(10)),
            Self::Batches => log.end_at(began + Duration::from_secs(elapsed / 15 * 15)),
            Self::HalfRate => log.end_at(now) / 2,
        }
    }

    pub(crate) fn read(
        self,
        kafka: &Kafka,
        producer: Producer,
        log: &Log,
        mut commits: Commits,
        (began, run): (Instant, Duration),
    ) -> Commits {
        let (topic, group) = (producer.topic(), self.group(producer));
        while began.elapsed() < run {
            let committed = commits.newest();
            let position = self.position(log, committed, began, Instant::now());
            if position > committed {
                commits.commit(kafka, &group, &topic, position);
            }
            match self {
                Self::KeepsUp | Self::Stops => log.wait_for_more(position),
                _ => sleep_until(Instant::now() + Duration::from_millis(500)),
            }
        }
        commits
    }
}

pub(crate) fn sleep_until(time: Instant) {
    thread::sleep(time.saturating_duration_since(Instant::now()));
}

/// Returns every producer with every consumer.
pub(crate) fn pairs() -> impl Iterator<Item = (Producer, Consumer)> {
    PRODUCERS
        .into_iter()
        .flat_map(|producer| CONSUMERS.map(|consumer| (producer, consumer)))
}
