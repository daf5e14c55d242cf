//! Certificates and keys in PEM, from the web configuration itself or from the files that it names.

use std::path::Path;

use serde_saphyr::Spanned;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::WebConfigError;
use super::files::Files;

/// Reads the PEM that a section names.
pub(super) struct PemReader<'a> {
    /// The web configuration file.
    pub(super) path: &'a Path,
    /// Where relative paths start.
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

impl PemReader<'_> {
    /// Returns the PEM that is given by `key` itself or in a file; nothing where neither is given.
    pub(super) fn pem(
        &mut self,
        what: &'static str,
        key: &str,
        inline: &Option<Spanned<String>>,
        file: &Option<Spanned<String>>,
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

    /// Returns the private key.
    pub(super) fn private_key(&self) -> Result<PrivateKeyDer<'static>, WebConfigError> {
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
