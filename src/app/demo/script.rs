//! What happens when: one minute, over and over, so that every panel moves in the first one.

use std::time::Duration;

/// One event of the play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// More tasks than two members can do: lag grows, then drains.
    Wave,
    /// A third member helps; its group rebalances.
    MemberJoins,
    /// It leaves again.
    MemberLeaves,
    /// The analytics consumer hangs in its work: it stays a member, commits nothing, and its lag grows.
    AnalyticsStalls,
    /// It goes on.
    AnalyticsRecovers,
}

/// The length of the play.
const LENGTH: Duration = Duration::from_secs(60);

/// Each act and its time from the beginning.
const ACTS: [(Duration, Act); 5] = [
    (Duration::from_secs(3), Act::Wave),
    (Duration::from_secs(10), Act::AnalyticsStalls),
    (Duration::from_secs(13), Act::MemberJoins),
    (Duration::from_secs(24), Act::AnalyticsRecovers),
    (Duration::from_secs(40), Act::MemberLeaves),
];

/// Returns every act and when it happens, for ever.
pub(super) fn acts() -> impl Iterator<Item = (Duration, Act)> {
    (0..).flat_map(|round: u32| ACTS.map(|(at, act)| (round * LENGTH + at, act)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_follow_each_other_and_what_begins_ends_within_its_minute() {
        let first: Vec<(Duration, Act)> = acts().take(2 * ACTS.len()).collect();
        assert!(
            first.windows(2).all(|pair| pair[0].0 < pair[1].0),
            "{first:?}"
        );
        let at = |act| first.iter().position(|(_, other)| *other == act);
        assert!(at(Act::MemberJoins) < at(Act::MemberLeaves));
        assert!(at(Act::AnalyticsStalls) < at(Act::AnalyticsRecovers));
        assert!(first[ACTS.len()].0 >= LENGTH);
    }
}
