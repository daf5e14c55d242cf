//! What the figures of a group mean: its status, when it will be caught up and whether records will be lost. And what is
//! remembered for it from cycle to cycle.
//!
//! The rules themselves are in `lag`; here they are given what they judge by.

mod context;
mod partition;
mod past;
mod policies;

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use self::context::GroupContext;
pub(in crate::collect) use self::context::{JudgedGroups, JudgingInput};
use self::partition::PartitionJudge;
use self::past::{Neighbours, Past};
use self::policies::Policies;
use crate::collect::clock::Now;
use crate::collect::config::PollConfig;
use crate::collect::fetch::Budget;
use crate::collect::fetch::marks::Marks;
use crate::collect::places::{Map, walk_to};
use crate::collect::rebuild::{Rebuild, Touched};
use crate::kafka::{Admin, KafkaError};
use crate::lag::{GroupId, LogStart, Status, TopicName, TopicPartition, Verdict};
use crate::snapshot::{
    ClusterSnapshot, GroupRow, Judgement, PartitionRow, PartitionRows, RowsToJudge,
};

/// What is remembered of groups, logs and topics.
#[derive(Debug, Default)]
pub(in crate::collect) struct Judging {
    groups: Map<GroupId, Past>,
    log_starts: Map<TopicPartition, LogStart>,
    policies: Policies,
}

impl Judging {
    /// Records where the logs start whose topics have a limit of their size.
    pub(in crate::collect) fn observe_log_starts(&mut self, marks: &Marks, now: Now) {
        let at = now.timestamp();
        for (id, marks) in marks {
            let Some(start) = marks.as_ref().ok().and_then(|marks| marks.log_start) else {
                continue;
            };
            if !self.policies.limits_size(&id.topic) {
                continue;
            }
            match self.log_starts.get_mut(id) {
                Some(known) => known.observe(start, at),
                None => {
                    self.log_starts.insert(id.clone(), LogStart::new(start, at));
                }
            }
        }
    }

    /// Judges what was rebuilt of a snapshot; everything else has been judged.
    pub(in crate::collect) fn judge(
        &mut self,
        snapshot: &mut ClusterSnapshot,
        input: JudgingInput<'_>,
    ) {
        let groups = &mut snapshot.groups;
        match input.judged {
            JudgedGroups::All => {
                let mut rows = input.previous.groups.iter().peekable();
                for row in groups {
                    let before = walk_to(&mut rows, &row.id, |row| &row.id);
                    self.judge_group(row, before.map(AsRef::as_ref), input);
                }
            }
            JudgedGroups::Changed => {
                for (id, _) in input.rebuilds.iter() {
                    if let Ok(index) = groups.binary_search_by(|row| row.id.cmp(id)) {
                        let before = input.previous.group(id).map(AsRef::as_ref);
                        self.judge_group(&mut groups[index], before, input);
                    }
                }
            }
        }
    }

    fn judge_group(
        &mut self,
        row: &mut Arc<GroupRow>,
        before: Option<&GroupRow>,
        input: JudgingInput<'_>,
    ) {
        let past = match self.groups.get_mut(&row.id) {
            Some(past) => past,
            None => self.groups.entry(row.id.clone()).or_default(),
        };
        let at = input.now.timestamp();
        if row.stands_still() {
            // Nothing of it was rebuilt.
            return past.note_cycle(input.judged, at);
        }
        let rebuild = input.rebuilds.of(&row.id);
        if let Some(before) = before {
            past.catch_up(before, rebuild);
        }
        let row = Arc::make_mut(row);
        let context = GroupContext::new(row, input);
        // Whether a topic is abandoned depends on the time as well.
        let touched = match rebuild {
            Rebuild::Only(touched) if past.abandoned.is_empty() => Some(touched.as_slice()),
            Rebuild::Only(_) | Rebuild::Whole => None,
        };
        if touched.is_none() {
            for (topic, _) in row.partitions.by_topic() {
                self.policies.note(topic);
            }
            past.observe_topics(&context);
        }
        let places = observe_partitions(past, touched, &context);
        let judge = PartitionJudge {
            past,
            policies: &self.policies,
            log_starts: &self.log_starts,
            neighbours: LazyCell::new(|| past.neighbours(row)),
            context,
        };
        let known = before.filter(|_| touched.is_some());
        let judgements = GroupJudgements::of(&judge, places, known);
        drop(judge);
        past.note_cycle(input.judged, at);
        row.judged_at = at;
        let has_news = judgements.has_news;
        judgements.apply(row);
        // Whether a topic is abandoned depends on the time alone.
        let is_known = past.abandoned.is_empty();
        let known = before.and_then(|before| before.to_judge.as_ref());
        row.to_judge = is_known.then(|| rows_to_judge(&row.partitions, known.zip(touched)));
        if has_news {
            let findings = row.rows_to_judge().filter(|row| !row.is_quiet());
            row.verdict = Verdict::of(findings.map(|row| (&row.id, row.judgement().finding)));
        }
    }

    /// Forgets what was seen of topics that were recreated.
    pub(in crate::collect) fn forget_topics(&mut self, topics: &BTreeSet<TopicName>) {
        self.log_starts.retain(|id, _| !topics.contains(&id.topic));
        for past in self.groups.values_mut() {
            past.forget_topics(topics);
        }
    }

    /// Forgets the groups that the newest snapshot does not show.
    pub(in crate::collect) fn retain_groups(&mut self, snapshot: &ClusterSnapshot) {
        self.groups.retain(|id, _| snapshot.group(id).is_some());
    }

    /// Forgets the partitions and the topics that the newest snapshot does not show, which takes a look at every row.
    pub(in crate::collect) fn retain_partitions(&mut self, snapshot: &ClusterSnapshot) {
        let shown = topics(snapshot);
        self.policies.retain(|topic| shown.contains(topic));
        let policies = &self.policies;
        self.log_starts
            .retain(|id, _| policies.limits_size(&id.topic));
        for row in &snapshot.groups {
            if let Some(past) = self.groups.get_mut(&row.id) {
                past.retain(row);
            }
        }
    }

    /// Reads when topics delete records, of those that groups have something on, and returns what failed.
    pub(in crate::collect) async fn fetch_policies(
        &mut self,
        admin: &dyn Admin,
        config: &PollConfig,
        budget: Budget,
    ) -> Option<KafkaError> {
        self.policies.fetch(admin, config, budget).await
    }
}

/// Returns the topics that groups have something on.
fn topics(snapshot: &ClusterSnapshot) -> BTreeSet<&TopicName> {
    let groups = snapshot.groups.iter();
    let topics = groups.flat_map(|row| row.partitions.by_topic().map(|(topic, _)| topic));
    topics.collect()
}

/// What was found of some partitions of a group.
struct GroupJudgements {
    /// Those that differ from what the row shows, by place.
    changed: Vec<(usize, Judgement)>,
    /// Whether the group's verdict has to be found again. A verdict depends on findings alone, so it stays while they and the
    /// partitions do.
    has_news: bool,
}

impl GroupJudgements {
    /// Judges the partitions at `places`; `known` is the row before, where it has the same partitions.
    fn of<'a, F: FnOnce() -> Neighbours<'a>>(
        judge: &PartitionJudge<'a, F>,
        places: Vec<usize>,
        known: Option<&GroupRow>,
    ) -> Self {
        let rows = &judge.context.group.partitions;
        let mut judgements = Self {
            changed: Vec::new(),
            has_news: known.is_none(),
        };
        for place in places {
            let judgement = judge.judge(place);
            judgements.has_news |= known.is_some_and(|known| {
                known.partitions[place].judgement().finding != judgement.finding
            });
            if judgement != rows[place].judgement() {
                judgements.changed.push((place, judgement));
            }
        }
        judgements
    }

    fn apply(self, row: &mut GroupRow) {
        for (place, judgement) in self.changed {
            row.partitions.get_mut(place).judge(judgement);
        }
    }
}

/// Adds what was read of a group's partitions, of all or of those that were `touched`, and returns the places of those that
/// have to be judged now.
fn observe_partitions(
    past: &mut Past,
    touched: Option<&[Touched]>,
    context: &GroupContext<'_>,
) -> Vec<usize> {
    let rows = &context.group.partitions;
    let mut places: Vec<usize> = match touched {
        Some(touched) => touched.iter().map(|touched| touched.place).collect(),
        None => (0..rows.len()).collect(),
    };
    for &place in &places {
        past.observe(&rows[place], place, context);
    }
    let is_between_cycles = context.judged == JudgedGroups::Changed;
    if touched.is_some() && is_between_cycles && context.group.verdict.status() >= Status::Stopped {
        // A client that commits is alive, and has not stopped on its other partitions. What depends on time alone waits for the
        // next cycle.
        let stopped = rows.iter().zip(0..).filter(|(row, _)| has_stopped(row));
        places.extend(stopped.map(|(_, place)| place));
        places.sort_unstable();
        places.dedup();
    }
    places
}

/// Returns the rows that have to be judged in the next cycle, too. Where those of the cycle before and the partitions touched
/// since are known, only these are checked.
fn rows_to_judge(rows: &PartitionRows, known: Option<(&RowsToJudge, &[Touched])>) -> RowsToJudge {
    let (mut has_gap, mut has_apart) = (false, false);
    let must_be_judged = |place: &usize| {
        let row = &rows[*place];
        has_gap |= row.failure.is_some();
        has_apart |= row.is_apart();
        !row.stands_still()
    };
    let places = match known {
        Some((known, touched)) => {
            let touched = touched.iter().map(|touched| touched.place);
            let mut places: Vec<usize> = known.places.iter().copied().chain(touched).collect();
            places.sort_unstable();
            places.dedup();
            places.into_iter().filter(must_be_judged).collect()
        }
        None => (0..rows.len()).filter(must_be_judged).collect(),
    };
    RowsToJudge {
        places,
        has_gap,
        has_apart,
    }
}

fn has_stopped(row: &PartitionRow) -> bool {
    !row.is_quiet() && row.judgement().finding.status() == Status::Stopped
}
