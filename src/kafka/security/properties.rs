//! The properties that are about security, read as librdkafka reads them.

use std::collections::BTreeMap;

use crate::kafka::connection_error::{ConnectionError, invalid};

/// The property that says whether connections are encrypted, and whether clients log in.
pub(super) const PROTOCOL: &str = "security.protocol";

/// Properties that only librdkafka knows, by the beginning of their names: the value that changes nothing, and what to set
/// instead.
const UNSUPPORTED: &[(&str, &str, &str)] = &[
    (
        "sasl.kerberos.",
        "",
        "Kerberos is not built in: use PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER",
    ),
    (
        "sasl.oauthbearer.method",
        "default",
        "OIDC is not built in: set `enable.sasl.oauthbearer.unsecure.jwt` and `sasl.oauthbearer.config`",
    ),
    (
        "ssl.ca.certificate.stores",
        "Root",
        "it is for Windows: set `ssl.ca.location`",
    ),
    (
        "ssl.engine.id",
        "dynamic",
        "OpenSSL engines are not built in: set `ssl.key.location` or `ssl.keystore.location`",
    ),
    (
        "ssl.engine.location",
        "",
        "OpenSSL engines are not built in: set `ssl.key.location` or `ssl.keystore.location`",
    ),
];

/// Properties by librdkafka's names.
#[derive(Clone, Copy)]
pub(super) struct Properties<'a>(&'a BTreeMap<String, String>);

/// How clients talk to brokers: `security.protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

impl Protocol {
    pub(super) fn is_encrypted(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    pub(super) fn has_login(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

impl<'a> Properties<'a> {
    /// Returns the properties.
    ///
    /// # Errors
    ///
    /// One of them is for librdkafka alone.
    pub(super) fn new(properties: &'a BTreeMap<String, String>) -> Result<Self, ConnectionError> {
        let properties = Self(properties);
        for name in properties.0.keys() {
            let unsupported = UNSUPPORTED
                .iter()
                .find(|(beginning, _, _)| name.starts_with(beginning));
            if let Some((_, default, instead)) = unsupported
                && let Some(value) = properties.text(name)?
                && value != *default
            {
                return Err(invalid(name, *instead));
            }
        }
        Ok(properties)
    }

    /// Returns a property that has a value: librdkafka ignores spaces before it, and takes an empty one for none.
    pub(super) fn text(self, name: &str) -> Result<Option<&'a str>, ConnectionError> {
        const SPACES: &[char] = &[' ', '\t', '\n', '\x0b', '\x0c', '\r'];
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        if value.contains('\0') {
            return Err(invalid(name, "the value holds a NUL byte"));
        }
        Ok(Some(value.trim_start_matches(SPACES)).filter(|value| !value.is_empty()))
    }

    /// Returns a property that is true or false.
    pub(super) fn flag(self, name: &str, default: bool) -> Result<bool, ConnectionError> {
        match self.0.get(name).map(|value| value.to_ascii_lowercase()) {
            None => Ok(default),
            Some(value) => match value.as_str() {
                "true" | "t" | "1" => Ok(true),
                "false" | "f" | "0" => Ok(false),
                _ => Err(invalid(name, "expected `true` or `false`")),
            },
        }
    }

    /// Returns `security.protocol`.
    pub(super) fn protocol(self) -> Result<Protocol, ConnectionError> {
        let value = self.text(PROTOCOL)?.unwrap_or("plaintext");
        match value.to_ascii_lowercase().as_str() {
            "plaintext" => Ok(Protocol::Plaintext),
            "ssl" => Ok(Protocol::Ssl),
            "sasl_plaintext" => Ok(Protocol::SaslPlaintext),
            "sasl_ssl" => Ok(Protocol::SaslSsl),
            _ => Err(invalid(
                PROTOCOL,
                format!(
                    "expected one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL, found `{value}`"
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(name: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn a_protocol_is_read_whatever_its_case() {
        for (value, protocol) in [
            ("", Protocol::Plaintext),
            ("PLAINTEXT", Protocol::Plaintext),
            ("ssl", Protocol::Ssl),
            ("Sasl_Plaintext", Protocol::SaslPlaintext),
            (" SASL_SSL", Protocol::SaslSsl),
        ] {
            let map = map("security.protocol", value);
            let properties = Properties::new(&map).expect("there is nothing unsupported");
            assert_eq!(properties.protocol(), Ok(protocol), "{value}");
        }
        let map = map("security.protocol", "tls");
        let properties = Properties::new(&map).expect("there is nothing unsupported");
        assert!(properties.protocol().is_err());
    }

    #[test]
    fn a_flag_is_read_as_librdkafka_reads_it() {
        for (value, expected) in [
            ("TRUE", true),
            ("t", true),
            ("1", true),
            ("False", false),
            ("F", false),
            ("0", false),
        ] {
            let map = map("x", value);
            let properties = Properties::new(&map).expect("there is nothing unsupported");
            assert_eq!(properties.flag("x", !expected), Ok(expected), "{value}");
            assert_eq!(properties.flag("y", expected), Ok(expected));
        }
        let map = map("x", "yes");
        let properties = Properties::new(&map).expect("there is nothing unsupported");
        assert!(properties.flag("x", true).is_err());
    }

    #[test]
    fn what_only_librdkafka_knows_is_refused_unless_it_changes_nothing() {
        for (name, value) in [
            ("sasl.kerberos.service.name", "kafka"),
            ("sasl.oauthbearer.method", "oidc"),
            ("ssl.ca.certificate.stores", "CA"),
            ("ssl.engine.id", "pkcs11"),
            ("ssl.engine.location", "/usr/lib/engine.so"),
        ] {
            let error = Properties::new(&map(name, value)).err();
            let text = error.map(|error| error.to_string()).unwrap_or_default();
            assert!(
                text.starts_with(&format!("librdkafka property `{name}`: ")),
                "{text}"
            );
        }
        for (name, value) in [
            ("sasl.oauthbearer.method", "default"),
            ("ssl.engine.id", "dynamic"),
            ("ssl.engine.location", ""),
        ] {
            assert!(Properties::new(&map(name, value)).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_value_with_a_nul_byte_is_refused() {
        let map = map("ssl.ca.location", "a\0b");
        let properties = Properties::new(&map).expect("there is nothing unsupported");
        assert!(properties.text("ssl.ca.location").is_err());
    }
}
