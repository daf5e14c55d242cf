//! librdkafka's configuration object, and the list of its properties.

use std::collections::BTreeSet;
use std::ptr::NonNull;
use std::sync::LazyLock;

use rdkafka_sys as sys;

use super::text::{self, ErrorText};

/// Properties without a default, which librdkafka's own list of values leaves out, and its aliases.
const WITHOUT_DEFAULT: &[&str] = &[
    "bootstrap.servers",
    "client.rack",
    "debug",
    "enable.auto.commit",
    "group.id",
    "group.instance.id",
    "group.remote.assignor",
    "https.ca.location",
    "https.ca.pem",
    "metadata.broker.list",
    "plugin.library.paths",
    "sasl.kerberos.keytab",
    "sasl.mechanism",
    "sasl.oauthbearer.assertion.claim.aud",
    "sasl.oauthbearer.assertion.claim.iss",
    "sasl.oauthbearer.assertion.claim.sub",
    "sasl.oauthbearer.assertion.file",
    "sasl.oauthbearer.assertion.jwt.template.file",
    "sasl.oauthbearer.assertion.private.key.file",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.oauthbearer.client.credentials.client.id",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.extensions",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.password",
    "sasl.username",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.curves.list",
    "ssl.engine.location",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.providers",
    "ssl.sigalgs.list",
    "topic.blacklist",
    "transactional.id",
];

/// Every property that text can set.
static PROPERTIES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let conf = Conf::new();
    let mut names = conf.dump();
    names.extend(WITHOUT_DEFAULT.iter().map(ToString::to_string));
    // Pointers to functions and objects, which only a program can set.
    names.retain(|name| !name.ends_with("_cb") && name.contains('.') || name == "debug");
    names
});

/// Returns the names of librdkafka's properties, sorted.
pub(in crate::kafka) fn properties() -> &'static BTreeSet<String> {
    &PROPERTIES
}

/// Why librdkafka refuses a property.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::kafka) enum Refusal {
    /// There is no such property.
    UnknownName,
    /// The value is not one of the property's; holds librdkafka's words, which may quote the value.
    InvalidValue(String),
}

/// A configuration that no client uses yet.
pub(in crate::kafka) struct Conf(NonNull<sys::rd_kafka_conf_t>);

impl Conf {
    /// Returns a configuration of defaults.
    pub(in crate::kafka) fn new() -> Self {
        // SAFETY: takes no argument; the object is owned by `Self` and destroyed in `drop`.
        let conf = unsafe { sys::rd_kafka_conf_new() };
        Self(NonNull::new(conf).expect("librdkafka aborts when it is out of memory"))
    }

    /// Sets a property.
    pub(in crate::kafka) fn set(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        let (c_name, c_value) = (text::c_string(name), text::c_string(value));
        let mut reason = ErrorText::new();
        // SAFETY: the object is owned, both strings live until the call returns, the buffer has the size it says.
        let outcome = unsafe {
            sys::rd_kafka_conf_set(
                self.0.as_ptr(),
                c_name.as_ptr(),
                c_value.as_ptr(),
                reason.as_mut_ptr(),
                reason.size(),
            )
        };
        match outcome {
            sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK => Ok(()),
            sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_UNKNOWN => Err(Refusal::UnknownName),
            sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_INVALID => {
                Err(Refusal::InvalidValue(reason.to_string()))
            }
        }
    }

    /// Hands the object over to a function that takes it.
    pub(super) fn as_ptr(&self) -> *mut sys::rd_kafka_conf_t {
        self.0.as_ptr()
    }

    /// Returns the names of the global properties that have a value.
    fn dump(&self) -> BTreeSet<String> {
        let mut count = 0;
        // SAFETY: the object is owned; the array is freed below.
        let array = unsafe { sys::rd_kafka_conf_dump(self.0.as_ptr(), &raw mut count) };
        // SAFETY: the array and its length as just returned, alternately names and values.
        let pairs = unsafe { std::slice::from_raw_parts(array, count) };
        let names = pairs
            .chunks_exact(2)
            .map(|pair| {
                // SAFETY: each element is a C string owned by the array, copied here.
                unsafe { text::lossy(pair[0]) }
            })
            .collect();
        // SAFETY: the array and its length as returned, freed once; nothing refers to it any more.
        unsafe { sys::rd_kafka_conf_dump_free(array, count) };
        names
    }
}

impl Drop for Conf {
    fn drop(&mut self) {
        // SAFETY: owned, and not given to a client, which would have taken it by value.
        unsafe { sys::rd_kafka_conf_destroy(self.0.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_property_is_known_to_librdkafka() {
        for name in properties() {
            let refusal = Conf::new().set(name, "1").err();
            assert_ne!(refusal, Some(Refusal::UnknownName), "{name}");
        }
    }

    #[test]
    fn the_list_holds_properties_with_and_without_a_default() {
        for name in ["sasl.password", "socket.timeout.ms", "debug", "client.id"] {
            assert!(properties().contains(name), "{name}");
        }
        assert!(!properties().contains("error_cb"));
    }
}
