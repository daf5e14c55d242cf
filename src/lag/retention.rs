//! Retention: when a topic deletes records, and how long the first unread one is safe from it.
//!
//! What was deleted unread already is [`Distance::lost`](super::partition::Distance). How fast the log start moves is
//! [`super::log_start`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;

use super::log_start::LogStart;
use super::offset::Offset;
use super::partition::Lag;
use super::timestamp::Timestamp;

/// When a topic deletes records.
///
/// Source: `cleanup.policy`, `retention.ms` and `retention.bytes`, as DescribeConfigs answers them, defaults included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetentionPolicy {
    /// Never: compaction keeps the newest record of each key (`cleanup.policy` without `delete`).
    Keeps,
    /// By age or by size, whichever comes first (`delete`, or `compact,delete`).
    Deletes {
        /// The age at which a record may go; nothing for `retention.ms=-1`.
        older_than: Option<Duration>,
        /// The size of a partition past which its oldest segment goes; nothing for `retention.bytes=-1`.
        size_bytes: Option<u64>,
    },
}

/// Why the configs of a topic say nothing of its retention.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RetentionError {
    /// The answer lacks a config: a broker too old, or no right to read it.
    #[error("config `{name}` is missing")]
    Missing {
        /// The config.
        name: &'static str,
    },
    /// A value that Kafka would not take.
    #[error("config `{name}` is `{value}`")]
    Malformed {
        /// The config.
        name: &'static str,
        /// Its value.
        value: String,
    },
}

/// What is known of the records that a group has not read on one partition.
#[derive(Clone, Copy, Debug)]
pub struct Unread<'a> {
    /// The next record the group will read.
    pub committed: Offset,
    /// How far it is behind.
    pub lag: Lag,
    /// The earliest instant that the first unread record may have come in at; nothing where that is not known.
    pub earliest: Option<Timestamp>,
    /// How the log start moved, where the topic has a limit of its size and that was watched.
    pub log_start: Option<&'a LogStart>,
}

/// How long the first unread record is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Headroom {
    /// Nothing is unread, or there is no commit.
    NothingUnread,
    /// The topic does not delete, or not by anything that is nearing.
    Unlimited,
    /// Neither limit can be told yet.
    Unknown,
    /// It becomes eligible for deletion then at the earliest; where that is past, it may go now, or is gone.
    Until {
        /// The instant.
        at: Timestamp,
        /// The limit that comes first.
        limit: Limit,
    },
}

/// What makes a record eligible for deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// `retention.ms`.
    Time,
    /// `retention.bytes`.
    Size,
}

impl Headroom {
    /// Returns the time that is left at `now`, and the limit that comes first; nothing where there is none or it is unknown.
    pub fn left(self, now: Timestamp) -> Option<(Duration, Limit)> {
        match self {
            Self::Until { at, limit } => Some((at.since(now), limit)),
            Self::NothingUnread | Self::Unlimited | Self::Unknown => None,
        }
    }
}

impl RetentionPolicy {
    /// Reads the policy from a topic's configs by name.
    ///
    /// # Errors
    ///
    /// A config that is missing or malformed: the topic's headroom is unknown then, never unlimited. The two limits are
    /// not looked at where the topic does not delete.
    pub fn of_topic(configs: &BTreeMap<String, String>) -> Result<Self, RetentionError> {
        let policies = config(configs, "cleanup.policy")?;
        if !policies.split(',').any(|policy| policy.trim() == "delete") {
            return Ok(Self::Keeps);
        }
        Ok(Self::Deletes {
            older_than: limit(configs, "retention.ms")?.map(Duration::from_millis),
            size_bytes: limit(configs, "retention.bytes")?,
        })
    }

    /// Returns whether records are deleted by the size of their partition.
    pub fn limits_size(&self) -> bool {
        match self {
            Self::Keeps => false,
            Self::Deletes { size_bytes, .. } => size_bytes.is_some(),
        }
    }
}

/// Returns how long the first unread record is safe from deletion, told by the cautious end.
///
/// By time: `retention.ms` after the earliest instant that it may have come in at. Kafka deletes whole segments, by the
/// newest timestamp in each, so the record never goes before that. By size: the time until the log start reaches the
/// committed offset at the pace it has shown; only where the topic has a size limit, since a log start that moves by age
/// shows the traffic of long ago. The smaller of the two is told.
pub fn headroom(policy: RetentionPolicy, unread: Unread<'_>, now: Timestamp) -> Headroom {
    let (older_than, size_bytes) = match (unread.lag, policy) {
        (Lag::Unavailable(_), _) => return Headroom::Unknown,
        (Lag::NoCommit { .. }, _) => return Headroom::NothingUnread,
        (Lag::Known(distance), _) if distance.lag == 0 => return Headroom::NothingUnread,
        (Lag::Known(_), RetentionPolicy::Keeps) => return Headroom::Unlimited,
        (
            Lag::Known(_),
            RetentionPolicy::Deletes {
                older_than,
                size_bytes,
            },
        ) => (older_than, size_bytes),
    };
    let by_time = older_than
        .zip(unread.earliest)
        .map(|(limit, earliest)| (earliest.after(limit), Limit::Time));
    let by_size = size_bytes
        .and(unread.log_start)
        .and_then(|log_start| log_start.reaches(unread.committed, now))
        .map(|time| (now.after(time), Limit::Size));
    match by_time.into_iter().chain(by_size).min() {
        Some((at, limit)) => Headroom::Until { at, limit },
        None if older_than.is_none() && size_bytes.is_none() => Headroom::Unlimited,
        None => Headroom::Unknown,
    }
}

fn config<'a>(
    configs: &'a BTreeMap<String, String>,
    name: &'static str,
) -> Result<&'a str, RetentionError> {
    let value = configs.get(name).ok_or(RetentionError::Missing { name })?;
    Ok(value.trim())
}

/// Returns a limit of 0 or more, or nothing for -1.
fn limit(
    configs: &BTreeMap<String, String>,
    name: &'static str,
) -> Result<Option<u64>, RetentionError> {
    let value = config(configs, name)?;
    match value.parse::<i64>() {
        Ok(-1) => Ok(None),
        Ok(limit) if limit >= 0 => Ok(u64::try_from(limit).ok()),
        Ok(_) | Err(_) => Err(RetentionError::Malformed {
            name,
            value: value.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::partition::{Distance, Unavailable};
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn configs(policy: &str, ms: &str, bytes: &str) -> BTreeMap<String, String> {
        [
            ("cleanup.policy", policy),
            ("retention.ms", ms),
            ("retention.bytes", bytes),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    #[test]
    fn policies_are_read_as_kafka_means_them() {
        let deletes = |older_than, size_bytes| RetentionPolicy::Deletes {
            older_than,
            size_bytes,
        };
        for (policy, ms, bytes, expected) in [
            ("delete", "3600000", "-1", deletes(Some(HOUR), None)),
            ("delete", "-1", "1000", deletes(None, Some(1000))),
            ("delete", "-1", "-1", deletes(None, None)),
            ("delete", "0", "0", deletes(Some(Duration::ZERO), Some(0))),
            ("compact,delete", "3600000", "-1", deletes(Some(HOUR), None)),
            (
                "delete, compact",
                "3600000",
                "-1",
                deletes(Some(HOUR), None),
            ),
            ("compact", "3600000", "1000", RetentionPolicy::Keeps),
            ("", "3600000", "1000", RetentionPolicy::Keeps),
        ] {
            let read = RetentionPolicy::of_topic(&configs(policy, ms, bytes));
            assert_eq!(read, Ok(expected), "{policy} {ms} {bytes}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_not_unlimited() {
        for (ms, bytes, expected) in [
            ("soon", "-1", "config `retention.ms` is `soon`"),
            ("-2", "-1", "config `retention.ms` is `-2`"),
            ("1", "", "config `retention.bytes` is ``"),
        ] {
            let read = RetentionPolicy::of_topic(&configs("delete", ms, bytes));
            assert_eq!(
                read.map_err(|error| error.to_string()),
                Err(expected.into())
            );
        }
        let mut lacking = configs("delete", "1", "1");
        lacking.remove("retention.bytes");
        let expected = RetentionError::Missing {
            name: "retention.bytes",
        };
        assert_eq!(RetentionPolicy::of_topic(&lacking), Err(expected));
    }

    #[test]
    fn the_first_limit_is_told() {
        let second =
            |second: u64| Timestamp::EPOCH.after(Duration::from_secs(1_700_000_000 + second));
        let offset = |value| Offset::new(value).expect("from 0");
        // Ten records a second, seen each second: past offset 20,000 after 1,000 s.
        let mut moving = LogStart::new(offset(0), second(0));
        for now in 1..=1000_u32 {
            moving.observe(offset(i64::from(now) * 10), second(now.into()));
        }
        let still = LogStart::new(offset(0), second(0));
        let behind = |lag| {
            Lag::Known(Distance {
                lag,
                ahead: 0,
                lost: Some(0),
            })
        };
        let both = RetentionPolicy::Deletes {
            older_than: Some(HOUR),
            size_bytes: Some(1),
        };
        let by_time = RetentionPolicy::Deletes {
            older_than: Some(HOUR),
            size_bytes: None,
        };
        let unlimited = RetentionPolicy::Deletes {
            older_than: None,
            size_bytes: None,
        };
        let young = Some(HOUR / 2);
        let old = Some(HOUR - Duration::from_secs(9));
        let left = |seconds, limit| Ok((Duration::from_secs(seconds), limit));
        let table = [
            (
                "by time",
                by_time,
                behind(1),
                old,
                &moving,
                left(9, Limit::Time),
            ),
            (
                "time is first",
                both,
                behind(1),
                old,
                &moving,
                left(9, Limit::Time),
            ),
            (
                "too old already",
                both,
                behind(1),
                Some(HOUR * 2),
                &still,
                left(0, Limit::Time),
            ),
            (
                "no pace yet",
                both,
                behind(1),
                old,
                &still,
                left(9, Limit::Time),
            ),
            (
                "no age, no pace",
                both,
                behind(1),
                None,
                &still,
                Err(Headroom::Unknown),
            ),
            (
                "no age, by time",
                by_time,
                behind(1),
                None,
                &moving,
                Err(Headroom::Unknown),
            ),
            (
                "no limits",
                unlimited,
                behind(1),
                young,
                &moving,
                Err(Headroom::Unlimited),
            ),
            (
                "compacted",
                RetentionPolicy::Keeps,
                behind(1),
                old,
                &moving,
                Err(Headroom::Unlimited),
            ),
            (
                "caught up",
                both,
                behind(0),
                Some(Duration::ZERO),
                &moving,
                Err(Headroom::NothingUnread),
            ),
            (
                "no commit",
                both,
                Lag::NoCommit { backlog: None },
                None,
                &moving,
                Err(Headroom::NothingUnread),
            ),
            (
                "no figures",
                both,
                Lag::Unavailable(Unavailable::NoLeader),
                None,
                &moving,
                Err(Headroom::Unknown),
            ),
        ];
        for (case, policy, lag, age, log_start, expected) in table {
            let unread = Unread {
                committed: offset(20_000),
                lag,
                earliest: age.map(|age| second(1000).before(age)),
                log_start: Some(log_start),
            };
            let headroom = headroom(policy, unread, second(1000));
            let told = headroom.left(second(1000)).ok_or(headroom);
            assert_eq!(told, expected, "{case}");
        }
        let unread = Unread {
            committed: offset(20_000),
            lag: behind(1),
            earliest: young.map(|age| second(1000).before(age)),
            log_start: Some(&moving),
        };
        let left = headroom(both, unread, second(1000)).left(second(1000));
        let (time, limit) = left.expect("both limits are known");
        assert_eq!(limit, Limit::Size);
        assert!((700..=1000).contains(&time.as_secs()), "{time:?}");
    }
}
