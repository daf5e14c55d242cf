//! `${NAME}` in the configuration file: a value of the environment.
//!
//! Only scalars that were parsed are expanded, so what a variable holds can never change the structure of the file.

use std::borrow::Cow;

use thiserror::Error;

/// Why a `${…}` could not be expanded. Names the variable, never its value.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum InterpolateError {
    /// The variable is not set and no default is given.
    #[error("environment variable `{0}` is not set")]
    Missing(String),
    /// No `}` follows.
    #[error("`${{` without a closing `}}` (write `$${{` for a literal `${{`)")]
    Unclosed,
    /// What stands between the braces is no name.
    #[error("`${{{0}}}` is no environment variable: names are letters, digits and `_`")]
    BadName(String),
}

/// Returns `text` with every `${NAME}` and `${NAME:-default}` replaced; `$${` stands for a literal `${`.
///
/// Any other `$` is kept as it is, so that patterns such as `^orders$` need no escape.
///
/// # Errors
///
/// A variable that is not set and has no default, and malformed references.
pub(super) fn interpolate<'a>(
    text: &'a str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Cow<'a, str>, InterpolateError> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, reference) = rest.split_at(at);
        let reference = &reference["${".len()..];
        if let Some(escaped) = before.strip_suffix('$') {
            expanded.push_str(escaped);
            expanded.push_str("${");
            rest = reference;
            continue;
        }
        expanded.push_str(before);
        let Some((body, after)) = reference.split_once('}') else {
            return Err(InterpolateError::Unclosed);
        };
        expanded.push_str(&value_of(body, &variable)?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(Cow::Owned(expanded))
}

fn value_of(
    body: &str,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<String, InterpolateError> {
    let (name, default) = match body.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (body, None),
    };
    let is_name = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err(InterpolateError::BadName(name.to_owned()));
    }
    match (variable(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(InterpolateError::Missing(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "USER" => Some("ann".to_owned()),
            "TRICKY" => Some("a: \"${USER}\"".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn references_are_replaced_and_every_other_dollar_is_kept() {
        for (text, expected) in [
            ("plain", "plain"),
            ("${USER}", "ann"),
            ("<${USER}>-${USER}", "<ann>-ann"),
            ("^orders$", "^orders$"),
            ("pa$$word", "pa$$word"),
            ("$USER", "$USER"),
            ("$${USER}", "${USER}"),
            ("${USER}$", "ann$"),
            ("${MISSING:-bob}", "bob"),
            ("${EMPTY:-bob}", "bob"),
            ("${EMPTY}", ""),
            ("${USER:-bob}", "ann"),
            ("${TRICKY}", "a: \"${USER}\""),
        ] {
            let expanded = interpolate(text, environment).map(Cow::into_owned);
            assert_eq!(expanded.as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_unset_variable_is_an_error_that_names_it() {
        let error = interpolate("x${MISSING}", environment).expect_err("it is not set");
        assert_eq!(
            error.to_string(),
            "environment variable `MISSING` is not set"
        );
    }

    #[test]
    fn a_malformed_reference_is_an_error() {
        assert_eq!(
            interpolate("${USER", environment),
            Err(InterpolateError::Unclosed)
        );
        for name in ["", "a b", "1A", "A.B"] {
            let text = format!("${{{name}}}");
            assert_eq!(
                interpolate(&text, environment),
                Err(InterpolateError::BadName(name.to_owned()))
            );
        }
    }
}
