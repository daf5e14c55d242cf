//! The file as written. An empty value is as good as none: that is what templates leave behind.
//!
//! No `Debug`: what is read here are secrets.

use std::collections::BTreeMap;
use std::path::Path;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::error::WebConfigError;
use crate::diagnostics::unknown;

/// The whole file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WebConfigFile {
    pub(super) tls_server_config: Option<Spanned<TlsSection>>,
    pub(super) http_server_config: Option<HttpSection>,
    pub(super) basic_auth_users: Option<BTreeMap<String, Spanned<String>>>,
    rate_limit: Option<Spanned<IgnoredAny>>,
}

/// `tls_server_config`. One in which nothing is given is like the default.
#[derive(Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TlsSection {
    #[serde(deserialize_with = "not_empty")]
    pub(super) cert: Option<Spanned<String>>,
    #[serde(deserialize_with = "not_empty")]
    pub(super) cert_file: Option<Spanned<String>>,
    #[serde(deserialize_with = "not_empty")]
    pub(super) key: Option<Spanned<String>>,
    #[serde(deserialize_with = "not_empty")]
    pub(super) key_file: Option<Spanned<String>>,
    #[serde(deserialize_with = "not_empty")]
    pub(super) client_auth_type: Option<Spanned<String>>,
    #[serde(deserialize_with = "not_empty")]
    pub(super) client_ca: Option<Spanned<String>>,
    #[serde(deserialize_with = "not_empty")]
    pub(super) client_ca_file: Option<Spanned<String>>,
    #[serde(deserialize_with = "not_empty")]
    pub(super) min_version: Option<Spanned<String>>,
    #[serde(deserialize_with = "not_empty")]
    pub(super) max_version: Option<Spanned<String>>,
    pub(super) prefer_server_cipher_suites: Option<bool>,
    client_allowed_sans: Option<Spanned<IgnoredAny>>,
    cipher_suites: Option<Spanned<IgnoredAny>>,
    curve_preferences: Option<Spanned<IgnoredAny>>,
}

/// `http_server_config`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HttpSection {
    /// Accepted for the files of other exporters; this server speaks HTTP/1.1 either way.
    http2: Option<bool>,
    headers: Option<BTreeMap<String, Spanned<String>>>,
}

/// The headers that may be set, and their values where these are words of a list.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

impl WebConfigFile {
    /// Refuses what other programs know and this one does not: passed over in silence, it would leave a door open.
    pub(super) fn check_supported(&self, path: &Path) -> Result<(), WebConfigError> {
        let Self {
            tls_server_config,
            rate_limit,
            ..
        } = self;
        let mut keys = vec![("rate_limit", rate_limit)];
        if let Some(Spanned { value, .. }) = tls_server_config {
            keys.extend([
                ("client_allowed_sans", &value.client_allowed_sans),
                ("cipher_suites", &value.cipher_suites),
                ("curve_preferences", &value.curve_preferences),
            ]);
        }
        let unsupported = keys
            .into_iter()
            .find_map(|(key, given)| Some((key, given.as_ref()?)));
        let Some((key, given)) = unsupported else {
            return Ok(());
        };
        let problem = format!("`{key}` is not supported by lagwatch");
        Err(WebConfigError::invalid(path, given.referenced, problem))
    }

    /// Returns the headers of every answer.
    pub(super) fn headers(&self, path: &Path) -> Result<HeaderMap, WebConfigError> {
        let section = self.http_server_config.as_ref();
        let written = section.and_then(|section| section.headers.as_ref());
        let given = written.into_iter().flatten();
        given
            .filter(|(_, value)| !value.value.is_empty())
            .map(|(name, value)| header(name, value, path))
            .collect()
    }
}

/// Reads a text; an empty one is none.
fn not_empty<'de, D>(deserializer: D) -> Result<Option<Spanned<String>>, D::Error>
where
    D: Deserializer<'de>,
{
    let text = Option::<Spanned<String>>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.value.is_empty()))
}

fn header(
    name: &str,
    value: &Spanned<String>,
    path: &Path,
) -> Result<(HeaderName, HeaderValue), WebConfigError> {
    let at = |problem: String| WebConfigError::invalid(path, value.referenced, problem);
    let found = HEADERS.iter().find(|(known, _)| *known == name);
    let (_, words) = found.ok_or_else(|| {
        let known = HEADERS.map(|(known, _)| known);
        at(unknown("header", name, &known))
    })?;
    let text = value.value.as_str();
    if !words.is_empty() && !words.contains(&text) {
        let words = words.join("` or `");
        return Err(at(format!("`{name}` is `{words}`, not `{text}`")));
    }
    let value = HeaderValue::from_str(text)
        .map_err(|_| at(format!("`{name}` has characters that no header may have")))?;
    let name = HeaderName::from_bytes(name.as_bytes()).expect("the known names are valid");
    Ok((name, value))
}
