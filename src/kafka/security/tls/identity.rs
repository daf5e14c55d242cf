//! Who the client is: its certificate and private key.

use std::cell::Cell;
use std::fs;

use openssl::error::ErrorStack;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::ssl::SslContextBuilder;
use openssl::x509::X509;

use super::super::properties::Properties;
use super::reason::reason;
use crate::kafka::connection_error::{ConnectionError, invalid};
use crate::kafka::native::tls::withhold_unaccepted_certificates;

const CERTIFICATE_LOCATION: &str = "ssl.certificate.location";
const CERTIFICATE_PEM: &str = "ssl.certificate.pem";
const KEY_LOCATION: &str = "ssl.key.location";
const KEY_PEM: &str = "ssl.key.pem";
const KEY_PASSWORD: &str = "ssl.key.password";
const KEYSTORE_LOCATION: &str = "ssl.keystore.location";
const KEYSTORE_PASSWORD: &str = "ssl.keystore.password";

/// Whether the client has a certificate to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    Anonymous,
    Certified,
}

/// Gives the client the certificate and the key that the properties name.
///
/// # Errors
///
/// A file or a text that cannot be used, a wrong password, or a key of another certificate.
pub(super) fn apply(
    context: &mut SslContextBuilder,
    properties: Properties<'_>,
) -> Result<Identity, ConnectionError> {
    let mut identity = Identity::Anonymous;
    if let Some(location) = properties.text(CERTIFICATE_LOCATION)? {
        context
            .set_certificate_chain_file(location)
            .map_err(|errors| unusable(CERTIFICATE_LOCATION, location, &errors))?;
        identity = Identity::Certified;
    }
    if let Some(pem) = properties.text(CERTIFICATE_PEM)? {
        let chain = X509::stack_from_pem(pem.as_bytes()).unwrap_or_default();
        set_chain(context, chain).map_err(|reason| invalid(CERTIFICATE_PEM, reason))?;
        identity = Identity::Certified;
    }
    if let Some(location) = properties.text(KEY_LOCATION)? {
        let pem = fs::read(location)
            .map_err(|error| invalid(KEY_LOCATION, format!("`{location}`: {error}")))?;
        set_key(context, &pem, KEY_LOCATION, properties)?;
    }
    if let Some(pem) = properties.text(KEY_PEM)? {
        set_key(context, pem.as_bytes(), KEY_PEM, properties)?;
    }
    if let Some(location) = properties.text(KEYSTORE_LOCATION)? {
        set_keystore(context, location, properties)?;
        identity = Identity::Certified;
    }
    withhold_unaccepted_certificates(context);
    Ok(identity)
}

/// Shows the first certificate, and the others as its chain.
fn set_chain(context: &mut SslContextBuilder, chain: Vec<X509>) -> Result<(), String> {
    let mut chain = chain.into_iter();
    let certificate = chain
        .next()
        .ok_or("the value is not a certificate in PEM format")?;
    context
        .set_certificate(&certificate)
        .map_err(|errors| reason(&errors))?;
    for issuer in chain {
        context
            .add_extra_chain_cert(issuer)
            .map_err(|errors| reason(&errors))?;
    }
    Ok(())
}

fn set_key(
    context: &mut SslContextBuilder,
    pem: &[u8],
    name: &str,
    properties: Properties<'_>,
) -> Result<(), ConnectionError> {
    let key = decrypt(pem, name, properties.text(KEY_PASSWORD)?)?;
    use_key(context, &key, name)
}

/// Reads a private key, encrypted or not.
fn decrypt(
    pem: &[u8],
    name: &str,
    password: Option<&str>,
) -> Result<PKey<Private>, ConnectionError> {
    let is_encrypted = Cell::new(false);
    let key = PKey::private_key_from_pem_callback(pem, |room| {
        is_encrypted.set(true);
        let password = password.unwrap_or_default().as_bytes();
        // OpenSSL takes no longer password: it cannot be the right one.
        let Some(room) = room.get_mut(..password.len()) else {
            return Err(ErrorStack::get());
        };
        room.copy_from_slice(password);
        Ok(password.len())
    });
    key.map_err(|errors| match (is_encrypted.get(), password) {
        (false, _) => invalid(
            name,
            format!("there is no private key in PEM format: {}", reason(&errors)),
        ),
        (true, None) => invalid(
            name,
            format!("the private key is encrypted: set `{KEY_PASSWORD}`"),
        ),
        (true, Some(_)) => invalid(
            KEY_PASSWORD,
            format!("the password does not decrypt the private key of `{name}`"),
        ),
    })
}

fn use_key(
    context: &mut SslContextBuilder,
    key: &PKey<Private>,
    name: &str,
) -> Result<(), ConnectionError> {
    context
        .set_private_key(key)
        .and_then(|()| context.check_private_key())
        .map_err(|errors| match reason(&errors) {
            reason if reason.contains("no certificate assigned") => invalid(
                name,
                format!("the private key has no certificate: set `{CERTIFICATE_LOCATION}`"),
            ),
            reason if reason.contains("mismatch") => invalid(
                name,
                "the private key does not belong to the certificate".to_owned(),
            ),
            reason => invalid(name, reason),
        })
}

fn set_keystore(
    context: &mut SslContextBuilder,
    location: &str,
    properties: Properties<'_>,
) -> Result<(), ConnectionError> {
    let password = properties.text(KEYSTORE_PASSWORD)?.ok_or_else(|| {
        invalid(
            KEYSTORE_LOCATION,
            format!("the keystore is encrypted: set `{KEYSTORE_PASSWORD}`"),
        )
    })?;
    let bytes = fs::read(location)
        .map_err(|error| invalid(KEYSTORE_LOCATION, format!("`{location}`: {error}")))?;
    let store = Pkcs12::from_der(&bytes).map_err(|errors| {
        let reason = format!("`{location}` is not PKCS#12: {}", reason(&errors));
        invalid(KEYSTORE_LOCATION, reason)
    })?;
    let store = store
        .parse2(password)
        .map_err(|errors| match reason(&errors) {
            reason if reason.contains("mac verify failure") => invalid(
                KEYSTORE_PASSWORD,
                format!("the password does not decrypt `{location}`"),
            ),
            reason => invalid(KEYSTORE_LOCATION, format!("`{location}`: {reason}")),
        })?;
    let (Some(certificate), Some(key)) = (store.cert, store.pkey) else {
        let reason = format!("`{location}` does not hold a certificate and its private key");
        return Err(invalid(KEYSTORE_LOCATION, reason));
    };
    let issuers = store.ca.into_iter().flatten();
    let chain = std::iter::once(certificate).chain(issuers).collect();
    set_chain(context, chain).map_err(|reason| invalid(KEYSTORE_LOCATION, reason))?;
    use_key(context, &key, KEYSTORE_LOCATION)
}

fn unusable(name: &str, location: &str, errors: &ErrorStack) -> ConnectionError {
    invalid(name, format!("`{location}`: {}", reason(errors)))
}
