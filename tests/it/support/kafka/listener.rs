//! Listeners beside the plain one that the harness itself uses.

use std::collections::BTreeMap;

use crate::support::certificates::Credential;

/// A listener of every node: its name, its security protocol, and what belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    /// In capitals, as Kafka writes it.
    pub(super) name: &'static str,
    protocol: &'static str,
    /// By their names without `listener.name.NAME.`.
    properties: Vec<(String, String)>,
}

impl Listener {
    /// Begins a listener, such as `("CLIENTS", "SASL_SSL")`.
    pub(crate) fn new(name: &'static str, protocol: &'static str) -> Self {
        Self {
            name,
            protocol,
            properties: Vec::new(),
        }
    }

    /// Sets a property of this listener alone.
    pub(crate) fn property(mut self, name: &str, value: &str) -> Self {
        self.properties.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Shows itself by this certificate.
    pub(crate) fn certificate(self, credential: &Credential) -> Self {
        let Credential { certificate, key } = credential;
        self.property("ssl.keystore.type", "PEM")
            .property("ssl.keystore.certificate.chain", certificate)
            .property("ssl.keystore.key", key)
    }

    /// Lets in only clients with a certificate of this authority.
    pub(crate) fn only_certified_by(self, authority_pem: &str) -> Self {
        self.property("ssl.client.auth", "required")
            .property("ssl.truststore.type", "PEM")
            .property("ssl.truststore.certificates", authority_pem)
    }

    /// Lets clients log in by a mechanism; `module` is Kafka's login module behind `org.apache.kafka.common.security`.
    pub(crate) fn mechanism(mut self, mechanism: &str, module: &str) -> Self {
        const ENABLED: &str = "sasl.enabled.mechanisms";
        match self.properties.iter_mut().find(|(name, _)| name == ENABLED) {
            Some((_, enabled)) => {
                enabled.push(',');
                enabled.push_str(mechanism);
            }
            None => self
                .properties
                .push((ENABLED.to_owned(), mechanism.to_owned())),
        }
        let name = format!("{}.sasl.jaas.config", mechanism.to_lowercase());
        self.property(
            &name,
            &format!("org.apache.kafka.common.security.{module};"),
        )
    }

    /// Adds the listener to a node's properties.
    pub(super) fn add_to(&self, properties: &mut BTreeMap<String, String>, port: u16) {
        let Self {
            name,
            protocol,
            properties: own,
        } = self;
        for (list, entry) in [
            ("listeners", format!("{name}://127.0.0.1:{port}")),
            ("advertised.listeners", format!("{name}://127.0.0.1:{port}")),
            (
                "listener.security.protocol.map",
                format!("{name}:{protocol}"),
            ),
        ] {
            let entries = properties.entry(list.to_owned()).or_default();
            entries.push(',');
            entries.push_str(&entry);
        }
        let prefix = format!("listener.name.{}.", name.to_lowercase());
        for (name, value) in own {
            // One line of a properties file.
            properties.insert(format!("{prefix}{name}"), value.trim().replace('\n', "\\n"));
        }
    }
}
