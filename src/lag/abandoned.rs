//! Abandoned topics: a group has commits there, and none of its members reads it any more.
//!
//! Their lag grows for ever and says nothing (klag#92). Told with caution: a topic that is wrongly called abandoned would
//! hide a group that has stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::ids::{TopicName, TopicPartition};
use super::status::Members;
use super::timestamp::Timestamp;

/// How long no member may own any partition of a topic before it counts as abandoned.
///
/// Clients look for new topics and partitions every 5 minutes (`metadata.max.age.ms`): a topic that was made anew is
/// nobody's until then.
pub const ABANDONED_AFTER: Duration = Duration::from_secs(600);

/// The topics of one group that nobody reads. No memory while every topic with a commit has an owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AbandonedTopics {
    unowned_since: BTreeMap<TopicName, Timestamp>,
}

impl AbandonedTopics {
    /// Takes in what a cycle knows: the partitions assigned to any member, and the topics that the group has commits on.
    ///
    /// A stable group owns every partition of each topic that any member subscribes to, so a topic of which it owns
    /// none is one to which nobody subscribes. Nothing is learned, and nothing is forgotten, while the group is
    /// rebalanced, has no members or is unknown, and where no member owns anything: such members may hold their
    /// partitions by other means (Kafka Connect, assignments that cannot be read).
    pub fn observe<'a>(
        &mut self,
        now: Timestamp,
        members: Members,
        assigned: impl IntoIterator<Item = &'a TopicPartition>,
        committed: impl IntoIterator<Item = &'a TopicName>,
    ) {
        let owned: BTreeSet<&TopicName> = match members {
            Members::Settled => assigned.into_iter().map(|part| &part.topic).collect(),
            Members::Unknown | Members::Absent | Members::Rebalancing => BTreeSet::new(),
        };
        if owned.is_empty() {
            return;
        }
        let unowned: BTreeSet<&TopicName> = committed
            .into_iter()
            .filter(|topic| !owned.contains(topic))
            .collect();
        self.unowned_since
            .retain(|topic, since| unowned.contains(topic) && *since <= now);
        for topic in unowned {
            if !self.unowned_since.contains_key(topic) {
                self.unowned_since.insert(topic.clone(), now);
            }
        }
    }

    /// Returns whether somebody reads each topic.
    pub fn is_empty(&self) -> bool {
        self.unowned_since.is_empty()
    }

    /// Returns whether nobody has read the topic for ten minutes.
    pub fn contains(&self, topic: &TopicName, now: Timestamp) -> bool {
        self.unowned_since
            .get(topic)
            .is_some_and(|since| now.since(*since) >= ABANDONED_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn minute(minute: u64) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_secs(1_700_000_000 + 60 * minute))
    }

    /// Watches a group with commits on `old` and `new` for so many minutes.
    fn watched(minutes: &[(Members, &[&str])]) -> AbandonedTopics {
        let committed = [TopicName::from("old"), TopicName::from("new")];
        let mut abandoned = AbandonedTopics::default();
        for (&(members, owned), at) in minutes.iter().zip(0..) {
            let assigned: Vec<_> = owned.iter().map(|&t| TopicPartition::new(t, 0)).collect();
            abandoned.observe(minute(at), members, &assigned, &committed);
        }
        abandoned
    }

    fn is_abandoned(minutes: &[(Members, &[&str])]) -> bool {
        let now = minute(u64::try_from(minutes.len()).expect("small") - 1);
        watched(minutes).contains(&"old".into(), now)
    }

    #[test]
    fn a_topic_without_owners_in_a_settled_group_is_abandoned_after_ten_minutes() {
        let settled: (Members, &[&str]) = (Members::Settled, &["new"]);
        assert!(!is_abandoned(&[settled; 10]));
        assert!(is_abandoned(&[settled; 11]));
        assert!(!watched(&[settled; 11]).contains(&"new".into(), minute(10)));
    }

    #[test]
    fn nothing_is_said_where_it_cannot_be_known() {
        for (case, doubt) in [
            ("a rebalance", (Members::Rebalancing, &["new"] as &[&str])),
            ("no members", (Members::Absent, &[])),
            ("unknown members", (Members::Unknown, &["new"])),
            ("members that own nothing", (Members::Settled, &[])),
            ("an owner", (Members::Settled, &["new", "old"])),
        ] {
            assert!(!is_abandoned(&[doubt; 30]), "{case}");
        }
    }

    #[test]
    fn what_is_abandoned_stays_so_through_a_rebalance_until_somebody_reads_it() {
        let settled: (Members, &[&str]) = (Members::Settled, &["new"]);
        for doubt in [Members::Rebalancing, Members::Absent, Members::Unknown] {
            let mut minutes = vec![settled; 20];
            minutes.push((doubt, &[]));
            assert!(is_abandoned(&minutes), "{doubt:?}");
            minutes.push((Members::Settled, &["new", "old"]));
            assert!(!is_abandoned(&minutes), "read again after {doubt:?}");
        }
    }

    #[test]
    fn topics_that_all_have_owners_cost_nothing() {
        let all: (Members, &[&str]) = (Members::Settled, &["old", "new"]);
        assert_eq!(watched(&[all; 20]), AbandonedTopics::default());
    }

    proptest! {
        #[test]
        fn the_order_of_assignments_does_not_matter(
            (assigned, shuffled) in proptest::collection::vec(0..4_i32, 1..8)
                .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        ) {
            let committed: Vec<TopicName> = (0..4).map(|n| format!("t{n}").into()).collect();
            let watch = |numbers: &[i32]| {
                let owned: Vec<_> = numbers
                    .iter()
                    .map(|n| TopicPartition::new(format!("t{n}"), *n))
                    .collect();
                let mut abandoned = AbandonedTopics::default();
                abandoned.observe(minute(0), Members::Settled, &owned, &committed);
                abandoned
            };
            prop_assert_eq!(watch(&assigned), watch(&shuffled));
        }
    }
}
