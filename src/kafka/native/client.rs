//! A client: one librdkafka handle, one queue and one thread that polls it.
//!
//! The thread answers the calls in flight and hands on what the client says of its own accord. It ends when the
//! [`Client`] is dropped, and it is where librdkafka is destroyed, which may block.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rdkafka_sys as sys;

use super::calls::{Call, Calls};
use super::conf::Conf;
use super::event::{Event, Kind};
use super::handle::{ClientType, Handle, Queue};
use super::options::Options;
use crate::kafka::error::{ErrorCode, KafkaError};

/// How long the thread waits for an event before it looks around; an event or a drop wakes it at once.
const POLL_TIMEOUT: Duration = Duration::from_secs(1);

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
    /// Where the last reference goes, so that the caller's thread never destroys the client.
    last: mpsc::Sender<Arc<Live>>,
}

/// The client proper. Fields drop in order: the queue before the handle it belongs to.
pub(super) struct Live {
    pub(super) queue: Queue,
    pub(super) handle: Handle,
    is_closing: AtomicBool,
}

impl Client {
    /// Starts a client and its thread. Never touches the network itself.
    ///
    /// # Errors
    ///
    /// librdkafka's words where properties contradict each other or a file they name cannot be used.
    pub(in crate::kafka) fn start(mut conf: Conf, observer: impl Observer) -> Result<Self, String> {
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
        let handle = Handle::new(conf, ClientType::Consumer)?;
        let live = Arc::new(Live {
            queue: Queue::for_everything_of(&handle),
            handle,
            is_closing: AtomicBool::new(false),
        });
        let calls = Calls::new();
        let (last, closing) = mpsc::channel();
        let (thread_live, thread_calls) = (Arc::clone(&live), Arc::clone(&calls));
        thread::Builder::new()
            .name("kafka-client".to_owned())
            .spawn(move || serve(thread_live, &thread_calls, observer, &closing))
            .map_err(|error| format!("starting the client's thread: {error}"))?;
        Ok(Self {
            live: Some(live),
            calls,
            last,
        })
    }

    /// Sends a call and returns its place in the table; `copy` runs on the client's thread.
    ///
    /// `submit` gets the options, and must pass them and the client's queue to librdkafka.
    pub(super) fn call<T: Send + 'static>(
        &self,
        options: &Options<'_>,
        copy: impl FnOnce(&Event) -> Result<T, KafkaError> + Send + 'static,
        submit: impl FnOnce(&Live, *const sys::rd_kafka_AdminOptions_t),
    ) -> Result<Call<T>, KafkaError> {
        let call = self.calls.open(copy)?;
        submit(self.live(), options.for_call(call.id()));
        Ok(call)
    }

    /// Runs a function of librdkafka that blocks, on a thread of its own; it must end by `timeout` by itself.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        name: &'static str,
        timeout: Duration,
        run: impl FnOnce(&Live) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, KafkaError> {
        let (sender, answer) = tokio::sync::oneshot::channel();
        let live = Arc::clone(self.live());
        // Not tokio's pool: its runtime would wait for this thread when it shuts down.
        let spawned = thread::Builder::new().name(name.to_owned()).spawn(move || {
            let result = run(&live);
            // Before the answer: whoever gets it may close the client, which must then be ours to destroy no more.
            drop(live);
            drop(sender.send(result));
        });
        if spawned.is_err() {
            return Err(KafkaError::of(ErrorCode::CRITICAL_SYSTEM_RESOURCE));
        }
        match tokio::time::timeout(timeout + Duration::from_millis(250), answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_thread_died)) => Err(KafkaError::of(ErrorCode::DESTROY)),
            Err(_elapsed) => Err(KafkaError::of(ErrorCode::TIMED_OUT)),
        }
    }

    /// Returns the client proper.
    pub(super) fn live(&self) -> &Arc<Live> {
        self.live.as_ref().expect("taken only by drop")
    }

    /// Returns how many calls wait for their answer.
    #[cfg(test)]
    pub(in crate::kafka) fn in_flight(&self) -> usize {
        self.calls.in_flight()
    }

    /// Returns something that turns false when the client is destroyed.
    #[cfg(test)]
    pub(in crate::kafka) fn liveness(&self) -> impl Fn() -> bool + use<> {
        let weak = Arc::downgrade(self.live());
        move || weak.strong_count() > 0
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

/// Polls until the client is dropped, then destroys it.
fn serve(
    live: Arc<Live>,
    calls: &Calls,
    mut observer: impl Observer,
    closing: &mpsc::Receiver<Arc<Live>>,
) {
    live.handle.close_membership();
    while !live.is_closing.load(Ordering::Acquire) {
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
    // The client's own reference, which it sends right after it has asked to close.
    drop(closing.recv());
    // The last one, unless a blocking call still runs: then its thread destroys the client.
    drop(live);
}
