//! Commits, off the async workers: one thread sends one at a time, so that an older one never overtakes a newer one.
//!
//! rdkafka delivers the answers of librdkafka's own commits only; the answer of a commit of ours comes from the
//! blocking call, so "asynchronous" means that nobody waits for this thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::task::{Context as TaskContext, Poll};
use std::thread::{self, JoinHandle};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use tokio::sync::oneshot;

use super::context::Context;
use super::partition_list::partition_list;
use crate::kafka::{ErrorCode, KafkaError};
use crate::lag::{Offset, TopicPartition};

/// Commits that wait for the thread. More than one only waits where the caller gave up on an earlier one.
const WAITING: usize = 8;

/// The answer to a commit, when it comes.
///
/// # Cancel safety
///
/// Dropped, the commit still happens.
#[derive(Debug)]
pub struct CommitAnswer(oneshot::Receiver<Result<(), KafkaError>>);

struct CommitRequest {
    offsets: Vec<(TopicPartition, Offset)>,
    answer: oneshot::Sender<Result<(), KafkaError>>,
}

/// The handle of the committing thread. It ends when the handle is dropped and the commit under way is answered.
#[derive(Debug)]
pub(super) struct Committer(SyncSender<CommitRequest>);

impl Committer {
    pub(super) fn start(
        consumer: Arc<BaseConsumer<Context>>,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (sender, requests) = sync_channel(WAITING);
        let thread = thread::Builder::new()
            .name("kafka-commit".into())
            .spawn(move || serve(&consumer, &requests))?;
        Ok((Self(sender), thread))
    }

    pub(super) fn commit(&self, offsets: Vec<(TopicPartition, Offset)>) -> CommitAnswer {
        let (answer, receiver) = oneshot::channel();
        if let Err(refused) = self.0.try_send(CommitRequest { offsets, answer }) {
            let (code, request) = match refused {
                TrySendError::Full(request) => (ErrorCode::TIMED_OUT, request),
                TrySendError::Disconnected(request) => (ErrorCode::DESTROY, request),
            };
            // The receiver is ours and still there.
            let _ = request.answer.send(Err(KafkaError::of(code)));
        }
        CommitAnswer(receiver)
    }
}

fn serve(consumer: &BaseConsumer<Context>, requests: &Receiver<CommitRequest>) {
    for CommitRequest { offsets, answer } in requests {
        let result = consumer
            .commit(&partition_list(&offsets), CommitMode::Sync)
            .map_err(|error| KafkaError::from(&error));
        // Nobody waits for it any more: the next commit covers the same offsets.
        let _ = answer.send(result);
    }
}

impl Future for CommitAnswer {
    type Output = Result<(), KafkaError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|answer| answer.unwrap_or_else(|_| Err(KafkaError::of(ErrorCode::DESTROY))))
    }
}
