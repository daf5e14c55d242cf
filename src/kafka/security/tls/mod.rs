//! TLS by OpenSSL: the library that librdkafka is linked with, set up as librdkafka sets it up.
//!
//! Files are read once, when a client is made; librdkafka does the same.

mod failure;
mod identity;
mod reason;
#[cfg(test)]
mod tests;
mod trust;

use std::net::IpAddr;
use std::pin::Pin;

use openssl::error::ErrorStack;
use openssl::provider::Provider;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslVerifyMode,
};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use self::identity::Identity;
use self::reason::reason;
use super::properties::Properties;
use super::transport::EncryptionError;
use crate::kafka::connection_error::{ConnectionError, invalid};
use crate::kafka::error::KafkaError;

/// How connections to brokers are encrypted.
pub(super) struct Tls {
    context: SslContext,
    identity: Identity,
    /// Whether the broker's certificate has to hold the broker's name.
    checks_host: bool,
    /// Loaded as long as they are used here.
    _providers: Vec<Provider>,
}

impl Tls {
    /// Reads the properties that begin with `ssl.`, and the files they name.
    ///
    /// # Errors
    ///
    /// The first property that cannot be honoured.
    pub(super) fn new(properties: Properties<'_>) -> Result<Self, ConnectionError> {
        let providers = load_providers(properties)?;
        let mut context = SslContext::builder(SslMethod::tls_client()).map_err(|errors| {
            ConnectionError::Client {
                reason: reason(&errors),
            }
        })?;
        // Without SSL_OP_IGNORE_UNEXPECTED_EOF, a broker that just closes the connection would be a TLS error.
        context.set_options(SslOptions::NO_SSLV3 | SslOptions::IGNORE_UNEXPECTED_EOF);
        context.set_mode(SslMode::ENABLE_PARTIAL_WRITE | SslMode::ACCEPT_MOVING_WRITE_BUFFER);
        set_algorithms(&mut context, properties)?;
        let verification = properties.flag("enable.ssl.certificate.verification", true)?;
        context.set_verify(if verification {
            SslVerifyMode::PEER
        } else {
            SslVerifyMode::NONE
        });
        trust::apply(&mut context, properties)?;
        let identity = identity::apply(&mut context, properties)?;
        Ok(Self {
            context: context.build(),
            identity,
            checks_host: checks_host(properties)?,
            _providers: providers,
        })
    }

    /// Returns the encrypted connection to the broker `host`.
    ///
    /// # Errors
    ///
    /// `_SSL`, or `_TRANSPORT` where the broker leaves.
    pub(super) async fn connect(
        &self,
        tcp: TcpStream,
        host: &str,
    ) -> Result<SslStream<TcpStream>, KafkaError> {
        let ssl = self
            .session(host)
            .map_err(|errors| failure::setup(&errors))?;
        let mut stream = SslStream::new(ssl, tcp).map_err(|errors| failure::setup(&errors))?;
        match Pin::new(&mut stream).connect().await {
            Ok(()) => Ok(stream),
            Err(error) => Err(failure::handshake(
                &error,
                stream.ssl(),
                host,
                self.identity,
            )),
        }
    }

    /// Returns why a broker may close a connection after the handshake and before its first byte.
    pub(super) fn unanswered(&self) -> String {
        failure::unanswered(self.identity)
    }

    /// Returns what finds the error of TLS in an error of a connection whose handshake is over.
    pub(super) fn encryption_error(&self) -> EncryptionError {
        let identity = self.identity;
        Box::new(move |error| failure::established(error, identity))
    }

    /// Returns a session that knows whom it talks to.
    fn session(&self, host: &str) -> Result<Ssl, ErrorStack> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let address: Option<IpAddr> = host.parse().ok();
        let mut ssl = Ssl::new(&self.context)?;
        if address.is_none() {
            // SNI is for names alone (RFC 6066).
            ssl.set_hostname(host)?;
        }
        match (self.checks_host, address) {
            (false, _) => {}
            (true, Some(address)) => ssl.param_mut().set_ip(address)?,
            (true, None) => ssl.param_mut().set_host(host)?,
        }
        Ok(ssl)
    }
}

/// Loads OpenSSL's providers, such as `legacy`. They are shared by the whole process.
fn load_providers(properties: Properties<'_>) -> Result<Vec<Provider>, ConnectionError> {
    const NAME: &str = "ssl.providers";
    let providers = properties.text(NAME)?.unwrap_or_default();
    providers
        .split(',')
        .filter(|provider| !provider.is_empty())
        .map(|provider| {
            Provider::load(None, provider)
                .map_err(|errors| invalid(NAME, format!("`{provider}`: {}", reason(&errors))))
        })
        .collect()
}

/// Restricts what is offered to the broker.
fn set_algorithms(
    context: &mut SslContextBuilder,
    properties: Properties<'_>,
) -> Result<(), ConnectionError> {
    type Set = fn(&mut SslContextBuilder, &str) -> Result<(), ErrorStack>;
    let lists: [(&str, Set); 3] = [
        ("ssl.cipher.suites", SslContextBuilder::set_cipher_list),
        ("ssl.curves.list", SslContextBuilder::set_groups_list),
        ("ssl.sigalgs.list", SslContextBuilder::set_sigalgs_list),
    ];
    for (name, set) in lists {
        if let Some(list) = properties.text(name)? {
            set(context, list).map_err(|errors| {
                // OpenSSL gives no reason for an unknown group or signature algorithm.
                let reason = match errors.errors() {
                    [] => "OpenSSL does not know all of it".to_owned(),
                    _ => reason(&errors),
                };
                invalid(name, format!("`{list}`: {reason}"))
            })?;
        }
    }
    Ok(())
}

fn checks_host(properties: Properties<'_>) -> Result<bool, ConnectionError> {
    const NAME: &str = "ssl.endpoint.identification.algorithm";
    let value = properties.text(NAME)?.unwrap_or("https");
    match value.to_ascii_lowercase().as_str() {
        "https" => Ok(true),
        "none" => Ok(false),
        _ => Err(invalid(
            NAME,
            format!("expected `https` or `none`, found `{value}`"),
        )),
    }
}
