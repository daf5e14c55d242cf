//! The partitions of a group's row: which are the group's, and what is shown for each.
//!
//! All lists are sorted by partition and walked side by side; what is the same for all partitions of a topic is looked up
//! once for each run of them.

use super::evidence::Evidence;
use crate::collect::fetch::groups::{Described, GroupAnswer};
use crate::collect::fetch::topology::Currency;
use crate::collect::memory::Standings;
use crate::collect::places::Map;
use crate::collect::rebuild::Touched;
use crate::kafka::{KafkaError, PartitionMetadata};
use crate::lag::{
    Committed, GroupId, Isolation, Lag, PartitionId, TopicName, TopicPartition, Unavailable,
};
use crate::snapshot::{GroupRow, MemberIndex, Membership, PartitionRow, PartitionRows};

/// A group's partitions, each with its commit as far as it could be read; sorted.
pub(super) type PartitionCommits = Vec<(TopicPartition, Result<Committed, Unavailable>)>;

/// Returns the group's partitions: those with a commit, and those assigned to a member.
pub(super) fn commits(
    before: Option<&GroupRow>,
    answer: &GroupAnswer,
    membership: Option<&Membership>,
    evidence: Evidence<'_>,
) -> PartitionCommits {
    let assigned = membership
        .into_iter()
        .flat_map(|membership| membership.members.iter())
        .flat_map(|member| &member.assignment);
    let rows = before.into_iter().flat_map(|row| row.partitions.iter());
    let mut commits = match &answer.committed {
        Ok(read) => {
            let mut commits = read_commits(&read.commits(), before, &answer.description, evidence);
            let uncommitted = |id: &TopicPartition| (id.clone(), Ok(Committed::Never));
            commits.extend(assigned.map(uncommitted));
            if matches!(answer.description, Described::Failed(_)) {
                // Whose they are cannot be read now; those that were the group's by assignment stay so.
                let held = rows.filter(|row| is_held_without_commit(row));
                commits.extend(held.map(|row| uncommitted(&row.id)));
            }
            commits
        }
        Err(_) => {
            let known = rows.map(|row| &row.id).chain(assigned);
            known
                .map(|id| (id.clone(), Err(Unavailable::Committed)))
                .collect()
        }
    };
    // Stable: what was read stands before what is only known to be the group's.
    commits.sort_by(|(one, _), (other, _)| one.cmp(other));
    commits.dedup_by(|(next, _), (first, _)| next == first);
    let mut topics = KnownTopics::new(evidence);
    commits.retain_mut(|(id, _)| topics.admit(id));
    commits
}

fn is_held_without_commit(row: &PartitionRow) -> bool {
    let is_uncommitted = row
        .reading
        .as_ref()
        .is_some_and(|reading| reading.committed == Committed::Never);
    row.owner.is_some() || is_uncommitted || matches!(row.latest(), Lag::NoCommit { .. })
}

/// Returns the partitions that the commits themselves make the group's.
///
/// A partition that the request named and that was never committed is the group's only by assignment. Where the
/// cluster cannot tell assignments, it counts as the group's if the group has committed on its topic, or nowhere yet:
/// a group that has just begun is seen waiting, and the other named topics are not held against it.
fn read_commits(
    read: &[(TopicPartition, Result<Committed, KafkaError>)],
    before: Option<&GroupRow>,
    description: &Described,
    evidence: Evidence<'_>,
) -> PartitionCommits {
    let was_named = !evidence.config.topic_names.is_empty();
    let topics = matches!(description, Described::Unsupported).then(|| CommittedTopics::of(read));
    let is_ours = |id: &TopicPartition, commit: &Result<Committed, KafkaError>| match commit {
        Ok(Committed::At(_)) => true,
        Ok(Committed::Never) => topics
            .as_ref()
            .is_some_and(|topics| topics.admit(&id.topic)),
        Err(_) => !was_named || before.is_some_and(|row| row.partitions.get(id).is_some()),
    };
    read.iter()
        .filter(|(id, commit)| is_ours(id, commit))
        .map(|(id, commit)| {
            let commit = commit.as_ref().map_err(|_| Unavailable::Committed);
            (id.clone(), commit.copied())
        })
        .collect()
}

/// The topics a group has committed on.
struct CommittedTopics<'a>(Vec<&'a TopicName>);

impl<'a> CommittedTopics<'a> {
    fn of(read: &'a [(TopicPartition, Result<Committed, KafkaError>)]) -> Self {
        let committed = read
            .iter()
            .filter(|(_, commit)| !matches!(commit, Ok(Committed::Never)));
        let mut topics: Vec<&TopicName> = committed.map(|(id, _)| &id.topic).collect();
        topics.sort_unstable();
        topics.dedup();
        Self(topics)
    }

    fn admit(&self, topic: &TopicName) -> bool {
        self.0.is_empty() || self.0.binary_search(&topic).is_ok()
    }
}

/// What is known of the topics of a sorted list of partitions, the newest of which is remembered.
struct KnownTopics<'a> {
    evidence: Evidence<'a>,
    newest: Option<KnownTopic<'a>>,
}

struct KnownTopic<'a> {
    /// As the list spells it.
    asked: TopicName,
    /// The allocation of the name that every row shares.
    name: TopicName,
    partitions: ExistingPartitions<'a>,
}

/// Which partitions of a topic may exist: whole metadata of this cycle that do not name one say that it does not.
#[derive(Clone, Copy)]
enum ExistingPartitions<'a> {
    Any,
    These(&'a [PartitionMetadata]),
    None,
}

impl<'a> KnownTopics<'a> {
    fn new(evidence: Evidence<'a>) -> Self {
        Self {
            evidence,
            newest: None,
        }
    }

    /// Returns whether the partition is shown, and lets it share its topic's name.
    fn admit(&mut self, id: &mut TopicPartition) -> bool {
        let newest = self.newest.take().filter(|topic| topic.asked == id.topic);
        let topic = newest.unwrap_or_else(|| self.look_up(&id.topic));
        let is_shown = topic.partitions.contains(id.partition);
        id.topic.clone_from(&topic.name);
        self.newest = Some(topic);
        is_shown
    }

    fn look_up(&self, asked: &TopicName) -> KnownTopic<'a> {
        let Evidence {
            topology,
            currency,
            config,
            ..
        } = self.evidence;
        let known = topology.and_then(|topology| topology.topics.get_key_value(asked));
        let partitions = match (topology, known) {
            _ if !config.watches_topic(asked.as_str()) => ExistingPartitions::None,
            (None, _) | (Some(_), Some((_, Err(_)))) => ExistingPartitions::Any,
            _ if currency == Currency::Kept => ExistingPartitions::Any,
            (Some(_), Some((_, Ok(partitions)))) => ExistingPartitions::These(partitions),
            (Some(_), None) => ExistingPartitions::None,
        };
        KnownTopic {
            asked: asked.clone(),
            name: known.map_or(asked, |(name, _)| name).clone(),
            partitions,
        }
    }
}

impl ExistingPartitions<'_> {
    fn contains(self, id: PartitionId) -> bool {
        match self {
            Self::Any => true,
            Self::These(partitions) => partitions
                .binary_search_by_key(&id, |partition| partition.id)
                .is_ok(),
            Self::None => false,
        }
    }
}

/// Returns the rows of the group's partitions, to be judged once the group's row is whole.
pub(super) fn rows(
    group: &GroupId,
    before: Option<&GroupRow>,
    commits: PartitionCommits,
    membership: Option<&Membership>,
    evidence: Evidence<'_>,
) -> PartitionRows {
    let owners = membership.map(owners).unwrap_or_default();
    let isolation = evidence.config.isolation(group);
    let standings = evidence.ages.standings(group);
    let row =
        |((id, committed), hint): ((TopicPartition, Result<Committed, Unavailable>), usize)| {
            let known = before.and_then(|before| Some((before, before.partitions.get(&id)?)));
            let owner = owners.get(&id).copied();
            let committed = (committed, isolation);
            row((id, hint), standings, committed, known, owner, evidence)
        };
    commits.into_iter().zip(0..).map(row).collect()
}

/// Returns the rows of before, with those of some partitions built again, to be judged. Rows that would show the same are
/// kept, and the whole of before where all of them would.
pub(super) fn touched(
    before: &GroupRow,
    touched: &[Touched],
    evidence: Evidence<'_>,
) -> PartitionRows {
    let standings = evidence.ages.standings(&before.id);
    let may_differ = pending_that_may_differ(before, standings);
    let read = touched.iter().filter(|touched| match &may_differ {
        Some(places) => touched.changed.is_some() || places.binary_search(&touched.place).is_ok(),
        None => true,
    });
    let made = read.filter_map(|touched| {
        let &Touched { place, changed } = touched;
        let known = &before.partitions[place];
        if evidence.reads_the_same(known, touched, standings) {
            return None;
        }
        let committed = changed.or_else(|| Some(known.reading.as_ref()?.committed))?;
        let row = row(
            (known.id.clone(), place),
            standings,
            (Ok(committed), before.isolation),
            Some((before, known)),
            known.owner,
            evidence,
        );
        (!row.reads_the_same_as(known)).then_some((place, row))
    });
    before.partitions.replaced(made)
}

/// Returns the places, sorted, of the rows that may show something else although neither commit nor log has changed: brokers were
/// asked how long the first record has been pending. Nothing where that may be any of them.
fn pending_that_may_differ(before: &GroupRow, standings: Option<&Standings>) -> Option<Vec<usize>> {
    if before.to_judge.as_ref()?.has_apart {
        return None;
    }
    let Some(standings) = standings else {
        return Some(Vec::new());
    };
    let asked = standings.asked()?;
    Some(asked.filter_map(|id| before.partitions.place(id)).collect())
}

fn row(
    (id, hint): (TopicPartition, usize),
    standings: Option<&Standings>,
    (committed, isolation): (Result<Committed, Unavailable>, Isolation),
    known: Option<(&GroupRow, &PartitionRow)>,
    owner: Option<MemberIndex>,
    evidence: Evidence<'_>,
) -> PartitionRow {
    let marks = evidence.marks(&id);
    let reading = evidence.reading(standings, (&id, hint), (committed, marks), isolation);
    let reading = reading.map_err(|failure| {
        let kept = known.and_then(|(before, row)| evidence.kept(before.measured, row));
        (failure, kept)
    });
    PartitionRow::new(id, reading, owner)
}

/// Returns the member that owns each partition: the first by id, should two claim it in the middle of a rebalance.
fn owners(membership: &Membership) -> Map<&TopicPartition, MemberIndex> {
    let mut members: Vec<_> = membership.members.iter().zip(0..).collect();
    members.sort_by_key(|(member, _)| &member.id);
    let mut owners = Map::default();
    for (member, index) in members {
        let Some(index) = MemberIndex::new(index) else {
            continue;
        };
        for partition in &member.assignment {
            owners.entry(partition).or_insert(index);
        }
    }
    owners
}
