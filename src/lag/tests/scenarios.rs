//! Stories of groups, each with the statuses that it must show and no other.
//!
//! A story is played second by second at poll intervals from 1 s to 60 s: the statuses in order, and when each began,
//! must fit at all of them.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::lag::{
    Committed, Drain, Isolation, Members, Observation, Offset, Ownership, RuleInput, Status,
    Timestamp, Watermarks, Window, judge, partition_lag,
};

/// What happens to one partition of a group; every function takes the second of the story.
struct Story {
    name: &'static str,
    /// The log end.
    end: fn(u64) -> u64,
    /// The committed offset.
    committed: fn(u64) -> u64,
    /// The log start.
    start: fn(u64) -> u64,
    /// The group's members.
    members: fn(u64) -> Members,
    /// Whether commits, moving or not, are told as they happen: every 5 s.
    told: fn(u64) -> bool,
    /// When the group last committed another partition of the topic.
    neighbour: fn(u64) -> Option<u64>,
    /// Whether the cluster can be read.
    is_seen: fn(u64) -> bool,
    /// The seconds that are played.
    played: RangeInclusive<u64>,
    /// The statuses after the first `ok`, and when each may begin.
    expected: &'static [(Status, RangeInclusive<u64>)],
}

/// A topic of 1,000 records a second, and a group that commits every 5 s what it has read.
const CALM: Story = Story {
    name: "calm",
    end: steady,
    committed: |s| steady(s - s % 5),
    start: |_| 0,
    members: |_| Members::Settled,
    told: |_| false,
    neighbour: |_| None,
    is_seen: |_| true,
    played: 0..=7200,
    expected: &[],
};

/// 100,000 records, and 1,000 more every second.
fn steady(second: u64) -> u64 {
    100_000 + 1000 * second
}

/// One record at every full hour.
fn hourly(second: u64) -> u64 {
    100 + second / 3600
}

/// 20,000 records at once, `period` seconds apart.
fn bursts(second: u64, period: u64) -> u64 {
    100_000 + 20_000 * (second / period)
}

/// A consumer of bursts that reads 2,000 records a second and commits every 5 s.
fn burst_reader(second: u64, period: u64) -> u64 {
    let read = second - second % 5;
    let into = read % period;
    (bursts(read, period) - 20_000 + 2000 * into).min(bursts(read, period))
}

/// What `judge` says after each poll: the second and the status, one entry for each change.
fn play(story: &Story, poll: u64) -> Vec<(u64, Status)> {
    let mut window: Option<Window> = None;
    let mut changes = vec![(*story.played.start(), Status::Ok)];
    for second in story.played.clone() {
        if let Some(window) = &mut window
            && (story.told)(second)
            && second % 5 == 0
        {
            window.note_commit(at(second));
        }
        if second % poll != 0 || !(story.is_seen)(second) {
            continue;
        }
        let seen = Observation {
            at: at(second),
            committed: offset((story.committed)(second)),
            end: offset((story.end)(second)),
        };
        match &mut window {
            Some(window) => window.observe(seen),
            None => window = Some(Window::new(seen)),
        }
        let marks = Watermarks {
            log_start: Some(offset((story.start)(second))),
            log_end: seen.end,
            last_stable: None,
        };
        let committed = Committed::At(seen.committed);
        let input = RuleInput {
            now: at(second),
            lag: partition_lag(Ok(committed), Ok(marks), Isolation::ReadUncommitted),
            window: window.as_ref(),
            members: (story.members)(second),
            ownership: Ownership::Owned,
        };
        let finding = judge(&input, || (story.neighbour)(second).map(at));
        let drain = window.as_ref().map(Drain::of_partition);
        assert!(
            finding.status() != Status::Lagging || drain == Some(Drain::Never),
            "{}: lagging, but drains: {drain:?}",
            story.name
        );
        if changes.last().is_none_or(|last| last.1 != finding.status()) {
            changes.push((second, finding.status()));
        }
    }
    changes
}

fn at(second: u64) -> Timestamp {
    Timestamp::EPOCH.after(Duration::from_secs(1_700_000_000 + second))
}

fn offset(value: u64) -> Offset {
    Offset::new(i64::try_from(value).expect("stories are short")).expect("from 0")
}

fn check(stories: &[Story]) {
    let mut failures = Vec::new();
    for story in stories {
        for poll in [1, 5, 10, 15, 30, 60] {
            let played = play(story, poll);
            let changes = &played[1..];
            let fits = changes.len() == story.expected.len()
                && changes
                    .iter()
                    .zip(story.expected)
                    .all(|(change, expected)| {
                        change.1 == expected.0 && expected.1.contains(&change.0)
                    });
            if !fits {
                let (name, expected) = (story.name, story.expected);
                failures.push(format!(
                    "{name}, polled every {poll} s: expected {expected:?}, got {changes:?}"
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_rule_fires_in_its_case() {
    use Status::{Ahead, Empty, Lagging, Losing, Ok, Rewound, Stalled, Stopped};
    check(&[
        Story {
            name: "reads half of what comes in",
            committed: |s| 100_000 + 500 * (s - s % 5),
            expected: &[(Lagging, 200..=600)],
            ..CALM
        },
        Story {
            name: "reads nine tenths of what comes in",
            committed: |s| 100_000 + 900 * (s - s % 5),
            expected: &[(Lagging, 700..=2000)],
            ..CALM
        },
        Story {
            name: "keeps pace an hour behind, and has since before the start",
            committed: |s| steady(s - s % 5),
            end: |s| 3_600_000 + steady(s),
            expected: &[(Lagging, 600..=1200)],
            ..CALM
        },
        Story {
            name: "was healthy for long, then commits no more (Burrow#290)",
            committed: |s| steady(s.min(3600) - s.min(3600) % 5),
            expected: &[(Stopped, 3780..=3900)],
            ..CALM
        },
        Story {
            name: "stops on a topic that falls silent a second later",
            end: |s| steady(s.min(3602)),
            committed: |s| steady(s.min(3600) - s.min(3600) % 5),
            expected: &[(Stopped, 3780..=3900)],
            ..CALM
        },
        Story {
            name: "stood still before anybody watched",
            committed: |_| 50_000,
            expected: &[(Stopped, 900..=960)],
            ..CALM
        },
        Story {
            name: "commits on, but does not move",
            committed: |s| steady(s.min(3600) - s.min(3600) % 5),
            told: |_| true,
            expected: &[(Stalled, 3780..=3900)],
            ..CALM
        },
        Story {
            name: "does not move, while its neighbours do",
            committed: |s| steady(s.min(3600) - s.min(3600) % 5),
            neighbour: |s| Some(s - s % 5),
            expected: &[(Stalled, 3780..=3900)],
            ..CALM
        },
        Story {
            name: "loses its last member and gets one again",
            committed: |s| match s {
                ..3600 => steady(s - s % 5),
                3600..5400 => steady(3595),
                _ => steady(s - s % 5),
            },
            members: |s| match s {
                3600..5400 => Members::Absent,
                _ => Members::Settled,
            },
            expected: &[(Empty, 3655..=3900), (Ok, 5400..=5400)],
            ..CALM
        },
        Story {
            name: "is reset to earliest and reads three times as fast",
            committed: |s| match s {
                ..3600 => steady(s - s % 5),
                _ => steady(s - s % 5).min(3000 * (s - s % 5 - 3600)),
            },
            played: 0..=9000,
            expected: &[(Rewound, 3600..=3600), (Ok, 4820..=4920)],
            ..CALM
        },
        Story {
            name: "has its log truncated, and starts at the new end after a minute",
            end: |s| {
                if s < 3600 {
                    steady(s)
                } else {
                    1000 * (s - 3600)
                }
            },
            committed: |s| match s {
                ..3600 => steady(s - s % 5),
                3600..3660 => steady(3595),
                _ => 1000 * (s - s % 5 - 3600),
            },
            expected: &[(Ahead, 3600..=3600), (Ok, 3660..=3660)],
            ..CALM
        },
        Story {
            name: "is overtaken by retention, then skips to the log start",
            committed: |s| match s {
                ..5000 => 100_000 + 500 * (s - s % 5).min(3050),
                _ => steady(s - s % 5),
            },
            start: |s| steady(s.saturating_sub(1500) / 120 * 120),
            expected: &[
                (Lagging, 200..=600),
                (Losing, 3060..=3060),
                (Ok, 5000..=5040),
            ],
            ..CALM
        },
    ]);
}

#[test]
fn false_alarms_stay_ok() {
    check(&[
        CALM,
        Story {
            name: "idle for a day, first record of which is read at once (Burrow#38)",
            end: |s| 100 + u64::from(s >= 86_400),
            committed: |s| 100 + u64::from(s >= 86_405),
            played: 0..=90_000,
            ..CALM
        },
        Story {
            name: "ten minutes of records, none for twenty, then again (Burrow#303)",
            end: |s| steady(s.min(600)) + 1000 * s.saturating_sub(1800),
            committed: |s| {
                let s = s - s % 5;
                steady(s.min(600)) + 1000 * s.saturating_sub(1800)
            },
            ..CALM
        },
        Story {
            name: "one record an hour, committed after 5 s (Burrow#38)",
            end: hourly,
            committed: |s| hourly(s.saturating_sub(5)),
            played: 0..=86_400,
            ..CALM
        },
        Story {
            name: "one record an hour, worked on for 12 minutes",
            end: hourly,
            committed: |s| hourly(s.saturating_sub(720)),
            played: 0..=86_400,
            ..CALM
        },
        Story {
            name: "one record an hour, always one behind",
            end: hourly,
            committed: |s| hourly(s) - 1,
            played: 3599..=4400,
            ..CALM
        },
        Story {
            name: "commits every 15 s",
            committed: |s| steady(s - s % 15),
            ..CALM
        },
        Story {
            name: "commits every 15 s, ten seconds behind",
            committed: |s| 90_000 + 1000 * (s - s % 15),
            ..CALM
        },
        Story {
            name: "commits every 10 minutes, watched since the middle of them",
            committed: |s| steady(s - s % 600),
            played: 137..=40_000,
            ..CALM
        },
        Story {
            name: "bursts every 20 s",
            end: |s| bursts(s, 20),
            committed: |s| burst_reader(s, 20),
            ..CALM
        },
        Story {
            name: "bursts every 90 s",
            end: |s| bursts(s, 90),
            committed: |s| burst_reader(s, 90),
            ..CALM
        },
        Story {
            name: "watched since a moment ago, half a minute behind",
            committed: |s| steady(s - s % 5) - 30_000,
            played: 7000..=7170,
            ..CALM
        },
        Story {
            name: "watched since a moment ago, an hour behind",
            end: |s| 3_600_000 + steady(s),
            played: 7000..=7170,
            ..CALM
        },
        Story {
            name: "a backlog of an hour that shrinks by a tenth",
            end: |s| 3_600_000 + steady(s),
            committed: |s| 100_000 + 1100 * (s - s % 5),
            ..CALM
        },
        Story {
            name: "a million records at once, read within 17 minutes",
            end: |s| 100_000 + 10 * s + if s < 3600 { 0 } else { 1_000_000 },
            committed: |s| {
                let s = s - s % 5;
                let read = 100_000 + 10 * s.min(3600) + 1000 * s.saturating_sub(3600);
                read.min(100_000 + 10 * s + if s < 3600 { 0 } else { 1_000_000 })
            },
            ..CALM
        },
        Story {
            name: "a cluster out of reach for 20 minutes, for the group too",
            end: |s| steady(s.min(3600)) + 1000 * s.saturating_sub(4800),
            committed: |s| match s {
                ..3600 => steady(s - s % 5),
                3600..4830 => steady(3595),
                _ => steady(3600) + 1000 * (s - s % 5 - 4800),
            },
            is_seen: |s| !(3600..4800).contains(&s),
            ..CALM
        },
        Story {
            name: "a rebalance of three minutes",
            committed: |s| match s {
                3600..3780 => steady(3595),
                _ => steady(s - s % 5),
            },
            members: |s| match s {
                3600..3780 => Members::Rebalancing,
                _ => Members::Settled,
            },
            ..CALM
        },
        Story {
            name: "a rolling restart that leaves no member for 40 s",
            committed: |s| match s {
                3600..3640 => steady(3595),
                _ => steady(s - s % 5),
            },
            members: |s| match s {
                3600..3640 => Members::Absent,
                _ => Members::Settled,
            },
            ..CALM
        },
        Story {
            name: "a reader that joins no group and commits at every checkpoint of a minute",
            committed: |s| steady(s - s % 60),
            members: |_| Members::Absent,
            played: 0..=7200,
            ..CALM
        },
    ]);
}
