//! Finding the coordinators of groups while asking them.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::client::{KafkaAdmin, is_unreachable};
use super::cluster::PATIENCE;
use crate::kafka::error::{ErrorCode, KafkaError};
use crate::lag::{BrokerId, GroupId};

/// What each group answered, and what failed for it.
pub(super) type Answers<T> = BTreeMap<GroupId, Result<T, KafkaError>>;

/// Asks about each group at its coordinator: the known one, or else every broker, another one first each time, until one
/// does not say that it is another.
///
/// A broker that turns out not to be the coordinator, or cannot be asked, is forgotten. Where a known one has not answered
/// after half of the time, the others are asked as well. Asks each broker once at most, however often coordinators move.
pub(super) async fn at_coordinators<T, F>(
    admin: &KafkaAdmin,
    groups: Vec<GroupId>,
    deadline: Instant,
    ask: impl Fn(BrokerId, Vec<GroupId>, Instant) -> F,
) -> Answers<T>
where
    F: Future<Output = Answers<T>>,
{
    if groups.is_empty() {
        return Answers::new();
    }
    if let Err(error) = admin.learn_brokers(deadline).await {
        return groups
            .into_iter()
            .map(|group| (group, Err(error.clone())))
            .collect();
    }
    let mut search = Search {
        admin,
        answers: Answers::new(),
        asked: HashMap::new(),
        is_guessing: false,
    };
    let (by_broker, mut open) = admin.coordinators.sort(groups);
    let begin = |broker, groups| {
        let answers = ask(broker, groups, deadline);
        async move { (broker, answers.await) }
    };
    let mut running = FuturesUnordered::new();
    let mut at_known = Vec::new();
    for (broker, groups) in by_broker {
        at_known.extend(groups.iter().map(|group| (broker, group.clone())));
        running.push(begin(broker, groups));
    }
    let now = Instant::now();
    let half = now + deadline.saturating_duration_since(now) / 2;
    while let Ok(Some((broker, answers))) = timeout_at(half, running.next()).await {
        search.take(broker, answers);
    }
    // What a known coordinator has said until now counts, also that it cannot answer.
    for (broker, group) in at_known {
        if search.is_open(&group) {
            let is_answered = search.answers.contains_key(&group);
            search.asked.insert((broker, group.clone()), is_answered);
            open.push(group);
        }
    }
    search.is_guessing = true;
    let mut others = admin.cluster.brokers_in_turn().into_iter();
    let mut next_at = Instant::now();
    loop {
        open.retain(|group| search.is_open(group));
        // A silent broker holds up nobody whose coordinator has answered.
        if open.is_empty() {
            break;
        }
        let now = Instant::now();
        if now >= deadline {
            // A broker that was silent may be the coordinator, whatever the others say.
            search.forget_denials();
            break;
        }
        if running.is_empty() || next_at <= now {
            match others.next() {
                Some(broker) => {
                    let left = search.not_asked(broker, &open);
                    if !left.is_empty() {
                        search.note(broker, &left);
                        running.push(begin(broker, left));
                        next_at = now + PATIENCE;
                    }
                    continue;
                }
                None if running.is_empty() => break,
                None => next_at = deadline,
            }
        }
        tokio::select! {
            // At the deadline, what has been answered counts.
            biased;
            answered = running.next() => {
                if let Some((broker, answers)) = answered {
                    search.take(broker, answers);
                    // The next broker need not wait for the patience with this one.
                    next_at = Instant::now();
                }
            }
            () = sleep_until(next_at.min(deadline)) => {}
        }
    }
    let nobody = if Instant::now() >= deadline {
        admin.cluster.common.journal.explain(KafkaError {
            code: ErrorCode::TIMED_OUT,
            message: "no broker answered for the group in time".to_owned(),
        })
    } else {
        KafkaError::of(ErrorCode::COORDINATOR_NOT_AVAILABLE)
    };
    for group in open {
        let entry = search.answers.entry(group);
        entry.or_insert_with(|| Err(nobody.clone()));
    }
    search.answers
}

/// What a search has found.
struct Search<'a, T> {
    admin: &'a KafkaAdmin,
    answers: Answers<T>,
    /// Which brokers were asked about groups that were not answered at once, and whether they have answered.
    asked: HashMap<(BrokerId, GroupId), bool>,
    /// Whether brokers are asked that are not known to coordinate the groups.
    is_guessing: bool,
}

impl<T> Search<'_, T> {
    /// Notes that a broker is asked about groups.
    fn note(&mut self, broker: BrokerId, groups: &[GroupId]) {
        let asked = groups.iter().map(|group| ((broker, group.clone()), false));
        self.asked.extend(asked);
    }

    /// Takes over what a broker answered.
    fn take(&mut self, broker: BrokerId, answers: Answers<T>) {
        let coordinators = &self.admin.coordinators;
        for (group, answer) in answers {
            if self.is_guessing {
                self.asked.insert((broker, group.clone()), true);
            }
            if let Some(Ok(_)) = self.answers.get(&group) {
                // A broker that was asked later has answered first: what it says is not older.
                continue;
            }
            let Err(error) = &answer else {
                coordinators.remember(&group, broker);
                self.answers.insert(group, answer);
                continue;
            };
            if self.leaves_open(error) {
                coordinators.forget(&group, broker);
            }
            let says_more = match self.answers.get(&group) {
                Some(Err(known)) => self.leaves_open(known) && !error.code.is_not_coordinator(),
                Some(Ok(_)) | None => true,
            };
            if says_more {
                self.answers.insert(group, answer);
            }
        }
    }

    /// Forgets that brokers denied to be the coordinators of groups for which another one has not answered.
    fn forget_denials(&mut self) {
        let silent = self.asked.iter().filter(|(_, is_answered)| !**is_answered);
        for ((_, group), _) in silent {
            let answer = self.answers.get(group);
            if matches!(answer, Some(Err(error)) if error.code.is_not_coordinator()) {
                self.answers.remove(group);
            }
        }
    }

    /// Returns the groups that a broker was not asked about.
    fn not_asked(&self, broker: BrokerId, groups: &[GroupId]) -> Vec<GroupId> {
        let groups = groups.iter();
        groups
            .filter(|group| !self.asked.contains_key(&(broker, (*group).clone())))
            .cloned()
            .collect()
    }

    /// Returns whether another broker may know better.
    fn leaves_open(&self, error: &KafkaError) -> bool {
        error.code.is_not_coordinator()
            || is_unreachable(error.code)
            || (self.is_guessing && error.code.is_unsupported())
    }

    /// Returns whether no coordinator has spoken for the group.
    fn is_open(&self, group: &GroupId) -> bool {
        match self.answers.get(group) {
            None => true,
            Some(Ok(_)) => false,
            Some(Err(error)) => self.leaves_open(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::kafka::admin::Broker;
    use crate::kafka::connection::Connection;

    const TIMEOUT: Duration = Duration::from_secs(5);

    /// What a broker says of one group, and how many milliseconds after it was asked.
    type Word = (u64, Result<i32, ErrorCode>);

    /// Brokers 1, 2 and so on, of which each says the same of every group, the first of which is known to coordinate `known`.
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
                begin + TIMEOUT,
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
        assert_eq!(world.ask(&["f", "g"]).await, (expected, 30));
        let groups: usize = world.asked().iter().map(|(_, groups, _)| groups).sum();
        assert_eq!(groups, 4, "{:?}", world.asked());
    }
}
