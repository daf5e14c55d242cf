//! What is written to `__consumer_offsets`: how to bring it about, and how Kafka itself reads it.

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::Kafka;

/// A record of `__consumer_offsets` with what Kafka's own formatter prints for it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct PrintedRecord {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    #[serde(deserialize_with = "from_hex")]
    pub(crate) key: Vec<u8>,
    #[serde(deserialize_with = "from_optional_hex")]
    pub(crate) value: Option<Vec<u8>>,
    /// Null where Kafka does not know the type.
    pub(crate) printed: Value,
}

impl Kafka {
    /// Returns every committed record of `__consumer_offsets`.
    pub(crate) fn read_offsets_topic(&self) -> Vec<PrintedRecord> {
        self.answer(json!({ "do": "offsets-topic-read" }))
    }

    /// Returns the record that Kafka writes for these fields, named as its formatter names them.
    pub(crate) fn encode_offsets_record(
        &self,
        record_type: i16,
        version: i16,
        key: &Value,
        value: &Value,
    ) -> PrintedRecord {
        self.answer(json!({
            "do": "offsets-topic-encode", "type": record_type, "version": version, "key": key, "value": value,
        }))
    }

    /// Deletes what a group has committed on a partition.
    pub(crate) fn delete_offsets(&self, group: &str, topic: &str, partition: i32) {
        self.call(json!({
            "do": "delete-offsets", "group": group, "topic": topic, "partition": partition,
        }));
    }

    /// Joins a share group, reads this many records of a topic from its first on, and leaves.
    pub(crate) fn share(&self, group: &str, topic: &str, records: usize) {
        drop(self.share_member(group, topic, records));
    }
}

fn from_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    bytes(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no hex")))
}

fn from_optional_hex<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<u8>>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let bytes = text.map(|text| bytes(&text).ok_or(text)).transpose();
    bytes.map_err(|text| serde::de::Error::custom(format!("`{text}` is no hex")))
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect()
}
