//! A client: one librdkafka handle, one queue and one thread that polls it.
//!
//! The thread answers the calls in flight and hands on what the client says of its own accord. When the [`Client`] is
//! dropped, the thread waits for the answers that librdkafka still owes and destroys it, which may block.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use tokio::sync::oneshot;
use tokio::time::error::Elapsed;

use super::calls::{Call, Calls, GRACE};
use super::conf::Conf;
use super::event::{Event, Kind};
use super::handle::{ClientType, Handle, Queue};
use super::options::Options;
use super::pause::Pause;
use super::text;
use crate::kafka::error::{ErrorCode, KafkaError};

/// How long the thread waits for an event before it looks around; an event or a drop wakes it at once.
const POLL_TIMEOUT: Duration = Duration::from_secs(1);

/// How long after the last deadline librdkafka may take to give the answers it owes.
const LATE: Duration = Duration::from_secs(10);

/// The group that a client belongs to in name only: it never asks for its coordinator, and never joins.
const CLOSED_GROUP: &str = "lagwatch-closed";

/// Hears what a client says of its own accord. Called on the client's thread; must not block.
pub(in crate::kafka) trait Observer: Send + 'static {
    /// A line of librdkafka's log, with syslog's level: 0 to 3 errors, 4 warnings, 5 and 6 information, 7 debugging.
    fn log(&mut self, level: i32, facility: &str, line: &str);
    /// Something is wrong with the client as a whole, such as a broker that cannot be reached.
    fn error(&mut self, error: KafkaError);
    /// The client's own statistics, as JSON.
    fn statistics(&mut self, json: &str);
}

/// A client that asks questions.
pub(in crate::kafka) struct Client {
    /// Present until dropped.
    live: Option<Arc<Live>>,
    calls: Arc<Calls>,
    /// Calls for the client's thread to send.
    orders: mpsc::Sender<Order>,
    /// Where the last reference goes, so that the caller's thread never destroys the client.
    last: mpsc::Sender<Arc<Live>>,
    /// Fails when librdkafka is destroyed.
    destroyed: oneshot::Receiver<()>,
}

/// A call that the client's thread is to send while librdkafka's main thread stands still.
struct Order {
    call: usize,
    submit: Box<dyn FnOnce(&Live) + Send>,
}

/// The client proper. Fields drop in order: queues before the handle they belong to, the sender at the very end.
pub(super) struct Live {
    pause: Pause,
    pub(super) queue: Queue,
    pub(super) handle: Handle,
    is_closing: AtomicBool,
    _destroyed: oneshot::Sender<()>,
}

impl Client {
    /// Starts a client and its thread, which begins to connect to `servers`: `host:port`, separated by commas.
    ///
    /// # Errors
    ///
    /// librdkafka's words where properties contradict each other or a file they name cannot be used.
    pub(in crate::kafka) fn start(
        mut conf: Conf,
        servers: &str,
        observer: impl Observer,
    ) -> Result<Self, String> {
        Self::prepare(&mut conf);
        let handle = Handle::new(conf, ClientType::Consumer)?;
        let (sender, destroyed) = oneshot::channel();
        let live = Arc::new(Live {
            pause: Pause::of(&handle),
            queue: Queue::for_everything_of(&handle),
            handle,
            is_closing: AtomicBool::new(false),
            _destroyed: sender,
        });
        let servers = text::c_string(servers);
        let calls = Arc::new(Calls::default());
        let (orders, ordered) = mpsc::channel();
        let (last, closing) = mpsc::channel();
        let (thread_live, thread_calls) = (Arc::clone(&live), Arc::clone(&calls));
        thread::Builder::new()
            .name("kafka-client".to_owned())
            .spawn(move || {
                // Before there is anybody to ask for the group's coordinator.
                thread_live.handle.close_membership();
                thread_live.handle.add_servers(&servers);
                serve(&thread_live, &thread_calls, observer, &ordered);
                end(thread_live, &thread_calls, &closing);
            })
            .map_err(|error| format!("starting the client's thread: {error}"))?;
        Ok(Self {
            live: Some(live),
            calls,
            orders,
            last,
            destroyed,
        })
    }

    /// Tells whether a client can be made of `conf`, which connects to nobody.
    ///
    /// # Errors
    ///
    /// Those of [`Self::start`].
    pub(in crate::kafka) fn check(mut conf: Conf) -> Result<(), String> {
        Self::prepare(&mut conf);
        // What it logs goes to a queue that nobody reads, not to standard error.
        conf.set("log.queue", "true")
            .expect("a property of librdkafka");
        Handle::new(conf, ClientType::Consumer).map(drop)
    }

    fn prepare(conf: &mut Conf) {
        // An OffsetFetch that is answered by NOT_COORDINATOR makes librdkafka look for the coordinator of the client's
        // own group, and crash where it has none (librdkafka#5040). So there is one, closed before it does anything.
        conf.set("group.id", CLOSED_GROUP)
            .expect("a property of librdkafka");
        conf.set("enable.auto.commit", "false")
            .expect("a property of librdkafka");
        let events =
            sys::RD_KAFKA_EVENT_LOG | sys::RD_KAFKA_EVENT_ERROR | sys::RD_KAFKA_EVENT_STATS;
        // SAFETY: the configuration is live and no client uses it yet.
        unsafe { sys::rd_kafka_conf_set_events(conf.as_ptr(), events) };
    }

    /// Closes the client as dropping it does, and waits until it is destroyed.
    ///
    /// # Errors
    ///
    /// `limit` is reached before; the client goes on ending.
    pub(in crate::kafka) async fn close(mut self, limit: Duration) -> Result<(), Elapsed> {
        let (_, never) = oneshot::channel();
        let destroyed = mem::replace(&mut self.destroyed, never);
        drop(self);
        // Nothing is ever sent: the sender goes with the client.
        tokio::time::timeout(limit, destroyed).await.map(drop)
    }

    /// Sends a call and returns its place in the table; `copy` runs on the client's thread.
    ///
    /// `submit` must pass the options it gets, and the client's queue, to one call of librdkafka.
    pub(super) fn call<T: Send + 'static>(
        &self,
        options: &Options,
        copy: impl FnOnce(&Event) -> Result<T, KafkaError> + Send + 'static,
        submit: impl FnOnce(&Live, *const sys::rd_kafka_AdminOptions_t),
    ) -> Result<Call<T>, KafkaError> {
        let call = self.calls.open(options.timeout(), copy)?;
        submit(self.live(), options.for_call(call.id()));
        Ok(call)
    }

    /// As [`Self::call`], but sends the call on the client's thread, and while librdkafka's main thread stands still.
    pub(super) fn call_paused<T: Send + 'static>(
        &self,
        options: Options,
        copy: impl FnOnce(&Event) -> Result<T, KafkaError> + Send + 'static,
        submit: impl FnOnce(&Live, *const sys::rd_kafka_AdminOptions_t) + Send + 'static,
    ) -> Result<Call<T>, KafkaError> {
        let call = self.calls.open(options.timeout(), copy)?;
        let id = call.id();
        let submit = Box::new(move |live: &Live| submit(live, options.for_call(id)));
        // Fails only if the thread died; then nobody answers, and the call's deadline ends it.
        drop(self.orders.send(Order { call: id, submit }));
        self.live().queue.wake();
        Ok(call)
    }

    /// Runs a function of librdkafka that blocks, on a thread of its own; it must end by `timeout` by itself.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        name: &'static str,
        timeout: Duration,
        run: impl FnOnce(&Live) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, KafkaError> {
        let (sender, answer) = oneshot::channel();
        let live = Arc::clone(self.live());
        // Not tokio's pool: its runtime would wait for this thread when it shuts down.
        let spawned = thread::Builder::new().name(name.to_owned()).spawn(move || {
            drop(sender.send(run(&live)));
        });
        if spawned.is_err() {
            return Err(KafkaError::of(ErrorCode::CRITICAL_SYSTEM_RESOURCE));
        }
        match tokio::time::timeout(timeout + GRACE, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_thread_died)) => Err(KafkaError::of(ErrorCode::DESTROY)),
            Err(_elapsed) => Err(KafkaError::of(ErrorCode::TIMED_OUT)),
        }
    }

    /// Returns the client proper.
    pub(super) fn live(&self) -> &Arc<Live> {
        self.live.as_ref().expect("taken only by drop")
    }

    /// Returns how many callers wait for an answer.
    #[cfg(test)]
    pub(in crate::kafka) fn in_flight(&self) -> usize {
        self.calls.in_flight()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // At once, not when the thread gets to it: nobody may wait for a client that is gone.
        self.calls.close();
        if let Some(live) = self.live.take() {
            live.is_closing.store(true, Ordering::Release);
            live.queue.wake();
            // Fails only if the thread died; then this reference is the last one and destroys the client here.
            drop(self.last.send(live));
        }
    }
}

/// Sends what is ordered and polls, until the client is dropped and librdkafka has given every answer it owes.
///
/// A client that is destroyed while a call of its own is being sent writes to memory that it has freed.
fn serve(live: &Live, calls: &Calls, mut observer: impl Observer, orders: &mpsc::Receiver<Order>) {
    while !live.is_closing.load(Ordering::Acquire) || owes_answers(calls) {
        while let Ok(Order { call, submit }) = orders.try_recv() {
            if live.pause.during(&live.handle, || submit(live)).is_err() {
                calls.fail(call);
            }
        }
        let Some(event) = live.queue.poll(POLL_TIMEOUT) else {
            continue;
        };
        match event.kind() {
            Kind::Answer(call) => calls.answer(call, &event),
            Kind::Log {
                level,
                facility,
                line,
            } => observer.log(level, &facility, &line),
            Kind::Error(error) => observer.error(error),
            Kind::Statistics(json) => observer.statistics(&json),
            Kind::Other => {}
        }
    }
}

/// Tells whether librdkafka owes answers and may still give them: each call has a deadline.
fn owes_answers(calls: &Calls) -> bool {
    let is_late = |deadline| Instant::now() > deadline + LATE;
    calls.owed() > 0 && !calls.latest_deadline().is_some_and(is_late)
}

/// Destroys the client, on this thread or, where a blocking call still runs, on that call's.
fn end(live: Arc<Live>, calls: &Calls, closing: &mpsc::Receiver<Arc<Live>>) {
    // The client's own reference, which it sends right after it has asked to close.
    let last = closing.recv();
    if calls.owed() > 0 {
        tracing::warn!("a Kafka client owes answers long after their deadlines; it is left alone");
        mem::forget((live, last));
    }
}
