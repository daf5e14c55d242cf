//! The brokers of a cluster, and the links to them.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::common::Common;
use super::endpoint::Endpoint;
use super::link::Link;
use super::message::Request;
use crate::kafka::admin::Broker;
use crate::kafka::error::{ErrorCode, KafkaError};
use crate::lag::BrokerId;

/// How long a broker may be silent before the next one is asked the same.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// What a connection is used for: a broker answers the requests of one connection one after the other, so that those for
/// groups do not wait behind those for logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Use {
    /// Groups: listings, descriptions, commits.
    Groups,
    /// Topics: metadata, configurations, offsets of logs.
    Topics,
}

/// The brokers of a cluster, and the links to them.
pub(super) struct Cluster {
    pub(super) common: Arc<Common>,
    bootstrap: Vec<Endpoint>,
    known: Mutex<KnownBrokers>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    // Ends every link when the cluster is dropped.
    _guard: DropGuard,
}

#[derive(Default)]
struct KnownBrokers {
    /// The live brokers of the newest metadata, by id.
    brokers: BTreeMap<BrokerId, Endpoint>,
    links: HashMap<(Endpoint, Use), Link>,
    /// Whose turn it is to be asked first.
    turn: usize,
}

impl Cluster {
    /// Returns a cluster of which only the bootstrap servers are known.
    pub(super) fn new(bootstrap: Vec<Endpoint>, common: Common) -> Self {
        let shutdown = CancellationToken::new();
        Self {
            common: Arc::new(common),
            bootstrap,
            known: Mutex::default(),
            tasks: TaskTracker::new(),
            _guard: shutdown.clone().drop_guard(),
            shutdown,
        }
    }

    /// Ends every connection, and waits until they are gone, but not longer than `limit`.
    pub(super) async fn close(&self, limit: Duration) {
        self.shutdown.cancel();
        self.tasks.close();
        self.lock().links.clear();
        // A task that is late ends by itself.
        let _ = tokio::time::timeout(limit, self.tasks.wait()).await;
    }

    /// Takes over the live brokers, and returns whether they differ from those of before. Connections to others end.
    pub(super) fn set_brokers(&self, brokers: &[Broker]) -> bool {
        let brokers: BTreeMap<BrokerId, Endpoint> = brokers
            .iter()
            .filter(|broker| broker.port > 0)
            .map(|broker| {
                let endpoint = Endpoint {
                    host: broker.host.clone(),
                    port: broker.port,
                };
                (broker.id, endpoint)
            })
            .collect();
        let mut known = self.lock();
        if known.brokers == brokers {
            return false;
        }
        let is_left = |endpoint: &Endpoint| {
            brokers.values().any(|known| known == endpoint) || self.bootstrap.contains(endpoint)
        };
        known.links.retain(|(endpoint, _), _| is_left(endpoint));
        known.brokers = brokers;
        true
    }

    /// Returns the ids of the live brokers, as far as they are known.
    pub(super) fn brokers(&self) -> Vec<BrokerId> {
        self.lock().brokers.keys().copied().collect()
    }

    /// Asks one broker.
    ///
    /// # Errors
    ///
    /// `_UNKNOWN_BROKER` where the newest metadata do not name it; those of [`Link::ask`].
    pub(super) async fn ask<R: Request>(
        &self,
        broker: BrokerId,
        purpose: Use,
        request: Arc<R>,
        deadline: Instant,
    ) -> Result<R::Response, KafkaError> {
        let endpoint = self.lock().brokers.get(&broker).cloned();
        let Some(endpoint) = endpoint else {
            return Err(KafkaError {
                code: ErrorCode::UNKNOWN_BROKER,
                message: format!("the cluster names no broker {broker}"),
            });
        };
        self.link(&endpoint, purpose).ask(request, deadline).await
    }

    /// Asks some broker: another one first each time, the next one where that fails or is silent for a second, and bootstrap
    /// servers last. The first response counts.
    ///
    /// # Errors
    ///
    /// Why the last of them did not answer.
    pub(super) async fn ask_any<R: Request>(
        &self,
        request: Arc<R>,
        deadline: Instant,
    ) -> Result<R::Response, KafkaError> {
        let candidates = self.candidates();
        let ask = |endpoint: &Endpoint| {
            let link = self.link(endpoint, Use::Topics);
            let request = Arc::clone(&request);
            async move { link.ask(request, deadline).await }
        };
        first_answer(candidates.iter().map(ask)).await
    }

    /// Returns the ids of the live brokers, beginning with another one each time.
    pub(super) fn brokers_in_turn(&self) -> Vec<BrokerId> {
        let mut known = self.lock();
        known.turn = known.turn.wrapping_add(1);
        let mut brokers: Vec<BrokerId> = known.brokers.keys().copied().collect();
        if !brokers.is_empty() {
            let first = known.turn % brokers.len();
            brokers.rotate_left(first);
        }
        brokers
    }

    /// Returns every place to ask, in the order of the attempts.
    fn candidates(&self) -> Vec<Endpoint> {
        let brokers = self.brokers_in_turn();
        let known = self.lock();
        let mut candidates: Vec<Endpoint> = brokers
            .iter()
            .filter_map(|broker| known.brokers.get(broker).cloned())
            .collect();
        drop(known);
        for server in &self.bootstrap {
            if !candidates.contains(server) {
                candidates.push(server.clone());
            }
        }
        candidates
    }

    fn link(&self, endpoint: &Endpoint, purpose: Use) -> Link {
        let mut known = self.lock();
        let key = (endpoint.clone(), purpose);
        // A link ends with the runtime that it was started on.
        if let Some(link) = known.links.get(&key).filter(|link| !link.has_ended()) {
            return link.clone();
        }
        let (link, keeper) = Link::new(endpoint.clone(), Arc::clone(&self.common));
        let shutdown = self.shutdown.clone();
        // Ends with the last clone of the link, or with the cluster.
        self.tasks
            .spawn(async move { shutdown.run_until_cancelled(keeper).await });
        known.links.insert(key, link.clone());
        link
    }

    fn lock(&self) -> MutexGuard<'_, KnownBrokers> {
        // Nothing panics while it is held, and every entry is complete by itself.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs attempts one after the other, the next one a second after the one before at the latest; returns the first success,
/// or the last failure.
async fn first_answer<T, F>(mut attempts: impl Iterator<Item = F>) -> Result<T, KafkaError>
where
    F: Future<Output = Result<T, KafkaError>>,
{
    let mut running = FuturesUnordered::new();
    let mut failure = KafkaError::of(ErrorCode::ALL_BROKERS_DOWN);
    running.extend(attempts.next());
    let mut next_at = Instant::now() + PATIENCE;
    loop {
        tokio::select! {
            answer = running.next() => match answer {
                Some(Ok(answer)) => return Ok(answer),
                Some(Err(error)) => {
                    failure = error;
                    match attempts.next() {
                        Some(attempt) => running.push(attempt),
                        None if running.is_empty() => return Err(failure),
                        None => {}
                    }
                }
                None => return Err(failure),
            },
            () = sleep_until(next_at) => {
                next_at += PATIENCE;
                running.extend(attempts.next());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Runs attempts, each with its duration in milliseconds and whether it succeeds, and returns the answer and when each began.
    async fn run(attempts: &[(u64, bool)]) -> (Option<usize>, Vec<u128>) {
        let start = Instant::now();
        let begun = RefCell::new(Vec::new());
        let attempt = |(index, &(millis, is_good)): (usize, &(u64, bool))| {
            begun.borrow_mut().push(start.elapsed().as_millis());
            async move {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                let failure = || KafkaError::of(ErrorCode::TRANSPORT);
                is_good.then_some(index).ok_or_else(failure)
            }
        };
        let answer = first_answer(attempts.iter().enumerate().map(attempt)).await;
        (answer.ok(), begun.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_broker_is_asked_at_once_after_a_failure_and_after_a_second_of_silence() {
        assert_eq!(run(&[(5, true), (5, true)]).await, (Some(0), vec![0]));
        assert_eq!(run(&[(5, false), (5, true)]).await, (Some(1), vec![0, 5]));
        assert_eq!(
            run(&[(60_000, true), (10, true)]).await,
            (Some(1), vec![0, 1000])
        );
        assert_eq!(run(&[(1_500, true), (9_000, true)]).await.0, Some(0));
        assert_eq!(run(&[(5, false), (5, false)]).await.0, None);
        assert_eq!(run(&[]).await.0, None);
    }
}
