//! The state and the type of a group, by the words that Kafka uses.

use std::fmt;

use serde::{Serialize, Serializer};

/// The state of a group.
///
/// Source: KIP-518, KIP-848; the words are those of `kafka-consumer-groups --state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupState {
    /// The broker used a word that is not known here.
    Unknown,
    /// Waiting for members to join.
    PreparingRebalance,
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    /// Members have their partitions.
    Stable,
    /// It is being removed, or does not exist.
    Dead,
    /// No members.
    Empty,
    /// KIP-848: the target assignment is being computed.
    Assigning,
    /// KIP-848: members are moving to the target assignment.
    Reconciling,
    /// KIP-1071: the topology cannot run yet, such as where a topic is missing.
    NotReady,
}

impl GroupState {
    /// Every state, in the order of exposition.
    pub const ALL: [Self; 9] = [
        Self::Unknown,
        Self::PreparingRebalance,
        Self::CompletingRebalance,
        Self::Stable,
        Self::Dead,
        Self::Empty,
        Self::Assigning,
        Self::Reconciling,
        Self::NotReady,
    ];

    /// Returns the state of Kafka's word, in any case and with or without `_`; `Unknown` for another word.
    pub fn from_kafka(word: &str) -> Self {
        // As Kafka called it before 1.1.
        if is_same_word(word, "AwaitingSync") {
            return Self::CompletingRebalance;
        }
        let mut states = Self::ALL.into_iter();
        let found = states.find(|state| is_same_word(word, state.as_str()));
        found.unwrap_or(Self::Unknown)
    }

    /// Returns Kafka's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::NotReady => "NotReady",
        }
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The protocol family of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupType {
    /// The broker does not say (before KIP-848), or used a word that is not known here.
    Unknown,
    /// The original join and sync protocol.
    Classic,
    /// KIP-848: the broker assigns.
    Consumer,
    /// KIP-932: members share the records of a partition.
    Share,
    /// KIP-1071: a Streams application, whose tasks the broker assigns.
    Streams,
}

impl Serialize for GroupType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Returns whether two words are the same but for their case and for `_`.
fn is_same_word(word: &str, other: &str) -> bool {
    fn letters(word: &str) -> impl Iterator<Item = u8> {
        let letters = word.bytes().filter(|letter| *letter != b'_');
        letters.map(|letter| letter.to_ascii_lowercase())
    }
    letters(word).eq(letters(other))
}

impl GroupType {
    /// Every type, in the order of exposition.
    const ALL: [Self; 5] = [
        Self::Unknown,
        Self::Classic,
        Self::Consumer,
        Self::Share,
        Self::Streams,
    ];

    /// Returns the type of Kafka's word, in any case; `Unknown` for another word.
    pub fn from_kafka(word: &str) -> Self {
        let mut types = Self::ALL.into_iter();
        let found = types.find(|group_type| is_same_word(word, group_type.as_str()));
        found.unwrap_or(Self::Unknown)
    }

    /// Returns the word in labels and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Classic => "classic",
            Self::Consumer => "consumer",
            Self::Share => "share",
            Self::Streams => "streams",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_words_are_known_however_they_are_written() {
        for state in GroupState::ALL {
            assert_eq!(GroupState::from_kafka(state.as_str()), state);
            assert_eq!(
                GroupState::from_kafka(&state.as_str().to_uppercase()),
                state
            );
        }
        for (word, state) in [
            ("PREPARING_REBALANCE", GroupState::PreparingRebalance),
            ("AwaitingSync", GroupState::CompletingRebalance),
            ("", GroupState::Unknown),
            ("Stabler", GroupState::Unknown),
        ] {
            assert_eq!(GroupState::from_kafka(word), state, "{word}");
        }
        for (word, group_type) in [
            ("Classic", GroupType::Classic),
            ("consumer", GroupType::Consumer),
            ("Share", GroupType::Share),
            ("STREAMS", GroupType::Streams),
            ("", GroupType::Unknown),
        ] {
            assert_eq!(GroupType::from_kafka(word), group_type, "{word}");
        }
    }
}
