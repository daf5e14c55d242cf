//! Where a cluster is and how to talk to it: bootstrap servers and librdkafka's properties, checked without connecting.
//!
//! Whether a host resolves, answers and lets us in is known only at run time, from a client's own errors.

mod properties;

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;

use self::properties::is_secret;
use super::connection_error::ConnectionError;
use super::native::conf::{self, Conf};
use super::native::handle::Handle;
use super::security::Security;

/// Schemes that librdkafka accepts before a bootstrap server's host.
const SCHEMES: &[&str] = &["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];

/// A cluster's address and the properties of every client that connects to it.
///
/// `Debug` shows neither secrets nor the value of a property that librdkafka does not know: it may be a misspelt secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection {
    /// Where to begin: `host:port` each.
    pub bootstrap_servers: Vec<String>,
    /// librdkafka's properties by name.
    pub properties: BTreeMap<String, String>,
}

impl Connection {
    /// Returns a connection without properties: plain text, nobody logs in.
    pub fn plain(bootstrap_servers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.into_iter().map(Into::into).collect(),
            properties: BTreeMap::new(),
        }
    }

    /// Checks every server's syntax and every property, without connecting, for both halves of the Kafka layer.
    ///
    /// What properties mean together, librdkafka says only of a client: one is made, and ended at once.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong: servers in the order given, then properties by name, then all together.
    pub fn validate(&self) -> Result<(), ConnectionError> {
        let conf = self.native_conf()?;
        // First, as its errors name the property; librdkafka's quote OpenSSL.
        Security::new(&self.properties)?;
        Handle::check(conf).map_err(|reason| ConnectionError::Client { reason })
    }

    /// Returns the configuration of a consumer or a producer of this cluster.
    pub(in crate::kafka) fn client_config(&self) -> Result<ClientConfig, ConnectionError> {
        self.native_conf()?;
        let mut config = ClientConfig::new();
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.set("bootstrap.servers", self.bootstrap_servers.join(","));
        Ok(config)
    }

    /// Returns the properties as librdkafka's own object, without the bootstrap servers, which are checked alone.
    pub(in crate::kafka) fn native_conf(&self) -> Result<Conf, ConnectionError> {
        self.servers()?;
        properties::conf(&self.properties)
    }

    /// Returns the host and the port of each bootstrap server; an IPv6 address without its brackets.
    ///
    /// # Errors
    ///
    /// The first server that is none, or that there is no server.
    pub(in crate::kafka) fn servers(&self) -> Result<Vec<(String, u16)>, ConnectionError> {
        if self.bootstrap_servers.is_empty() {
            return Err(ConnectionError::NoBootstrapServer);
        }
        let servers = self.bootstrap_servers.iter().map(|server| {
            parse_server(server).map_err(|problem| ConnectionError::BootstrapServer {
                server: server.clone(),
                problem,
            })
        });
        servers.collect()
    }
}

/// Reads `host:port`, `[address]:port`, either behind `SCHEME://`.
fn parse_server(server: &str) -> Result<(String, u16), &'static str> {
    let address = match server.split_once("://") {
        Some((scheme, address)) if SCHEMES.contains(&scheme) => address,
        Some(_) => return Err("the scheme is none of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
        None => server,
    };
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, tail)) => (host, tail.strip_prefix(':').unwrap_or_default()),
            None => return Err("the bracket is never closed"),
        },
        None => address.rsplit_once(':').unwrap_or((address, "")),
    };
    let is_host_character =
        |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '%' | ':');
    if host.is_empty() {
        return Err("the host is missing");
    }
    if port.is_empty() {
        return Err("the port is missing, such as in `kafka-1:9092`");
    }
    if !host.chars().all(is_host_character) {
        return Err("the host has a character that no host name has");
    }
    if host.contains(':') && !address.starts_with('[') {
        return Err("an IPv6 address needs brackets, such as `[::1]:9092`");
    }
    match port.parse::<u16>() {
        Ok(port @ 1..) => Ok((host.to_owned(), port)),
        _ => Err("the port is not a number from 1 to 65535"),
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bootstrap_servers,
            properties,
        } = self;
        let shown: BTreeMap<_, _> = properties
            .iter()
            .map(|(name, value)| {
                let is_shown = !is_secret(name) && conf::properties().contains(name);
                (name, if is_shown { value } else { "[redacted]" })
            })
            .collect();
        f.debug_struct("Connection")
            .field("bootstrap_servers", bootstrap_servers)
            .field("properties", &shown)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> Connection {
        let mut connection = Connection::plain(["localhost:9092"]);
        connection.properties.insert(name.into(), value.into());
        connection
    }

    #[test]
    fn servers_that_kafka_accepts_are_valid() {
        for (server, host, port) in [
            ("localhost:9092", "localhost", 9092),
            ("10.0.0.1:1", "10.0.0.1", 1),
            ("[::1]:9092", "::1", 9092),
            (
                "kafka_1.prod-eu.example.com:65535",
                "kafka_1.prod-eu.example.com",
                65535,
            ),
            ("SASL_SSL://kafka-1:9093", "kafka-1", 9093),
        ] {
            let connection = Connection::plain([server]);
            assert_eq!(connection.validate(), Ok(()), "{server}");
            assert_eq!(connection.servers(), Ok(vec![(host.to_owned(), port)]));
        }
    }

    #[test]
    fn a_server_that_is_no_host_and_port_is_refused() {
        for (server, problem) in [
            ("", "the host is missing"),
            (":9092", "the host is missing"),
            ("kafka-1", "the port is missing, such as in `kafka-1:9092`"),
            ("kafka-1:", "the port is missing, such as in `kafka-1:9092`"),
            ("kafka-1:port", "the port is not a number from 1 to 65535"),
            ("kafka-1:0", "the port is not a number from 1 to 65535"),
            ("kafka-1:65536", "the port is not a number from 1 to 65535"),
            (
                "::1:9092",
                "an IPv6 address needs brackets, such as `[::1]:9092`",
            ),
            ("[::1:9092", "the bracket is never closed"),
            (
                "kafka 1:9092",
                "the host has a character that no host name has",
            ),
            ("a:1,b:2", "the host has a character that no host name has"),
            (
                "http://kafka-1:9092",
                "the scheme is none of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL",
            ),
        ] {
            let error = Connection::plain([server]).validate();
            let expected = ConnectionError::BootstrapServer {
                server: server.to_owned(),
                problem,
            };
            assert_eq!(error, Err(expected), "{server}");
        }
        assert_eq!(
            Connection::plain(Vec::<String>::new()).validate(),
            Err(ConnectionError::NoBootstrapServer)
        );
    }

    #[test]
    fn secrets_are_shown_nowhere() {
        for name in [
            "sasl.password",
            "ssl.key.password",
            "ssl.key.pem",
            "ssl.keystore.password",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.assertion.private.key.passphrase",
            "sasl.oauthbearer.config",
            "sasl.pasword",
        ] {
            let connection = with(name, "hunter2");
            assert!(!format!("{connection:?}").contains("hunter2"), "{name}");
            if let Err(error) = connection.validate() {
                assert!(!error.to_string().contains("hunter2"), "{name}");
                assert!(!format!("{error:?}").contains("hunter2"), "{name}");
            }
        }
        let shown = format!("{:?}", with("security.protocol", "SASL_SSL"));
        assert!(shown.contains("SASL_SSL"));
    }

    #[test]
    fn a_client_config_holds_servers_and_properties() {
        let mut connection = with("client.id", "task");
        connection.bootstrap_servers.push("localhost:9093".into());
        let config = connection.client_config().expect("all of it is valid");
        assert_eq!(
            config.get("bootstrap.servers"),
            Some("localhost:9092,localhost:9093")
        );
        assert_eq!(config.get("client.id"), Some("task"));
    }
}
