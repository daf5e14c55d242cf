//! Values of the configuration that are words of a list.

use std::borrow::Cow;

use super::schema::{LogFormat, Strategy};
use super::setting::Scalar;
use crate::collect::Mode;
use crate::diagnostics::nearest;
use crate::kafka::OffsetReset;
use crate::lag::UncommittedPolicy;
use crate::snapshot::{AbandonedPolicy, Granularity, OwnerInfo};
use crate::task::{CommitMode, Preset};

macro_rules! words {
    ($($type:ident { $($word:literal => $variant:ident),+ })+) => {$(
        impl Scalar for $type {
            fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
                one_of(&[$(($word, Self::$variant)),+], text)
            }
        }
    )+};
}

words! {
    Mode { "auto" => Auto, "poll" => Poll, "stream" => Stream }
    Granularity { "partition" => Partition, "topic" => Topic, "group" => Group }
    UncommittedPolicy { "absent" => Absent, "log-start" => LogStart, "log-end" => LogEnd }
    AbandonedPolicy { "counted" => Counted, "left-out" => LeftOut }
    OwnerInfo { "hidden" => Hidden, "exposed" => Exposed }
    OffsetReset { "earliest" => Earliest, "latest" => Latest }
    Strategy { "auto" => Auto, "auto-store" => AutoStore, "per-message" => PerMessage, "per-batch" => PerBatch }
    CommitMode { "sync" => Sync, "async" => Async }
    LogFormat { "text" => Text, "json" => Json }
}

impl Scalar for Preset {
    fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        one_of(&Self::ALL.map(|preset| (preset.name(), preset)), text)
    }
}

/// Parses `text` as one of `words`.
///
/// # Errors
///
/// The words, the nearest one first where one is near.
fn one_of<T: Copy>(words: &[(&'static str, T)], text: &str) -> Result<T, Cow<'static, str>> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let all: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
    let all = all.join(", ");
    Err(match nearest(text, words.iter().map(|(word, _)| *word)) {
        Some(word) => format!("`{word}` (one of {all})").into(),
        None => format!("one of {all}").into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered() {
        let words = [("partition", 1), ("topic", 2), ("group", 3)];
        assert_eq!(one_of(&words, "topic"), Ok(2));
        for (text, expected) in [
            (
                "partion",
                "`partition` (one of `partition`, `topic`, `group`)",
            ),
            ("zzz", "one of `partition`, `topic`, `group`"),
        ] {
            assert_eq!(one_of(&words, text), Err(Cow::from(expected)));
        }
    }
}
