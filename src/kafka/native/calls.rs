//! The calls in flight: who waits for which answer, and how many answers are still to come.
//!
//! A call is known to librdkafka by a number, never by a pointer. An answer whose number nobody waits for any more is
//! dropped, so a caller may go away at any moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::event::Event;
use crate::kafka::error::{ErrorCode, KafkaError};

/// How long after librdkafka's own deadline ours fires: time for its answer to arrive.
pub(super) const GRACE: Duration = Duration::from_millis(250);

/// Copies what a call wants to know out of its answer, and wakes the caller.
type Responder = Box<dyn FnOnce(&Event) + Send>;

/// Who waits for what. Shared by the client and its thread.
#[derive(Default)]
pub(super) struct Calls {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    waiting: HashMap<usize, Responder>,
    /// The number of the newest call. 0 is no number: it would be a null pointer, which other events have.
    newest: usize,
    /// Answers that librdkafka owes, to callers that wait and to callers that went away.
    owed: usize,
    /// When librdkafka will have given its last answer.
    latest: Option<Instant>,
    is_closed: bool,
}

/// One call in flight.
pub(super) struct Call<T> {
    answer: oneshot::Receiver<Result<T, KafkaError>>,
    ticket: Ticket,
    timeout: Duration,
}

/// A call's place in the table; gives it up when dropped.
struct Ticket {
    id: usize,
    calls: Arc<Calls>,
}

impl Calls {
    /// Returns a place for one answer, which `copy` turns into an owned value on the client's thread.
    ///
    /// The caller must then send the call: its answer is owed from here on.
    pub(super) fn open<T: Send + 'static>(
        self: &Arc<Self>,
        timeout: Duration,
        copy: impl FnOnce(&Event) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<Call<T>, KafkaError> {
        let (sender, answer) = oneshot::channel();
        let responder: Responder = Box::new(move |event| {
            // The caller may have gone away in between.
            drop(sender.send(copy(event)));
        });
        let deadline = Instant::now() + timeout;
        let mut table = self.lock();
        if table.is_closed {
            return Err(KafkaError::of(ErrorCode::DESTROY));
        }
        table.newest += 1;
        table.owed += 1;
        table.latest = table.latest.max(Some(deadline));
        let id = table.newest;
        table.waiting.insert(id, responder);
        drop(table);
        let ticket = Ticket {
            id,
            calls: Arc::clone(self),
        };
        Ok(Call {
            answer,
            ticket,
            timeout,
        })
    }

    /// Gives an answer to the call of that number, where somebody still waits for it.
    pub(super) fn answer(&self, id: usize, event: &Event) {
        let responder = {
            let mut table = self.lock();
            table.owed = table.owed.saturating_sub(1);
            table.waiting.remove(&id)
        };
        // Copied without the lock: callers come and go meanwhile.
        if let Some(responder) = responder {
            responder(event);
        }
    }

    /// Gives up a call that could not be sent.
    pub(super) fn fail(&self, id: usize) {
        let responder = {
            let mut table = self.lock();
            table.owed = table.owed.saturating_sub(1);
            table.waiting.remove(&id)
        };
        drop(responder);
    }

    /// Fails every call that somebody waits for, and those still to come.
    pub(super) fn close(&self) {
        let mut table = self.lock();
        table.is_closed = true;
        let abandoned = std::mem::take(&mut table.waiting);
        drop(table);
        drop(abandoned);
    }

    /// Returns how many answers librdkafka owes.
    pub(super) fn owed(&self) -> usize {
        self.lock().owed
    }

    /// Returns when librdkafka will have given every answer it owes; nothing before the first call.
    pub(super) fn latest_deadline(&self) -> Option<Instant> {
        self.lock().latest
    }

    /// Returns how many callers wait.
    #[cfg(test)]
    pub(super) fn in_flight(&self) -> usize {
        self.lock().waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it is held, and the table is whole between any two operations.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Call<T> {
    /// Returns the number librdkafka knows the call by.
    pub(super) fn id(&self) -> usize {
        self.ticket.id
    }

    /// Waits for the answer, until shortly after the call's deadline at most.
    pub(super) async fn answer(self) -> Result<T, KafkaError> {
        let Self {
            answer,
            ticket,
            timeout,
        } = self;
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
        let responder = self.calls.lock().waiting.remove(&self.id);
        drop(responder);
    }
}
