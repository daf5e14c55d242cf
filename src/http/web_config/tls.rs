//! `tls_server_config`: from files to what a handshake needs.

use std::path::Path;
use std::sync::Arc;

use serde_saphyr::Spanned;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{
    ServerConfig, SupportedProtocolVersion, version::TLS12, version::TLS13,
};

use super::clients;
use super::error::{WebConfigError, unknown};
use super::files::Files;
use super::schema::{TlsSection, given};

/// The versions of TLS, oldest first.
static VERSIONS: [(&str, &SupportedProtocolVersion); 2] = [("TLS12", &TLS12), ("TLS13", &TLS13)];

/// Reads what a section names.
pub(super) struct Reader<'a> {
    /// The web configuration file.
    pub(super) path: &'a Path,
    /// Where relative paths begin.
    pub(super) folder: &'a Path,
    pub(super) files: &'a mut Files,
}

/// Text that should be PEM.
pub(super) struct Pem {
    what: &'static str,
    /// The file, or the line of the web configuration.
    pub(super) place: String,
    text: Vec<u8>,
}

/// Returns how to speak TLS.
pub(super) fn server_config(
    section: &Spanned<TlsSection>,
    reader: &mut Reader<'_>,
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
    let [cert, cert_file, key, key_file] = [
        &section.cert,
        &section.cert_file,
        &section.key,
        &section.key_file,
    ]
    .map(given);
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
    reader: &Reader<'_>,
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
    let min = given(&section.min_version);
    let first = index("min_version", min, 0)?;
    let last = index(
        "max_version",
        given(&section.max_version),
        VERSIONS.len() - 1,
    )?;
    if first > last {
        let problem = "`min_version` is above `max_version`";
        return Err(reader.invalid(min, problem));
    }
    let versions = VERSIONS[first..=last].iter();
    Ok(versions.map(|(_, version)| *version).collect())
}

impl Reader<'_> {
    /// Returns the PEM that is given by `key` itself or in a file; nothing where neither is given.
    pub(super) fn pem(
        &mut self,
        what: &'static str,
        key: &str,
        inline: Option<&Spanned<String>>,
        file: Option<&Spanned<String>>,
    ) -> Result<Option<Pem>, WebConfigError> {
        let (place, text) = match (inline, file) {
            (None, None) => return Ok(None),
            (Some(_), Some(file)) => {
                let problem = format!("both `{key}` and `{key}_file` are given");
                return Err(self.invalid(Some(file), problem));
            }
            (Some(inline), None) => {
                let line = inline.referenced.line();
                let place = format!("`{}:{line}`", self.path.display());
                (place, inline.value.clone().into_bytes())
            }
            (None, Some(file)) => {
                let path = self.folder.join(&file.value);
                let shown = path.display().to_string();
                let read = self.files.read(&path);
                let text = read.map_err(|source| WebConfigError::Read {
                    what,
                    path: shown.clone(),
                    source,
                })?;
                (format!("`{shown}`"), text)
            }
        };
        Ok(Some(Pem { what, place, text }))
    }

    /// Returns the error for a value of the file.
    pub(super) fn invalid(
        &self,
        value: Option<&Spanned<String>>,
        problem: impl ToString,
    ) -> WebConfigError {
        let unknown = serde_saphyr::Location::UNKNOWN;
        let location = value.map_or(unknown, |value| value.referenced);
        WebConfigError::invalid(self.path, location, problem)
    }
}

impl Pem {
    /// Returns every certificate; at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, WebConfigError> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.text).collect();
        let certificates = read.map_err(|error| self.error(&error))?;
        if certificates.is_empty() {
            return Err(self.error(&pem::Error::NoItemsFound));
        }
        Ok(certificates)
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, WebConfigError> {
        PrivateKeyDer::from_pem_slice(&self.text).map_err(|error| self.error(&error))
    }

    /// Says what is wrong, and nothing of what stands there: it may be the key.
    fn error(&self, error: &pem::Error) -> WebConfigError {
        let problem = match error {
            pem::Error::NoItemsFound => "there is none in PEM, unencrypted",
            _ => "this is damaged PEM",
        };
        WebConfigError::Pem {
            what: self.what,
            place: self.place.clone(),
            problem,
        }
    }
}
