//! Which groups and topics are watched: lists of regular expressions.
//!
//! A pattern matches anywhere in a name unless it anchors itself with `^` and `$`, as in kafka_exporter: `^__` is
//! every name that begins with two underscores.

use std::fmt;

use regex::{Regex, RegexSet};
use thiserror::Error;

/// A list of regular expressions, compiled once.
#[derive(Clone, Debug, Default)]
pub struct Patterns(RegexSet);

/// Names that are watched: included and not excluded. The default admits every name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    include: Patterns,
    exclude: Patterns,
    /// One name that is excluded as it is.
    without: Option<String>,
}

/// A pattern that is no regular expression.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("pattern {number} of `{list}`, `{pattern}`, is no regular expression: {reason}")]
pub struct PatternError {
    /// The list that holds it.
    pub list: PatternList,
    /// Its place in the list, from 1.
    pub number: usize,
    /// The pattern as written.
    pub pattern: String,
    /// What is wrong with it, in one line.
    pub reason: String,
}

/// The lists a pattern can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PatternList {
    /// Names to watch.
    Include,
    /// Names to leave out.
    Exclude,
    /// Groups that read with `isolation.level=read_committed`.
    ReadCommittedGroups,
}

impl fmt::Display for PatternList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Include => "include",
            Self::Exclude => "exclude",
            Self::ReadCommittedGroups => "read-committed-groups",
        })
    }
}

impl PartialEq for Patterns {
    fn eq(&self, other: &Self) -> bool {
        self.0.patterns() == other.0.patterns()
    }
}

impl Eq for Patterns {}

impl Patterns {
    /// Compiles the patterns of `list`.
    ///
    /// # Errors
    ///
    /// The first pattern that does not compile, and why.
    pub fn new<P: AsRef<str>>(list: PatternList, patterns: &[P]) -> Result<Self, PatternError> {
        for (index, pattern) in patterns.iter().enumerate() {
            let pattern = pattern.as_ref();
            // A set does not tell which of its patterns is wrong.
            Regex::new(pattern).map_err(|error| PatternError {
                list,
                number: index + 1,
                pattern: pattern.to_owned(),
                reason: reason(&error),
            })?;
        }
        RegexSet::new(patterns)
            .map(Self)
            .map_err(|error| PatternError {
                list,
                number: patterns.len(),
                pattern: patterns
                    .last()
                    .map(|pattern| pattern.as_ref().to_owned())
                    .unwrap_or_default(),
                reason: reason(&error),
            })
    }

    /// Returns whether any of the patterns is found in `name`.
    pub fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }

    /// Returns whether there is no pattern at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Filter {
    /// Compiles a filter. Without `include` patterns every name is included.
    ///
    /// # Errors
    ///
    /// The first pattern that does not compile, the list it is in, and why.
    pub fn new<P: AsRef<str>>(include: &[P], exclude: &[P]) -> Result<Self, PatternError> {
        Ok(Self {
            include: Patterns::new(PatternList::Include, include)?,
            exclude: Patterns::new(PatternList::Exclude, exclude)?,
            without: None,
        })
    }

    /// Returns this filter without `name`, whatever its patterns say.
    #[must_use]
    pub fn without(self, name: &str) -> Self {
        let without = Some(name.to_owned());
        Self { without, ..self }
    }

    /// Returns whether `name` is watched.
    pub fn admits(&self, name: &str) -> bool {
        (self.include.is_empty() || self.include.matches(name))
            && !self.exclude.matches(name)
            && self.without.as_deref() != Some(name)
    }
}

/// Returns the last line of a regex error: the rest draws the pattern over several lines.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or(&text);
    line.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(include: &[&str], exclude: &[&str]) -> Filter {
        Filter::new(include, exclude).expect("the patterns are valid")
    }

    #[test]
    fn names_are_admitted_by_inclusion_without_exclusion() {
        let table = [
            ("no patterns", filter(&[], &[]), "orders", true),
            ("everything", filter(&["^.*$"], &[]), "orders", true),
            ("the empty id", filter(&["^.*$"], &[]), "", true),
            (
                "internal topic",
                filter(&["^.*$"], &["^__"]),
                "__consumer_offsets",
                false,
            ),
            ("underscores inside", filter(&[], &["^__"]), "a__b", true),
            (
                "found anywhere",
                filter(&["order"], &[]),
                "my-orders-2",
                true,
            ),
            ("anchored", filter(&["^order$"], &[]), "my-orders-2", false),
            ("second pattern", filter(&["^a$", "^b$"], &[]), "b", true),
            ("exclusion wins", filter(&["^a"], &["^ab"]), "abc", false),
            (
                "one name, which is no pattern",
                filter(&["^a.b$"], &[]).without("a.b"),
                "a.b",
                false,
            ),
            (
                "one name alone",
                filter(&[], &[]).without("a.b"),
                "a-b",
                true,
            ),
            (
                "unicode and quotes",
                filter(&["^gr\u{fc}n \"x\"$"], &[]),
                "gr\u{fc}n \"x\"",
                true,
            ),
        ];
        for (case, filter, name, admitted) in table {
            assert_eq!(filter.admits(name), admitted, "{case}");
        }
    }

    #[test]
    fn a_bad_pattern_is_named_with_its_place_and_reason_in_one_line() {
        let error = Filter::new(&["^ok$", "(open"], &[]).expect_err("a group is not closed");
        assert_eq!(
            error.to_string(),
            "pattern 2 of `include`, `(open`, is no regular expression: unclosed group"
        );
        let error = Filter::new(&[], &["["]).expect_err("a class is not closed");
        assert_eq!(
            error.to_string(),
            "pattern 1 of `exclude`, `[`, is no regular expression: unclosed character class"
        );
    }

    #[test]
    fn a_pattern_that_grows_too_large_is_refused() {
        let error = Patterns::new(
            PatternList::ReadCommittedGroups,
            &["((a{1000}){1000}){1000}"],
        )
        .expect_err("the pattern compiles to gigabytes");
        assert_eq!(
            (error.list, error.number),
            (PatternList::ReadCommittedGroups, 1)
        );
        assert_eq!(error.reason.lines().count(), 1, "{error}");
    }
}
