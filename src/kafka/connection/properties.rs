//! librdkafka's properties: which may be set, and what is wrong with a value, in words that name the nearest valid one.

use std::collections::BTreeMap;
use std::fs;

use crate::diagnostics::nearest;
use crate::kafka::connection_error::{ConnectionError, invalid};
use crate::kafka::native::conf::{self, Conf, Refusal};

/// Properties that decide what lagwatch does rather than how it connects, and what to set instead.
const RESERVED: &[(&str, &str)] = &[
    ("allow.auto.create.topics", "lagwatch never creates a topic"),
    ("auto.commit.enable", "choose a commit strategy instead"),
    (
        "auto.offset.reset",
        "set `auto-offset-reset` of the consumer instead",
    ),
    ("bootstrap.servers", "set the bootstrap servers instead"),
    ("enable.auto.commit", "choose a commit strategy instead"),
    (
        "enable.auto.offset.store",
        "choose a commit strategy instead",
    ),
    ("enable.partition.eof", "lagwatch needs it as it is"),
    ("group.id", "set the group of the consumer instead"),
    ("log.queue", "lagwatch needs it as it is"),
    ("metadata.broker.list", "set the bootstrap servers instead"),
    ("statistics.interval.ms", "lagwatch needs it as it is"),
    ("test.mock.broker.rtt", "it is for librdkafka's own tests"),
    ("test.mock.num.brokers", "it is for librdkafka's own tests"),
    ("topic.blacklist", "set the topic filter instead"),
];

/// Returns the properties as librdkafka's own object.
///
/// # Errors
///
/// The first of them, by name, that is unknown, reserved or has a value it cannot have.
pub(super) fn conf(properties: &BTreeMap<String, String>) -> Result<Conf, ConnectionError> {
    let mut conf = Conf::new();
    for (name, value) in properties {
        check_reserved(name)?;
        conf.set(name, value)
            .map_err(|refusal| refused(name, value, refusal))?;
        check_file(name, value)?;
    }
    Ok(conf)
}

/// Checks that a file exists which a property names: librdkafka's own words for that name neither it nor the reason.
fn check_file(name: &str, value: &str) -> Result<(), ConnectionError> {
    if !name.ends_with(".location") || matches!(value, "" | "probe") {
        return Ok(());
    }
    match fs::metadata(value) {
        Ok(_) => Ok(()),
        Err(error) => Err(invalid(name, format!("`{value}`: {error}"))),
    }
}

fn check_reserved(name: &str) -> Result<(), ConnectionError> {
    match RESERVED.iter().find(|(reserved, _)| *reserved == name) {
        Some(&(_, instead)) => Err(ConnectionError::ReservedProperty {
            name: name.to_owned(),
            instead,
        }),
        None => Ok(()),
    }
}

fn refused(name: &str, value: &str, refusal: Refusal) -> ConnectionError {
    match refusal {
        Refusal::UnknownName => ConnectionError::UnknownProperty {
            name: name.to_owned(),
            nearest: nearest_property(name),
        },
        Refusal::InvalidValue(_) if is_secret(name) => invalid(name, "the value is not valid"),
        Refusal::InvalidValue(reason) => invalid(name, explained(name, value, reason)),
    }
}

fn nearest_property(name: &str) -> Option<String> {
    let properties = conf::properties().iter();
    let known = properties.filter(|known| check_reserved(known).is_ok());
    nearest(name, known.map(String::as_str)).map(str::to_owned)
}

/// Returns whether a property's value must not be shown: what librdkafka marks as sensitive, and all that is named alike.
pub(super) fn is_secret(name: &str) -> bool {
    ["password", "passphrase", "secret", "private.key"]
        .iter()
        .any(|word| name.contains(word))
        || name.ends_with(".pem")
        || matches!(
            name,
            "sasl.oauthbearer.config" | "sasl.oauthbearer.extensions"
        )
}

/// Returns what is wrong with a value and where the valid ones are listed; librdkafka names neither.
fn explained(name: &str, value: &str, reason: String) -> String {
    if name == "security.protocol" {
        return format!(
            "expected one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL, found `{value}`"
        );
    }
    let tells = "librdkafka's CONFIGURATION.md tells its values";
    if reason == format!("Invalid value for configuration property \"{name}\"") {
        format!("expected a number, found `{value}`; {tells}")
    } else if reason.starts_with("Invalid value") {
        format!("{reason}; {tells}")
    } else {
        reason
    }
}

#[cfg(test)]
mod tests {
    use super::super::Connection;
    use super::*;

    fn with<const N: usize>(properties: [(&str, &str); N]) -> Connection {
        let mut connection = Connection::plain(["localhost:9092"]);
        let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
        connection.properties.extend(properties);
        connection
    }

    #[track_caller]
    fn assert_refused<const N: usize>(properties: [(&str, &str); N], text: &str) {
        let error = with(properties).validate().expect_err("it is refused");
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn an_unknown_property_names_the_nearest_one() {
        for (name, nearest) in [
            ("sasl.pasword", "sasl.password"),
            ("security.protcol", "security.protocol"),
            ("ssl.ca.locaton", "ssl.ca.location"),
            ("socket.timeout", "socket.timeout.ms"),
        ] {
            let error = with([(name, "x")])
                .validate()
                .expect_err("the name is misspelt");
            assert_eq!(
                error.to_string(),
                format!("unknown librdkafka property `{name}`; did you mean `{nearest}`?")
            );
        }
        let error = with([("zzz", "x")]).validate().expect_err("there is none");
        assert_eq!(error.to_string(), "unknown librdkafka property `zzz`");
    }

    #[test]
    fn an_invalid_value_is_shown_beside_what_is_expected() {
        assert_refused(
            [("security.protocol", "TLS")],
            "librdkafka property `security.protocol`: expected one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL, found `TLS`",
        );
        assert_refused(
            [("socket.timeout.ms", "soon")],
            "librdkafka property `socket.timeout.ms`: expected a number, found `soon`; librdkafka's CONFIGURATION.md tells its values",
        );
        assert_refused(
            [("client.dns.lookup", "some")],
            "librdkafka property `client.dns.lookup`: Invalid value \"some\" for configuration property \"client.dns.lookup\"; librdkafka's CONFIGURATION.md tells its values",
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        assert_refused(
            [("ssl.ca.location", "/nowhere/ca.pem")],
            "librdkafka property `ssl.ca.location`: `/nowhere/ca.pem`: No such file or directory (os error 2)",
        );
        assert_eq!(with([("ssl.ca.location", "probe")]).validate(), Ok(()));
    }

    #[test]
    fn whoever_logs_in_needs_a_mechanism_that_is_built_in() {
        let protocol = ("security.protocol", "sasl_ssl");
        assert_refused(
            [protocol],
            "librdkafka property `security.protocol`: `sasl_ssl` needs `sasl.mechanism`: one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER",
        );
        for name in ["sasl.mechanism", "sasl.mechanisms"] {
            assert_refused(
                [protocol, (name, "GSSAPI")],
                &format!(
                    "librdkafka property `{name}`: expected one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, found `GSSAPI`"
                ),
            );
        }
        for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] {
            let properties = [
                protocol,
                ("sasl.mechanism", mechanism),
                ("sasl.username", "u"),
                ("sasl.password", "p"),
                ("enable.sasl.oauthbearer.unsecure.jwt", "true"),
                ("sasl.oauthbearer.config", "principal=u"),
            ];
            assert_eq!(with(properties).validate(), Ok(()), "{mechanism}");
        }
    }

    #[test]
    fn properties_that_make_no_client_together_are_refused() {
        assert_refused(
            [
                ("security.protocol", "sasl_plaintext"),
                ("sasl.mechanism", "PLAIN"),
            ],
            "librdkafka refuses these properties together: sasl.username and sasl.password must be set",
        );
    }

    #[test]
    fn what_lagwatch_decides_cannot_be_set() {
        for (name, _) in RESERVED {
            let error = with([(name, "1")]).validate();
            assert!(
                matches!(error, Err(ConnectionError::ReservedProperty { .. })),
                "{name}: {error:?}"
            );
            assert!(
                conf::properties().contains(*name)
                    || *name == "auto.commit.enable"
                    || *name == "auto.offset.reset",
                "{name}"
            );
        }
    }
}
