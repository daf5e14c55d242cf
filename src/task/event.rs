//! `task-created` events as they travel through Kafka: JSON with an `id` and a `title`.
//!
//! Fields that are not named here are ignored; the record's own bytes are what the dead-letter topic gets.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What makes an event the same event when it is delivered again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct EventId(String);

impl EventId {
    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for EventId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A task was created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCreated {
    /// Unique; a JSON string, or a number that is taken as its digits.
    pub id: EventId,
    /// For people.
    pub title: String,
}

/// Why a record is no `task-created` event. Trying again cannot help.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EventError {
    /// A record without a value (a tombstone).
    #[error("the record has no value")]
    NoValue,
    /// The value is not the JSON that was expected.
    #[error("the value is no task-created event")]
    Json(#[from] serde_json::Error),
}

impl TaskCreated {
    /// Reads an event from a record's value.
    ///
    /// # Errors
    ///
    /// When there is no value, it is not JSON, or `id` or `title` is missing.
    pub fn decode(value: Option<&[u8]>) -> Result<Self, EventError> {
        Ok(serde_json::from_slice(value.ok_or(EventError::NoValue)?)?)
    }

    /// Returns the event as JSON.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("two strings always have a JSON form")
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = EventId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a non-empty string or a whole number")
    }

    fn visit_str<E: de::Error>(self, id: &str) -> Result<EventId, E> {
        if id.is_empty() {
            return Err(E::invalid_length(0, &self));
        }
        Ok(EventId(id.to_owned()))
    }

    fn visit_u64<E: de::Error>(self, id: u64) -> Result<EventId, E> {
        Ok(EventId(id.to_string()))
    }

    fn visit_i64<E: de::Error>(self, id: i64) -> Result<EventId, E> {
        Ok(EventId(id.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(json: &str) -> Result<TaskCreated, EventError> {
        TaskCreated::decode(Some(json.as_bytes()))
    }

    #[test]
    fn an_event_survives_the_journey() {
        let event = TaskCreated {
            id: EventId("a-1".into()),
            title: "buy \"milk\"".into(),
        };
        assert_eq!(
            TaskCreated::decode(Some(&event.encode())).expect("its own form"),
            event
        );
    }

    #[test]
    fn a_number_is_an_id_and_unknown_fields_are_ignored() {
        let event = decoded(r#"{"id":7,"title":"t","tags":["x"],"owner":{"name":"n"}}"#)
            .expect("a valid event");
        assert_eq!(event.id.as_str(), "7");
    }

    #[test]
    fn what_is_no_event_says_why() {
        let cases = [
            ("{", "EOF while parsing"),
            (r#"{"title":"t"}"#, "missing field `id`"),
            (r#"{"id":"a"}"#, "missing field `title`"),
            (r#"{"id":"","title":"t"}"#, "a non-empty string"),
            (r#"{"id":null,"title":"t"}"#, "a non-empty string"),
            (r#"{"id":1.5,"title":"t"}"#, "a non-empty string"),
            ("[]", "invalid length"),
        ];
        for (json, reason) in cases {
            let EventError::Json(error) = decoded(json).expect_err(json) else {
                panic!("{json}: not a JSON error");
            };
            assert!(error.to_string().contains(reason), "{json}: {error}");
        }
        assert!(matches!(
            TaskCreated::decode(None),
            Err(EventError::NoValue)
        ));
    }
}
