//! One value of the configuration and where it came from.

use std::borrow::Cow;
use std::num::{NonZeroU32, NonZeroUsize};
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde_saphyr::Spanned;

use super::interpolate::interpolate;
use crate::diagnostics::nearest;

/// A value with its origin, so that whatever is wrong with it later can be said with file and line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value, with `${…}` expanded.
    pub value: T,
    /// Where it was given.
    pub origin: Origin,
}

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration file, at this line, from 1.
    Line(u64),
    /// A flag, or the environment variable of the same name.
    Flag(&'static str),
    /// An environment variable that has no flag.
    Variable(String),
}

impl<T> Setting<T> {
    /// Returns a value given by `flag` or its environment variable.
    pub fn from_flag(flag: &'static str, value: T) -> Self {
        let origin = Origin::Flag(flag);
        Self { value, origin }
    }
}

/// What a scalar of the file can be parsed to.
pub trait Scalar: Sized {
    /// Parses the scalar's text.
    ///
    /// # Errors
    ///
    /// What was expected instead, to be put behind "expected": `a duration such as 10s`.
    fn parse(text: &str) -> Result<Self, Cow<'static, str>>;
}

impl<'de, T: Scalar> Deserialize<'de> for Setting<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Spanned::<String>::deserialize(deserializer)?;
        let text = interpolate(&written.value, |name| std::env::var(name).ok())
            .map_err(D::Error::custom)?;
        // The message shows what the file says, never what a variable holds.
        let value = T::parse(&text).map_err(|expected| {
            let written = &written.value;
            D::Error::custom(format_args!("expected {expected}, found `{written}`"))
        })?;
        Ok(Self {
            value,
            origin: Origin::Line(written.referenced.line()),
        })
    }
}

impl Scalar for String {
    fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        Ok(text.to_owned())
    }
}

impl Scalar for Duration {
    fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        humantime::parse_duration(text).map_err(|_| "a duration such as `10s` or `500ms`".into())
    }
}

impl Scalar for u32 {
    fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        parse_as(text, "a whole number, 0 or more")
    }
}

impl Scalar for NonZeroU32 {
    fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        parse_as(text, "a whole number, 1 or more")
    }
}

impl Scalar for NonZeroUsize {
    fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        parse_as(text, "a whole number, 1 or more")
    }
}

fn parse_as<T: FromStr>(text: &str, expected: &'static str) -> Result<T, Cow<'static, str>> {
    text.parse().map_err(|_| expected.into())
}

/// Parses `text` as one of `words`.
///
/// # Errors
///
/// The words, the nearest one first where one is near.
pub(super) fn one_of<T: Copy>(
    words: &[(&'static str, T)],
    text: &str,
) -> Result<T, Cow<'static, str>> {
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

    #[derive(serde::Deserialize)]
    #[serde(bound = "")]
    struct File<T: Scalar> {
        key: Setting<T>,
    }

    fn parse<T: Scalar>(yaml: &str) -> Result<Setting<T>, String> {
        serde_saphyr::from_str::<File<T>>(yaml)
            .map(|file| file.key)
            .map_err(|error| error.without_snippet().to_string())
    }

    #[test]
    fn a_scalar_knows_its_line() {
        let setting = parse::<Duration>("# a comment\nkey: 1m 30s\n").expect("a duration");
        assert_eq!(setting.value, Duration::from_secs(90));
        assert_eq!(setting.origin, Origin::Line(2));
    }

    #[test]
    fn quoted_and_plain_scalars_are_the_same() {
        for yaml in ["key: 12", "key: \"12\"", "key: '12'"] {
            assert_eq!(
                parse::<NonZeroU32>(yaml).map(|setting| setting.value.get()),
                Ok(12)
            );
            let text = parse::<String>(yaml).map(|setting| setting.value);
            assert_eq!(text.as_deref(), Ok("12"));
        }
    }

    #[test]
    fn a_wrong_type_names_what_was_expected_and_shows_what_the_file_says() {
        let error = parse::<Duration>("key: \"x${PATH}\"")
            .err()
            .unwrap_or_default();
        assert!(
            error.contains("expected a duration such as `10s`"),
            "{error}"
        );
        assert!(error.contains("found `x${PATH}`"), "{error}");
    }

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
