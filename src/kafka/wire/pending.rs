//! A request on its way to a broker.

use bytes::{Bytes, BytesMut};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::message::SupportedVersions;
use crate::kafka::api::Api;
use crate::kafka::error::KafkaError;

/// A request that waits for its response.
pub(super) struct PendingRequest {
    pub(super) api: Api,
    pub(super) encode: Encode,
    pub(super) deadline: Instant,
    /// Connections that ended without any answer while it was the first in flight.
    pub(super) fruitless: u8,
    pub(super) reply: oneshot::Sender<Result<(i16, Bytes), KafkaError>>,
}

/// Appends a request in the newest version that both sides know, and returns that version.
pub(super) type Encode = Box<
    dyn Fn(&SupportedVersions, i32, &str, &mut BytesMut) -> Result<i16, KafkaError> + Send + Sync,
>;

impl PendingRequest {
    /// Answers it with an error.
    pub(super) fn fail(self, error: KafkaError) {
        // Fails where the caller was dropped.
        let _ = self.reply.send(Err(error));
    }
}
