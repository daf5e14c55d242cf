//! Following `__consumer_offsets`: records that are read change the state, and the changed groups wait to be shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::check::Check;
use super::members::{MemberChange, RecordPosition};
use super::progress::TopicProgress;
use super::state::{Novelty, State, StateChange, group_of};
use super::topic::TOPIC;
use crate::collect::config::PollConfig;
use crate::collect::fetch::commits::FetchedCommits;
use crate::collect::fetch::groups::{GroupAnswer, Seen};
use crate::collect::fetch::listing::Listed;
use crate::kafka::log_reader::is_lost;
use crate::kafka::{ErrorCode, GroupDescription, KafkaError, Log, LogEvent, LogRecord};
use crate::lag::{GroupId, Offset, PartitionId, TopicName, TopicPartition};
use crate::metrics::ClusterMetrics;
use crate::offsets_topic::{Malformed, Record, decode};
use crate::snapshot::{Activity, EventWriter, Happening};

/// A reader of the topic, and the state of the groups by what was read.
#[derive(Debug)]
pub(in crate::collect) struct Follower {
    log: Box<dyn Log>,
    progress: TopicProgress,
    state: State,
    changed: BTreeMap<GroupId, ChangedGroup>,
    checks: Vec<Check>,
    /// What happened and is not written to `events` yet.
    happenings: Vec<Happening>,
    events: Option<EventWriter>,
    /// Why the topic cannot be followed, if it cannot.
    refusal: Option<KafkaError>,
    has_logged_malformed: bool,
    metrics: ClusterMetrics,
}

/// What of a group changed since it was last shown.
#[derive(Clone, Debug, Default)]
pub(in crate::collect) struct ChangedGroup {
    pub(in crate::collect) partitions: BTreeSet<TopicPartition>,
    /// Whether the coordinator has to be asked for the members.
    pub(in crate::collect) asks_for_members: bool,
}

impl Follower {
    pub(super) fn new(log: Box<dyn Log>, progress: TopicProgress, metrics: ClusterMetrics) -> Self {
        // They start at 0: `increase` misses the first event of a counter that starts with it.
        metrics.stream_gaps();
        metrics.stream_drift();
        Self {
            log,
            progress,
            state: State::default(),
            changed: BTreeMap::new(),
            checks: Vec::new(),
            happenings: Vec::new(),
            events: None,
            refusal: None,
            has_logged_malformed: false,
            metrics,
        }
    }

    /// Writes what happens from now on to `events`.
    pub(super) fn reporting_to(mut self, events: Option<EventWriter>) -> Self {
        self.events = events;
        self
    }

    pub(super) fn progress(&self) -> &TopicProgress {
        &self.progress
    }

    /// Returns why the topic cannot be followed, if it cannot.
    pub(super) fn refusal(&self) -> Option<&KafkaError> {
        self.refusal.as_ref()
    }

    /// Starts to read a partition.
    pub(super) fn start(&mut self, partition: PartitionId, at: Offset) {
        self.progress.start(partition, at);
        self.log.read(partition, at);
    }

    /// Stops reading partitions that hold no watched group, and includes those that may.
    pub(super) fn restrict(&mut self, config: &PollConfig) {
        let count = self.progress.len();
        let named: BTreeSet<PartitionId> = config
            .group_names
            .iter()
            .map(|group| self.progress.partition_of(group.as_str()))
            .collect();
        let is_wanted = |partition: PartitionId| {
            let is_named = config.group_names.is_empty() || named.contains(&partition);
            is_named && config.share.may_own_in(partition, count)
        };
        for partition in self.progress.restrict(is_wanted) {
            self.log.stop(partition);
        }
        self.state
            .retain_watched(|group| config.watches_group(group));
        self.changed.retain(|group, _| config.watches_group(group));
        self.checks
            .retain(|check| config.watches_group(&check.group));
    }

    /// Notes the ends of the partitions.
    pub(super) fn note_ends(&mut self, ends: &BTreeMap<PartitionId, Offset>, now: Instant) {
        self.progress.note_ends(ends, now);
    }

    /// Returns what was read next; waits until there is something.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Vec<LogEvent> {
        match self.log.next().await {
            Some(found) => found,
            // The reader's thread has ended. The partitions fall behind, so the cycles ask coordinators.
            None => std::future::pending().await,
        }
    }

    /// Applies what was read.
    pub(super) fn apply(&mut self, found: Vec<LogEvent>, config: &PollConfig) {
        for found in found {
            match found {
                LogEvent::Record(partition, record) => {
                    self.apply_record(partition, &record, config)
                }
                LogEvent::End(partition, next) => {
                    self.progress.advance(partition, next);
                }
                LogEvent::Error(Some(partition), error) if is_lost(&error) => {
                    self.note_gap(partition)
                }
                LogEvent::Error(_, error) => {
                    if error.code.is_authorization() {
                        self.refusal = Some(error);
                    }
                }
            }
        }
        if let Some(events) = &self.events {
            events.append_all(self.happenings.drain(..));
        }
        self.happenings.clear();
        self.run_due_checks();
    }

    fn apply_record(&mut self, partition: PartitionId, record: &LogRecord, config: &PollConfig) {
        if !self.progress.advance(partition, record.offset.next()) {
            return;
        }
        let key = record.key.as_deref().unwrap_or_default();
        let value = record.value.as_deref();
        let bytes = key.len() + value.map_or(0, <[u8]>::len);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.metrics.stream_bytes().inc_by(bytes);
        let read = decode(key, value);
        self.metrics.stream_records(kind(&read)).inc();
        let read = match read {
            Ok(read) => read,
            Err(error) => return self.log_malformed(partition, record.offset, &error),
        };
        if let Some(group) = group_of(&read)
            && self.progress.partition_of(group) != partition
        {
            return self.refuse_layout(partition, group);
        }
        let position = RecordPosition {
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
        };
        let novelty = self.novelty(partition);
        if let Some(change) = self.state.apply(&read, position, novelty, config) {
            self.note_change(change);
        }
    }

    /// Refuses the topic because a group is in another partition than expected: its position would not be known.
    fn refuse_layout(&mut self, partition: PartitionId, group: &str) {
        let expected = self.progress.partition_of(group);
        self.refusal = Some(KafkaError {
            code: ErrorCode::BAD_MSG,
            message: format!(
                "group `{group}` lies in partition {partition}, and should in {expected}"
            ),
        });
    }

    /// Logs the first record that cannot be decoded; all of them are counted.
    fn log_malformed(&mut self, partition: PartitionId, offset: Offset, error: &Malformed) {
        if std::mem::replace(&mut self.has_logged_malformed, true) {
            return;
        }
        tracing::warn!(
            %partition, %offset,
            "the record of `{TOPIC}-{partition}` at offset {offset} cannot be read and is left out: {error}; others like it are only counted"
        );
    }

    fn note_change(&mut self, change: StateChange) {
        let StateChange {
            group,
            partition,
            members,
            event,
            at_ms,
        } = change;
        self.happenings.extend(event.map(|kind| Happening {
            group: group.clone(),
            at_ms,
            kind,
        }));
        let changed = self.changed.entry(group).or_default();
        changed.partitions.extend(partition);
        changed.asks_for_members |= members == MemberChange::ToBeAsked;
    }

    /// Notes that a partition cannot be read from its position on: records of it may have been missed.
    fn note_gap(&mut self, partition: PartitionId) {
        self.metrics.stream_gaps().inc();
        self.progress.stop(partition);
        let progress = &self.progress;
        self.state
            .note_gap(|group| progress.partition_of(group.as_str()) == partition);
        self.checks
            .retain(|check| progress.partition_of(check.group.as_str()) != partition);
    }

    /// Returns what a group's coordinator would answer, by the records; nothing where it has to be asked.
    pub(in crate::collect) fn answer(
        &self,
        id: &GroupId,
        listed: Option<Listed>,
        now: Instant,
    ) -> Option<GroupAnswer> {
        let partition = self.progress.partition_of(id.as_str());
        let position = self.progress.live_position(partition, now)?;
        let group = self.state.known(id, position)?;
        Some(GroupAnswer {
            listed,
            description: group.members().described(listed)?,
            committed: Ok(FetchedCommits::from_records(group.commits())),
            seen: Seen::Compared,
        })
    }

    /// Returns the offset that will be read next of a group's partition, if the partition is live.
    pub(in crate::collect) fn position(&self, id: &GroupId, now: Instant) -> Option<Offset> {
        let partition = self.progress.partition_of(id.as_str());
        self.progress.live_position(partition, now)
    }

    /// Returns whether a group will be known once a few more records were read.
    pub(in crate::collect) fn is_on_the_way(&self, id: &GroupId) -> bool {
        self.state.has_answer(id)
    }

    /// Applies what coordinators answered before `ends` were listed.
    pub(in crate::collect) fn seed<'a>(
        &mut self,
        answers: impl Iterator<Item = (&'a GroupId, &'a GroupAnswer)>,
        ends: &BTreeMap<PartitionId, Offset>,
    ) {
        for (id, answer) in answers {
            let partition = self.progress.partition_of(id.as_str());
            if let Some(end) = ends.get(&partition) {
                let novelty = self.novelty(partition);
                self.state.apply_answer(id, answer, *end, novelty);
            }
        }
    }

    /// Returns whether an unknown group of the partition may be older than the record that is read next.
    fn novelty(&self, partition: PartitionId) -> Novelty {
        if self.progress.has_listed_groups(partition) {
            Novelty::New
        } else {
            Novelty::Unknown
        }
    }

    /// Notes that all groups were listed since the reading of the partitions started.
    pub(in crate::collect) fn survey(&mut self) {
        self.progress.note_group_listing();
    }

    /// Compares a group's commits with `answer` once everything was read up to `ends`. The answer was asked for when
    /// everything before `from` had been read.
    pub(in crate::collect) fn check(
        &mut self,
        group: GroupId,
        answer: GroupAnswer,
        from: Offset,
        ends: &BTreeMap<PartitionId, Offset>,
    ) {
        if let Some(until) = ends
            .get(&self.progress.partition_of(group.as_str()))
            .copied()
        {
            self.checks.push(Check {
                group,
                answer,
                from,
                until,
            });
        }
    }

    fn run_due_checks(&mut self) {
        let now = Instant::now();
        let (due, early): (Vec<_>, Vec<_>) = std::mem::take(&mut self.checks)
            .into_iter()
            .partition(|check| check.is_due(&self.progress, now));
        self.checks = early;
        for check in due {
            let differing = check.reconcile(&mut self.state);
            if differing.is_empty() {
                continue;
            }
            let count = u64::try_from(differing.len()).unwrap_or(u64::MAX);
            self.metrics.stream_drift().inc_by(count);
            let changed = self.changed.entry(check.group).or_default();
            changed.partitions.extend(differing);
        }
    }

    /// Drops comparisons that were not due in time.
    pub(in crate::collect) fn clear_checks(&mut self) {
        self.checks.clear();
    }

    /// Applies a coordinator's description of a group.
    pub(in crate::collect) fn describe(&mut self, id: &GroupId, description: &GroupDescription) {
        self.state.describe(id, description);
    }

    /// Returns whether any group has changed since it was last shown.
    pub(in crate::collect) fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Takes the groups that have changed since they were last shown.
    pub(in crate::collect) fn take_changes(&mut self) -> BTreeMap<GroupId, ChangedGroup> {
        std::mem::take(&mut self.changed)
    }

    /// Keeps a group's change, which cannot be shown yet, for the next time.
    pub(in crate::collect) fn give_back(&mut self, group: GroupId, change: ChangedGroup) {
        let changed = self.changed.entry(group).or_default();
        changed.partitions.extend(change.partitions);
        changed.asks_for_members |= change.asks_for_members;
    }

    /// Returns all activity of a group, including the activity that is shown.
    pub(in crate::collect) fn activity(
        &mut self,
        id: &GroupId,
        shown: Option<&Arc<Activity>>,
    ) -> Arc<Activity> {
        self.state.activity(id, shown)
    }

    /// Forgets the groups that are not shown and have neither commits nor members.
    pub(in crate::collect) fn retain(&mut self, is_shown: impl Fn(&GroupId) -> bool) {
        self.state.retain(is_shown);
    }

    /// Forgets the names of topics that are not kept, and of groups that are not watched.
    pub(in crate::collect) fn forget_names(&mut self, is_kept: impl Fn(&TopicName) -> bool) {
        self.state.forget_names(is_kept);
    }

    /// Forgets a group's commits on topics that are not kept.
    pub(in crate::collect) fn retain_topics(
        &mut self,
        id: &GroupId,
        is_kept: impl Fn(&TopicName) -> bool,
    ) {
        self.state.retain_topics(id, is_kept);
    }
}

/// Returns the kind of a record, as labels name it.
fn kind(read: &Result<Record<'_>, Malformed>) -> &'static str {
    match read {
        Err(_) => "malformed",
        Ok(Record::OffsetCommit { commit: None, .. }) => "tombstone",
        Ok(Record::OffsetCommit { .. }) => "commit",
        Ok(Record::Unknown) => "unknown",
        Ok(_) => "group",
    }
}
