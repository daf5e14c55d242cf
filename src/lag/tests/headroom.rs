//! The headroom against partitions whose retention is played out segment by segment.

use std::time::Duration;

use proptest::prelude::*;

use crate::lag::{
    Distance, Headroom, Lag, LogStart, Offset, RetentionPolicy, Timestamp, Unread, headroom,
};

/// Kafka deletes at most this often: `log.retention.check.interval.ms`.
const CHECK_SECONDS: u64 = 300;

/// A partition to which producers write steadily, and whose oldest segment goes when the others are enough.
#[derive(Clone, Copy, Debug)]
struct Partition {
    records_per_second: u64,
    segment_records: u64,
    kept_segments: u64,
    poll: u64,
    /// Of the log that is there after an hour, where the group stands: 0 the start, 1 the end.
    position: f64,
}

impl Partition {
    fn end(self, second: u64) -> u64 {
        self.records_per_second * second
    }

    /// The log start after the newest check.
    fn start(self, second: u64) -> u64 {
        let checked = self.end(second - second % CHECK_SECONDS);
        let full = checked / self.segment_records;
        full.saturating_sub(self.kept_segments) * self.segment_records
    }

    /// Where a group stands still from the hour on.
    fn committed(self) -> u64 {
        let (start, end) = (self.start(WATCHED_FROM), self.end(WATCHED_FROM));
        start + ((end - start) as f64 * self.position) as u64
    }

    /// The first second at which the record at the committed offset is gone.
    fn lost_at(self) -> u64 {
        let is_lost = |second: &u64| self.start(*second) > self.committed();
        (WATCHED_FROM..).find(is_lost).expect("the log start moves")
    }
}

const WATCHED_FROM: u64 = 36_000;

fn at(second: u64) -> Timestamp {
    Timestamp::EPOCH.after(Duration::from_secs(1_700_000_000 + second))
}

fn offset(value: u64) -> Offset {
    Offset::new(i64::try_from(value).expect("small")).expect("from 0")
}

fn any_partition() -> impl Strategy<Value = Partition> {
    let poll = prop_oneof![Just(1_u64), Just(10), Just(60)];
    let sizes = (100..2000_u64, 10_000..2_000_000_u64, 1..12_u64);
    (sizes, poll, 0.0..1.0).prop_map(|((rate, segment, kept), poll, position)| Partition {
        records_per_second: rate,
        segment_records: segment,
        kept_segments: kept,
        poll,
        position,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn by_size_it_is_never_longer_than_the_truth(partition in any_partition()) {
        let policy = RetentionPolicy::Deletes { older_than: None, size_bytes: Some(1) };
        let lost_at = partition.lost_at();
        let mut log_start = LogStart::new(offset(partition.start(0)), at(0));
        for second in (partition.poll..lost_at).step_by(usize::try_from(partition.poll).expect("small")) {
            log_start.observe(offset(partition.start(second)), at(second));
            prop_assert!(log_start.size_bytes() <= LogStart::MAX_SIZE_BYTES);
            if second < WATCHED_FROM {
                continue;
            }
            let unread = Unread {
                committed: offset(partition.committed()),
                lag: Lag::Known(Distance { lag: 1, ahead: 0, lost: Some(0) }),
                earliest: None,
                log_start: Some(&log_start),
            };
            match headroom(policy, unread, at(second)) {
                Headroom::Until { at: lost, .. } => {
                    prop_assert!(lost <= at(lost_at), "{:?} after {} s, not {} s", lost, second, lost_at);
                }
                Headroom::Unknown => {}
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    #[test]
    fn by_time_it_is_never_longer_than_the_truth(
        retention in 60_000..10_000_000_u64,
        written in 0..5_000_000_u64,
        doubt in 0..60_000_u64,
        waits in 0..20_000_000_u64,
    ) {
        let policy = RetentionPolicy::Deletes {
            older_than: Some(Duration::from_millis(retention)),
            size_bytes: None,
        };
        let log_start = LogStart::new(Offset::ZERO, at(0));
        let after = |ms| at(0).after(Duration::from_millis(ms));
        let left = |now: u64| {
            headroom(policy, Unread {
                committed: Offset::ZERO,
                lag: Lag::Known(Distance { lag: 1, ahead: 0, lost: Some(0) }),
                earliest: Some(after(written).before(Duration::from_millis(doubt))),
                log_start: Some(&log_start),
            }, after(now)).left(after(now)).map(|(time, _)| time)
        };
        let now = written + waits;
        let time = left(now).ok_or_else(|| TestCaseError::fail("the age is known"))?;
        let truth = (written + retention).saturating_sub(now);
        prop_assert!(time <= Duration::from_millis(truth));
        let later = left(now + 1000).ok_or_else(|| TestCaseError::fail("the age is known"))?;
        prop_assert!(later <= time);
    }
}

#[test]
fn by_size_it_is_near_the_truth_on_a_busy_partition() {
    // A gigabyte of 1 kB records a segment, a hundred of them kept, 10,000 records a second.
    let partition = Partition {
        records_per_second: 10_000,
        segment_records: 1_000_000,
        kept_segments: 100,
        poll: 10,
        position: 0.9,
    };
    let mut log_start = LogStart::new(offset(0), at(0));
    for second in (10..=WATCHED_FROM).step_by(10) {
        log_start.observe(offset(partition.start(second)), at(second));
    }
    let told = log_start.reaches(offset(partition.committed()), at(WATCHED_FROM));
    let told = told.expect("it was watched for hours").as_secs();
    let truth = partition.lost_at() - WATCHED_FROM;
    assert!(
        told <= truth && told * 5 >= truth * 4,
        "{told} s, not {truth} s"
    );
}
