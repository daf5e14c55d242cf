//! Bytes that do not follow their schema.

use std::fmt;

use thiserror::Error;

use super::record_type::RecordType;

/// A record whose bytes do not follow the schema that its type and version name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("malformed {schema}: field `{field}` at byte {position}")]
pub struct Malformed {
    /// What was being read.
    pub schema: Schema,
    /// The field as Kafka's schema files name it, with the structure it belongs to: `members.clientId`.
    pub field: &'static str,
    /// Where the field begins: bytes from the begin of the record's key or value.
    pub position: usize,
    /// What is wrong with it.
    #[source]
    pub problem: Problem,
}

/// The structures a record is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Schema {
    /// The two bytes at the begin of every key.
    Type,
    /// The rest of a key.
    Key(RecordType),
    /// A value.
    Value(RecordType),
    /// What a member of a classic group was assigned.
    Assignment,
    /// A broker's response to a request of this name.
    Response(&'static str),
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// The bytes end too early.
    #[error("it needs {needed} bytes where {left} are left")]
    Truncated {
        /// At least this many.
        needed: usize,
        /// Bytes between the field's length, or its begin where it has none, and the end.
        left: usize,
    },
    /// Null, where the schema allows none.
    #[error("it is null")]
    Null,
    /// A text that is no UTF-8.
    #[error("it is no UTF-8")]
    NotUtf8,
    /// A variable-length number of more than 32 bits.
    #[error("its number has more than 32 bits")]
    TooLong,
    /// A number or a text that the field cannot have.
    #[error("it is {0}")]
    Value(&'static str),
    /// A topic name that Kafka does not accept.
    #[error("it names a topic as Kafka never does")]
    TopicName,
    /// A partition below zero.
    #[error("it has partition {0}")]
    NegativePartition(i32),
    /// The same partition of the same topic twice.
    #[error("it has partition {0} of a topic twice")]
    RepeatedPartition(i32),
    /// More partitions than a member may have.
    #[error("it has {count} partitions where {most} are the most")]
    TooManyPartitions {
        /// How many it has.
        count: usize,
        /// How many it may have.
        most: usize,
    },
    /// A version below zero.
    #[error("there is no version {0}")]
    Version(i16),
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type => f.write_str("key"),
            Self::Key(record_type) => write!(f, "key of `{record_type}`"),
            Self::Value(record_type) => write!(f, "value of `{record_type}`"),
            Self::Assignment => f.write_str("assignment of a classic member"),
            Self::Response(api) => write!(f, "response to `{api}`"),
        }
    }
}
