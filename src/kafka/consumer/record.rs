//! A record as it came from Kafka, owned.

use rdkafka::message::{BorrowedMessage, Headers, Message};

use crate::lag::Offset;

/// One record of a partition. Which partition is said beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerRecord {
    /// Its place in the partition.
    pub offset: Offset,
    /// When it was written, in milliseconds since the epoch, if the producer or the broker said so.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; nothing for a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers, in order; a name may come twice.
    pub headers: Vec<Header>,
}

/// A name and bytes that travel with a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name.
    pub name: String,
    /// The value; Kafka tells "none" from "empty".
    pub value: Option<Vec<u8>>,
}

impl Header {
    /// Returns a header with a text as its value.
    pub fn text(name: &str, value: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            value: Some(value.into().into_bytes()),
        }
    }
}

impl ConsumerRecord {
    /// Returns the offset a group commits when this record is the last one done.
    pub fn next_offset(&self) -> Offset {
        self.offset.next()
    }

    /// Copies a message out of librdkafka; nothing for one without an offset, which no fetched message is.
    pub(super) fn copy(message: &BorrowedMessage<'_>) -> Option<Self> {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers
                .iter()
                .map(|header| Header {
                    name: header.key.to_owned(),
                    value: header.value.map(<[u8]>::to_vec),
                })
                .collect()
        });
        Some(Self {
            offset: Offset::new(message.offset())?,
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers,
        })
    }

    /// Returns an empty record for tests of order.
    #[cfg(test)]
    pub(crate) fn at_offset(offset: u64) -> Self {
        Self {
            offset: Offset::new(i64::try_from(offset).expect("a small number"))
                .expect("not negative"),
            timestamp_ms: None,
            key: None,
            value: None,
            headers: Vec::new(),
        }
    }
}
