//! A connection to one broker for one use, made when it is needed and again when it breaks.
//!
//! Requests are pipelined, and Kafka answers them in order. A request that was in flight when the connection broke is sent
//! again, as long as its deadline allows and the broker answers something at all: everything that lagwatch asks may be
//! asked twice. A response that is late ends the connection, as all responses behind it are late, too.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::common::Common;
use super::endpoint::Endpoint;
use super::handshake::unsupported;
use super::keeper::{Keeper, MOST_QUEUED};
use super::message::{self, Request, Throttled};
use super::pending::{Encode, PendingRequest};
use super::quiet::Quiet;
use crate::kafka::error::{ErrorCode, KafkaError};

/// Sends requests to one broker. Its connection ends when all clones are dropped.
#[derive(Clone)]
pub(super) struct Link {
    requests: mpsc::Sender<PendingRequest>,
    quiet: Arc<Quiet>,
    common: Arc<Common>,
    endpoint: Endpoint,
}

impl Link {
    /// Returns a link, and what has to run for it: it ends when every clone of the link is dropped.
    pub(super) fn new(
        endpoint: Endpoint,
        common: Arc<Common>,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, requests) = mpsc::channel(MOST_QUEUED);
        let quiet = Arc::new(Quiet::default());
        let keeper = Keeper::new(
            endpoint.clone(),
            Arc::clone(&common),
            requests,
            Arc::clone(&quiet),
        );
        let link = Self {
            requests: sender,
            quiet,
            common,
            endpoint,
        };
        (link, keeper.run())
    }

    /// Sends a request and returns its response.
    ///
    /// # Errors
    ///
    /// `_TIMED_OUT` at `deadline`; `_UNSUPPORTED_FEATURE` without a version in common; why the connection cannot be made or
    /// broke; `_BAD_MSG` where the response cannot be read.
    ///
    /// # Cancel safety
    ///
    /// A dropped future abandons the response; the request may still reach the broker.
    pub(super) async fn ask<R: Request>(
        &self,
        request: Arc<R>,
        deadline: Instant,
    ) -> Result<R::Response, KafkaError> {
        let (reply, response) = oneshot::channel();
        let encoded = Arc::clone(&request);
        let encode: Encode = Box::new(move |versions, id, client_id, buffer| {
            let version = versions.newest(&*encoded).ok_or_else(unsupported::<R>)?;
            message::encode(&*encoded, version, id, client_id, buffer)?;
            Ok(version)
        });
        let pending = PendingRequest {
            api: R::API,
            encode,
            deadline,
            fruitless: 0,
            reply,
        };
        let answered = async {
            self.requests.send(pending).await.map_err(|_| ended())?;
            response.await.map_err(|_| ended())?
        };
        let answered = timeout_at(deadline, answered).await;
        let (version, bytes) = answered.unwrap_or_else(|_| Err(self.late::<R>()))?;
        let Throttled { response, throttle } = message::decode(&*request, version, &bytes)?;
        if !throttle.is_zero() {
            self.quiet.extend(throttle);
        }
        Ok(response)
    }

    /// Returns whether nothing can be sent any more.
    pub(super) fn has_ended(&self) -> bool {
        self.requests.is_closed()
    }

    fn late<R: Request>(&self) -> KafkaError {
        let error = KafkaError {
            code: ErrorCode::TIMED_OUT,
            message: format!(
                "broker `{}` did not answer `{}` in time",
                self.endpoint,
                R::API
            ),
        };
        let explained = self.common.journal.explain(error.clone());
        self.common.journal.late(&error);
        explained
    }
}

/// Returns the error of a request to a client that is being closed.
fn ended() -> KafkaError {
    KafkaError::of(ErrorCode::DESTROY)
}
