//! `client_auth_type`: which certificates of clients are asked for, and which are good.

use std::path::Path;
use std::sync::Arc;

use serde_saphyr::Spanned;
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};

use super::error::WebConfigError;
use super::pem::{Pem, PemReader};
use super::schema::TlsSection;
use crate::diagnostics::unknown;

/// Whether a client has to show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Optional,
    Required,
}

/// What is asked of a client's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientAuth {
    /// It is not asked for.
    None,
    /// Any will do, whoever issued it.
    Any(Presence),
    /// It has to come from one of the authorities.
    Verified(Presence),
}

/// The words of the file. `RequireClientCert` is an old one for `RequireAnyClientCert`.
const WORDS: [(&str, ClientAuth); 6] = [
    ("NoClientCert", ClientAuth::None),
    ("RequestClientCert", ClientAuth::Any(Presence::Optional)),
    ("RequireAnyClientCert", ClientAuth::Any(Presence::Required)),
    ("RequireClientCert", ClientAuth::Any(Presence::Required)),
    (
        "VerifyClientCertIfGiven",
        ClientAuth::Verified(Presence::Optional),
    ),
    (
        "RequireAndVerifyClientCert",
        ClientAuth::Verified(Presence::Required),
    ),
];

/// Returns what judges the certificates of clients; nothing where none are asked for.
pub(super) fn verifier(
    section: &TlsSection,
    reader: &mut PemReader<'_>,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, WebConfigError> {
    let word = section.client_auth_type.as_ref();
    let auth = match word {
        Some(word) => parse(word, reader.path)?,
        None => ClientAuth::None,
    };
    let TlsSection {
        client_ca: inline,
        client_ca_file: file,
        ..
    } = section;
    let authorities = reader.pem("client authorities", "client_ca", inline, file)?;
    match (auth, authorities, word, inline.as_ref().or(file.as_ref())) {
        (ClientAuth::None, None, ..) => Ok(None),
        (ClientAuth::None, Some(_), _, authorities) => {
            let problem = "client authorities are of no use without a `client_auth_type`";
            Err(reader.invalid(authorities, problem))
        }
        (ClientAuth::Any(presence), authorities, ..) => {
            let hints = match authorities {
                Some(authorities) => roots(&authorities)?.subjects(),
                None => Vec::new(),
            };
            Ok(Some(Arc::new(AnyCertificate {
                presence,
                hints,
                algorithms: provider.signature_verification_algorithms,
            })))
        }
        (ClientAuth::Verified(presence), Some(authorities), ..) => {
            verified(presence, &authorities, provider).map(Some)
        }
        (ClientAuth::Verified(_), None, word, _) => {
            let problem = "this `client_auth_type` needs a `client_ca_file`: the authorities of the system are not asked";
            Err(reader.invalid(word, problem))
        }
    }
}

fn parse(word: &Spanned<String>, path: &Path) -> Result<ClientAuth, WebConfigError> {
    let found = WORDS.iter().find(|(name, _)| *name == word.value);
    let (_, auth) = found.ok_or_else(|| {
        let names = WORDS.map(|(name, _)| name);
        let problem = unknown("`client_auth_type`", &word.value, &names);
        WebConfigError::invalid(path, word.referenced, problem)
    })?;
    Ok(*auth)
}

fn verified(
    presence: Presence,
    authorities: &Pem,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, WebConfigError> {
    let roots = Arc::new(roots(authorities)?);
    let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
    let builder = match presence {
        Presence::Required => builder,
        Presence::Optional => builder.allow_unauthenticated(),
    };
    builder
        .build()
        .map_err(|source| WebConfigError::Authorities {
            place: authorities.place.clone(),
            source,
        })
}

fn roots(authorities: &Pem) -> Result<RootCertStore, WebConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities.certificates()? {
        let added = roots.add(certificate);
        added.map_err(|source| WebConfigError::Authority {
            place: authorities.place.clone(),
            source,
        })?;
    }
    Ok(roots)
}

/// Takes every certificate whose key the client has, whoever issued it.
#[derive(Debug)]
struct AnyCertificate {
    presence: Presence,
    /// The authorities that are named to clients, for them to choose a certificate by.
    hints: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        self.presence == Presence::Required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
