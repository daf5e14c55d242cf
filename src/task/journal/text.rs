//! Pieces of log lines.

use std::fmt::Display;
use std::time::Duration;

use crate::lag::{Offset, TopicPartition};

/// The longest list of partitions or offsets in one line.
const LISTED: usize = 20;

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn shown_key(key: Option<&[u8]>) -> String {
    key.map_or_else(
        || "none".to_owned(),
        |key| format!("`{}`", String::from_utf8_lossy(key).escape_debug()),
    )
}

/// Returns names in backticks, the first few of many; "nothing" for none.
pub(super) fn listed(names: impl ExactSizeIterator<Item = impl Display>) -> String {
    joined(names.map(|name| format!("`{name}`")))
}

/// Returns partitions and offsets, the first few of many.
pub(super) fn listed_offsets(offsets: &[(TopicPartition, Offset)]) -> String {
    joined(
        offsets
            .iter()
            .map(|(partition, offset)| format!("`{partition}` at {offset}")),
    )
}

fn joined(texts: impl ExactSizeIterator<Item = String>) -> String {
    let more = texts.len().saturating_sub(LISTED);
    let mut list: Vec<String> = texts.take(LISTED).collect();
    if more > 0 {
        list.push(format!("{more} more"));
    }
    if list.is_empty() {
        return "nothing".to_owned();
    }
    list.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<u32> = (0..22).collect();
        let list = listed(names.iter());
        assert!(list.ends_with("`18`, `19`, 2 more"), "{list}");
        assert_eq!(listed([1].iter()), "`1`");
        assert_eq!(listed(Vec::<u32>::new().iter()), "nothing");
    }

    #[test]
    fn a_key_that_is_no_text_cannot_break_the_line() {
        assert_eq!(shown_key(Some(b"a\nb")), "`a\\nb`");
        assert_eq!(shown_key(Some(&[0xff])), "`\u{fffd}`");
        assert_eq!(shown_key(None), "none");
    }
}
