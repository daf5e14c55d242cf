//! Why TLS failed: one line that says what is wrong and what to do about it, as librdkafka's hints do.

use std::io;

use openssl::error::ErrorStack;
use openssl::ssl::{self, SslRef};

use super::identity::Identity;
use super::reason::reason;
use crate::kafka::error::{ErrorCode, KafkaError};

const CLIENT_CERTIFICATE: &str = "the broker requires a client certificate: set `ssl.certificate.location` and \
                                  `ssl.key.location`, or `ssl.keystore.location`";

const MAYBE_CLIENT_CERTIFICATE: &str = "the broker refuses the connection: it may require a client certificate \
                                        (`ssl.certificate.location` and `ssl.key.location`, or \
                                        `ssl.keystore.location`), or have no TLS version or cipher suite in common";

/// Returns the error of a handshake with the broker `host`.
pub(super) fn handshake(
    error: &ssl::Error,
    ssl: &SslRef,
    host: &str,
    identity: Identity,
) -> KafkaError {
    let Some(errors) = error.ssl_error().filter(|errors| !is_end(errors)) else {
        return disconnected(error.io_error());
    };
    let reason = reason(errors);
    if reason.contains("certificate verify failed") {
        let verified = ssl.verify_result();
        let hint = distrust_hint(verified.as_raw(), host);
        return failed(format!(
            "certificate verify failed: {}: {hint}",
            verified.error_string()
        ));
    }
    failed(explained(&reason, identity))
}

/// Returns the error of a connection whose handshake is over; nothing where TLS is not what failed.
///
/// With TLS 1.3, a broker checks the client's certificate only after the client's handshake.
pub(super) fn established(error: &io::Error, identity: Identity) -> Option<KafkaError> {
    let error = error.get_ref()?.downcast_ref::<ssl::Error>()?;
    let errors = error.ssl_error().filter(|errors| !is_end(errors))?;
    Some(failed(explained(&reason(errors), identity)))
}

/// Returns why a broker may have closed the connection after the handshake and before its first byte.
pub(super) fn unanswered(identity: Identity) -> String {
    let hint = match identity {
        Identity::Anonymous => "it may require a client certificate",
        Identity::Certified => "it may not accept the client's certificate",
    };
    format!("the broker closed the connection after the SSL handshake: {hint}")
}

/// Returns an error of OpenSSL itself, before there was a handshake.
pub(super) fn setup(errors: &ErrorStack) -> KafkaError {
    failed(reason(errors))
}

fn failed(reason: String) -> KafkaError {
    KafkaError {
        code: ErrorCode::SSL,
        message: format!("SSL handshake failed: {reason}"),
    }
}

/// Returns the error of a handshake that the other side left; `_TRANSPORT`, as it may just be shutting down.
fn disconnected(error: Option<&io::Error>) -> KafkaError {
    let reason = match error {
        Some(error) if error.kind() == io::ErrorKind::ConnectionReset => {
            "connection reset by peer".to_owned()
        }
        Some(error) => error.to_string(),
        None => "connection closed by peer".to_owned(),
    };
    KafkaError {
        code: ErrorCode::TRANSPORT,
        message: format!(
            "SSL handshake failed: {reason}: connecting to a PLAINTEXT broker listener?"
        ),
    }
}

/// Returns whether OpenSSL's error is the end of the stream.
fn is_end(errors: &ErrorStack) -> bool {
    errors.errors().is_empty() || reason(errors).contains("unexpected eof while reading")
}

/// Returns OpenSSL's reason and what to do about it.
fn explained(reason: &str, identity: Identity) -> String {
    const NOT_TLS: &[&str] = &[
        "wrong version number",
        "packet length too long",
        "http request",
        "unexpected message",
    ];
    const CERTIFICATE_ALERTS: &[&str] = &[
        "certificate required",
        "bad certificate",
        "certificate unknown",
        "unsupported certificate",
        "certificate revoked",
        "certificate expired",
        "unknown ca",
        "access denied",
    ];
    let is_one_of = |texts: &[&str]| texts.iter().any(|text| reason.contains(text));
    if reason.contains("alert") && is_one_of(CERTIFICATE_ALERTS) {
        let hint = match identity {
            Identity::Anonymous => CLIENT_CERTIFICATE,
            Identity::Certified => "the broker does not accept the client's certificate",
        };
        return format!("{reason}: {hint}");
    }
    if reason.contains("alert") {
        let hint = match identity {
            Identity::Anonymous => MAYBE_CLIENT_CERTIFICATE,
            Identity::Certified => {
                "the broker refuses the connection: compare its TLS versions, cipher suites and trusted authorities"
            }
        };
        return format!("{reason}: {hint}");
    }
    if is_one_of(NOT_TLS) {
        return format!(
            "{reason}: the broker does not answer in TLS: connecting to a PLAINTEXT broker listener?"
        );
    }
    reason.to_owned()
}

/// Returns what to do about a certificate that OpenSSL does not trust, by its code in x509_vfy.h.
fn distrust_hint(code: i32, host: &str) -> String {
    match code {
        3 => "broker certificate could not be verified, `ssl.crl.location` holds no list of its issuer".to_owned(),
        9 | 10 => "broker certificate could not be verified, renew it or correct the clock of this machine".to_owned(),
        23 => "broker certificate could not be verified, `ssl.crl.location` lists it".to_owned(),
        62 | 64 => format!(
            "broker certificate does not hold `{host}`, use a name that it holds or set \
             `ssl.endpoint.identification.algorithm` to `none`"
        ),
        _ => "broker certificate could not be verified, verify that ssl.ca.location is correctly configured or root CA \
              certificates are installed"
            .to_owned(),
    }
}
