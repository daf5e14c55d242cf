//! What is remembered of one group on one partition: enough for rules and rates, whatever the poll interval.
//!
//! What it shows of the way things go is [`super::outlook`]; words about it are [`super::status`] and [`super::drain`].

use std::num::NonZeroU32;
use std::time::Duration;

use super::observation::Observation;
use super::offset::Offset;
use super::outlook::{Course, Outlook, Tempo};
use super::timestamp::Timestamp;

/// The shortest time that a state must last before it is told.
///
/// Most clients commit every 5 s and a poll may take a minute to see it: three minutes are several commits of any of
/// them.
pub const MIN_PATIENCE: Duration = Duration::from_secs(180);

/// How long a state must last while the usual commit interval is not known, after a start above all.
///
/// A group that commits every 10 minutes must not be told as stopped because nobody has watched it for long.
pub const PATIENCE_WITH_STRANGERS: Duration = Duration::from_secs(900);

/// How many of its usual commit intervals a group may miss.
pub(super) const MISSED_COMMITS: u32 = 4;

/// The longest commit interval that counts as usual: after an outage, or a night without records, stops are still found.
const MAX_INTERVAL: Duration = Duration::from_secs(3600);

/// How fast the usual interval follows shorter ones; it follows longer ones at once.
const SHORTER_INTERVAL_WEIGHT: u32 = 8;

/// Two observations that lie further apart show nothing of what happened between them.
const MAX_GAP: Duration = Duration::from_secs(180);

/// A committed offset that went back, and that the group has not regained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewind {
    /// The offset to regain; never past the log end of its time.
    pub from: Offset,
    /// When the offset was first seen to have gone back.
    pub at: Timestamp,
}

/// The recent past of one group on one partition.
///
/// 64 bytes while it is caught up; at most [`Window::MAX_SIZE_BYTES`] while records wait, points included.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    newest: Observation,
    moved_at: Option<Timestamp>,
    commit_at: Option<Timestamp>,
    usual_interval_ms: Option<NonZeroU32>,
    tempo: Tempo,
    behind: Option<Box<Behind>>,
}

/// What matters only while records wait.
#[derive(Clone, Debug, PartialEq)]
struct Behind {
    since: Timestamp,
    rewind: Option<Rewind>,
    course: Course,
}

impl Window {
    /// The most memory that one window takes, in bytes.
    pub const MAX_SIZE_BYTES: usize = size_of::<Self>() + size_of::<Behind>() + Course::MAX_HEAP;

    /// Begins with a first observation: of a new partition, a new group, or a topic that was made anew.
    pub fn new(first: Observation) -> Self {
        let mut window = Self {
            newest: first,
            moved_at: None,
            commit_at: None,
            usual_interval_ms: None,
            tempo: Tempo::default(),
            behind: None,
        };
        window.begin(first, None);
        window
    }

    /// Adds the observation of a cycle in which both offsets were read; the cycles are seconds apart.
    pub fn observe(&mut self, next: Observation) {
        self.observe_every(Duration::ZERO, next);
    }

    /// Adds the observation of a cycle in which both offsets were read; the cycles are `poll_interval` apart.
    ///
    /// The window begins again, but for the usual interval and tempo, where the log end went back (a truncated log),
    /// where the clock was set back and after a gap of more than three minutes, or three poll intervals if that is longer:
    /// what lies before says nothing then.
    pub fn observe_every(&mut self, poll_interval: Duration, next: Observation) {
        let rewind = self.rewind_after(next);
        let gap = next.at.since(self.newest.at);
        let longest = MAX_GAP.max(poll_interval * 3);
        if next.end < self.newest.end || next.at < self.newest.at || gap > longest {
            self.begin(next, rewind);
            return;
        }
        if next.committed != self.newest.committed {
            self.note_move(next.at);
        }
        let interval = self.usual_commit_interval();
        self.tempo.observe(self.newest, next, interval);
        let patience = self.patience();
        if next.lag() == 0 {
            self.behind = None;
        } else {
            let before = self.newest;
            let behind = self.behind.get_or_insert_with(|| {
                Box::new(Behind {
                    since: next.at,
                    rewind: None,
                    course: Course::after(before),
                })
            });
            behind.rewind = rewind;
            behind.course.observe(next, self.tempo, interval, patience);
        }
        self.newest = next;
    }

    /// Notes a commit that the stream told, whether or not it moved the offset.
    ///
    /// `at` is best the time at which this process heard of it: brokers' clocks differ.
    pub fn note_commit(&mut self, at: Timestamp) {
        self.commit_at = self.commit_at.max(Some(at));
    }

    /// Notes that the newest observation has held until then, where nothing waits: as if it had been made again and again.
    pub fn stand_still(&mut self, until: Timestamp) {
        if self.behind.is_none() {
            self.newest.at = self.newest.at.max(until);
        }
    }

    /// Returns the newest observation.
    pub fn newest(&self) -> Observation {
        self.newest
    }

    /// Returns the longest of its recent times between two moves of the committed offset, at most an hour.
    ///
    /// Nothing before two moves were seen. It counts idle times too, so that a topic of one record an hour has an hour.
    pub fn usual_commit_interval(&self) -> Option<Duration> {
        let interval_ms = self.usual_interval_ms?;
        Some(Duration::from_millis(interval_ms.get().into()))
    }

    /// Returns how long a state must last before it is told: four usual commit intervals, at least three minutes, and a
    /// quarter of an hour where the interval is not known.
    pub fn patience(&self) -> Duration {
        self.usual_commit_interval()
            .map_or(PATIENCE_WITH_STRANGERS, |interval| {
                MIN_PATIENCE.max(interval * MISSED_COMMITS)
            })
    }

    /// Returns since when records have been waiting without interruption; nothing while it is caught up.
    ///
    /// Never before the first observation.
    pub fn behind_since(&self) -> Option<Timestamp> {
        self.behind.as_ref().map(|behind| behind.since)
    }

    /// Returns since when the committed offset has not moved while records waited; nothing while it is caught up.
    pub fn standing_since(&self) -> Option<Timestamp> {
        self.waiting_since(self.moved_at)
    }

    /// Returns since when no commit was seen while records waited; nothing while it is caught up.
    pub fn silent_since(&self) -> Option<Timestamp> {
        self.waiting_since(self.last_commit())
    }

    /// Returns when a commit was last seen, moved or told; nothing where none was.
    pub fn last_commit(&self) -> Option<Timestamp> {
        self.commit_at.max(self.moved_at)
    }

    /// Returns from where the offset went back, until it is regained or the group has caught up.
    pub fn rewind(&self) -> Option<Rewind> {
        self.behind.as_ref()?.rewind
    }

    /// Returns where the group is heading; [`Outlook::KeepingUp`] while it is caught up.
    pub fn outlook(&self) -> Outlook {
        self.behind
            .as_ref()
            .map_or(Outlook::KeepingUp, |behind| behind.course.outlook())
    }

    /// Returns since when more has waited than the work in hand without shrinking; nothing while that is not so.
    pub fn doubtful_since(&self) -> Option<Timestamp> {
        self.behind.as_ref()?.course.doubtful_since()
    }

    /// Returns the records a second that the group consumes while there are any; nothing before its first move.
    pub fn tempo(&self) -> Option<f64> {
        self.tempo.records_per_second()
    }

    /// Returns the memory that the window takes, in bytes.
    pub fn size_bytes(&self) -> usize {
        let behind = self.behind.as_ref();
        size_of::<Self>()
            + behind.map_or(0, |behind| size_of::<Behind>() + behind.course.heap_bytes())
    }

    fn begin(&mut self, first: Observation, rewind: Option<Rewind>) {
        self.newest = first;
        self.moved_at = None;
        self.commit_at = None;
        self.behind = (first.lag() > 0).then(|| {
            Box::new(Behind {
                since: first.at,
                rewind,
                course: Course::of_stranger(first),
            })
        });
    }

    fn note_move(&mut self, at: Timestamp) {
        if let Some(before) = self.moved_at.replace(at) {
            let seen = at.since(before).min(MAX_INTERVAL);
            let usual = self.usual_commit_interval().unwrap_or_default();
            let excess = usual.saturating_sub(seen);
            let usual = usual.max(seen) - excess / SHORTER_INTERVAL_WEIGHT;
            let usual_ms = u32::try_from(usual.as_millis()).unwrap_or(u32::MAX);
            self.usual_interval_ms = NonZeroU32::new(usual_ms.max(1));
        }
    }

    fn rewind_after(&self, next: Observation) -> Option<Rewind> {
        if next.end < self.newest.end {
            return None;
        }
        let known = self.rewind();
        // A commit past the end was never a position in this log.
        let top = self.newest.committed.min(self.newest.end);
        let rewind = match known {
            Some(known) => Rewind {
                from: known.from.max(top),
                ..known
            },
            None => Rewind {
                from: top,
                at: next.at,
            },
        };
        (next.committed < rewind.from).then_some(rewind)
    }

    fn waiting_since(&self, last: Option<Timestamp>) -> Option<Timestamp> {
        let since = self.behind_since()?;
        Some(last.map_or(since, |last| last.max(since)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(second: i64, committed: i64, end: i64) -> Observation {
        Observation {
            at: second_of(second),
            committed: Offset::new(committed).expect("tests use offsets from 0"),
            end: Offset::new(end).expect("tests use offsets from 0"),
        }
    }

    fn second_of(second: i64) -> Timestamp {
        Timestamp::new(1_700_000_000_000 + second * 1000).expect("after the epoch")
    }

    fn window(observations: &[(i64, i64, i64)]) -> Window {
        let mut all = observations
            .iter()
            .map(|&(second, committed, end)| seen(second, committed, end));
        let mut window = Window::new(all.next().expect("at least one"));
        all.for_each(|next| window.observe(next));
        window
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_caught_up_window_owns_no_heap() {
        let window = window(&[(0, 5, 9), (10, 9, 9), (20, 9, 9)]);
        assert_eq!(window.size_bytes(), size_of::<Window>());
        assert_eq!(size_of::<Window>(), 64);
        assert_eq!(window.behind_since(), None);
    }

    #[test]
    fn records_wait_since_the_first_look_that_saw_them() {
        let window = window(&[(0, 9, 9), (10, 9, 12), (20, 11, 14)]);
        assert_eq!(window.behind_since(), Some(second_of(10)));
        assert_eq!(window.standing_since(), Some(second_of(20)));
        assert_eq!(window.silent_since(), Some(second_of(20)));
    }

    #[test]
    fn an_idle_night_is_no_silence() {
        let window = window(&[(0, 8, 9), (10, 9, 9), (170, 9, 9), (180, 9, 10)]);
        assert_eq!(window.silent_since(), Some(second_of(180)));
    }

    #[test]
    fn a_told_commit_ends_the_silence_and_not_the_standing() {
        let mut window = window(&[(0, 0, 9), (10, 1, 9), (20, 1, 9)]);
        window.note_commit(second_of(15));
        assert_eq!(window.silent_since(), Some(second_of(15)));
        assert_eq!(window.standing_since(), Some(second_of(10)));
    }

    #[test]
    fn a_rewind_lasts_until_it_is_regained() {
        let back = [(0, 50, 60), (10, 20, 60), (20, 40, 60), (30, 10, 60)];
        let rewound = window(&back);
        let expected = Rewind {
            from: Offset::new(50).expect("it is positive"),
            at: second_of(10),
        };
        assert_eq!(rewound.rewind(), Some(expected));
        for regained in [(40, 50, 60), (40, 55, 60), (40, 60, 60)] {
            let all = [&back[..], &[regained]].concat();
            assert_eq!(window(&all).rewind(), None, "{regained:?}");
        }
    }

    #[test]
    fn a_truncated_log_is_no_rewind() {
        assert_eq!(window(&[(0, 50, 60), (10, 20, 30)]).rewind(), None);
        // From past the end, only what the log still holds is to be regained.
        let reset = window(&[(0, 50, 30), (10, 20, 30)]);
        assert_eq!(reset.rewind().map(|rewind| rewind.from.value()), Some(30));
    }

    #[test]
    fn a_gap_and_a_clock_set_back_begin_anew() {
        for next in [(1000, 2, 20), (-500, 2, 20)] {
            let window = window(&[(0, 0, 9), (10, 1, 9), (20, 2, 9), next]);
            assert_eq!(window.behind_since(), Some(second_of(next.0)), "{next:?}");
            assert_eq!(window.usual_commit_interval(), Some(seconds(10)));
            assert_eq!(window.last_commit(), None);
        }
    }

    #[test]
    fn seldom_polls_lie_far_apart_and_are_no_gap() {
        let seldom = Duration::from_secs(600);
        let mut window = window(&[(0, 5, 9)]);
        for cycle in 1..=3 {
            window.observe_every(seldom, seen(600 * cycle, 5, 9 + cycle));
        }
        assert_eq!(window.behind_since(), Some(second_of(0)));
        assert_eq!(window.silent_since(), Some(second_of(0)));
    }

    #[test]
    fn patience_follows_the_longest_interval_and_forgets_it_slowly() {
        let strange = window(&[(0, 0, 9), (10, 1, 9)]);
        assert_eq!(strange.patience(), PATIENCE_WITH_STRANGERS);
        let quick = window(&[(0, 0, 9), (10, 1, 9), (20, 2, 9)]);
        assert_eq!(quick.patience(), MIN_PATIENCE);
        let slow = window(&[(0, 0, 9), (10, 1, 9), (110, 2, 9), (120, 3, 9)]);
        assert_eq!(
            slow.usual_commit_interval(),
            Some(seconds(100) - seconds(90) / 8)
        );
    }

    proptest! {
        #[test]
        fn memory_is_bounded_and_silence_is_no_longer_than_standing(
            steps in proptest::collection::vec((0..70_i64, 0..200_i64, 0..200_i64), 1..300),
        ) {
            let (mut second, mut committed, mut end) = (0, 100, 100);
            let mut window = Window::new(seen(second, committed, end));
            for (wait, consumed, produced) in steps {
                second += wait;
                committed = (committed + consumed - 20).max(0);
                end += produced;
                window.observe(seen(second, committed, end));
                prop_assert!(window.size_bytes() <= Window::MAX_SIZE_BYTES);
                prop_assert_eq!(window.behind_since().is_some(), committed < end);
            }
            prop_assert!(Window::MAX_SIZE_BYTES < 800);
            prop_assert!(window.silent_since() >= window.standing_since());
            prop_assert!(window.silent_since() <= Some(second_of(second)));
            prop_assert!(window.tempo().is_none_or(|tempo| tempo.is_finite() && tempo >= 0.0));
        }
    }
}
