//! What librdkafka calls back while it is polled: noted here, acted upon by the polling thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use tracing::debug;

use super::partition_list::partition_offsets;
use crate::kafka::log::ClientLog;
use crate::kafka::{ErrorCode, KafkaError};
use crate::lag::{Offset, TopicPartition};

/// The callbacks of one consumer.
pub(super) struct Context {
    notes: Arc<Notes>,
}

/// What was called back and not yet acted upon.
#[derive(Default)]
pub(super) struct Notes {
    state: Mutex<CallbackState>,
    calls: AtomicU64,
}

#[derive(Default)]
struct CallbackState {
    notes: Vec<Note>,
    /// Whether rebalances are answered at once, and do not wait for the task.
    is_closing: bool,
    log: ClientLog,
}

/// One callback.
pub(super) enum Note {
    /// Partitions are given; `assign` must follow.
    Assign(TopicPartitionList),
    /// Partitions are taken; `unassign` must follow.
    Revoke {
        partitions: TopicPartitionList,
        lost: bool,
    },
    /// librdkafka's own commit has an answer.
    AutoCommit {
        offsets: Vec<(TopicPartition, Offset)>,
        result: Result<(), KafkaError>,
    },
    /// Something is wrong; librdkafka goes on by itself unless it is fatal.
    Error(KafkaError),
}

impl Context {
    pub(super) fn new(notes: Arc<Notes>) -> Self {
        Self { notes }
    }
}

impl Notes {
    /// Takes what was noted since the last call.
    pub(super) fn take(&self) -> Vec<Note> {
        std::mem::take(&mut self.lock().notes)
    }

    /// Returns how many callbacks there were, log lines included: while it grows, a poll may have more to serve.
    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Answers every rebalance at once from now on.
    pub(super) fn close(&self) {
        self.lock().is_closing = true;
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let now = Instant::now();
        self.lock().log.line(level as i32, facility, message, now);
    }

    fn add(&self, note: Note) {
        self.lock().notes.push(note);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, CallbackState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers "partitions are given" in the protocol the group speaks.
pub(super) fn assign(
    consumer: &BaseConsumer<Context>,
    partitions: &TopicPartitionList,
) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_assign(partitions),
        RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.assign(partitions),
    }
}

/// Answers "partitions are taken" in the protocol the group speaks.
pub(super) fn unassign(
    consumer: &BaseConsumer<Context>,
    partitions: &TopicPartitionList,
) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(partitions),
        RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.unassign(),
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.notes.calls.fetch_add(1, Ordering::Relaxed);
        self.notes.log(level, facility, message);
    }

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        self.notes.calls.fetch_add(1, Ordering::Relaxed);
        match error.rdkafka_error_code() {
            None | Some(RDKafkaErrorCode::PartitionEOF) => {}
            Some(code) => self.notes.add(Note::Error(KafkaError {
                code: ErrorCode::from(code),
                message: reason.to_owned(),
            })),
        }
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        self.notes.calls.fetch_add(1, Ordering::Relaxed);
        let is_assign = event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let is_closing = self.notes.lock().is_closing;
        if is_closing {
            // Nobody else answers now, and librdkafka closes only after an answer. What was done is committed already.
            let answered = if is_assign {
                assign(consumer, partitions)
            } else {
                unassign(consumer, partitions)
            };
            if let Err(error) = answered {
                debug!(%error, "answering a rebalance while closing: {error}");
            }
        } else if is_assign {
            self.notes.add(Note::Assign(partitions.clone()));
        } else {
            self.notes.add(Note::Revoke {
                partitions: partitions.clone(),
                lost: consumer.assignment_lost(),
            });
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        self.notes.calls.fetch_add(1, Ordering::Relaxed);
        self.notes.add(Note::AutoCommit {
            // Copied out at once: librdkafka cannot be destroyed while a list of its own is alive.
            offsets: partition_offsets(offsets),
            result: result.map_err(|error| KafkaError::from(&error)),
        });
    }
}
