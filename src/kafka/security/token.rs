//! Tokens for OAUTHBEARER, from any issuer.

use std::fmt;
use std::time::SystemTime;

use super::sasl::failed;
use crate::kafka::error::KafkaError;

/// Where the tokens of OAUTHBEARER come from.
pub(in crate::kafka) trait TokenProvider: Send + Sync {
    /// Returns a token to log in with now. Called at each log-in, also at each repeated one (KIP-368).
    ///
    /// # Errors
    ///
    /// `_AUTHENTICATION` where there is none. Never holds a secret.
    fn token(&self) -> Result<Token, KafkaError>;
}

/// A token and what Kafka wants to know of it.
///
/// `Debug` shows neither the token nor its extensions.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::kafka) struct Token {
    /// The token itself, often a JWS in its compact form.
    pub(in crate::kafka) value: String,
    /// When it expires.
    pub(in crate::kafka) expires_at: SystemTime,
    /// Who logs in.
    pub(in crate::kafka) principal: String,
    /// SASL extensions (RFC 7628), in the order in which they are sent.
    pub(in crate::kafka) extensions: Vec<(String, String)>,
}

impl Token {
    /// Returns the message by which a client logs in at `now` (RFC 7628, section 3.1).
    ///
    /// # Errors
    ///
    /// `_AUTHENTICATION` where the token has expired or has characters that the message cannot carry.
    pub(super) fn message(&self, now: SystemTime) -> Result<Vec<u8>, KafkaError> {
        self.check(now)
            .map_err(|reason| failed("OAUTHBEARER", reason))?;
        let Self {
            value, extensions, ..
        } = self;
        let mut message = format!("n,,\x01auth=Bearer {value}\x01");
        for (key, value) in extensions {
            message.push_str(&format!("{key}={value}\x01"));
        }
        message.push('\x01');
        Ok(message.into_bytes())
    }

    /// Checks what librdkafka checks of a token.
    pub(super) fn check(&self, now: SystemTime) -> Result<(), String> {
        let Self {
            value,
            expires_at,
            principal: _,
            extensions,
        } = self;
        if *expires_at <= now {
            return Err("the token has expired".to_owned());
        }
        if !is_value(value) {
            return Err("the token has characters other than printable ASCII".to_owned());
        }
        for (key, value) in extensions {
            if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphabetic()) {
                return Err("the key of an extension has characters other than letters".to_owned());
            }
            if key == "auth" {
                return Err("`auth` cannot be the key of an extension".to_owned());
            }
            if !is_value(value) {
                return Err(format!(
                    "extension `{key}` has characters other than printable ASCII"
                ));
            }
        }
        Ok(())
    }
}

fn is_value(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n'))
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            value: _,
            expires_at,
            principal,
            extensions: _,
        } = self;
        f.debug_struct("Token")
            .field("expires_at", expires_at)
            .field("principal", principal)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn token() -> Token {
        Token {
            value: "eyJ.hunter2.x".to_owned(),
            expires_at: SystemTime::UNIX_EPOCH + Duration::from_secs(10),
            principal: "admin".to_owned(),
            extensions: vec![("traceId".to_owned(), "hunter3".to_owned())],
        }
    }

    #[test]
    fn the_message_is_that_of_rfc_7628() {
        let message = token()
            .message(SystemTime::UNIX_EPOCH)
            .expect("it is valid");
        assert_eq!(
            message,
            b"n,,\x01auth=Bearer eyJ.hunter2.x\x01traceId=hunter3\x01\x01"
        );
    }

    #[test]
    fn a_token_that_cannot_be_sent_is_refused() {
        let now = SystemTime::UNIX_EPOCH;
        let later = now + Duration::from_secs(10);
        let expired = token().message(later).expect_err("it has expired");
        assert_eq!(
            expired.to_string(),
            "SASL OAUTHBEARER authentication failed: the token has expired (`_AUTHENTICATION`)"
        );
        let injecting = Token {
            value: "x\x01other=y".to_owned(),
            ..token()
        };
        assert!(injecting.message(now).is_err());
        for (key, value) in [
            ("auth", "x"),
            ("trace-id", "x"),
            ("", "x"),
            ("a", "\x01"),
            ("a", "ä"),
        ] {
            let extended = Token {
                extensions: vec![(key.to_owned(), value.to_owned())],
                ..token()
            };
            assert!(extended.message(now).is_err(), "{key}");
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let shown = format!("{:?}", token());
        assert!(
            shown.contains("admin") && !shown.contains("hunter"),
            "{shown}"
        );
    }
}
