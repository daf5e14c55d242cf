//! Names of the things Kafka knows: groups, topics, partitions, brokers and members.
//!
//! Ids are cheap to clone (what they hold is shared) and order as they print. No offset and no figure lives here.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        // The box makes a name eight bytes long: a large cluster has three of them for each partition of each group.
        pub struct $name(Arc<Box<str>>);

        // Names that are compared mostly share their allocation.
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.hash(state);
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                if Arc::ptr_eq(&self.0, &other.0) {
                    Ordering::Equal
                } else {
                    self.0.cmp(&other.0)
                }
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl $name {
            /// Returns the name as Kafka spells it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(Arc::new(name.into()))
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self(Arc::new(name.into()))
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }
    };
}

name! {
    /// The id of a consumer group: any string, quotes, spaces and unicode included.
    GroupId
}
name! {
    /// The name of a topic.
    TopicName
}
name! {
    /// The name the configuration gives to a cluster; the value of the label `cluster`.
    ClusterName
}

/// Returns whether Kafka accepts `name` for a topic: 1 to 249 letters, digits, `.`, `_` and `-` of ASCII, but neither `.`
/// nor `..`.
///
/// Source: Kafka's `Topic.validate`.
pub fn is_valid_topic_name(name: &str) -> bool {
    let is_accepted = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=249).contains(&name.len()) && name.bytes().all(is_accepted) && name != "." && name != ".."
}

/// The number of a partition within its topic, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionId(pub i32);

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The node id of a broker, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BrokerId(pub i32);

impl fmt::Display for BrokerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The id that Kafka gives to a topic when it is created; a topic created anew has another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(u128);

impl TopicId {
    /// Returns the id of these bytes, the most significant first; nothing for zeros, which stand for "no id".
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        let bits = u128::from_be_bytes(bytes);
        (bits != 0).then_some(Self(bits))
    }

    /// Returns its bytes, the most significant first.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for TopicId {
    /// Writes the id as Kafka prints it: base64 for URLs, without padding.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        // 21 digits of six bits, and two bits that are left over.
        let whole = (0..21).map(|digit| self.0 >> (122 - 6 * digit));
        for bits in whole.chain([self.0 << 4]) {
            f.write_char(char::from(DIGITS[(bits & 63) as usize]))?;
        }
        Ok(())
    }
}

/// One partition of one topic. Prints as Kafka does: `task-created-3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicName,
    /// The partition's number.
    pub partition: PartitionId,
}

impl TopicPartition {
    /// Returns partition `partition` of `topic`.
    pub fn new(topic: impl Into<TopicName>, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition: PartitionId(partition),
        }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition } = self;
        write!(f, "{topic}-{partition}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_names_are_those_that_kafka_accepts() {
        let longest = "t".repeat(249);
        for name in ["t", "__consumer_offsets", "a.b-C_9", "...", &longest] {
            assert!(is_valid_topic_name(name), "{name}");
        }
        let too_long = "t".repeat(250);
        for name in ["", ".", "..", "a b", "a/b", "a\0", "caf\u{e9}", &too_long] {
            assert!(!is_valid_topic_name(name), "{name}");
        }
    }

    #[test]
    fn topic_ids_print_as_kafka_prints_them() {
        // As `org.apache.kafka.common.Uuid.toString` does.
        for (bytes, expected) in [
            (u128::MAX, "_____________________w"),
            (1, "AAAAAAAAAAAAAAAAAAAAAQ"),
            (
                0x0123_4567_89ab_cdef_fedc_ba98_7654_3210,
                "ASNFZ4mrze_-3LqYdlQyEA",
            ),
        ] {
            let id = TopicId::from_bytes(bytes.to_be_bytes()).expect("it is not zero");
            assert_eq!(id.to_string(), expected);
            assert_eq!(id.to_bytes(), bytes.to_be_bytes());
        }
        assert_eq!(TopicId::from_bytes([0; 16]), None);
    }
}
