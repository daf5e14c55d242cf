//! Which authorities a broker's certificate may come from, as librdkafka 2.12 decides it (rdkafka_ssl.c).

use std::fs;
use std::path::Path;

use openssl::ssl::SslContextBuilder;
use openssl::x509::X509;
use openssl::x509::verify::X509VerifyFlags;

use super::super::properties::Properties;
use super::reason::reason;
use crate::kafka::connection_error::{ConnectionError, invalid};

const LOCATION: &str = "ssl.ca.location";
const PEM: &str = "ssl.ca.pem";
const CRL: &str = "ssl.crl.location";

/// Where systems keep authorities: the first of these that exists is taken for `probe`.
const SYSTEM_LOCATIONS: &[&str] = &[
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/certs/ca-bundle.crt",
    "/etc/pki/tls/certs/ca-bundle.trust.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/cacert.pem",
    "/etc/certs/ca-certificates.crt",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/certs",
    "/usr/local/etc/ssl/cert.pem",
    "/usr/local/etc/ssl/cacert.pem",
    "/usr/local/etc/ssl/certs/cert.pem",
    "/usr/local/etc/ssl/certs/cacert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
    "/etc/openssl/certs/ca-certificates.crt",
];

/// Trusts the authorities that the properties name, all of them together; where they name none, OpenSSL's own.
///
/// # Errors
///
/// A file or a text that holds none.
pub(super) fn apply(
    context: &mut SslContextBuilder,
    properties: Properties<'_>,
) -> Result<(), ConnectionError> {
    let location = properties.text(LOCATION)?;
    let pem = properties.text(PEM)?;
    if let Some(location) = location.filter(|location| *location != "probe") {
        load(context, Path::new(location)).map_err(|reason| invalid(LOCATION, reason))?;
    }
    if let Some(pem) = pem {
        add_all(context, pem).map_err(|reason| invalid(PEM, reason))?;
    }
    match location {
        Some("probe") if pem.is_none() && probe(context) => {}
        // librdkafka ignores it, too, when this fails: no broker is trusted then.
        None | Some("probe") if pem.is_none() => drop(context.set_default_verify_paths()),
        _ => {}
    }
    if let Some(location) = properties.text(CRL)? {
        revoke(context, location).map_err(|reason| invalid(CRL, reason))?;
    }
    Ok(())
}

/// Trusts the certificates of a file, or of a folder whose files OpenSSL looks up by their hashed names (`openssl rehash`).
fn load(context: &mut SslContextBuilder, location: &Path) -> Result<(), String> {
    let loaded = if location.is_dir() {
        context.load_verify_locations(None, Some(location))
    } else {
        context.load_verify_locations(Some(location), None)
    };
    loaded.map_err(|errors| format!("`{}`: {}", location.display(), reason(&errors)))
}

fn add_all(context: &mut SslContextBuilder, pem: &str) -> Result<(), String> {
    let certificates = X509::stack_from_pem(pem.as_bytes()).map_err(|errors| {
        format!(
            "the value is not a certificate in PEM format: {}",
            reason(&errors)
        )
    })?;
    if certificates.is_empty() {
        return Err("the value is not a certificate in PEM format".to_owned());
    }
    for certificate in certificates {
        context
            .cert_store_mut()
            .add_cert(certificate)
            .map_err(|errors| reason(&errors))?;
    }
    Ok(())
}

/// Trusts the system's authorities; false where there are none.
fn probe(context: &mut SslContextBuilder) -> bool {
    SYSTEM_LOCATIONS.iter().map(Path::new).any(|location| {
        let is_empty = || fs::read_dir(location).is_ok_and(|mut files| files.next().is_none());
        location.exists() && !is_empty() && load(context, location).is_ok()
    })
}

/// Refuses the broker's certificate where a list of revoked certificates holds it, and where there is no list of its issuer.
fn revoke(context: &mut SslContextBuilder, location: &str) -> Result<(), String> {
    load(context, Path::new(location))?;
    context
        .cert_store_mut()
        .set_flags(X509VerifyFlags::CRL_CHECK)
        .map_err(|errors| reason(&errors))
}
