//! The verdict on a group: the status of its worst partition, and a sentence that says which and why.

use std::cmp::Reverse;
use std::fmt;

use super::ids::TopicPartition;
use super::status::{Finding, Ownership, Status};
use super::timestamp::Timestamp;
use super::wording::{Grouped, Records, Spoken, Waiting};

/// The status of a group, and the partition that decides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every partition is ok, or there are none.
    Ok,
    /// At least one is not.
    Bad {
        /// The worst partition: of the gravest status, and there the one of most records; then the first by topic and number.
        partition: TopicPartition,
        /// What was found of it; never [`Finding::Ok`].
        finding: Finding,
        /// How many more partitions have the same status.
        others: usize,
    },
}

/// What was found of one partition, as a sentence without a full stop.
#[derive(Clone, Copy, Debug)]
pub struct Sentence<'a> {
    /// The partition.
    pub partition: &'a TopicPartition,
    /// What was found of it.
    pub finding: Finding,
    /// The instant to which times are told.
    pub now: Timestamp,
}

impl Verdict {
    /// Returns the verdict on a group from what was found of each of its partitions, in any order.
    ///
    /// A group of which nothing could be read has no partitions to show; that is the caller's to tell as unknown.
    pub fn of<'a>(partitions: impl IntoIterator<Item = (&'a TopicPartition, Finding)>) -> Self {
        let mut worst: Option<(&TopicPartition, Finding)> = None;
        let mut alike = 0;
        let gravity = |(partition, finding): (&'a TopicPartition, Finding)| {
            (finding.status(), finding.records(), Reverse(partition))
        };
        for found in partitions {
            let known = worst.map(|(_, finding)| finding.status());
            let status = found.1.status();
            alike = match known {
                Some(known) if known == status => alike + 1,
                Some(known) if known > status => alike,
                _ => 0,
            };
            if worst.is_none_or(|known| gravity(found) > gravity(known)) {
                worst = Some(found);
            }
        }
        match worst {
            None | Some((_, Finding::Ok)) => Self::Ok,
            Some((partition, finding)) => Self::Bad {
                partition: partition.clone(),
                finding,
                others: alike,
            },
        }
    }

    /// Returns its word.
    pub fn status(&self) -> Status {
        match self {
            Self::Ok => Status::Ok,
            Self::Bad { finding, .. } => finding.status(),
        }
    }

    /// Returns it as a sentence without a full stop, with times up to `now`: `partition 3 of task-created has not moved for
    /// 4 min 10 s while 1,204 records wait (2 more partitions are stalled)`.
    pub fn sentence(&self, now: Timestamp) -> impl fmt::Display {
        fmt::from_fn(move |f| self.write(f, now))
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, now: Timestamp) -> fmt::Result {
        let Self::Bad {
            partition,
            finding,
            others,
        } = self
        else {
            return f.write_str("every partition is caught up or catching up");
        };
        let sentence = Sentence {
            partition,
            finding: *finding,
            now,
        };
        write!(f, "{sentence}")?;
        let status = finding.status();
        match others {
            0 => Ok(()),
            1 => write!(f, " (1 more partition is {status})"),
            more => {
                let more = u64::try_from(*more).unwrap_or(u64::MAX);
                write!(f, " ({} more partitions are {status})", Grouped(more))
            }
        }
    }
}

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TopicPartition { topic, partition } = self.partition;
        let spoken = |since| Spoken(self.now.since(since));
        write!(f, "partition {partition} of {topic} ")?;
        match self.finding {
            Finding::Ok => write!(f, "is caught up or catching up"),
            Finding::Unknown(reason) => write!(f, "has no figures: {reason}"),
            Finding::Losing { lost } => {
                let records = Records(lost);
                write!(f, "has lost {records}, deleted before being read")
            }
            Finding::Ahead { ahead } => {
                let records = Records(ahead);
                write!(
                    f,
                    "is committed {records} past the log end: the log was truncated or the topic made anew"
                )
            }
            Finding::Empty { lag, since } => {
                let (waiting, silence) = (Waiting(lag), spoken(since));
                write!(
                    f,
                    "has had no reader for {silence} while {waiting}: the group has no members"
                )
            }
            Finding::Stopped {
                lag,
                since,
                ownership,
            } => {
                let (waiting, silence) = (Waiting(lag), spoken(since));
                let cause = known_cause(ownership);
                write!(f, "has had no commit for {silence} while {waiting}{cause}")
            }
            Finding::Stalled { lag, since } => {
                let (waiting, standing) = (Waiting(lag), spoken(since));
                write!(f, "has not moved for {standing} while {waiting}")
            }
            Finding::Rewound { from, committed } => {
                let (from, committed) = (Grouped(from.value()), Grouped(committed.value()));
                write!(f, "went back from offset {from} and is at {committed}")
            }
            Finding::Lagging { lag, since } => {
                let (waiting, lasting) = (Waiting(lag), spoken(since));
                write!(f, "has not been catching up for {lasting} while {waiting}")
            }
        }
    }
}

/// Returns why a partition has no commits, as the end of a sentence; empty where its owner does not explain it.
fn known_cause(ownership: Ownership) -> &'static str {
    match ownership {
        Ownership::Unowned => ": no member owns it",
        Ownership::Unknown | Ownership::Owned | Ownership::Abandoned => "",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::offset::Offset;
    use super::super::partition::Unavailable;
    use super::*;

    const SINCE: Timestamp = Timestamp::EPOCH;

    fn now() -> Timestamp {
        SINCE.after(Duration::from_secs(250))
    }

    fn stalled(lag: u64) -> Finding {
        Finding::Stalled { lag, since: SINCE }
    }

    fn part(number: i32) -> TopicPartition {
        TopicPartition::new("task-created", number)
    }

    fn verdict(findings: &[Finding]) -> Verdict {
        let partitions: Vec<_> = (0..).map(part).take(findings.len()).collect();
        Verdict::of(partitions.iter().zip(findings.iter().copied()))
    }

    #[test]
    fn the_sentence_says_which_and_why() {
        let found = [Finding::Ok, stalled(7), Finding::Ok, stalled(1204)];
        let expected = "partition 3 of task-created has not moved for 4 min 10 s while 1,204 records wait \
                        (1 more partition is stalled)";
        assert_eq!(verdict(&found).sentence(now()).to_string(), expected);
        assert_eq!(verdict(&found).status(), Status::Stalled);
    }

    #[test]
    fn an_unknown_partition_hides_nothing_worse_and_is_hidden_by_no_ok() {
        let unknown = Finding::Unknown(Unavailable::NoLeader);
        let lagging = Finding::Lagging {
            lag: 9,
            since: SINCE,
        };
        for (found, expected) in [
            (&[Finding::Ok, unknown] as &[Finding], Status::Unknown),
            (&[unknown, lagging, Finding::Ok], Status::Lagging),
            (&[unknown, unknown], Status::Unknown),
            (&[Finding::Ok], Status::Ok),
            (&[], Status::Ok),
        ] {
            assert_eq!(verdict(found).status(), expected, "{found:?}");
        }
    }

    #[test]
    fn every_finding_reads_as_a_sentence() {
        let offset = |value| Offset::new(value).expect("it is positive");
        for (finding, expected) in [
            (Finding::Ok, "is caught up or catching up"),
            (
                Finding::Unknown(Unavailable::NoLeader),
                "has no figures: partition has no leader",
            ),
            (
                Finding::Losing { lost: 1 },
                "has lost 1 record, deleted before being read",
            ),
            (
                Finding::Ahead { ahead: 5 },
                "is committed 5 records past the log end: the log was truncated or the topic made anew",
            ),
            (
                Finding::Empty {
                    lag: 12,
                    since: SINCE,
                },
                "has had no reader for 4 min 10 s while 12 records wait: the group has no members",
            ),
            (
                Finding::Stopped {
                    lag: 1,
                    since: SINCE,
                    ownership: Ownership::Unowned,
                },
                "has had no commit for 4 min 10 s while 1 record waits: no member owns it",
            ),
            (
                Finding::Rewound {
                    from: offset(5000),
                    committed: offset(40),
                },
                "went back from offset 5,000 and is at 40",
            ),
            (
                Finding::Lagging {
                    lag: 1204,
                    since: SINCE,
                },
                "has not been catching up for 4 min 10 s while 1,204 records wait",
            ),
        ] {
            let sentence = Sentence {
                partition: &part(3),
                finding,
                now: now(),
            };
            let expected = format!("partition 3 of task-created {expected}");
            assert_eq!(sentence.to_string(), expected);
        }
    }

    fn any_finding() -> impl Strategy<Value = Finding> {
        prop_oneof![
            Just(Finding::Ok),
            Just(Finding::Unknown(Unavailable::EndOffset)),
            (1..4_u64).prop_map(stalled),
            (1..4_u64).prop_map(|lost| Finding::Losing { lost }),
            (1..4_u64).prop_map(|ahead| Finding::Ahead { ahead }),
        ]
    }

    proptest! {
        #[test]
        fn a_verdict_is_the_worst_in_any_order(
            (found, shuffled) in proptest::collection::vec(any_finding(), 0..12)
                .prop_map(|found| (0..).map(part).zip(found).collect::<Vec<_>>())
                .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        ) {
            let of = |all: &[(TopicPartition, Finding)]| {
                Verdict::of(all.iter().map(|(partition, finding)| (partition, *finding)))
            };
            prop_assert_eq!(of(&found), of(&shuffled));
            let worst = found.iter().map(|(_, finding)| finding.status()).max();
            prop_assert_eq!(of(&found).status(), worst.unwrap_or(Status::Ok));
            if let Verdict::Bad { others, finding, .. } = of(&found) {
                let alike = found.iter().filter(|(_, other)| other.status() == finding.status());
                prop_assert_eq!(alike.count(), others + 1);
            }
        }
    }
}
