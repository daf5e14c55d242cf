//! `tls_server_config`: from files to what a handshake needs.

use std::sync::Arc;

use serde_saphyr::Spanned;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::{
    ServerConfig, SupportedProtocolVersion, version::TLS12, version::TLS13,
};

use super::clients;
use super::error::WebConfigError;
use super::pem::PemReader;
use super::schema::TlsSection;
use crate::diagnostics::unknown;

/// The versions of TLS, oldest first.
static VERSIONS: [(&str, &SupportedProtocolVersion); 2] = [("TLS12", &TLS12), ("TLS13", &TLS13)];

/// Returns how to speak TLS.
pub(super) fn server_config(
    section: &Spanned<TlsSection>,
    reader: &mut PemReader<'_>,
) -> Result<ServerConfig, WebConfigError> {
    let Spanned {
        value: section,
        referenced,
        ..
    } = section;
    let missing = |path, key: &str| {
        let problem = format!("`tls_server_config` needs `{key}_file`");
        WebConfigError::invalid(path, *referenced, problem)
    };
    let TlsSection {
        cert,
        cert_file,
        key,
        key_file,
        ..
    } = section;
    let certificate = reader.pem("certificate", "cert", cert, cert_file)?;
    let certificate = certificate.ok_or_else(|| missing(reader.path, "cert"))?;
    let key = reader.pem("private key", "key", key, key_file)?;
    let key = key.ok_or_else(|| missing(reader.path, "key"))?;

    let provider = Arc::new(default_provider());
    let versions = versions(section, reader)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .expect("the provider has cipher suites for both versions");
    let builder = match clients::verifier(section, reader, &provider)? {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    let config = builder.with_single_cert(certificate.certificates()?, key.private_key()?);
    let mut config = config.map_err(|source| WebConfigError::Pair {
        certificate: certificate.place,
        key: key.place,
        source,
    })?;
    config.ignore_client_order = section.prefer_server_cipher_suites.unwrap_or(true);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Returns the versions from `min_version` to `max_version`.
fn versions(
    section: &TlsSection,
    reader: &PemReader<'_>,
) -> Result<Vec<&'static SupportedProtocolVersion>, WebConfigError> {
    let index = |key: &str, written: Option<&Spanned<String>>, default: usize| {
        let Some(written) = written else {
            return Ok(default);
        };
        let found = VERSIONS.iter().position(|(name, _)| *name == written.value);
        found.ok_or_else(|| {
            let names = VERSIONS.map(|(name, _)| name);
            let problem = match written.value.as_str() {
                "TLS10" | "TLS11" => format!(
                    "`{key}`: `{}` is too old to be spoken; there are {}",
                    written.value,
                    names.join(", ")
                ),
                other => unknown(&format!("`{key}`"), other, &names),
            };
            reader.invalid(Some(written), problem)
        })
    };
    let min = section.min_version.as_ref();
    let first = index("min_version", min, 0)?;
    let last = index(
        "max_version",
        section.max_version.as_ref(),
        VERSIONS.len() - 1,
    )?;
    if first > last {
        let problem = "`min_version` is above `max_version`";
        return Err(reader.invalid(min, problem));
    }
    let versions = VERSIONS[first..=last].iter();
    Ok(versions.map(|(_, version)| *version).collect())
}
