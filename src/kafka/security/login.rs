//! How a client logs in: the SASL mechanism and what it needs.

use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};

use super::conversation::Conversation;
use super::properties::{PROTOCOL, Properties};
use super::sasl::failed;
use super::scram::{Hash, Scram};
use super::unsecured::UnsecuredTokens;
use crate::kafka::connection_error::{ConnectionError, invalid};
use crate::kafka::error::KafkaError;

/// Random bytes in a nonce.
const NONCE: usize = 24;

/// The mechanisms that are built in. librdkafka's default, GSSAPI, is not.
const MECHANISMS: &str = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER";

/// A mechanism with its credentials. No `Debug`: all of it is secret.
pub(super) enum Login {
    Plain(Credentials),
    Scram(Hash, Credentials),
    OauthBearer(UnsecuredTokens),
}

/// A name and a password.
pub(super) struct Credentials {
    username: String,
    password: String,
}

impl Login {
    /// Reads the properties that begin with `sasl.`.
    ///
    /// # Errors
    ///
    /// The mechanism is missing or not built in, or it lacks what it needs.
    pub(super) fn new(properties: Properties<'_>) -> Result<Self, ConnectionError> {
        // The second is librdkafka's alias of the first; of two, librdkafka takes the one that comes later by name.
        let name = match properties.text("sasl.mechanisms")? {
            Some(_) => "sasl.mechanisms",
            None => "sasl.mechanism",
        };
        match properties.text(name)? {
            Some("PLAIN") => Ok(Self::Plain(Credentials::new(properties)?)),
            Some("SCRAM-SHA-256") => Ok(Self::Scram(Hash::Sha256, Credentials::new(properties)?)),
            Some("SCRAM-SHA-512") => Ok(Self::Scram(Hash::Sha512, Credentials::new(properties)?)),
            Some("OAUTHBEARER") => Ok(Self::OauthBearer(unsecured_tokens(name, properties)?)),
            Some(found) => Err(invalid(
                name,
                format!("expected one of {MECHANISMS}, found `{found}`"),
            )),
            None => {
                let protocol = properties.text(PROTOCOL)?.unwrap_or_default();
                let reason = format!("`{protocol}` needs `sasl.mechanism`: one of {MECHANISMS}");
                Err(invalid(PROTOCOL, reason))
            }
        }
    }

    /// Starts to log in.
    ///
    /// # Errors
    ///
    /// `_AUTHENTICATION` where the system has no random numbers.
    pub(super) fn start(&self) -> Result<Conversation, KafkaError> {
        match self {
            Self::Plain(Credentials { username, password }) => {
                Ok(Conversation::plain(username, password))
            }
            Self::Scram(hash, Credentials { username, password }) => {
                let scram = Scram::new(*hash, username, password, nonce(*hash)?);
                Ok(Conversation::scram(scram))
            }
            Self::OauthBearer(tokens) => {
                Ok(Conversation::oauthbearer(tokens.message(SystemTime::now())))
            }
        }
    }
}

impl Credentials {
    fn new(properties: Properties<'_>) -> Result<Self, ConnectionError> {
        let username = properties.text("sasl.username")?;
        let password = properties.text("sasl.password")?;
        let (Some(username), Some(password)) = (username, password) else {
            return Err(ConnectionError::Client {
                reason: "sasl.username and sasl.password must be set".to_owned(),
            });
        };
        Ok(Self {
            username: username.to_owned(),
            password: password.to_owned(),
        })
    }
}

/// Returns the tokens of OAUTHBEARER. `name` is the property that chose it.
fn unsecured_tokens(
    name: &str,
    properties: Properties<'_>,
) -> Result<UnsecuredTokens, ConnectionError> {
    const CONFIG: &str = "sasl.oauthbearer.config";
    if !properties.flag("enable.sasl.oauthbearer.unsecure.jwt", false)? {
        return Err(invalid(
            name,
            format!(
                "OAUTHBEARER needs tokens: set `enable.sasl.oauthbearer.unsecure.jwt` to `true` and `{CONFIG}`, \
                 such as `principal=admin`; they are for tests"
            ),
        ));
    }
    let config = properties.text(CONFIG)?.unwrap_or_default();
    UnsecuredTokens::read(config).map_err(|reason| invalid(CONFIG, reason))
}

fn nonce(hash: Hash) -> Result<String, KafkaError> {
    let mut bytes = [0; NONCE];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| failed(hash.mechanism(), "the system has no random numbers"))?;
    Ok(BASE64_STANDARD_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::sasl::SaslStep;
    use super::*;

    fn login<const N: usize>(properties: [(&str, &str); N]) -> Result<Login, ConnectionError> {
        let map: BTreeMap<_, _> = properties
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        Login::new(Properties::new(&map)?)
    }

    #[track_caller]
    fn first_message(login: &Login) -> (&'static str, String) {
        let mut conversation = login.start().expect("it starts");
        match conversation.next(None) {
            Ok(SaslStep::Send(bytes)) => (
                conversation.mechanism,
                String::from_utf8(bytes).expect("it is text"),
            ),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_mechanism_starts() {
        let (user, password) = (("sasl.username", "u"), ("sasl.password", " p "));
        for (mechanism, beginning) in [
            ("PLAIN", "\0u\0p "),
            ("SCRAM-SHA-256", "n,,n=u,r="),
            ("SCRAM-SHA-512", "n,,n=u,r="),
        ] {
            for name in ["sasl.mechanism", "sasl.mechanisms"] {
                let login = login([(name, mechanism), user, password]).expect("it is valid");
                let (named, message) = first_message(&login);
                assert_eq!(named, mechanism);
                assert!(message.starts_with(beginning), "{message}");
            }
        }
        let login = login([
            ("sasl.mechanism", "OAUTHBEARER"),
            ("enable.sasl.oauthbearer.unsecure.jwt", "true"),
            ("sasl.oauthbearer.config", "principal=admin"),
        ]);
        let (named, message) = first_message(&login.expect("it is valid"));
        assert_eq!(named, "OAUTHBEARER");
        assert!(message.starts_with("n,,\x01auth=Bearer eyJhbGciOiJub25lIn0."));
    }

    #[test]
    fn no_nonce_is_used_twice() {
        let login = login([
            ("sasl.mechanism", "SCRAM-SHA-256"),
            ("sasl.username", "u"),
            ("sasl.password", "p"),
        ])
        .expect("it is valid");
        let (_, first) = first_message(&login);
        let (_, second) = first_message(&login);
        assert_ne!(first, second);
        let (_, nonce) = first.split_once("r=").expect("it has one");
        assert_eq!(nonce.len(), NONCE * 4 / 3);
    }

    #[test]
    fn a_mechanism_that_lacks_what_it_needs_is_refused() {
        for (properties, problem) in [
            (
                [("sasl.mechanism", "PLAIN"), ("sasl.username", "u")],
                "librdkafka refuses these properties together: sasl.username and sasl.password must be set",
            ),
            (
                [("sasl.mechanism", "GSSAPI"), ("sasl.username", "u")],
                "librdkafka property `sasl.mechanism`: expected one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, found `GSSAPI`",
            ),
            (
                [
                    ("sasl.mechanism", "OAUTHBEARER"),
                    ("enable.sasl.oauthbearer.unsecure.jwt", "true"),
                ],
                "librdkafka property `sasl.oauthbearer.config`: `principal=` is missing, such as in `principal=admin`",
            ),
        ] {
            let error = login(properties).err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), Some(problem));
        }
        let error = login([("sasl.mechanism", "OAUTHBEARER")]).err();
        let text = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(text.contains("OAUTHBEARER needs tokens"), "{text}");
    }
}
