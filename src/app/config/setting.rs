//! One value of the configuration and where it came from.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::marker::PhantomData;
use std::num::{NonZeroU32, NonZeroUsize};
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{TypedValueParser, ValueParserFactory};
use clap::{Arg, Command};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde_saphyr::Spanned;

use super::error::{Origin, SettingProblem};
use super::interpolate::interpolate;

/// A value with its origin, so that whatever is wrong with it later can be said with file and line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value, with `${…}` expanded.
    pub value: T,
    /// Where it was given.
    pub origin: Origin,
}

impl<T> Setting<T> {
    /// Returns a value given by `flag` or its environment variable.
    pub fn from_flag(flag: impl Into<String>, value: T) -> Self {
        let origin = Origin::Flag(flag.into());
        Self { value, origin }
    }

    /// Returns the problem that this value is to blame for.
    pub(super) fn problem(&self, text: impl ToString) -> SettingProblem {
        SettingProblem::at(&self.origin, text)
    }
}

impl Setting<String> {
    /// Returns a text that must not be empty.
    pub(super) fn not_empty(&self, key: &str) -> Result<&str, SettingProblem> {
        if self.value.is_empty() {
            return Err(self.problem(format!("`{key}` is empty")));
        }
        Ok(&self.value)
    }
}

/// Returns a value that needs no check.
pub(super) fn value_or<T: Clone>(setting: &Option<Setting<T>>, default: T) -> T {
    setting
        .as_ref()
        .map_or(default, |setting| setting.value.clone())
}

/// Returns a duration that must not be zero.
pub(super) fn positive_or(
    key: &str,
    setting: &Option<Setting<Duration>>,
    default: Duration,
) -> Result<Duration, SettingProblem> {
    match setting {
        Some(setting) if setting.value.is_zero() => {
            Err(setting.problem(format!("`{key}` must be more than 0")))
        }
        setting => Ok(value_or(setting, default)),
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

impl<T: Scalar + Clone + Send + Sync + 'static> ValueParserFactory for Setting<T> {
    type Parser = FlagParser<T>;

    fn value_parser() -> FlagParser<T> {
        FlagParser(PhantomData)
    }
}

/// Parses a flag, or its environment variable, to a setting that knows the flag.
#[derive(Clone)]
pub struct FlagParser<T>(PhantomData<T>);

impl<T: Scalar + Clone + Send + Sync + 'static> TypedValueParser for FlagParser<T> {
    type Value = Setting<T>;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        text: &OsStr,
    ) -> Result<Setting<T>, clap::Error> {
        let value = parse_flag::<T>.parse_ref(command, arg, text)?;
        let flag = arg.and_then(Arg::get_long).unwrap_or_default();
        Ok(Setting::from_flag(format!("--{flag}"), value))
    }
}

/// Parses a flag as the file's scalars are parsed.
///
/// # Errors
///
/// What was expected instead.
pub fn parse_flag<T: Scalar>(text: &str) -> Result<T, String> {
    T::parse(text).map_err(|expected| format!("expected {expected}"))
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
}
