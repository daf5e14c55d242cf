//! Following `__consumer_offsets`: what is read of it goes into the state, and tells which rows are to be shown anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::TOPIC;
use super::members::{MemberChange, RecordPosition};
use super::progress::Progress;
use super::state::{Novelty, State, StateChange, group_of};
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

/// What is known by following the topic.
#[derive(Debug)]
pub(in crate::collect) struct Follower {
    log: Box<dyn Log>,
    progress: Progress,
    state: State,
    pending: BTreeMap<GroupId, Pending>,
    checks: Vec<Check>,
    /// What happened, on its way to `events`.
    happenings: Vec<Happening>,
    events: Option<EventWriter>,
    /// Why the topic may not be read, where it may not.
    refusal: Option<KafkaError>,
    has_told_malformed: bool,
    metrics: ClusterMetrics,
}

/// What of a group is to be shown anew.
#[derive(Clone, Debug, Default)]
pub(in crate::collect) struct Pending {
    pub(in crate::collect) partitions: BTreeSet<TopicPartition>,
    /// Whether only the coordinator can say who the members are.
    pub(in crate::collect) asks_for_members: bool,
}

/// An answer that what is known is to be compared with, once everything written before it was read.
#[derive(Debug)]
struct Check {
    group: GroupId,
    answer: GroupAnswer,
    /// Records from here on may be newer than the answer.
    from: Offset,
    /// Records from here on are.
    until: Offset,
}

impl Follower {
    pub(super) fn new(log: Box<dyn Log>, progress: Progress, metrics: ClusterMetrics) -> Self {
        // They begin at 0: `increase` does not see the first event of a counter that begins with it.
        metrics.stream_gaps();
        metrics.stream_drift();
        Self {
            log,
            progress,
            state: State::default(),
            pending: BTreeMap::new(),
            checks: Vec::new(),
            happenings: Vec::new(),
            events: None,
            refusal: None,
            has_told_malformed: false,
            metrics,
        }
    }

    /// Writes what happens to `events` from now on.
    pub(super) fn reporting_to(mut self, events: Option<EventWriter>) -> Self {
        self.events = events;
        self
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Returns why the topic may not be read, where it may not.
    pub(super) fn refusal(&self) -> Option<&KafkaError> {
        self.refusal.as_ref()
    }

    /// Begins to read a partition.
    pub(super) fn begin(&mut self, partition: PartitionId, at: Offset) {
        self.progress.begin(partition, at);
        self.log.read(partition, at);
    }

    /// Leaves out what holds no group that is watched, and takes in what may.
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
        self.pending.retain(|group, _| config.watches_group(group));
        self.checks
            .retain(|check| config.watches_group(&check.group));
    }

    /// Notes where the partitions end.
    pub(super) fn see_ends(&mut self, ends: &BTreeMap<PartitionId, Offset>, now: Instant) {
        self.progress.see_ends(ends, now);
    }

    /// Returns what was read next; waits where there is nothing.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(in crate::collect) async fn next(&mut self) -> Vec<LogEvent> {
        match self.log.next().await {
            Some(found) => found,
            // The reader's thread has died, which the cycle's own look at the positions tells.
            None => std::future::pending().await,
        }
    }

    /// Takes over what was read.
    pub(in crate::collect) fn take_in(&mut self, found: Vec<LogEvent>, config: &PollConfig) {
        for found in found {
            match found {
                LogEvent::Record(partition, record) => self.record(partition, &record, config),
                LogEvent::End(partition, next) => {
                    self.progress.advance(partition, next);
                }
                LogEvent::Error(Some(partition), error) if is_lost(&error) => self.lose(partition),
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
        self.compare();
    }

    fn record(&mut self, partition: PartitionId, record: &LogRecord, config: &PollConfig) {
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
            Err(error) => return self.tell_malformed(partition, record.offset, &error),
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

    /// Gives up where groups lie elsewhere than they should: nobody could say when they are known.
    fn refuse_layout(&mut self, partition: PartitionId, group: &str) {
        let expected = self.progress.partition_of(group);
        self.refusal = Some(KafkaError {
            code: ErrorCode::BAD_MSG,
            message: format!(
                "group `{group}` lies in partition {partition}, and should in {expected}"
            ),
        });
    }

    /// Tells of the first record that could not be read; all of them are counted.
    fn tell_malformed(&mut self, partition: PartitionId, offset: Offset, error: &Malformed) {
        if std::mem::replace(&mut self.has_told_malformed, true) {
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
        let pending = self.pending.entry(group).or_default();
        pending.partitions.extend(partition);
        pending.asks_for_members |= members == MemberChange::ToBeAsked;
    }

    /// A partition cannot be read on where it stands: something of it may never be seen.
    fn lose(&mut self, partition: PartitionId) {
        self.metrics.stream_gaps().inc();
        self.progress.lose(partition);
        let progress = &self.progress;
        self.state
            .note_gap(|group| progress.partition_of(group.as_str()) == partition);
        self.checks
            .retain(|check| progress.partition_of(check.group.as_str()) != partition);
    }

    /// Returns a group's answer by what was read; nothing where its coordinator has to be asked.
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

    /// Returns the offset that is read next of a group's partition, if that follows its end.
    pub(in crate::collect) fn position(&self, id: &GroupId, now: Instant) -> Option<Offset> {
        let partition = self.progress.partition_of(id.as_str());
        self.progress.live_position(partition, now)
    }

    /// Tells whether a group will be known once a little more was read.
    pub(in crate::collect) fn is_on_the_way(&self, id: &GroupId) -> bool {
        self.state.has_answer(id)
    }

    /// Takes over what coordinators answered before their partitions ended at `ends`.
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

    /// Returns whether a group of the partition that was not heard of before may be older than what is read next.
    fn novelty(&self, partition: PartitionId) -> Novelty {
        if self.progress.is_surveyed(partition) {
            Novelty::New
        } else {
            Novelty::Unknown
        }
    }

    /// Notes that every group was listed after the partitions that are read were begun.
    pub(in crate::collect) fn survey(&mut self) {
        self.progress.survey();
    }

    /// Compares, once everything was read up to `ends`, what is known of a group with an answer that was asked for when
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

    fn compare(&mut self) {
        let now = Instant::now();
        for check in std::mem::take(&mut self.checks) {
            let is_due = self
                .position(&check.group, now)
                .is_some_and(|position| position >= check.until);
            if !is_due {
                self.checks.push(check);
                continue;
            }
            let Ok(commits) = &check.answer.committed else {
                continue;
            };
            let differing = self
                .state
                .reconcile(&check.group, &commits.commits(), check.from);
            if differing.is_empty() {
                continue;
            }
            let count = u64::try_from(differing.len()).unwrap_or(u64::MAX);
            self.metrics.stream_drift().inc_by(count);
            tracing::warn!(
                group = %check.group,
                "the followed offsets of group `{}` differ from its coordinator's on {} partitions, such as `{}`; the coordinator's are taken over",
                check.group,
                differing.len(),
                differing[0],
            );
            let pending = self.pending.entry(check.group).or_default();
            pending.partitions.extend(differing);
        }
    }

    /// Forgets comparisons that were never due.
    pub(in crate::collect) fn clear_checks(&mut self) {
        self.checks.clear();
    }

    /// Takes over how a coordinator describes the members of a group.
    pub(in crate::collect) fn describe(&mut self, id: &GroupId, description: &GroupDescription) {
        self.state.describe(id, description);
    }

    /// Tells whether something is to be shown anew.
    pub(in crate::collect) fn has_changes(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Takes what is to be shown anew.
    pub(in crate::collect) fn take_changes(&mut self) -> BTreeMap<GroupId, Pending> {
        std::mem::take(&mut self.pending)
    }

    /// Gives back what could not be shown yet.
    pub(in crate::collect) fn give_back(&mut self, group: GroupId, pending: Pending) {
        let known = self.pending.entry(group).or_default();
        known.partitions.extend(pending.partitions);
        known.asks_for_members |= pending.asks_for_members;
    }

    /// Returns all that a group was seen to do, beginning with what is shown of it.
    pub(in crate::collect) fn activity(
        &mut self,
        id: &GroupId,
        shown: Option<&Arc<Activity>>,
    ) -> Arc<Activity> {
        self.state.activity(id, shown)
    }

    /// Forgets groups that are neither shown nor known.
    pub(in crate::collect) fn retain(&mut self, is_shown: impl Fn(&GroupId) -> bool) {
        self.state.retain(is_shown);
    }

    /// Forgets the names of topics that are not left, and those that are not watched.
    pub(in crate::collect) fn forget_names(&mut self, is_left: impl Fn(&TopicName) -> bool) {
        self.state.forget_names(is_left);
    }

    /// Forgets what a group was seen to do on topics that are not left.
    pub(in crate::collect) fn retain_topics(
        &mut self,
        id: &GroupId,
        is_left: impl Fn(&TopicName) -> bool,
    ) {
        self.state.retain_topics(id, is_left);
    }
}

/// Returns the word for a record in labels.
fn kind(read: &Result<Record<'_>, Malformed>) -> &'static str {
    match read {
        Err(_) => "malformed",
        Ok(Record::OffsetCommit { commit: None, .. }) => "tombstone",
        Ok(Record::OffsetCommit { .. }) => "commit",
        Ok(Record::UnknownType { .. } | Record::UnknownVersion { .. }) => "unknown",
        Ok(_) => "group",
    }
}
