//! A listener that wants TLS and a password: SASL_SSL with PLAIN and SCRAM-SHA-512.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::certificates::Credential;

/// Whom a secured listener shows itself as, and whom it lets in.
#[derive(Debug)]
pub(crate) struct Secured {
    pub(crate) credential: Credential,
    pub(crate) user: &'static str,
    pub(crate) password: &'static str,
}

impl Secured {
    /// Adds the listener to a node's properties.
    pub(super) fn add_to(&self, properties: &mut BTreeMap<&str, String>, port: u16, folder: &Path) {
        let Self {
            credential: Credential { certificate, key },
            user,
            password,
        } = self;
        let store = folder.join("secured.pem");
        fs::write(&store, format!("{key}{certificate}")).expect("the folder is writable");
        for (list, entry) in [
            ("listeners", format!("SECURED://127.0.0.1:{port}")),
            (
                "advertised.listeners",
                format!("SECURED://127.0.0.1:{port}"),
            ),
            (
                "listener.security.protocol.map",
                "SECURED:SASL_SSL".to_owned(),
            ),
        ] {
            let before = &properties[list];
            let both = format!("{before},{entry}");
            properties.insert(list, both);
        }
        let module = "org.apache.kafka.common.security";
        properties.extend([
            ("listener.name.secured.ssl.keystore.type", "PEM".to_owned()),
            (
                "listener.name.secured.ssl.keystore.location",
                store.display().to_string(),
            ),
            (
                "listener.name.secured.sasl.enabled.mechanisms",
                "PLAIN,SCRAM-SHA-512".to_owned(),
            ),
            (
                "listener.name.secured.plain.sasl.jaas.config",
                format!("{module}.plain.PlainLoginModule required user_{user}=\"{password}\";"),
            ),
            (
                "listener.name.secured.scram-sha-512.sasl.jaas.config",
                format!("{module}.scram.ScramLoginModule required;"),
            ),
        ]);
    }

    /// Returns what a node's storage is formatted with.
    pub(super) fn format(&self) -> [String; 2] {
        let Self { user, password, .. } = self;
        let user = format!("SCRAM-SHA-512=[name={user},password={password}]");
        ["--add-scram".to_owned(), user]
    }
}
