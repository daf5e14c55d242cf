//! Unsecured tokens: signed by nobody, for tests and development, by librdkafka's `sasl.oauthbearer.config`.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// How long a token lives by default.
const LIFETIME: Duration = Duration::from_secs(3600);

/// Issues a token with the same claims at each log-in.
#[derive(PartialEq, Eq)]
pub(super) struct UnsecuredTokens {
    principal_claim: String,
    principal: String,
    scope_claim: String,
    scopes: Vec<String>,
    lifetime: Duration,
    extensions: Vec<(String, String)>,
}

impl UnsecuredTokens {
    /// Reads `name=value` pairs between spaces, as librdkafka does.
    ///
    /// # Errors
    ///
    /// What is wrong, without a value of it.
    pub(super) fn read(config: &str) -> Result<Self, String> {
        let mut pairs = Pairs::default();
        for pair in config.split(' ').filter(|pair| !pair.is_empty()) {
            pairs.add(pair)?;
        }
        let tokens = Self {
            principal_claim: pairs.principal_claim.unwrap_or_else(|| "sub".to_owned()),
            principal: pairs
                .principal
                .ok_or("`principal=` is missing, such as in `principal=admin`")?,
            scope_claim: pairs.scope_claim.unwrap_or_else(|| "scope".to_owned()),
            scopes: scopes(&pairs.scopes.unwrap_or_default()),
            lifetime: match pairs.lifetime {
                Some(seconds) => lifetime(&seconds)?,
                None => LIFETIME,
            },
            extensions: pairs.extensions,
        };
        for (key, value) in &tokens.extensions {
            check_extension(key, value)?;
        }
        Ok(tokens)
    }

    /// Returns the message by which a client logs in at `now` (RFC 7628, section 3.1).
    pub(super) fn message(&self, now: SystemTime) -> Vec<u8> {
        let mut message = format!("n,,\x01auth=Bearer {}\x01", self.token(now));
        for (key, value) in &self.extensions {
            message.push_str(&format!("{key}={value}\x01"));
        }
        message.push('\x01');
        message.into_bytes()
    }

    /// Returns the token of an instant, a JWS in its compact form: byte for byte librdkafka's.
    fn token(&self, now: SystemTime) -> String {
        let Self {
            principal_claim,
            principal,
            scope_claim,
            scopes,
            lifetime,
            extensions: _,
        } = self;
        let scopes = match scopes.as_slice() {
            [] => String::new(),
            scopes => format!(",\"{scope_claim}\":[\"{}\"]", scopes.join("\",\"")),
        };
        let claims = format!(
            "{{\"{principal_claim}\":\"{principal}\",\"iat\":{},\"exp\":{}{scopes}}}",
            numeric_date(now),
            numeric_date(now + *lifetime),
        );
        let part = |json: &str| BASE64_URL_SAFE_NO_PAD.encode(json);
        format!("{}.{}.", part("{\"alg\":\"none\"}"), part(&claims))
    }
}

/// The pairs that have been read so far.
#[derive(Default)]
struct Pairs {
    principal_claim: Option<String>,
    principal: Option<String>,
    scope_claim: Option<String>,
    scopes: Option<String>,
    lifetime: Option<String>,
    extensions: Vec<(String, String)>,
}

impl Pairs {
    fn add(&mut self, pair: &str) -> Result<(), String> {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let Some(key) = name.strip_prefix("extension_") {
            if key.is_empty() {
                return Err("the key of an extension is empty".to_owned());
            }
            self.extensions.push((key.to_owned(), value.to_owned()));
            return Ok(());
        }
        let (name, place) = match name {
            "principalClaimName" => ("principalClaimName", &mut self.principal_claim),
            "principal" => ("principal", &mut self.principal),
            "scopeClaimName" => ("scopeClaimName", &mut self.scope_claim),
            "scope" => ("scope", &mut self.scopes),
            "lifeSeconds" => ("lifeSeconds", &mut self.lifetime),
            _ => {
                return Err("expected `name=value` pairs between spaces, the names being principalClaimName, principal, \
                            scopeClaimName, scope, lifeSeconds and extension_NAME"
                    .to_owned());
            }
        };
        if value.is_empty() {
            return Err(format!("`{name}` is empty"));
        }
        if value.contains('"') {
            return Err(format!("`{name}` holds a quotation mark"));
        }
        if place.replace(value.to_owned()).is_some() {
            return Err(format!("`{name}` is given twice"));
        }
        Ok(())
    }
}

/// Checks what librdkafka checks of an extension.
fn check_extension(key: &str, value: &str) -> Result<(), String> {
    let is_printable = |byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n');
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err("the key of an extension has characters other than letters".to_owned());
    }
    if key == "auth" {
        return Err("`auth` cannot be the key of an extension".to_owned());
    }
    if !value.bytes().all(is_printable) {
        return Err(format!(
            "extension `{key}` has characters other than printable ASCII"
        ));
    }
    Ok(())
}

fn scopes(list: &str) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::new();
    for scope in list.split(',').filter(|scope| !scope.is_empty()) {
        if !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    scopes
}

fn lifetime(seconds: &str) -> Result<Duration, String> {
    seconds
        .parse::<i32>()
        .ok()
        .and_then(|seconds| u64::try_from(seconds).ok())
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs)
        .ok_or_else(|| "`lifeSeconds` is not a number of seconds from 1 to 2147483647".to_owned())
}

/// Returns seconds since 1970 with three decimals, as JWTs have them.
fn numeric_date(at: SystemTime) -> String {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    format!("{}.{:03}", since.as_secs(), since.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: &str) -> Result<UnsecuredTokens, String> {
        UnsecuredTokens::read(config)
    }

    fn claims(config: &str) -> String {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_549_251_467_546);
        let token = read(config).expect("it is valid").token(now);
        let parts: Vec<&str> = token.split('.').collect();
        let text = |part| {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).expect("Base64");
            String::from_utf8(bytes).expect("JSON")
        };
        assert_eq!(parts.len(), 3);
        assert_eq!(text(parts[0]), "{\"alg\":\"none\"}");
        assert_eq!(parts[2], "");
        text(parts[1])
    }

    #[test]
    fn claims_are_those_of_librdkafka() {
        for (config, expected) in [
            (
                "principal=fubar",
                "{\"sub\":\"fubar\",\"iat\":1549251467.546,\"exp\":1549255067.546}",
            ),
            (
                "  principal=fubar  scopeClaimName=whatever ",
                "{\"sub\":\"fubar\",\"iat\":1549251467.546,\"exp\":1549255067.546}",
            ),
            (
                "principalClaimName=azp principal=fubar lifeSeconds=60 scopeClaimName=roles scope=role1,,role2,role1",
                "{\"azp\":\"fubar\",\"iat\":1549251467.546,\"exp\":1549251527.546,\"roles\":[\"role1\",\"role2\"]}",
            ),
        ] {
            assert_eq!(claims(config), expected, "{config}");
        }
    }

    #[test]
    fn the_message_is_that_of_rfc_7628() {
        let now = SystemTime::UNIX_EPOCH;
        let tokens = read("principal=a extension_traceId=1=2 extension_b=").expect("it is valid");
        let expected = format!(
            "n,,\x01auth=Bearer {}\x01traceId=1=2\x01b=\x01\x01",
            tokens.token(now)
        );
        assert_eq!(tokens.message(now), expected.as_bytes());
    }

    #[test]
    fn a_configuration_that_librdkafka_refuses_is_refused_without_quoting_it() {
        for (config, problem) in [
            ("", "`principal=` is missing, such as in `principal=admin`"),
            (
                "scope=x",
                "`principal=` is missing, such as in `principal=admin`",
            ),
            ("principal=", "`principal` is empty"),
            ("principal=a principal=b", "`principal` is given twice"),
            ("principal=a\"b", "`principal` holds a quotation mark"),
            (
                "principal=a lifeSeconds=0",
                "`lifeSeconds` is not a number of seconds from 1 to 2147483647",
            ),
            (
                "principal=a lifeSeconds=9999999999",
                "`lifeSeconds` is not a number of seconds from 1 to 2147483647",
            ),
            (
                "principal=a lifeSeconds=soon",
                "`lifeSeconds` is not a number of seconds from 1 to 2147483647",
            ),
            (
                "principal=a extension_=x",
                "the key of an extension is empty",
            ),
            (
                "principal=a extension_auth=x",
                "`auth` cannot be the key of an extension",
            ),
            (
                "principal=a extension_a-b=x",
                "the key of an extension has characters other than letters",
            ),
            (
                "principal=a extension_a=\x01",
                "extension `a` has characters other than printable ASCII",
            ),
            (
                "principal=a extension_a=ä",
                "extension `a` has characters other than printable ASCII",
            ),
        ] {
            assert_eq!(read(config).err().as_deref(), Some(problem), "{config}");
        }
        let error = read("principal=a hunter2=x").err().unwrap_or_default();
        assert!(error.starts_with("expected `name=value` pairs") && !error.contains("hunter2"));
    }
}
