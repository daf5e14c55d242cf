//! The task behind a link: connects to a broker when that is needed, reconnects when the connection breaks, and sends requests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::common::Common;
use super::endpoint::Endpoint;
use super::frames::Response;
use super::handshake::{Session, wrong_correlation_id};
use super::pending::PendingRequest;
use super::quiet::Quiet;
use super::settings::Settings;
use crate::kafka::error::{ErrorCode, KafkaError};

/// Requests that wait for a connection or for their turn.
pub(super) const MOST_QUEUED: usize = 256;

/// Requests that the broker has and has not answered.
const MOST_IN_FLIGHT: usize = 32;

/// How long a broker may be silent on a new connection before that is logged.
const SILENCE: Duration = Duration::from_millis(800);

/// A request that the broker has.
struct InFlight {
    correlation_id: i32,
    version: i16,
    pending: PendingRequest,
}

/// Keeps a connection.
pub(super) struct Keeper {
    endpoint: Endpoint,
    common: Arc<Common>,
    requests: mpsc::Receiver<PendingRequest>,
    queue: VecDeque<PendingRequest>,
    quiet: Arc<Quiet>,
    /// Connections that could not be made, or ended without a response, since the last response.
    failures: u32,
    /// When the next attempt may be made.
    retry_at: Option<Instant>,
    /// Whether the newest connection ended while requests were in flight. A broker that closes a connection on which requests
    /// arrive takes away what it has just answered, too, so that the next connection begins with one request at a time.
    is_cautious: bool,
}

impl Keeper {
    /// Returns the keeper of a connection to `endpoint`, which sends what comes by `requests`.
    pub(super) fn new(
        endpoint: Endpoint,
        common: Arc<Common>,
        requests: mpsc::Receiver<PendingRequest>,
        quiet: Arc<Quiet>,
    ) -> Self {
        Self {
            endpoint,
            common,
            requests,
            queue: VecDeque::new(),
            quiet,
            failures: 0,
            retry_at: None,
            is_cautious: false,
        }
    }

    /// Makes connections and serves requests. Ends when no request can come any more.
    pub(super) async fn run(mut self) {
        while self.wait_for_work().await.is_some() {
            match self.open().await {
                Ok(session) => {
                    if self.serve(session).await.is_none() {
                        return;
                    }
                }
                Err((error, deadline)) => self.fail_queue(&error, deadline),
            }
        }
    }

    /// Waits until a request is to be sent and the next attempt may be made; nothing once no request can come any more.
    async fn wait_for_work(&mut self) -> Option<()> {
        loop {
            self.queue.retain(|pending| !pending.reply.is_closed());
            if self.queue.is_empty() {
                let pending = self.requests.recv().await?;
                self.queue.push_back(pending);
                continue;
            }
            let Some(retry_at) = self.retry_at.take_if(|at| *at > Instant::now()) else {
                return Some(());
            };
            self.retry_at = Some(retry_at);
            tokio::select! {
                () = sleep_until(retry_at) => {}
                received = self.requests.recv(), if self.queue.len() < MOST_QUEUED => {
                    self.queue.push_back(received?);
                }
            }
        }
    }

    /// Makes a connection within the time that the queued requests have.
    async fn open(&mut self) -> Result<Session, (KafkaError, Instant)> {
        let now = Instant::now();
        let deadlines = self.queue.iter().map(|pending| pending.deadline);
        let limit = now + self.common.settings.setup_timeout;
        let deadline = deadlines.max().unwrap_or(limit).min(limit);
        let (common, endpoint) = (Arc::clone(&self.common), self.endpoint.clone());
        let opening = Session::open(&endpoint, Arc::clone(&common), deadline);
        let mut opening = std::pin::pin!(opening);
        let opened = match timeout_at(now + SILENCE, &mut opening).await {
            Ok(opened) => opened,
            Err(_) => {
                common.journal.failed(&KafkaError {
                    code: ErrorCode::TIMED_OUT,
                    message: format!("broker `{}` has not answered for a second", self.endpoint),
                });
                opening.await
            }
        };
        match opened {
            Ok(session) => {
                self.retry_at = None;
                Ok(session)
            }
            Err(error) => {
                common.journal.failed(&error);
                self.back_off();
                Err((error, deadline))
            }
        }
    }

    /// Delays the next attempt: twice as long after each failure, and not at the same moment as other clients.
    fn back_off(&mut self) {
        let Settings {
            backoff,
            max_backoff,
            ..
        } = self.common.settings;
        let doubled = backoff.saturating_mul(1 << self.failures.min(16));
        self.failures += 1;
        let jitter = 0.8 + 0.4 * super::jitter::fraction();
        self.retry_at = Some(Instant::now() + doubled.min(max_backoff).mul_f64(jitter));
    }

    /// Fails the requests that an attempt was made for. Those that have more time than it had wait for the next one, unless
    /// the broker cannot be reached at all.
    fn fail_queue(&mut self, error: &KafkaError, deadline: Instant) {
        while let Ok(pending) = self.requests.try_recv() {
            self.queue.push_back(pending);
        }
        for pending in std::mem::take(&mut self.queue) {
            if error.code.is_timeout() && pending.deadline > deadline {
                self.queue.push_back(pending);
            } else {
                pending.fail(error.clone());
            }
        }
    }

    /// Sends requests and hands out responses until the connection ends; nothing once no request can come any more.
    async fn serve(&mut self, mut session: Session) -> Option<()> {
        let mut in_flight: VecDeque<InFlight> = VecDeque::new();
        let mut answered = 0_usize;
        let error = loop {
            let is_expiring = session.expires.is_some_and(|at| at <= Instant::now());
            if is_expiring && in_flight.is_empty() {
                if let Err(error) = self.log_in_again(&mut session).await {
                    break error;
                }
                continue;
            }
            let quiet = self.quiet.until();
            if !is_expiring && quiet.is_none() {
                let most = self.most_in_flight(answered);
                self.send(&mut session, &mut in_flight, most);
            }
            let late = in_flight.iter().map(|sent| sent.pending.deadline).min();
            tokio::select! {
                biased;
                response = session.frames.exchange() => {
                    let taken = response.and_then(|response| self.take(response, &mut in_flight));
                    if let Err(error) = taken {
                        break error;
                    }
                    answered += 1;
                }
                received = self.requests.recv(), if self.queue.len() < MOST_QUEUED => {
                    self.queue.push_back(received?);
                }
                () = sleep_until(late.unwrap_or_else(Instant::now)), if late.is_some() => {
                    break self.late();
                }
                () = sleep_until(quiet.unwrap_or_else(Instant::now)), if quiet.is_some() => {}
                () = sleep_until(session.expires.unwrap_or_else(Instant::now)),
                    if session.expires.is_some() && !is_expiring => {}
            }
        };
        self.is_cautious = !in_flight.is_empty();
        self.give_back(in_flight, answered > 0, error);
        Some(())
    }

    /// Returns how many requests may be in flight on a connection that has answered `answered` requests.
    fn most_in_flight(&self, answered: usize) -> usize {
        if self.is_cautious && answered < 2 {
            1
        } else {
            MOST_IN_FLIGHT
        }
    }

    /// Hands a response to the request that was sent first.
    ///
    /// # Errors
    ///
    /// `_BAD_MSG` where it answers another one.
    fn take(
        &mut self,
        response: Response,
        in_flight: &mut VecDeque<InFlight>,
    ) -> Result<(), KafkaError> {
        let Some(sent) = in_flight.pop_front() else {
            return Err(wrong_correlation_id());
        };
        if sent.correlation_id != response.correlation_id {
            sent.pending.fail(wrong_correlation_id());
            return Err(wrong_correlation_id());
        }
        if std::mem::take(&mut self.failures) > 0 {
            self.common.journal.recovered(&self.endpoint.to_string());
        }
        // Fails where the caller was dropped.
        let _ = sent.pending.reply.send(Ok((sent.version, response.bytes)));
        Ok(())
    }

    fn late(&self) -> KafkaError {
        KafkaError {
            code: ErrorCode::TIMED_OUT,
            message: format!("broker `{}` did not answer in time", self.endpoint),
        }
    }

    async fn log_in_again(&self, session: &mut Session) -> Result<(), KafkaError> {
        let deadline = Instant::now() + self.common.settings.setup_timeout;
        let done = timeout_at(deadline, session.log_in()).await;
        done.unwrap_or_else(|_| Err(KafkaError::of(ErrorCode::TIMED_OUT)))
    }

    fn send(&mut self, session: &mut Session, in_flight: &mut VecDeque<InFlight>, most: usize) {
        while in_flight.len() < most
            && let Some(pending) = self.queue.pop_front()
        {
            if pending.reply.is_closed() {
                continue;
            }
            let correlation_id = session.next_correlation_id();
            let client_id = &self.common.settings.client_id;
            let versions = &session.versions;
            let pushed = session
                .frames
                .push(|buffer| (pending.encode)(versions, correlation_id, client_id, buffer));
            match pushed {
                Ok(version) => {
                    self.common.requests.sent(pending.api.name(), 1);
                    in_flight.push_back(InFlight {
                        correlation_id,
                        version,
                        pending,
                    });
                }
                Err(error) => pending.fail(error),
            }
        }
    }

    /// Puts what was in flight on a connection that ended back to the front of the queue, or fails it.
    fn give_back(&mut self, in_flight: VecDeque<InFlight>, is_answered: bool, error: KafkaError) {
        let error = KafkaError {
            message: if error.message.contains(&self.endpoint.to_string()) {
                error.message
            } else {
                format!("broker `{}`: {}", self.endpoint, error.message)
            },
            ..error
        };
        let is_idle =
            in_flight.is_empty() && self.queue.is_empty() && error.code == ErrorCode::TRANSPORT;
        if !is_idle {
            self.common.journal.failed(&error);
        }
        if !is_answered && !is_idle {
            self.back_off();
        }
        let now = Instant::now();
        for (place, InFlight { mut pending, .. }) in in_flight.into_iter().enumerate().rev() {
            // The broker had not yet begun with those behind the first.
            if !is_answered && place == 0 {
                pending.fruitless += 1;
            }
            let is_late = pending.deadline <= now;
            let is_nonsense = error.code == ErrorCode::BAD_MSG && place == 0;
            if is_late || is_nonsense || pending.fruitless > 1 {
                pending.fail(error.clone());
            } else {
                self.queue.push_front(pending);
            }
        }
    }
}
