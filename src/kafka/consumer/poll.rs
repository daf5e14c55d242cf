//! The thread that polls a consumer for ever and turns what it finds into events.
//!
//! It never waits for the task: where there is no room for an event it stops reading records, and only those.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError as RdError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tracing::{debug, warn};

use super::config::Intake;
use super::context::{self, Context, Note, Notes};
use super::event::{Acknowledgement, ConsumerEvent, Revocation, RevocationCause};
use super::inbox::{Inbox, Letters};
use super::partition_list::partitions;
use super::record::ConsumerRecord;
use super::stream::PartitionStream;
use crate::kafka::{ErrorCode, KafkaError};
use crate::lag::TopicPartition;

/// Events that found no room. Beyond it errors are left out, which repeat anyway.
const BACKLOG: usize = 256;

/// librdkafka's "this client is unusable", with the cause in its message.
const FATAL: ErrorCode = ErrorCode::new(-150);

/// What the thread needs to begin.
pub(super) struct PollSetup {
    pub(super) client: Arc<BaseConsumer<Context>>,
    pub(super) committing: JoinHandle<()>,
    pub(super) notes: Arc<Notes>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) events: mpsc::Sender<ConsumerEvent>,
    pub(super) is_full: Arc<AtomicBool>,
    pub(super) intake: Intake,
    pub(super) poll_interval: Duration,
    pub(super) revoke_timeout: Duration,
}

/// The thread's state.
struct Polling {
    setup: PollSetup,
    streams: BTreeMap<TopicPartition, PartitionStream>,
    outbox: VecDeque<ConsumerEvent>,
    revoking: Option<Revoking>,
    revocations: u64,
}

/// Partitions that wait for the task to let go of them.
struct Revoking {
    id: u64,
    partitions: TopicPartitionList,
    deadline: Instant,
}

impl PollSetup {
    /// Starts the thread. It ends when it is asked to close, which is also when the group is left.
    pub(super) fn start(self) -> io::Result<()> {
        thread::Builder::new()
            .name("kafka-poll".into())
            .spawn(move || {
                let polling = Polling {
                    setup: self,
                    streams: BTreeMap::new(),
                    outbox: VecDeque::new(),
                    revoking: None,
                    revocations: 0,
                };
                polling.run();
            })
            .map(drop)
    }
}

impl Polling {
    fn run(mut self) {
        let mut patience = Duration::ZERO;
        loop {
            let letters = self.setup.inbox.wait(patience);
            if letters.close {
                break;
            }
            self.read(letters);
            self.serve_callbacks();
            self.expire_revocation();
            self.read_partitions();
            self.send();
            patience = self.patience();
        }
        self.close();
    }

    /// Returns how long the thread may sleep.
    fn patience(&self) -> Duration {
        if self.outbox.is_empty() && self.streams.values().any(PartitionStream::is_readable) {
            return Duration::ZERO;
        }
        let until_deadline = self
            .revoking
            .as_ref()
            .map(|revoking| revoking.deadline.saturating_duration_since(Instant::now()));
        until_deadline.map_or(self.setup.poll_interval, |left| {
            left.min(self.setup.poll_interval)
        })
    }

    fn read(&mut self, letters: Letters) {
        let high_mark = self.high_mark();
        for (partition, records) in letters.released {
            if let Some(stream) = self.streams.get_mut(&partition) {
                stream.release(records, high_mark);
            }
        }
        if let Some(id) = letters.acknowledged
            && self
                .revoking
                .as_ref()
                .is_some_and(|revoking| revoking.id == id)
        {
            self.let_go();
        }
    }

    /// Polls the consumer's own queue until nothing is left: rebalances, commits, errors, log lines.
    fn serve_callbacks(&mut self) {
        let client = Arc::clone(&self.setup.client);
        loop {
            let calls = self.setup.notes.calls();
            let polled = client.poll(Duration::ZERO);
            let found = polled.is_some();
            match polled {
                // Fetched between the assignment and the split of the queues.
                Some(Ok(message)) => self.hand_over_single(&message),
                Some(Err(RdError::MessageConsumptionFatal(code))) => {
                    self.outbox
                        .push_back(ConsumerEvent::Fatal(KafkaError::of(ErrorCode::from(code))));
                }
                // Every error has been through the error callback.
                Some(Err(_)) | None => {}
            }
            for note in self.setup.notes.take() {
                self.act(note);
            }
            if !found && self.setup.notes.calls() == calls {
                return;
            }
        }
    }

    fn act(&mut self, note: Note) {
        match note {
            Note::Assign(list) => self.assign(&list),
            Note::Revoke { partitions, lost } => self.revoke(partitions, lost),
            Note::AutoCommit { offsets, result } => {
                self.outbox
                    .push_back(ConsumerEvent::AutoCommitted { offsets, result });
            }
            Note::Error(error) if error.code == FATAL => {
                self.outbox.push_back(ConsumerEvent::Fatal(error));
            }
            Note::Error(error) if self.outbox.len() < BACKLOG => {
                self.outbox.push_back(ConsumerEvent::Error(error));
            }
            Note::Error(_) => {}
        }
    }

    fn assign(&mut self, list: &TopicPartitionList) {
        let assigned = partitions(list);
        if matches!(self.setup.intake, Intake::Records { .. }) {
            self.split(&assigned);
        }
        let mut answered = context::assign(&self.setup.client, list);
        if self.setup.intake == Intake::Nothing {
            answered = answered.and_then(|()| self.setup.client.pause(list));
        }
        if let Err(error) = answered {
            self.outbox
                .push_back(ConsumerEvent::Error(KafkaError::from(&error)));
        }
        self.outbox.push_back(ConsumerEvent::Assigned(assigned));
    }

    /// Gives each partition a queue of its own, before any record could take the common one.
    fn split(&mut self, assigned: &[TopicPartition]) {
        for partition in assigned {
            match PartitionStream::split(&self.setup.client, &self.setup.inbox, partition) {
                Some(stream) => {
                    self.streams.insert(partition.clone(), stream);
                }
                None => warn!(%partition, "librdkafka has no queue for `{partition}`"),
            }
        }
    }

    /// Returns how many records of a partition may wait with the task.
    fn high_mark(&self) -> usize {
        match self.setup.intake {
            Intake::Records { buffered } => buffered.get(),
            Intake::Nothing => 0,
        }
    }

    fn revoke(&mut self, list: TopicPartitionList, lost: bool) {
        self.let_go();
        let revoked = partitions(&list);
        for partition in &revoked {
            self.streams.remove(partition);
        }
        self.revocations += 1;
        let id = self.revocations;
        self.revoking = Some(Revoking {
            id,
            partitions: list,
            deadline: Instant::now() + self.setup.revoke_timeout,
        });
        self.outbox.push_back(ConsumerEvent::Revoked(Revocation {
            partitions: revoked,
            cause: if lost {
                RevocationCause::Lost
            } else {
                RevocationCause::Rebalance
            },
            acknowledgement: Acknowledgement::new(id, Arc::clone(&self.setup.inbox)),
        }));
    }

    fn expire_revocation(&mut self) {
        let is_late = self
            .revoking
            .as_ref()
            .is_some_and(|revoking| revoking.deadline <= Instant::now());
        if is_late {
            warn!(
                "revoked partitions were not let go within {:?}; the group does not wait any longer",
                self.setup.revoke_timeout
            );
            self.let_go();
        }
    }

    /// Answers the revocation under way, if any.
    fn let_go(&mut self) {
        let Some(Revoking { partitions, .. }) = self.revoking.take() else {
            return;
        };
        if let Err(error) = context::unassign(&self.setup.client, &partitions) {
            self.outbox
                .push_back(ConsumerEvent::Error(KafkaError::from(&error)));
        }
    }

    /// Reads each partition that has records and room for them.
    fn read_partitions(&mut self) {
        if !self.outbox.is_empty() {
            return;
        }
        let high_mark = self.high_mark();
        for (partition, stream) in &mut self.streams {
            let (records, reached_end) = stream.read(high_mark);
            if let Some(buffered) = stream.pause(high_mark) {
                debug!(%partition, buffered, "paused `{partition}`: {buffered} records wait");
            }
            if !records.is_empty() {
                self.outbox.push_back(ConsumerEvent::Records {
                    partition: partition.clone(),
                    records,
                });
            }
            if reached_end {
                self.outbox
                    .push_back(ConsumerEvent::EndOfPartition(partition.clone()));
            }
        }
    }

    fn hand_over_single(&mut self, message: &BorrowedMessage<'_>) {
        let partition = TopicPartition::new(message.topic(), message.partition());
        if let Some(stream) = self.streams.get_mut(&partition)
            && let Some(record) = ConsumerRecord::copy(message)
        {
            stream.add_one();
            self.outbox.push_back(ConsumerEvent::Records {
                partition,
                records: vec![record],
            });
        }
    }

    /// Sends what there is room for.
    fn send(&mut self) {
        while let Some(event) = self.outbox.pop_front() {
            let Err(TrySendError::Full(event)) = self.setup.events.try_send(event) else {
                continue;
            };
            // The flag is raised before the second try: the task, if it makes room after that, wakes this thread.
            self.setup.is_full.store(true, Ordering::Release);
            if let Err(TrySendError::Full(event)) = self.setup.events.try_send(event) {
                self.outbox.push_front(event);
                return;
            }
        }
    }

    /// Leaves the group: the last reference to the client is dropped here.
    fn close(mut self) {
        self.let_go();
        self.setup.notes.close();
        for note in self.setup.notes.take() {
            self.act(note);
        }
        self.let_go();
        self.streams.clear();
        let PollSetup {
            client,
            committing,
            notes,
            events,
            ..
        } = self.setup;
        // A commit under way keeps the client too; librdkafka answers it within the session timeout.
        let _ = committing.join();
        drop(client);
        for event in self
            .outbox
            .into_iter()
            .chain(notes.take().into_iter().filter_map(last_event))
        {
            if events.blocking_send(event).is_err() {
                return;
            }
        }
    }
}

/// Returns what is worth reporting of a callback that came while the client closed.
fn last_event(note: Note) -> Option<ConsumerEvent> {
    match note {
        Note::AutoCommit { offsets, result } => {
            Some(ConsumerEvent::AutoCommitted { offsets, result })
        }
        Note::Error(error) => Some(ConsumerEvent::Error(error)),
        Note::Assign(_) | Note::Revoke { .. } => None,
    }
}
