//! The numbered rules that give a partition its status.
//!
//! The first rule that holds decides. Graver rules come first, but for 1 and 2 that say where there is nothing to judge.
//!
//! |    | rule | holds when | reason |
//! | -- | ---- | ---------- | ------ |
//! |  1 | `unknown` | a figure of the partition is unavailable | 0 would be a lie; it is the mildest of the bad words, so it hides nothing |
//! |  2 | `ok` | the group never committed here, or has abandoned the topic | there is nothing that it could be behind of |
//! |  3 | `losing` | the log starts after the committed offset | records were deleted unread: nothing brings them back |
//! |  4 | `ahead` | the commit is past the log end | the log was truncated or made anew: what is written up to the commit will be skipped |
//! |  5 | `ok` | nothing waits | an idle topic sees no commits, and needs none (Burrow#38) |
//! |  6 | `empty` | no members, and no commit for a minute or four usual intervals while records wait | nobody reads; the minute is for rolling restarts, the commits for readers that join no group (Flink, Spark) |
//! |  7 | `stopped` | no commit for the [patience](Window::patience) while records wait | its reader hangs or left, or no member owns it |
//! |  8 | `stalled` | the offset has not moved for the patience while records wait, but commits are seen | its reader is alive, and one record or one partition holds it up |
//! |  9 | `rewound` | the offset went back and has not been regained | records are read again: a reset, or a commit of an older run |
//! | 10 | `lagging` | more waits than the work in hand, and the lag does not shrink ([`Outlook::FallingBehind`]) | there are too few readers, or they are too slow |
//! | 11 | `ok` | - | what waits is in hand or shrinks |
//!
//! Every time counts only while records wait without interruption, so that neither a record an hour nor the first one
//! after a lull is a stop (Burrow#38, #303); and the patience follows the group's own habits, so that a slow committer is
//! none. Burrow calls any group ok that was caught up once in its window, so that a stop after healthy times goes untold
//! (#290): here rules 7 and 8 do not ask what was before.
//!
//! Source: Burrow's "Consumer Lag Evaluation Rules": its 1 is 7 here, its 2 is 9, its 3 is 5, its 4 is 8, its 5 is 10.

use std::time::Duration;

use super::outlook::Outlook;
use super::partition::Lag;
use super::status::{Finding, Members, Ownership};
use super::timestamp::Timestamp;
use super::window::{MISSED_COMMITS, Window};

/// How long a group may be without members before it is told: a rolling restart may leave none for a moment.
const EMPTY_PATIENCE: Duration = Duration::from_secs(60);

/// A rebalance may last as long as the slowest member works on one batch: `max.poll.interval.ms`, 5 minutes by default.
const REBALANCE_PATIENCE: Duration = Duration::from_secs(360);

/// What the rules judge one partition of a group by, as of one poll cycle.
#[derive(Clone, Copy, Debug)]
pub struct RuleInput<'a> {
    /// The time to judge at: not before the window's newest observation.
    pub now: Timestamp,
    /// The lag that is shown: that of the newest good pair, `Unavailable` where there is none.
    pub lag: Lag,
    /// The partition's past; nothing where the group never committed.
    pub window: Option<&'a Window>,
    /// The group's members.
    pub members: Members,
    /// The partition's owner.
    pub ownership: Ownership,
}

/// Returns what the rules find of one partition.
///
/// `next_door` tells when whoever reads the partition was last seen to commit anything: its owner, or any reader of the topic
/// where the owner is not known; nothing where nobody was. It is asked only where the answer matters.
///
/// With time alone a finding only gets graver: `now` is all that changes while no observation comes in.
pub fn judge(partition: &RuleInput<'_>, next_door: impl FnOnce() -> Option<Timestamp>) -> Finding {
    let distance = match partition.lag {
        Lag::Unavailable(reason) => return Finding::Unknown(reason),
        Lag::NoCommit { .. } => return Finding::Ok,
        Lag::Known(distance) => distance,
    };
    if partition.ownership == Ownership::Abandoned {
        return Finding::Ok;
    }
    if let Some(lost) = distance.lost.filter(|lost| *lost > 0) {
        return Finding::Losing { lost };
    }
    if distance.ahead > 0 {
        return Finding::Ahead {
            ahead: distance.ahead,
        };
    }
    match partition.window {
        Some(window) if distance.lag > 0 => {
            judge_waiting(partition, window, distance.lag, next_door)
        }
        _ => Finding::Ok,
    }
}

/// Rules 6 to 11: records wait.
fn judge_waiting(
    partition: &RuleInput<'_>,
    window: &Window,
    lag: u64,
    next_door: impl FnOnce() -> Option<Timestamp>,
) -> Finding {
    judge_readers(partition, window, lag, next_door)
        .or_else(|| {
            let committed = window.newest().committed;
            let from = window.rewind()?.from;
            Some(Finding::Rewound { from, committed })
        })
        .or_else(|| {
            let since = window.doubtful_since()?;
            let is_lagging = window.outlook() == Outlook::FallingBehind;
            is_lagging.then_some(Finding::Lagging { lag, since })
        })
        .unwrap_or(Finding::Ok)
}

/// Rules 6 to 8: does anybody read?
fn judge_readers(
    partition: &RuleInput<'_>,
    window: &Window,
    lag: u64,
    next_door: impl FnOnce() -> Option<Timestamp>,
) -> Option<Finding> {
    let now = partition.now;
    let (silent, standing) = (window.silent_since()?, window.standing_since()?);
    let silence = now.since(silent);
    let patience = match partition.members {
        Members::Absent => {
            // Whoever has no members need not show its habits first.
            let habit = window.usual_commit_interval().unwrap_or_default() * MISSED_COMMITS;
            let limit = habit.max(EMPTY_PATIENCE);
            let since = silent;
            return (silence >= limit).then_some(Finding::Empty { lag, since });
        }
        Members::Rebalancing => window.patience().max(REBALANCE_PATIENCE),
        Members::Settled | Members::Unknown => window.patience(),
    };
    if now.since(standing) < patience {
        return None;
    }
    // Polls do not see a commit that moves nothing. An owner commits all its partitions at once, so a commit next door
    // shows that it is alive; a partition without an owner has no such neighbour.
    let has_neighbours = matches!(partition.ownership, Ownership::Owned | Ownership::Unknown);
    let commits_next_door = || {
        let at = has_neighbours.then(next_door).flatten();
        at.is_some_and(|at| now.since(at) < patience)
    };
    let is_silent = silence >= patience && !commits_next_door();
    Some(if is_silent {
        Finding::Stopped {
            lag,
            since: silent,
            ownership: partition.ownership,
        }
    } else {
        Finding::Stalled {
            lag,
            since: standing,
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::observation::Observation;
    use super::super::offset::Offset;
    use super::super::partition::{Distance, Unavailable};
    use super::super::status::Status;
    use super::*;

    fn second(second: u64) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_secs(1_700_000_000 + second))
    }

    fn offset(value: u64) -> Offset {
        Offset::new(i64::try_from(value).expect("small")).expect("from 0")
    }

    /// A window that moved every 10 s up to second 60 and has stood still since, 10 records behind.
    fn still() -> Window {
        let seen = |cycle: u64| Observation {
            at: second(10 * cycle),
            committed: offset(cycle.min(6)),
            end: offset(cycle.min(6) + 10),
        };
        let mut window = Window::new(seen(0));
        (1..12).for_each(|cycle| window.observe(seen(cycle)));
        window
    }

    fn behind(window: &Window, now: u64) -> RuleInput<'_> {
        RuleInput {
            now: second(now),
            lag: Lag::Known(Distance {
                lag: 10,
                ahead: 0,
                lost: Some(0),
            }),
            window: Some(window),
            members: Members::Settled,
            ownership: Ownership::Owned,
        }
    }

    #[test]
    fn members_and_owners_decide_what_a_standstill_is_called() {
        let window = still();
        let calm = |now| behind(&window, now);
        use Status::{Empty, Ok, Stalled, Stopped};
        let table = [
            ("not for long enough", calm(239), Ok),
            ("three minutes", calm(240), Stopped),
            (
                "no members",
                RuleInput {
                    members: Members::Absent,
                    ..calm(120)
                },
                Empty,
            ),
            (
                "no members for a moment",
                RuleInput {
                    members: Members::Absent,
                    ..calm(119)
                },
                Ok,
            ),
            (
                "unknown members",
                RuleInput {
                    members: Members::Unknown,
                    ..calm(240)
                },
                Stopped,
            ),
            (
                "a rebalance",
                RuleInput {
                    members: Members::Rebalancing,
                    ..calm(419)
                },
                Ok,
            ),
            (
                "a rebalance without end",
                RuleInput {
                    members: Members::Rebalancing,
                    ..calm(420)
                },
                Stopped,
            ),
            ("its owner commits next door", calm(240), Stalled),
            (
                "no owner, whoever commits next door",
                RuleInput {
                    ownership: Ownership::Unowned,
                    ..calm(240)
                },
                Stopped,
            ),
            (
                "abandoned",
                RuleInput {
                    ownership: Ownership::Abandoned,
                    ..calm(9999)
                },
                Ok,
            ),
        ];
        for (case, partition, expected) in table {
            let next_door = || case.contains("next door").then(|| second(235));
            assert_eq!(judge(&partition, next_door).status(), expected, "{case}");
        }
    }

    #[test]
    fn figures_decide_before_times() {
        let window = still();
        let with = |lag| RuleInput {
            lag,
            ..behind(&window, 9999)
        };
        let known = |lag, ahead, lost| Lag::Known(Distance { lag, ahead, lost });
        let table = [
            (
                Lag::Unavailable(Unavailable::EndOffset),
                Finding::Unknown(Unavailable::EndOffset),
            ),
            (Lag::NoCommit { backlog: Some(9) }, Finding::Ok),
            (known(10, 0, Some(4)), Finding::Losing { lost: 4 }),
            (known(0, 7, Some(0)), Finding::Ahead { ahead: 7 }),
            (known(0, 0, Some(0)), Finding::Ok),
            (known(0, 0, None), Finding::Ok),
        ];
        for (lag, expected) in table {
            assert_eq!(judge(&with(lag), || None), expected, "{lag:?}");
        }
    }

    proptest! {
        #[test]
        fn time_alone_never_makes_a_finding_milder(
            steps in proptest::collection::vec((1..60_u64, 0..100_u64, 0..100_u64), 1..60),
            members in prop_oneof![
                Just(Members::Absent), Just(Members::Unknown),
                Just(Members::Settled), Just(Members::Rebalancing),
            ],
            told in proptest::option::of(0..2000_u64),
            waits in (0..5000_u64, 0..5000_u64),
        ) {
            let (mut now, mut committed, mut end) = (0, 100, 200);
            let seen = |now, committed, end| Observation {
                at: second(now), committed: offset(committed), end: offset(end),
            };
            let mut window = Window::new(seen(now, committed, end));
            for (wait, consumed, produced) in steps {
                now += wait;
                end += produced;
                committed = (committed + consumed).saturating_sub(10).min(end);
                window.observe(seen(now, committed, end));
            }
            let judged = |wait: u64| judge(&RuleInput {
                lag: Lag::Known(Distance { lag: end - committed, ahead: 0, lost: Some(0) }),
                members,
                ..behind(&window, now + wait)
            }, || told.map(second));
            let (sooner, later) = (waits.0.min(waits.1), waits.0.max(waits.1));
            prop_assert!(judged(sooner).status() <= judged(later).status());
        }
    }
}
