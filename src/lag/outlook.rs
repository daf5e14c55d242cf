//! Where a group is heading on one partition: the course of its lag over the recent past.
//!
//! Built to be still: commits in batches and bursts of producers make a saw of the lag, and neither is a change of course.

use std::time::Duration;

use super::observation::Observation;
use super::points::{MAX_POINTS, PackedPoints, Points};
use super::timestamp::Timestamp;

/// The span that the points grow to: long enough for several bursts, short enough for "today's rates".
const SPAN: Duration = Duration::from_secs(600);

/// The span in usual commit intervals, for groups that commit seldom.
const SPAN_INTERVALS: u32 = 8;

/// How long after its peak a lag may be called shrinking: a lag between two bursts shrinks too.
const SETTLING: Duration = Duration::from_secs(120);

/// The same in usual commit intervals: a third of them holds a whole one, and so a peak.
const SETTLING_INTERVALS: u32 = 4;

/// Work of up to a minute, or of two usual commit intervals, is in hand: it is what a healthy group has not committed yet.
const IN_HAND: Duration = Duration::from_secs(60);

/// What was in hand stays so up to one and a half times as much.
const IN_HAND_HYSTERESIS: f64 = 1.5;

/// The fewest points since the peak that show a course.
const MIN_POINTS: usize = 4;

/// What any group may consume between two peaks of its saw, however often it commits: bursts and batches whose periods
/// do not match meet in higher peaks now and then.
const MIN_SAW: Duration = Duration::from_secs(60);

/// A lag counts as shrinking once its peaks fell by this part of a saw: with a gain of a tenth, after four minutes.
const SAWS_TO_ENTER: f64 = 0.4;

/// Whoever was told as falling behind must show more.
const SAWS_TO_RETURN: f64 = 0.75;

/// Whoever was told as catching up need not show much.
const SAWS_TO_STAY: f64 = 0.06;

/// Where a group is heading on one partition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outlook {
    /// It has not been watched long enough while records wait.
    Unknown,
    /// It is caught up, or what waits is the work in hand.
    KeepingUp,
    /// More waits, and the lag shrinks.
    CatchingUp {
        /// By how many records a second; more than 0.
        records_per_second: f32,
    },
    /// More waits, and the lag does not shrink.
    FallingBehind,
}

/// How many records a second a group consumes while there are any, smoothed over a minute or two commit intervals.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tempo(Option<f32>);

/// The points of one stretch of waiting records, and what they show. Fewer than 16 points, thinned evenly.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Course {
    /// The last point. Most observations change no other one.
    last: Observation,
    /// Those before it.
    earlier: PackedPoints,
    /// The highest of the earlier points: if the lag has not shrunk since, they need not be unpacked.
    earlier_peak: Option<Peak>,
    spacing_ms: u64,
    outlook: Outlook,
    doubtful_since: Option<Timestamp>,
}

/// The greatest lag of some points.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Peak {
    lag: u64,
    at: Timestamp,
}

/// How the lag changed since its peak.
struct Descent {
    /// Records by which its peaks fell.
    drop: f64,
    /// The same a second.
    records_per_second: f64,
    /// Records consumed a second since the peak.
    consumed_per_second: f64,
    /// Records by which the steps between points differ.
    noise: f64,
}

impl Peak {
    fn of(point: Observation) -> Self {
        Self {
            lag: point.lag(),
            at: point.at,
        }
    }
}

impl Tempo {
    pub(super) fn records_per_second(self) -> Option<f64> {
        self.0.map(f64::from)
    }

    /// Takes in what was consumed from one observation to the next; idle times and rewinds say nothing.
    pub(super) fn observe(
        &mut self,
        before: Observation,
        next: Observation,
        interval: Option<Duration>,
    ) {
        let elapsed = next.at.since(before.at).as_secs_f64();
        let consumed = next.committed.records_since(before.committed);
        let is_idle = consumed == 0 && before.lag() == 0;
        if elapsed == 0.0 || next.committed < before.committed || is_idle {
            return;
        }
        let seen = consumed as f64 / elapsed;
        let smoothed = match self.records_per_second() {
            None if consumed == 0 => return,
            None => seen,
            Some(known) => {
                let memory = in_hand_for(interval).as_secs_f64();
                known + (seen - known) * elapsed / (elapsed + memory)
            }
        };
        self.0 = Some(smoothed as f32);
    }
}

impl Course {
    /// The most memory that the points take, in bytes.
    pub(super) const MAX_HEAP: usize = PackedPoints::MAX_HEAP;

    /// Begins after a caught-up observation.
    pub(super) fn after(caught_up: Observation) -> Self {
        Self {
            outlook: Outlook::KeepingUp,
            ..Self::of_stranger(caught_up)
        }
    }

    /// Begins with an observation before which nothing is known.
    pub(super) fn of_stranger(first: Observation) -> Self {
        Self {
            last: first,
            earlier: PackedPoints::default(),
            earlier_peak: None,
            spacing_ms: 0,
            outlook: Outlook::Unknown,
            doubtful_since: None,
        }
    }

    pub(super) fn outlook(&self) -> Outlook {
        self.outlook
    }

    /// Returns since when more waits than the work in hand and the lag does not shrink; nothing while that is not so.
    pub(super) fn doubtful_since(&self) -> Option<Timestamp> {
        self.doubtful_since
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.earlier.heap_bytes()
    }

    /// Adds an observation behind the end; `interval` is the usual commit interval.
    ///
    /// A worse outlook must last for `patience` before it is told, and for ten minutes where none was known; until then
    /// the earlier one stands.
    pub(super) fn observe(
        &mut self,
        next: Observation,
        tempo: Tempo,
        interval: Option<Duration>,
        patience: Duration,
    ) {
        self.push(next, interval);
        let better = if self.is_in_hand(next, tempo, interval) {
            Some(Outlook::KeepingUp)
        } else {
            self.catching_up(next, interval)
        };
        if let Some(outlook) = better {
            self.doubtful_since = None;
            self.outlook = outlook;
            return;
        }
        let proof = match self.outlook {
            // Of a group that was first seen behind, nobody knows that the lag has grown.
            Outlook::Unknown => patience.max(SPAN),
            Outlook::KeepingUp | Outlook::CatchingUp { .. } | Outlook::FallingBehind => patience,
        };
        let doubtful_since = *self.doubtful_since.get_or_insert(next.at);
        if next.at.since(doubtful_since) >= proof {
            self.outlook = Outlook::FallingBehind;
        }
    }

    fn is_in_hand(&self, next: Observation, tempo: Tempo, interval: Option<Duration>) -> bool {
        let slack = match self.outlook {
            Outlook::KeepingUp => IN_HAND_HYSTERESIS,
            Outlook::Unknown | Outlook::CatchingUp { .. } | Outlook::FallingBehind => 1.0,
        };
        let limit = in_hand_for(interval).as_secs_f64() * slack;
        tempo
            .records_per_second()
            .is_some_and(|tempo| next.lag() as f64 <= tempo * limit)
    }

    fn catching_up(&self, next: Observation, interval: Option<Duration>) -> Option<Outlook> {
        let interval = interval?;
        let descent = self.descent(next, SETTLING.max(interval * SETTLING_INTERVALS))?;
        let records_per_second = descent.records_per_second as f32;
        let usual = interval.max(MIN_SAW).as_secs_f64() * descent.consumed_per_second;
        let saws = match self.outlook {
            Outlook::CatchingUp { .. } => SAWS_TO_STAY,
            Outlook::Unknown | Outlook::KeepingUp => SAWS_TO_ENTER,
            Outlook::FallingBehind => SAWS_TO_RETURN,
        };
        let is_clear = descent.drop > (usual + descent.noise) * saws;
        (is_clear && records_per_second > 0.0).then_some(Outlook::CatchingUp { records_per_second })
    }

    /// Compares the peak with the highest point of the last third since then: peaks with peaks, so that where in the saw
    /// the newest point lies does not matter.
    fn descent(&self, next: Observation, settling: Duration) -> Option<Descent> {
        let peak = self
            .earlier_peak
            .filter(|peak| peak.lag > self.last.lag())?;
        if next.at.since(peak.at) < settling {
            return None;
        }
        let points = self.points();
        let since_peak = &points[highest(&points)?..];
        let peak = since_peak[0];
        let elapsed = next.at.since(peak.at);
        let recently = peak.at.after(elapsed * 2 / 3);
        let last_third = since_peak.partition_point(|point| point.at < recently);
        let last_third = &since_peak[last_third..];
        // The newest is no point of its own while a higher one lies in its stretch.
        let recent = highest(last_third).map_or(next, |index| last_third[index]);
        let drop = peak.lag().saturating_sub(recent.lag()) as f64;
        let consumed = next.committed.records_since(peak.committed) as f64;
        Some(Descent {
            drop,
            records_per_second: drop / recent.at.since(peak.at).as_secs_f64(),
            consumed_per_second: consumed / elapsed.as_secs_f64(),
            noise: noise(since_peak)?,
        })
    }

    /// Keeps one point for each stretch of the spacing: the one of the highest lag, so that a burst or a batch that falls
    /// between two points is not overlooked.
    fn push(&mut self, next: Observation, interval: Option<Duration>) {
        if in_one_stretch(&self.last, &next, self.spacing_ms) {
            // No two of the earlier points share a stretch.
            take_higher(&mut self.last, next);
            return;
        }
        self.earlier.push(self.last);
        let is_peak = |peak: Peak| self.last.lag() >= peak.lag;
        if self.earlier_peak.is_none_or(is_peak) {
            self.earlier_peak = Some(Peak::of(self.last));
        }
        self.last = next;
        if self.earlier.len() + 1 == MAX_POINTS {
            self.thin(interval);
        }
    }

    /// Takes points away: the oldest, or every other one while they do not span what is wanted.
    fn thin(&mut self, interval: Option<Duration>) {
        let wanted = SPAN.max(interval.unwrap_or_default() * SPAN_INTERVALS);
        let oldest = self.earlier.oldest().unwrap_or(self.last);
        let span = self.last.at.since(oldest.at);
        if span >= wanted {
            self.earlier.pop_oldest();
            if self.earlier_peak != Some(Peak::of(oldest)) {
                return;
            }
        } else {
            let spacing = span / (MAX_POINTS as u32 / 2);
            self.spacing_ms = u64::try_from(spacing.as_millis()).unwrap_or(u64::MAX);
            self.merge();
        }
        let earlier = self.earlier.unpack();
        self.earlier_peak = highest(&earlier).map(|index| Peak::of(earlier[index]));
    }

    /// Leaves one point in each stretch.
    fn merge(&mut self) {
        let spacing_ms = self.spacing_ms;
        let mut points = self.points();
        points.dedup_by(|later, kept| {
            let is_one = in_one_stretch(later, kept, spacing_ms);
            if is_one {
                take_higher(kept, *later);
            }
            is_one
        });
        self.last = points.pop().unwrap_or(self.last);
        self.earlier = points.into_iter().collect();
    }

    fn points(&self) -> Points {
        let mut points = self.earlier.unpack();
        points.push(self.last);
        points
    }
}

/// Returns the index of the point of the highest lag; of several the last.
fn highest(points: &[Observation]) -> Option<usize> {
    let lags = points.iter().map(|point| point.lag());
    lags.zip(0_usize..).max().map(|(_, index)| index)
}

fn in_one_stretch(one: &Observation, other: &Observation, spacing_ms: u64) -> bool {
    let stretch = |point: &Observation| point.at.since_epoch_ms() / spacing_ms.max(1);
    stretch(one) == stretch(other)
}

fn take_higher(kept: &mut Observation, later: Observation) {
    if later.lag() >= kept.lag() {
        *kept = later;
    }
}

/// Returns by how many records the steps between points differ from their mean, on average; nothing for too few points.
fn noise(points: &[Observation]) -> Option<f64> {
    if points.len() < MIN_POINTS {
        return None;
    }
    let steps = points
        .windows(2)
        .map(|pair| pair[1].lag() as f64 - pair[0].lag() as f64);
    let count = (points.len() - 1) as f64;
    let mean = steps.clone().sum::<f64>() / count;
    Some(steps.map(|step| (step - mean).abs()).sum::<f64>() / count)
}

/// How much work is in hand, told as the time that it takes.
fn in_hand_for(interval: Option<Duration>) -> Duration {
    IN_HAND.max(interval.unwrap_or_default() * 2)
}

#[cfg(test)]
mod tests {
    use super::super::offset::Offset;
    use super::*;

    /// Feeds polls of a schedule, once every `poll` seconds, and returns the outlooks after each.
    fn outlooks(
        poll: u64,
        until: u64,
        committed: impl Fn(u64) -> u64,
        end: impl Fn(u64) -> u64,
    ) -> Vec<(u64, Outlook)> {
        let seen = |second: u64| Observation {
            at: Timestamp::EPOCH.after(Duration::from_secs(1_700_000_000 + second)),
            committed: offset(committed(second)),
            end: offset(end(second)),
        };
        let mut window = super::super::window::Window::new(seen(0));
        (1..=until / poll)
            .map(|cycle| {
                window.observe(seen(cycle * poll));
                (cycle * poll, window.outlook())
            })
            .collect()
    }

    fn offset(value: u64) -> Offset {
        Offset::new(i64::try_from(value).expect("tests use small offsets")).expect("from 0")
    }

    fn is_catching_up(outlook: Outlook) -> bool {
        matches!(outlook, Outlook::CatchingUp { .. })
    }

    #[test]
    fn points_stay_even_at_any_poll_interval() {
        for poll in [1, 5, 10, 37, 60] {
            let mut course = Course::of_stranger(point(0));
            for cycle in 1..2000 {
                course.push(point(cycle * poll), None);
                assert!(course.points().len() < MAX_POINTS);
                assert!(course.heap_bytes() <= Course::MAX_HEAP);
            }
            let span = course.last.at.since(course.points()[0].at).as_secs();
            assert!((500..1300).contains(&span), "{poll} s: spans {span} s");
        }
    }

    fn point(second: u64) -> Observation {
        Observation {
            at: Timestamp::EPOCH.after(Duration::from_secs(second)),
            committed: Offset::ZERO,
            end: offset(1),
        }
    }

    #[test]
    fn a_backlog_that_shrinks_is_caught_up_with() {
        for poll in [1, 10, 60] {
            let all = outlooks(poll, 3000, |s| 1100 * s, |s| 600_000 + 1000 * s);
            assert!(
                all.iter().all(|&(_, o)| o != Outlook::FallingBehind),
                "{poll}"
            );
            let settled = all.iter().filter(|&&(second, _)| second >= 600);
            for &(second, outlook) in settled {
                let Outlook::CatchingUp { records_per_second } = outlook else {
                    panic!("{outlook:?} after {second} s of polls every {poll} s");
                };
                assert!(
                    (90.0..110.0).contains(&records_per_second),
                    "{records_per_second}"
                );
            }
        }
    }

    #[test]
    fn a_lag_that_grows_falls_behind_and_stays_so() {
        for poll in [1, 10, 60] {
            for (consumed, from) in [(500, 600), (800, 1200)] {
                let all = outlooks(poll, 6000, |s| consumed * s, |s| 1000 * s);
                for (second, outlook) in all.into_iter().filter(|&(second, _)| second >= from) {
                    assert_eq!(
                        outlook,
                        Outlook::FallingBehind,
                        "{poll} s, {consumed}/s, {second} s"
                    );
                }
            }
        }
    }

    #[test]
    fn one_burst_is_drained_without_being_told_as_falling_behind() {
        // A million records come in within 30 s; the consumer takes 1,000 a second of them.
        let end = |s: u64| 10 * s + 33_000 * s.clamp(300, 330).saturating_sub(300);
        let committed = move |s: u64| {
            let before = 10 * s.min(300);
            (before + 1000 * s.saturating_sub(300)).min(end(s))
        };
        for poll in [1, 10, 60] {
            let all = outlooks(poll, 2000, committed, end);
            assert!(
                all.iter().all(|&(_, o)| o != Outlook::FallingBehind),
                "{poll}: {all:?}"
            );
            assert!(
                all.iter().any(|&(s, o)| s < 900 && is_catching_up(o)),
                "{poll}"
            );
        }
    }
}
