//! Finding the coordinators of groups while asking them.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until};

use super::client::{KafkaAdmin, is_unreachable};
use super::cluster::PATIENCE;
use crate::kafka::error::{ErrorCode, KafkaError};
use crate::lag::{BrokerId, GroupId};

/// What each group answered, and what failed for it.
pub(super) type Answers<T> = BTreeMap<GroupId, Result<T, KafkaError>>;

/// The time that asking about groups has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    /// When what was answered is returned.
    pub(super) until: Instant,
    /// The deadline of the requests, not before `until`: a request that is late ends its connection, and others wait on it.
    pub(super) deadline: Instant,
}

impl From<Instant> for Time {
    fn from(deadline: Instant) -> Self {
        Self {
            until: deadline,
            deadline,
        }
    }
}

/// Asks about each group at its known coordinator; without one, asks the brokers in turn until one accepts it. Each call
/// begins with another broker.
///
/// A known coordinator that denies the group, or cannot be reached, is forgotten. Where one has not answered after half of
/// the time, the others are asked as well. No broker is asked twice about a group, even where its coordinator moves meanwhile.
pub(super) async fn at_coordinators<T, F>(
    admin: &KafkaAdmin,
    groups: Vec<GroupId>,
    Time { until, deadline }: Time,
    ask: impl Fn(BrokerId, Vec<GroupId>, Instant) -> F,
) -> Answers<T>
where
    F: Future<Output = Answers<T>>,
{
    if groups.is_empty() {
        return Answers::new();
    }
    if let Err(error) = admin.learn_brokers(until).await {
        return groups
            .into_iter()
            .map(|group| (group, Err(error.clone())))
            .collect();
    }
    let mut search = Search {
        admin,
        answers: Answers::new(),
        failures: HashMap::new(),
        asked: HashMap::new(),
    };
    let (by_broker, mut open) = admin.coordinators.sort(groups);
    let begin = |broker, groups, source| {
        let answers = ask(broker, groups, deadline);
        async move { (broker, source, answers.await) }
    };
    let mut running = FuturesUnordered::new();
    // Groups whose known coordinator has not answered.
    let mut waiting = Vec::new();
    for (broker, groups) in by_broker {
        waiting.extend(groups.iter().map(|group| (broker, group.clone())));
        running.push(begin(broker, groups, Source::Known));
    }
    let now = Instant::now();
    let half = now + until.saturating_duration_since(now) / 2;
    let others = admin.cluster.brokers_in_turn();
    let mut next_at = now;
    loop {
        open.retain(|group| search.is_open(group));
        // A silent broker holds up nobody whose coordinator has answered.
        if open.is_empty() && waiting.is_empty() {
            break;
        }
        let now = Instant::now();
        if now >= until {
            while let Some(Some((broker, source, answers))) = running.next().now_or_never() {
                search.take(broker, source, answers);
            }
            search.forget_denials();
            open.extend(waiting.into_iter().map(|(_, group)| group));
            open.retain(|group| search.is_open(group));
            break;
        }
        if now >= half {
            for (broker, group) in std::mem::take(&mut waiting) {
                search.asked.insert((broker, group.clone()), false);
                open.push(group);
            }
        }
        if next_at <= now && !open.is_empty() {
            match search.next(&others, &open) {
                Some((broker, groups)) => {
                    running.push(begin(broker, groups, Source::Guessed));
                    next_at = now + PATIENCE;
                }
                None if running.is_empty() => break,
                None => next_at = until,
            }
        }
        let wake_at = match (open.is_empty(), waiting.is_empty()) {
            (true, _) => half,
            (false, true) => next_at.min(until),
            (false, false) => next_at.min(half),
        };
        tokio::select! {
            biased;
            answered = running.next(), if !running.is_empty() => {
                if let Some((broker, source, answers)) = answered {
                    waiting.retain(|(known, _)| source == Source::Guessed || *known != broker);
                    open.extend(search.take(broker, source, answers));
                    // The next broker is asked at once: patience is for silence only.
                    next_at = Instant::now();
                }
            }
            () = sleep_until(wake_at) => {}
        }
    }
    search.end(open, until)
}

/// Why a broker was asked about groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// It is known to coordinate them.
    Known,
    /// It may.
    Guessed,
}

/// What a search has found.
struct Search<'a, T> {
    admin: &'a KafkaAdmin,
    /// What settles a group: the first answer of its coordinator.
    answers: Answers<T>,
    /// What does not: the error that says most.
    failures: HashMap<GroupId, KafkaError>,
    /// Which brokers were asked about groups that are open, and whether they have answered.
    asked: HashMap<(BrokerId, GroupId), bool>,
}

impl<T> Search<'_, T> {
    /// Returns the next broker to ask, and the open groups that it was not asked about; notes that it is asked.
    fn next(&mut self, brokers: &[BrokerId], open: &[GroupId]) -> Option<(BrokerId, Vec<GroupId>)> {
        let next = brokers.iter().find_map(|broker| {
            let groups = open.iter().cloned();
            let groups = groups.filter(|group| !self.asked.contains_key(&(*broker, group.clone())));
            let groups: Vec<GroupId> = groups.collect();
            (!groups.is_empty()).then_some((*broker, groups))
        });
        let (broker, groups) = next?;
        let asked = groups.iter().map(|group| ((broker, group.clone()), false));
        self.asked.extend(asked);
        Some((broker, groups))
    }

    /// Takes over what a broker answered, and returns the groups that this does not settle.
    fn take(&mut self, broker: BrokerId, source: Source, answers: Answers<T>) -> Vec<GroupId> {
        let coordinators = &self.admin.coordinators;
        let mut open = Vec::new();
        for (group, answer) in answers {
            if self.answers.contains_key(&group) {
                continue;
            }
            match answer {
                Err(error) if leaves_open(&error, source) => {
                    coordinators.forget(&group, broker);
                    self.asked.insert((broker, group.clone()), true);
                    // A denial says less than why a broker could not be asked.
                    if !error.code.is_not_coordinator() || !self.failures.contains_key(&group) {
                        self.failures.insert(group.clone(), error);
                    }
                    if source == Source::Known {
                        open.push(group);
                    }
                }
                answer => {
                    if answer.is_ok() {
                        coordinators.remember(&group, broker);
                    }
                    self.answers.insert(group, answer);
                }
            }
        }
        open
    }

    /// Drops a denial where another broker that was asked is still silent: that one may be the coordinator.
    fn forget_denials(&mut self) {
        let silent = self.asked.iter().filter(|(_, is_answered)| !**is_answered);
        for ((_, group), _) in silent {
            let failure = self.failures.get(group);
            if failure.is_some_and(|error| error.code.is_not_coordinator()) {
                self.failures.remove(group);
            }
        }
    }

    /// Returns whether no answer so far settles the group.
    fn is_open(&self, group: &GroupId) -> bool {
        !self.answers.contains_key(group)
    }

    /// Returns what was answered, and why there is no answer for the groups that are open.
    fn end(mut self, open: Vec<GroupId>, until: Instant) -> Answers<T> {
        let nobody = if Instant::now() >= until {
            self.admin.cluster.common.journal.explain(KafkaError {
                code: ErrorCode::TIMED_OUT,
                message: "no broker answered for the group in time".to_owned(),
            })
        } else {
            KafkaError::of(ErrorCode::COORDINATOR_NOT_AVAILABLE)
        };
        for group in open {
            let failure = self.failures.remove(&group);
            let failure = failure.unwrap_or_else(|| nobody.clone());
            self.answers.insert(group, Err(failure));
        }
        self.answers
    }
}

/// Returns whether another broker may know better.
fn leaves_open(error: &KafkaError, source: Source) -> bool {
    error.code.is_not_coordinator()
        || is_unreachable(error.code)
        || (source == Source::Guessed && error.code.is_unsupported())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use tokio::time::timeout_at;

    use super::*;
    use crate::kafka::admin::Broker;
    use crate::kafka::connection::Connection;

    const TIMEOUT: Duration = Duration::from_secs(5);

    /// What a broker says of one group, and how many milliseconds after it was asked.
    type Word = (u64, Result<i32, ErrorCode>);

    /// Brokers 1, 2 and so on, each with one word for every group; broker 1 is known to coordinate `known`.
    struct World {
        admin: KafkaAdmin,
        words: Vec<Word>,
        /// Who was asked about how many groups, and after how many milliseconds.
        asked: Mutex<Vec<(i32, usize, u128)>>,
    }

    impl World {
        fn new(words: &[Word], known: &[&str]) -> Self {
            let connection = Connection::plain(["127.0.0.1:1"]);
            let admin = KafkaAdmin::connect(&connection, ()).expect("it is valid");
            let brokers: Vec<Broker> = (1..)
                .zip(words)
                .map(|(id, _)| Broker {
                    id: BrokerId(id),
                    host: "127.0.0.1".to_owned(),
                    port: 1,
                })
                .collect();
            admin.cluster.set_brokers(&brokers);
            for group in known {
                let group = GroupId::from(*group);
                admin.coordinators.remember(&group, BrokerId(1));
            }
            Self {
                admin,
                words: words.to_vec(),
                asked: Mutex::default(),
            }
        }

        /// Asks about groups, and returns what each answered and how many milliseconds that took.
        async fn ask(&self, groups: &[&str]) -> (Vec<Result<i32, ErrorCode>>, u128) {
            let begin = Instant::now();
            let groups = groups.iter().map(|group| GroupId::from(*group)).collect();
            let answers = at_coordinators(
                &self.admin,
                groups,
                (begin + TIMEOUT).into(),
                |broker: BrokerId, groups: Vec<GroupId>, deadline| {
                    let place = usize::try_from(broker.0 - 1).expect("they begin at 1");
                    let (millis, word) = self.words[place];
                    let asked = (broker.0, groups.len(), begin.elapsed().as_millis());
                    self.asked.lock().expect("no test panics").push(asked);
                    async move {
                        let answer = tokio::time::sleep(Duration::from_millis(millis));
                        let answer = timeout_at(deadline, answer).await;
                        let word = answer.map_or(Err(ErrorCode::TIMED_OUT), |()| word);
                        let word = || word.map_err(KafkaError::of);
                        groups.into_iter().map(|group| (group, word())).collect()
                    }
                },
            );
            let answers = answers.await.into_values();
            let answers = answers.map(|answer| answer.map_err(|error| error.code));
            (answers.collect(), begin.elapsed().as_millis())
        }

        fn asked(&self) -> Vec<(i32, usize, u128)> {
            self.asked.lock().expect("no test panics").clone()
        }
    }

    const ELSEWHERE: Result<i32, ErrorCode> = Err(ErrorCode::NOT_COORDINATOR);
    const SILENCE: u64 = 60_000;

    #[tokio::test(start_paused = true)]
    async fn a_known_coordinator_has_all_of_the_time() {
        let world = World::new(&[(4_000, Ok(7)), (10, ELSEWHERE), (10, ELSEWHERE)], &["g"]);
        assert_eq!(world.ask(&["g"]).await, (vec![Ok(7)], 4_000));
        let asked = world.asked();
        assert_eq!(asked[0], (1, 1, 0));
        assert!(
            asked[1..].iter().all(|(_, _, at)| *at >= 2_500),
            "{asked:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn others_are_asked_at_once_where_one_denies_and_a_known_one_is_silent() {
        let denials = [
            (SILENCE, ELSEWHERE),
            (10, ELSEWHERE),
            (10, ELSEWHERE),
            (10, ELSEWHERE),
        ];
        let world = World::new(&denials, &["g"]);
        let (answers, millis) = world.ask(&["g"]).await;
        // It may be the coordinator, for all that is known.
        assert_eq!((answers, millis), (vec![Err(ErrorCode::TIMED_OUT)], 5_000));
        let asked = world.asked();
        assert_eq!(asked.len(), 4, "each once: {asked:?}");
        assert!(asked.iter().all(|(_, _, at)| *at < 2_600), "{asked:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_coordinator_is_found_while_the_known_one_is_silent() {
        let words = [(SILENCE, Ok(1)), (10, Ok(2))];
        let world = World::new(&words, &["g"]);
        assert_eq!(world.ask(&["g"]).await, (vec![Ok(2)], 2_510));
        let group = GroupId::from("g");
        let (known, _) = world.admin.coordinators.sort([group]);
        assert_eq!(known.keys().copied().collect::<Vec<_>>(), [BrokerId(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn where_everybody_denies_nobody_is_waited_for() {
        let world = World::new(&[(10, ELSEWHERE), (10, ELSEWHERE)], &["g"]);
        let expected = vec![ELSEWHERE, ELSEWHERE];
        assert_eq!(world.ask(&["f", "g"]).await, (expected, 20));
        let groups: usize = world.asked().iter().map(|(_, groups, _)| groups).sum();
        assert_eq!(groups, 4, "{:?}", world.asked());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_coordinator_holds_up_no_group_without_one() {
        let world = World::new(&[(SILENCE, ELSEWHERE), (10, Ok(2))], &["g"]);
        let (answers, millis) = world.ask(&["f", "g"]).await;
        assert_eq!((answers, millis), (vec![Ok(2), Ok(2)], 2_510));
        let first = world.asked().iter().filter(|(_, _, at)| *at < 20).count();
        assert_eq!(first, 2, "{:?}", world.asked());
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_answer_of_a_coordinator_stays() {
        let world = World::new(&[(2_700, Ok(1)), (400, Ok(2))], &["g"]);
        assert_eq!(world.ask(&["g"]).await, (vec![Ok(1)], 2_700));
        let group = GroupId::from("g");
        let (known, _) = world.admin.coordinators.sort([group]);
        assert_eq!(known.keys().copied().collect::<Vec<_>>(), [BrokerId(1)]);
    }
}
