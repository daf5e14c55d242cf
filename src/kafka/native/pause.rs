//! Pausing librdkafka's main thread for the moment it takes to send a call.
//!
//! `rd_kafka_ListOffsets` looks leaders up on its caller's thread. Where it does not know them all it waits for
//! metadata, and the main thread, which gets it, may finish and free the very lookup its caller is still busy with:
//! a double free, met by listing offsets while a client connects. Only the main thread finishes lookups, so the call
//! is safe while that thread stands still.
//!
//! The main thread announces the first event of an empty queue by a callback. A call whose time is up before it begins
//! makes it put one there, at once and without a request; the callback then waits until the call of ours is sent.

use std::ffi::c_void;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka_sys as sys;

use super::groups::OffsetsRequest;
use super::handle::{Handle, Queue};
use super::options::Options;
use crate::lag::GroupId;

/// Longer than either thread ever waits for the other, unless the process is starved.
const LIMIT: Duration = Duration::from_secs(10);

/// What pauses the main thread of one client. Must be dropped before its [`Handle`].
pub(super) struct Pause {
    queue: Queue,
    meeting: Arc<Meeting>,
}

/// The main thread could not be paused in time, so nothing was sent.
#[derive(Debug)]
pub(super) struct Starved;

/// Where the two threads meet.
#[derive(Default)]
struct Meeting {
    stage: Mutex<Stage>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// The main thread goes its way.
    #[default]
    Running,
    /// It is asked to pause.
    Asked,
    /// It stands still until it is told to run.
    Paused,
}

impl Pause {
    /// Returns what pauses the main thread of `handle`'s client.
    pub(super) fn of(handle: &Handle) -> Self {
        let queue = Queue::new(handle);
        let meeting = Arc::new(Meeting::default());
        let opaque = Arc::as_ptr(&meeting).cast_mut().cast::<c_void>();
        // SAFETY: the queue is live; `drop` takes the callback back before the meeting goes.
        unsafe { sys::rd_kafka_queue_cb_event_enable(queue.as_ptr(), Some(pause), opaque) };
        Self { queue, meeting }
    }

    /// Runs `send` while the main thread of `handle`'s client, which is the one of [`Self::of`], stands still.
    ///
    /// Blocks until it does; not for an asynchronous worker, and not for two threads at once.
    pub(super) fn during(&self, handle: &Handle, send: impl FnOnce()) -> Result<(), Starved> {
        // The callback is for the first event of an empty queue alone.
        while self.queue.poll(Duration::ZERO).is_some() {}
        self.meeting.ask();
        self.knock(handle);
        let _running_again = self.meeting.wait_until_paused()?;
        send();
        Ok(())
    }

    /// Makes the main thread put an event into the queue.
    fn knock(&self, handle: &Handle) {
        let Ok(options) = Options::expired(handle) else {
            return;
        };
        let request = OffsetsRequest::new(&GroupId::from("none"), None);
        let mut requests = [request.as_ptr()];
        // SAFETY: client, request, options and queue are live; request and options are copied.
        unsafe {
            sys::rd_kafka_ListConsumerGroupOffsets(
                handle.as_ptr(),
                requests.as_mut_ptr(),
                requests.len(),
                options.as_ptr(),
                self.queue.as_ptr(),
            );
        }
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        // SAFETY: the queue is live. Waits for a callback that runs, and none begins after it.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.queue.as_ptr(), None, std::ptr::null_mut());
        }
    }
}

impl Meeting {
    fn ask(&self) {
        *self.lock() = Stage::Asked;
    }

    /// Waits for the main thread; it runs again when the answer is dropped.
    fn wait_until_paused(&self) -> Result<RunningAgain<'_>, Starved> {
        let is_on_its_way = |stage: &mut Stage| *stage == Stage::Asked;
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), LIMIT, is_on_its_way);
        let (mut stage, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *stage == Stage::Paused {
            return Ok(RunningAgain(self));
        }
        // It comes too late, and must not wait for anybody.
        *stage = Stage::Running;
        Err(Starved)
    }

    /// Stands still, on the main thread, until told to run.
    fn stand_still(&self) {
        let mut stage = self.lock();
        if *stage != Stage::Asked {
            return;
        }
        *stage = Stage::Paused;
        self.changed.notify_all();
        let is_paused = |stage: &mut Stage| *stage == Stage::Paused;
        // The other thread holds on for microseconds; should it be gone, librdkafka has to go on.
        let waited = self.changed.wait_timeout_while(stage, LIMIT, is_paused);
        let (mut stage, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *stage = Stage::Running;
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        // Nothing panics while it is held, and every stage is a whole value.
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the main thread run when dropped, also by a panic.
struct RunningAgain<'a>(&'a Meeting);

impl Drop for RunningAgain<'_> {
    fn drop(&mut self) {
        let Self(meeting) = self;
        *meeting.lock() = Stage::Running;
        meeting.changed.notify_all();
    }
}

/// librdkafka calls this on the thread that puts an event into the queue. It must not call librdkafka, and does not.
unsafe extern "C" fn pause(_client: *mut sys::rd_kafka_t, opaque: *mut c_void) {
    let meeting: *const Meeting = opaque.cast_const().cast();
    // SAFETY: what `Pause::of` passed, which lives until the callback is taken back.
    let meeting = unsafe { &*meeting };
    meeting.stand_still();
}
