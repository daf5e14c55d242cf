//! The calls in flight: who waits for which answer.
//!
//! A call is known to librdkafka by a number, never by a pointer. An answer whose number nobody waits for any more is
//! dropped, so a caller may go away at any moment.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::event::Event;
use crate::kafka::error::{ErrorCode, KafkaError};

/// How long after librdkafka's own deadline ours fires: time for its answer to arrive.
const GRACE: Duration = Duration::from_millis(250);

/// Copies what a call wants to know out of its answer, and wakes the caller.
type Responder = Box<dyn FnOnce(&Event) + Send>;

/// Who waits for what. Shared by the client and its polling thread.
pub(super) struct Calls {
    waiting: Mutex<Waiting>,
    next: AtomicUsize,
}

enum Waiting {
    Open(HashMap<usize, Responder>),
    /// The client is closing: nothing is answered any more.
    Closed,
}

/// One call in flight.
pub(super) struct Call<T> {
    answer: oneshot::Receiver<Result<T, KafkaError>>,
    ticket: Ticket,
}

/// A call's place in the table; gives it up when dropped.
struct Ticket {
    id: usize,
    calls: Arc<Calls>,
}

impl Calls {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::new(Waiting::Open(HashMap::new())),
            // 0 would be a null pointer, which events that answer no call have.
            next: AtomicUsize::new(1),
        })
    }

    /// Returns a place for one answer, which `copy` turns into an owned value on the polling thread.
    pub(super) fn open<T: Send + 'static>(
        self: &Arc<Self>,
        copy: impl FnOnce(&Event) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<Call<T>, KafkaError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        let responder: Responder = Box::new(move |event| {
            // The caller may have gone away in between.
            drop(sender.send(copy(event)));
        });
        match &mut *self.lock() {
            Waiting::Open(waiting) => waiting.insert(id, responder),
            Waiting::Closed => return Err(KafkaError::of(ErrorCode::DESTROY)),
        };
        let ticket = Ticket {
            id,
            calls: Arc::clone(self),
        };
        Ok(Call { answer, ticket })
    }

    /// Gives an answer to the call of that id, where somebody still waits for it.
    pub(super) fn answer(&self, id: usize, event: &Event) {
        // The lock is not held while the answer is copied: callers come and go meanwhile.
        let responder = self.take(id);
        if let Some(responder) = responder {
            responder(event);
        }
    }

    /// Fails every call, and those still to come.
    pub(super) fn close(&self) {
        let abandoned = std::mem::replace(&mut *self.lock(), Waiting::Closed);
        drop(abandoned);
    }

    /// Returns how many calls wait.
    #[cfg(test)]
    pub(super) fn in_flight(&self) -> usize {
        match &*self.lock() {
            Waiting::Open(waiting) => waiting.len(),
            Waiting::Closed => 0,
        }
    }

    fn take(&self, id: usize) -> Option<Responder> {
        match &mut *self.lock() {
            Waiting::Open(waiting) => waiting.remove(&id),
            Waiting::Closed => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it is held, and the table is whole between any two operations.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Call<T> {
    /// Returns the number librdkafka knows the call by.
    pub(super) fn id(&self) -> usize {
        self.ticket.id
    }

    /// Waits for the answer, until shortly after `timeout` at most.
    pub(super) async fn answer(self, timeout: Duration) -> Result<T, KafkaError> {
        let Self { answer, ticket } = self;
        let answer = tokio::time::timeout(timeout + GRACE, answer).await;
        drop(ticket);
        match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(_closed)) => Err(KafkaError::of(ErrorCode::DESTROY)),
            Err(_elapsed) => Err(KafkaError::of(ErrorCode::TIMED_OUT)),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        drop(self.calls.take(self.id));
    }
}
