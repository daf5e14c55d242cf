//! How errors are written, in every part alike: one line that says what is wrong, where, and the nearest valid thing. YAML files
//! are read here, so that their errors are alike, too.

use std::error::Error;

use serde::de::DeserializeOwned;
use serde_saphyr::Error as YamlError;

/// How similar two words have to be, from 0 to 1, for one to be suggested in the place of the other.
const SIMILAR: f64 = 0.75;

/// What is wrong with a YAML file.
pub struct YamlProblem {
    /// From 1.
    pub line: u64,
    /// What is wrong there, and what would be right. Quotes no value: it may be a secret.
    pub problem: String,
}

/// Reads a YAML file. One of comments alone is a file in which every key is left out.
///
/// # Errors
///
/// It is no YAML, or not of the type.
pub fn read_yaml<T: DeserializeOwned + Default>(text: &str) -> Result<T, YamlProblem> {
    let is_empty = text
        .lines()
        .map(str::trim)
        .all(|line| line.is_empty() || line.starts_with('#'));
    if is_empty {
        return Ok(T::default());
    }
    serde_saphyr::from_str(text).map_err(|error| YamlProblem::of(&error))
}

/// Returns an error and its causes in one line.
pub fn one_line(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

/// Returns the candidate that `word` is most likely a misspelling of, the first by name if several are; nothing where none is
/// similar. Case, and `_` for `-`, count for nothing.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |word: &str| word.to_lowercase().replace('_', "-");
    let word = plain(word);
    let likenesses = candidates.into_iter().map(|candidate| {
        let likeness = strsim::jaro_winkler(&word, &plain(candidate));
        (likeness, candidate)
    });
    likenesses
        .filter(|(likeness, _)| *likeness >= SIMILAR)
        .max_by(|(one, first), (other, second)| one.total_cmp(other).then(second.cmp(first)))
        .map(|(_, candidate)| candidate)
}

/// Returns the sentence for a word that is none of those that are known: the nearest one, or all.
pub fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(name) => format!("unknown {what} `{word}`; did you mean `{name}`?"),
        None => {
            let mut known = known.to_vec();
            known.sort_unstable();
            format!("unknown {what} `{word}`; known here: {}", known.join(", "))
        }
    }
}

impl YamlProblem {
    /// Returns what a parser found, in the words of people who write YAML.
    fn of(error: &YamlError) -> Self {
        let error = error.without_snippet();
        let line = error.location().map_or(1, |location| location.line());
        Self {
            line: line.max(1),
            problem: problem(error),
        }
    }
}

fn problem(error: &YamlError) -> String {
    match error {
        YamlError::SerdeUnknownField {
            field, expected, ..
        } => unknown("key", field, expected),
        YamlError::DuplicateMappingKey { key: Some(key), .. } => {
            format!("key `{key}` is given twice")
        }
        // `unexpected` may quote the value: its first word is its type.
        YamlError::SerdeInvalidType {
            unexpected,
            expected,
            ..
        }
        | YamlError::SerdeInvalidValue {
            unexpected,
            expected,
            ..
        } => {
            let found = unexpected.split_whitespace().next().unwrap_or("nothing");
            format!("expected {}, found {found}", plain_words(expected))
        }
        YamlError::Unexpected { expected, .. } => format!("expected {}", plain_words(expected)),
        YamlError::MultipleDocuments { .. } => {
            "a second YAML document starts here; the file must hold one".to_owned()
        }
        YamlError::Message { msg, .. } => without_breaks(msg),
        other => without_location(&without_breaks(&other.to_string())),
    }
}

/// Replaces the parser's words by those of people who write YAML.
fn plain_words(expected: &str) -> &str {
    match expected {
        "string scalar" => "a single value, not a list or a mapping",
        "sequence start" | "a sequence" => "a list such as `[a, b]`",
        "mapping start" | "a map" => "a mapping such as `{ key: value }`",
        words if words.starts_with("struct ") => "a mapping such as `{ key: value }`",
        words => words,
    }
}

fn without_breaks(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Cuts the parser's own " at line 1, column 2", which is said in front already.
fn without_location(text: &str) -> String {
    let cut = text.rfind(" at line ").unwrap_or(text.len());
    text[..cut].to_owned()
}

#[cfg(test)]
mod tests {
    use std::io;

    use thiserror::Error;

    use super::*;

    #[test]
    fn a_misspelt_word_finds_its_nearest() {
        let keys = ["poll-interval", "poll-timeout", "stale-after"];
        for (word, expected) in [
            ("poll_intervall", Some("poll-interval")),
            ("stale", Some("stale-after")),
            ("completely-different", None),
        ] {
            assert_eq!(nearest(word, keys), expected, "{word}");
        }
        assert_eq!(nearest("ordesr", ["orders", "payments"]), Some("orders"));
        assert_eq!(nearest("My-Group", ["my_group"]), Some("my_group"));
        assert_eq!(nearest("zzz", ["orders", "payments"]), None);
        assert_eq!(nearest("ab", ["abd", "abc"]), Some("abc"));
    }

    #[test]
    fn an_error_and_its_causes_are_one_line() {
        #[derive(Debug, Error)]
        #[error("reading `f`")]
        struct Reading(#[source] io::Error);
        let error = Reading(io::Error::other("disk on fire"));
        assert_eq!(one_line(&error), "reading `f`: disk on fire");
    }
}
