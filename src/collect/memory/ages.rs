//! How old the first unread record of each group partition is: what is remembered for it from cycle to cycle.
//!
//! The log ends that every cycle reads tell it for nothing. Only where a group stands at a record that is older than
//! what was seen, brokers are asked: they search their time index, and no record is fetched.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::standings::{IndexAnswers, Position, Standings};
use crate::collect::config::PollConfig;
use crate::collect::fetch::marks::Marks;
use crate::collect::fetch::topology::Topology;
use crate::collect::fetch::{Budget, within};
use crate::collect::places::Map;
use crate::kafka::{Admin, ListedOffset, OffsetQuery, OffsetSpec};
use crate::lag::{
    Committed, GroupId, History, IndexAnswer, Isolation, Offset, Progress, Sighting, Timestamp,
    TopicName, TopicPartition, Watermarks, readable_end,
};
use crate::snapshot::ClusterSnapshot;

/// The most partitions that are asked about in one round; the others have their turn in a later one.
const MOST_QUESTIONS: usize = 5_000;

/// The most requests that a broker is sent in one round: each holds one timestamp a partition, and several groups on it may
/// have one to ask for.
const MOST_REQUESTS: usize = 4;

/// What one request asks of brokers.
type Questions = BTreeMap<TopicPartition, Timestamp>;

/// What is remembered of logs and of groups.
#[derive(Debug, Default)]
pub(in crate::collect) struct Ages {
    histories: Map<TopicPartition, History>,
    standings: Map<GroupId, Standings>,
    /// When the newest commits were read.
    now: Option<Timestamp>,
}

/// When log ends were asked for, and when the last of them was answered.
#[derive(Clone, Copy, Debug)]
pub(in crate::collect) struct RequestTimes {
    pub(in crate::collect) asked_at: Timestamp,
    pub(in crate::collect) answered_at: Timestamp,
}

impl Ages {
    /// Records the log ends of a cycle, and returns whether a log was truncated.
    pub(in crate::collect) fn observe(&mut self, marks: &Marks, times: RequestTimes) -> bool {
        let RequestTimes {
            asked_at,
            answered_at,
        } = times;
        if self.now.replace(asked_at) > Some(asked_at) {
            self.standings.values_mut().for_each(Standings::reopen);
        }
        let mut was_truncated = false;
        for (id, marks) in marks {
            let Ok(marks) = marks else {
                continue;
            };
            let sighting = Sighting {
                end: marks.log_end,
                asked_at,
                answered_at,
            };
            match self.histories.get_mut(id) {
                Some(history) => {
                    let progress = history.observe(sighting);
                    was_truncated |= matches!(progress, Progress::WentBack { .. });
                }
                None => {
                    self.histories.insert(id.clone(), History::new(sighting));
                }
            }
        }
        was_truncated
    }

    /// Takes in where a group stands, by commits that were read before the log ends, each with the place at which its
    /// partition is looked for first.
    pub(in crate::collect) fn update(
        &mut self,
        group: &GroupId,
        commits: &[(usize, &TopicPartition, Committed)],
        marks: &Marks,
        config: &PollConfig,
    ) {
        if commits.is_empty() {
            return;
        }
        let isolation = config.isolation(group);
        let standings = self.standings.entry(group.clone()).or_default();
        for &(hint, id, committed) in commits {
            let Some(Ok(marks)) = marks.get(id) else {
                continue;
            };
            let position = position(committed, *marks, isolation);
            standings.update((id, hint), position, || self.histories.get_key_value(id));
        }
    }

    /// Asks brokers for what the log ends do not tell, in rounds of one request a broker, or a few where several groups on
    /// one partition have something to ask; only those whose log ends, among `marks`, were read just now.
    ///
    /// What fails, or finds no room, is asked again in the next cycle.
    pub(in crate::collect) async fn search(
        &mut self,
        admin: &dyn Admin,
        config: &PollConfig,
        budget: Budget,
        (topology, marks): (&Topology, &Marks),
    ) {
        let end = budget.end.min(Instant::now() + budget.request_timeout);
        self.standings
            .values_mut()
            .for_each(Standings::begin_asking);
        for _ in 0..config.index_rounds {
            let requests = self.requests(config, marks);
            if requests.is_empty() || Instant::now() >= end {
                return;
            }
            let limit = budget.request_timeout;
            let calls = requests
                .iter()
                .map(|questions| ask(admin, questions, topology, limit));
            let mut answers = IndexAnswers::default();
            for (id, asked, answer) in join_all(calls).await.into_iter().flatten() {
                answers.entry(id).or_default().push((asked, answer));
            }
            if answers.is_empty() {
                return;
            }
            self.answer(&answers, config);
        }
    }

    /// Returns what is to be asked in one round.
    fn requests(&mut self, config: &PollConfig, marks: &Marks) -> Vec<Questions> {
        let Some(now) = self.now else {
            return Vec::new();
        };
        let mut requests: Vec<Questions> = Vec::new();
        let mut count = 0;
        let mut ask = |id: &TopicPartition, asked: Timestamp| {
            // A leader that has just failed is not asked for more.
            if !matches!(marks.get(id), Some(Ok(_))) {
                return;
            }
            let is_known = |questions: &Questions| questions.get(id) == Some(&asked);
            if count == MOST_QUESTIONS || requests.iter().any(is_known) {
                return;
            }
            let free = requests
                .iter()
                .position(|questions| !questions.contains_key(id));
            let index = free.unwrap_or(requests.len());
            if index == MOST_REQUESTS {
                return;
            }
            if index == requests.len() {
                requests.push(Questions::new());
            }
            requests[index].insert(id.clone(), asked);
            count += 1;
        };
        for standings in self.standings.values_mut() {
            standings.ask(now, config.poll_interval, &mut ask);
        }
        requests
    }

    /// Applies the answers of one round.
    fn answer(&mut self, answers: &IndexAnswers, config: &PollConfig) {
        let Some(now) = self.now else {
            return;
        };
        for standings in self.standings.values_mut() {
            standings.answer(answers, now, config.poll_interval);
        }
    }

    /// Returns where a group stands; nothing for a group without a commit.
    pub(in crate::collect) fn standings(&self, group: &GroupId) -> Option<&Standings> {
        self.standings.get(group)
    }

    /// Returns when the newest commits had been read; nothing before the first.
    pub(in crate::collect) fn now(&self) -> Option<Timestamp> {
        self.now
    }

    /// Returns how many logs are remembered.
    #[cfg(test)]
    pub(in crate::collect) fn logs(&self) -> usize {
        self.histories.len()
    }

    /// Forgets what was seen of topics that were recreated.
    pub(in crate::collect) fn forget_topics(&mut self, topics: &BTreeSet<TopicName>) {
        self.histories.retain(|id, _| !topics.contains(&id.topic));
        for standings in self.standings.values_mut() {
            standings.forget(|id| topics.contains(&id.topic));
        }
    }

    /// Forgets the groups that the newest snapshot does not show.
    pub(in crate::collect) fn retain_groups(&mut self, snapshot: &ClusterSnapshot) {
        self.standings.retain(|id, _| snapshot.group(id).is_some());
    }

    /// Forgets what no group that is shown needs, which takes a look at every row.
    pub(in crate::collect) fn retain_partitions(
        &mut self,
        topology: &Topology,
        snapshot: &ClusterSnapshot,
    ) {
        for row in &snapshot.groups {
            if let Some(standings) = self.standings.get_mut(&row.id) {
                standings.retain_shown(&row.partitions);
            }
        }
        let mut lowest: Map<&TopicPartition, Offset> = Map::default();
        for (id, position) in self.standings.values().flat_map(Standings::positions) {
            lowest
                .entry(id)
                .and_modify(|known| *known = position.min(*known))
                .or_insert(position);
        }
        self.histories
            .retain(|id, _| topology.partition(&id.topic, id.partition).is_some());
        for (id, history) in &mut self.histories {
            match lowest.get(id) {
                Some(position) => history.forget_below(*position),
                None => history.keep_newest(),
            }
        }
    }
}

/// Returns where a group reads next: at its commit, or at the first record that is left where that is gone.
fn position(committed: Committed, marks: Watermarks, isolation: Isolation) -> Option<Position> {
    let Committed::At(committed) = committed else {
        return None;
    };
    Some(Position {
        next: marks
            .log_start
            .map_or(committed, |start| committed.max(start)),
        end: readable_end(marks, isolation)?,
    })
}

/// Sends one request to each leader; what has no answer is left out.
async fn ask(
    admin: &dyn Admin,
    questions: &Questions,
    topology: &Topology,
    limit: Duration,
) -> Vec<(TopicPartition, Timestamp, IndexAnswer)> {
    let query = |(id, asked): (&TopicPartition, &Timestamp)| {
        let leader = topology.partition(&id.topic, id.partition)?.leader?;
        let since_epoch_ms = i64::try_from(asked.since_epoch_ms()).ok()?;
        Some(OffsetQuery {
            partition: id.clone(),
            leader,
            spec: OffsetSpec::Timestamp(since_epoch_ms),
        })
    };
    let queries = questions.iter().filter_map(query).collect();
    let call = admin.list_offsets(queries, Isolation::ReadUncommitted, limit);
    let answers = within(limit, call).await.unwrap_or_default();
    answers
        .into_iter()
        .filter_map(|(id, answer)| {
            let asked = *questions.get(&id)?;
            Some((id, asked, index_answer(answer.ok()?)))
        })
        .collect()
}

fn index_answer(listed: ListedOffset) -> IndexAnswer {
    let record = listed
        .offset
        .zip(listed.timestamp_ms.and_then(Timestamp::new));
    record.map_or(IndexAnswer::NoRecord, |(offset, timestamp)| {
        IndexAnswer::Record { offset, timestamp }
    })
}
