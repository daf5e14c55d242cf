//! What the system tells the process: to end, to end at once, to read its configuration again.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

/// A wish of whoever runs the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// SIGINT, SIGTERM, or the time is up.
    End,
    /// SIGHUP.
    Reload,
}

/// The signals of this process, caught from the moment this is made.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    end: Option<Instant>,
}

impl Signals {
    /// Begins to catch signals.
    ///
    /// # Errors
    ///
    /// The system refuses a handler.
    pub fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            end: None,
        })
    }

    /// Ends the process after `duration`, as if it had been told to.
    pub fn with_end_after(mut self, duration: Option<Duration>) -> Self {
        self.end = duration.map(|duration| Instant::now() + duration);
        self
    }

    /// Waits for the next wish.
    ///
    /// # Cancel safety
    ///
    /// A wish that is not returned is not lost.
    pub async fn next(&mut self) -> Wish {
        let end = self.end;
        let time_is_up = async {
            match end {
                Some(end) => tokio::time::sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Wish::End,
            _ = self.terminate.recv() => Wish::End,
            _ = self.hangup.recv() => Wish::Reload,
            () = time_is_up => {
                // Only once: a second wish to end is an abort.
                self.end = None;
                Wish::End
            }
        }
    }

    /// Waits for a wish to end, passing over others.
    pub async fn end(&mut self) {
        while self.next().await != Wish::End {}
    }
}
