//! Finding the coordinators of groups while asking them.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until};

use super::client::{WireClient, is_unreachable};
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
    client: &WireClient,
    groups: Vec<GroupId>,
    time: Time,
    ask: impl Fn(BrokerId, Vec<GroupId>, Instant) -> F,
) -> Answers<T>
where
    F: Future<Output = Answers<T>>,
{
    if groups.is_empty() {
        return Answers::new();
    }
    if let Err(error) = client.learn_brokers(time.until).await {
        let failed = groups.into_iter();
        return failed.map(|group| (group, Err(error.clone()))).collect();
    }
    let (by_coordinator, unknown) = client.coordinators.sort(groups);
    let mut search = Search::new(client, &by_coordinator, unknown, time.until);
    let ask = |broker, groups, role| {
        let answers = ask(broker, groups, time.deadline);
        async move { (broker, role, answers.await) }
    };
    let known = by_coordinator.into_iter();
    let mut running: FuturesUnordered<_> = known
        .map(|(broker, groups)| ask(broker, groups, BrokerRole::Coordinator))
        .collect();
    while !search.is_settled() {
        let now = Instant::now();
        if now >= time.until {
            let arrived = || running.next().now_or_never().flatten();
            search.end_waiting(std::iter::from_fn(arrived));
            break;
        }
        match search.next_request(now) {
            NextRequest::Now(broker, groups) => {
                running.push(ask(broker, groups, BrokerRole::Candidate));
            }
            NextRequest::Never if running.is_empty() => break,
            NextRequest::Never | NextRequest::Later => {}
        }
        tokio::select! {
            biased;
            Some((broker, role, answers)) = running.next(), if !running.is_empty() => {
                search.take_in_time(broker, role, answers);
            }
            () = sleep_until(search.wake_at()) => {}
        }
    }
    search.finish()
}

/// The role in which a broker is asked about groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BrokerRole {
    /// It is known to coordinate them.
    Coordinator,
    /// It may coordinate them.
    Candidate,
}

/// What to ask next.
enum NextRequest {
    /// This broker, about these groups.
    Now(BrokerId, Vec<GroupId>),
    /// Nothing until something is answered or time has passed.
    Later,
    /// Nothing any more: every broker was asked about every open group.
    Never,
}

/// What a search has found, and what it still looks for.
struct Search<'a, T> {
    client: &'a WireClient,
    /// The brokers, in the order in which they are asked.
    brokers: Vec<BrokerId>,
    /// What settles a group: the first answer of its coordinator.
    answers: Answers<T>,
    /// What does not: the error that says most.
    failures: HashMap<GroupId, KafkaError>,
    /// Which brokers were asked about groups that are open, and whether they have answered.
    asked: HashMap<(BrokerId, GroupId), bool>,
    /// Groups that any broker may coordinate that has not denied it.
    open: Vec<GroupId>,
    /// Groups whose known coordinator has not answered.
    waiting: Vec<(BrokerId, GroupId)>,
    /// When the next broker is asked about the open groups.
    next_at: Instant,
    /// When the groups of silent coordinators are opened.
    half: Instant,
    /// When the search ends.
    until: Instant,
}

impl<'a, T> Search<'a, T> {
    fn new(
        client: &'a WireClient,
        by_coordinator: &BTreeMap<BrokerId, Vec<GroupId>>,
        unknown: Vec<GroupId>,
        until: Instant,
    ) -> Self {
        let waiting = by_coordinator
            .iter()
            .flat_map(|(broker, groups)| groups.iter().map(|group| (*broker, group.clone())));
        let now = Instant::now();
        Self {
            client,
            brokers: client.cluster.brokers_in_turn(),
            answers: Answers::new(),
            failures: HashMap::new(),
            asked: HashMap::new(),
            open: unknown,
            waiting: waiting.collect(),
            next_at: now,
            half: now + until.saturating_duration_since(now) / 2,
            until,
        }
    }

    /// Returns whether every group is settled. A silent broker holds up nobody whose coordinator has answered.
    fn is_settled(&self) -> bool {
        self.open.is_empty() && self.waiting.is_empty()
    }

    /// Returns what to ask at `now`, and notes that it is asked.
    fn next_request(&mut self, now: Instant) -> NextRequest {
        if now >= self.half {
            self.open_waiting();
        }
        if now < self.next_at || self.open.is_empty() {
            return NextRequest::Later;
        }
        match self.next_broker() {
            Some((broker, groups)) => {
                self.next_at = now + PATIENCE;
                NextRequest::Now(broker, groups)
            }
            None => {
                self.next_at = self.until;
                NextRequest::Never
            }
        }
    }

    /// Opens the groups of coordinators that are silent.
    fn open_waiting(&mut self) {
        for (broker, group) in std::mem::take(&mut self.waiting) {
            self.asked.insert((broker, group.clone()), false);
            self.open.push(group);
        }
    }

    /// Returns the next broker to ask, and the open groups that it was not asked about; notes that it is asked.
    fn next_broker(&mut self) -> Option<(BrokerId, Vec<GroupId>)> {
        let next = self.brokers.iter().find_map(|broker| {
            let groups = self.open.iter().cloned();
            let groups = groups.filter(|group| !self.asked.contains_key(&(*broker, group.clone())));
            let groups: Vec<GroupId> = groups.collect();
            (!groups.is_empty()).then_some((*broker, groups))
        });
        let (broker, groups) = next?;
        let asked = groups.iter().map(|group| ((broker, group.clone()), false));
        self.asked.extend(asked);
        Some((broker, groups))
    }

    /// Returns when to look for the next request, unless something is answered before.
    fn wake_at(&self) -> Instant {
        match (self.open.is_empty(), self.waiting.is_empty()) {
            (true, _) => self.half,
            (false, true) => self.next_at.min(self.until),
            (false, false) => self.next_at.min(self.half),
        }
    }

    /// Takes over what a broker answered while there is time to ask others.
    fn take_in_time(&mut self, broker: BrokerId, role: BrokerRole, answers: Answers<T>) {
        if role == BrokerRole::Coordinator {
            self.waiting.retain(|(known, _)| *known != broker);
        }
        let opened = self.take(broker, role, answers);
        self.open.extend(opened);
        self.drop_settled();
        // The next broker is asked at once: patience is for silence only.
        self.next_at = Instant::now();
    }

    /// Takes over what a broker answered, and returns the groups of a known coordinator that this does not settle.
    fn take(&mut self, broker: BrokerId, role: BrokerRole, answers: Answers<T>) -> Vec<GroupId> {
        let coordinators = &self.client.coordinators;
        let mut open = Vec::new();
        for (group, answer) in answers {
            if self.answers.contains_key(&group) {
                continue;
            }
            match answer {
                Err(error) if leaves_open(&error, role) => {
                    coordinators.forget(&group, broker);
                    self.asked.insert((broker, group.clone()), true);
                    // A denial says less than why a broker could not be asked.
                    if !error.code.is_not_coordinator() || !self.failures.contains_key(&group) {
                        self.failures.insert(group.clone(), error);
                    }
                    if role == BrokerRole::Coordinator {
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

    /// Takes over what had been answered when the time was over.
    fn end_waiting(&mut self, arrived: impl Iterator<Item = (BrokerId, BrokerRole, Answers<T>)>) {
        for (broker, role, answers) in arrived {
            self.take(broker, role, answers);
        }
        self.forget_denials();
        let waiting = std::mem::take(&mut self.waiting);
        self.open
            .extend(waiting.into_iter().map(|(_, group)| group));
        self.drop_settled();
    }

    /// Drops the open groups that an answer has settled.
    fn drop_settled(&mut self) {
        self.open.retain(|group| !self.answers.contains_key(group));
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

    /// Returns what was answered, and why there is no answer for the groups that are open.
    fn finish(mut self) -> Answers<T> {
        let nobody = if Instant::now() >= self.until {
            self.client.cluster.common.journal.explain(KafkaError {
                code: ErrorCode::TIMED_OUT,
                message: "no broker answered for the group in time".to_owned(),
            })
        } else {
            KafkaError::of(ErrorCode::COORDINATOR_NOT_AVAILABLE)
        };
        for group in self.open {
            let failure = self.failures.remove(&group);
            let failure = failure.unwrap_or_else(|| nobody.clone());
            self.answers.insert(group, Err(failure));
        }
        self.answers
    }
}

/// Returns whether another broker may know better.
fn leaves_open(error: &KafkaError, role: BrokerRole) -> bool {
    error.code.is_not_coordinator()
        || is_unreachable(error.code)
        || (role == BrokerRole::Candidate && error.code.is_unsupported())
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
        client: WireClient,
        words: Vec<Word>,
        /// Who was asked about how many groups, and after how many milliseconds.
        asked: Mutex<Vec<(i32, usize, u128)>>,
    }

    impl World {
        fn new(words: &[Word], known: &[&str]) -> Self {
            let connection = Connection::plain(["127.0.0.1:1"]);
            let client = WireClient::connect(&connection, ()).expect("it is valid");
            let brokers: Vec<Broker> = (1..)
                .zip(words)
                .map(|(id, _)| Broker {
                    id: BrokerId(id),
                    host: "127.0.0.1".to_owned(),
                    port: 1,
                })
                .collect();
            client.cluster.set_brokers(&brokers);
            for group in known {
                let group = GroupId::from(*group);
                client.coordinators.remember(&group, BrokerId(1));
            }
            Self {
                client,
                words: words.to_vec(),
                asked: Mutex::default(),
            }
        }

        /// Asks about groups, and returns what each answered and how many milliseconds that took.
        async fn ask(&self, groups: &[&str]) -> (Vec<Result<i32, ErrorCode>>, u128) {
            let begin = Instant::now();
            let groups = groups.iter().map(|group| GroupId::from(*group)).collect();
            let answers = at_coordinators(
                &self.client,
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
        let (known, _) = world.client.coordinators.sort([group]);
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
        let (known, _) = world.client.coordinators.sort([group]);
        assert_eq!(known.keys().copied().collect::<Vec<_>>(), [BrokerId(1)]);
    }
}
