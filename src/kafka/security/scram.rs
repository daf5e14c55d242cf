//! SCRAM (RFC 5802, RFC 7677): both sides prove that they know the password, and nobody sends it.

use std::num::NonZeroU32;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::{digest, hmac, pbkdf2};

use super::sasl::{SaslStep, failed, refused};
use crate::kafka::error::KafkaError;

/// The fewest iterations, as in Kafka's own client: fewer would let a broker collect proofs that are cheap to guess from.
const MIN_ITERATIONS: u32 = 4096;

/// The most iterations, as in librdkafka: more would let a broker occupy this process.
const MAX_ITERATIONS: u32 = 1_000_000;

/// The longest message of a broker that is read, in bytes.
const MAX_MESSAGE: usize = 16 * 1024;

/// The GS2 header: no channel binding, and no other user to act for.
const GS2_HEADER: &str = "n,,";

/// The hash function of the mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha512,
}

/// The client's side of one exchange.
pub(super) struct Scram {
    hash: Hash,
    username: String,
    password: String,
    nonce: String,
    state: ScramState,
}

/// Which message of the broker is expected.
enum ScramState {
    None,
    ServerFirst {
        client_first_bare: String,
    },
    ServerFinal {
        server_key: hmac::Key,
        auth_message: String,
    },
    Over,
}

impl Hash {
    pub(super) fn mechanism(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn digest(self) -> &'static digest::Algorithm {
        self.hmac().digest_algorithm()
    }

    fn pbkdf2(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }
}

impl Scram {
    /// Returns an exchange that has not started. `nonce` is printable, without commas, and never used again.
    pub(super) fn new(hash: Hash, username: &str, password: &str, nonce: String) -> Self {
        Self {
            hash,
            // As librdkafka does, which leaves out SASLprep.
            username: username.replace('=', "=3D").replace(',', "=2C"),
            password: password.to_owned(),
            nonce,
            state: ScramState::None,
        }
    }

    pub(super) fn mechanism(&self) -> &'static str {
        self.hash.mechanism()
    }

    /// Returns the first message, or the one that follows `answer`.
    ///
    /// # Errors
    ///
    /// `_AUTHENTICATION`; the exchange is over then.
    pub(super) fn next(&mut self, answer: Option<&[u8]>) -> Result<SaslStep, KafkaError> {
        let answer = answer.map(|bytes| self.text(bytes)).transpose()?;
        match (std::mem::replace(&mut self.state, ScramState::Over), answer) {
            (ScramState::None, None) => Ok(self.client_first()),
            (ScramState::ServerFirst { client_first_bare }, Some(answer)) => {
                self.client_final(&client_first_bare, answer)
            }
            (
                ScramState::ServerFinal {
                    server_key,
                    auth_message,
                },
                Some(answer),
            ) => self.check_server(&server_key, &auth_message, answer),
            _ => Err(self.failed("a message arrived that the mechanism has no place for")),
        }
    }

    fn client_first(&mut self) -> SaslStep {
        let Self {
            username, nonce, ..
        } = self;
        let client_first_bare = format!("n={username},r={nonce}");
        let message = format!("{GS2_HEADER}{client_first_bare}");
        self.state = ScramState::ServerFirst { client_first_bare };
        SaslStep::Send(message.into_bytes())
    }

    fn client_final(
        &mut self,
        client_first_bare: &str,
        server_first: &str,
    ) -> Result<SaslStep, KafkaError> {
        let challenge = Challenge::read(server_first, &self.nonce)
            .map_err(|problem| self.failed(format!("server-first-message: {problem}")))?;
        let keys = Keys::derive(self.hash, &self.password, &challenge);
        let header = BASE64_STANDARD.encode(GS2_HEADER);
        let without_proof = format!("c={header},r={}", challenge.nonce);
        let auth_message = format!("{client_first_bare},{server_first},{without_proof}");
        let proof = keys.proof(self.hash, &auth_message);
        let message = format!("{without_proof},p={}", BASE64_STANDARD.encode(proof));
        self.state = ScramState::ServerFinal {
            server_key: keys.server,
            auth_message,
        };
        Ok(SaslStep::Send(message.into_bytes()))
    }

    fn check_server(
        &self,
        server_key: &hmac::Key,
        auth_message: &str,
        server_final: &str,
    ) -> Result<SaslStep, KafkaError> {
        if let Some(error) = attribute(server_final, 'e') {
            return Err(refused(self.mechanism(), error.as_bytes()));
        }
        let signature = attribute(server_final, 'v')
            .ok_or_else(|| self.failed("server-final-message: the signature (`v`) is missing"))?;
        let is_right = BASE64_STANDARD.decode(signature).is_ok_and(|signature| {
            // Compares in constant time.
            hmac::verify(server_key, auth_message.as_bytes(), &signature).is_ok()
        });
        if is_right {
            Ok(SaslStep::Done)
        } else {
            Err(self.failed(
                "the broker's signature is wrong, so it does not know the password: it may not be the broker it claims to be",
            ))
        }
    }

    fn text<'a>(&self, bytes: &'a [u8]) -> Result<&'a str, KafkaError> {
        if bytes.len() > MAX_MESSAGE {
            return Err(self.failed(format!(
                "the broker's message has {} bytes, more than {MAX_MESSAGE}",
                bytes.len()
            )));
        }
        std::str::from_utf8(bytes).map_err(|_| self.failed("the broker's message is not UTF-8"))
    }

    fn failed(&self, reason: impl std::fmt::Display) -> KafkaError {
        failed(self.mechanism(), reason)
    }
}

/// What the broker asks for in its first message.
#[derive(Debug, PartialEq, Eq)]
struct Challenge<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: NonZeroU32,
}

impl<'a> Challenge<'a> {
    fn read(message: &'a str, client_nonce: &str) -> Result<Self, String> {
        if attribute(message, 'm').is_some() {
            return Err("it has a mandatory extension, which lagwatch does not know".to_owned());
        }
        let nonce = attribute(message, 'r').ok_or("the nonce (`r`) is missing")?;
        let server_part = nonce.strip_prefix(client_nonce).unwrap_or_default();
        if server_part.is_empty() {
            return Err("the nonce does not continue the client's".to_owned());
        }
        let salt = attribute(message, 's').ok_or("the salt (`s`) is missing")?;
        let salt = BASE64_STANDARD
            .decode(salt)
            .ok()
            .filter(|salt| !salt.is_empty())
            .ok_or("the salt is not Base64")?;
        let iterations =
            attribute(message, 'i').ok_or("the number of iterations (`i`) is missing")?;
        let iterations = Some(iterations)
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .filter(|iterations| (MIN_ITERATIONS..=MAX_ITERATIONS).contains(iterations))
            .and_then(NonZeroU32::new)
            .ok_or_else(|| {
                format!("the number of iterations is not from {MIN_ITERATIONS} to {MAX_ITERATIONS}")
            })?;
        Ok(Self {
            nonce,
            salt,
            iterations,
        })
    }
}

/// The keys that are made of the password.
struct Keys {
    client: hmac::Tag,
    server: hmac::Key,
}

impl Keys {
    fn derive(hash: Hash, password: &str, challenge: &Challenge<'_>) -> Self {
        let mut salted = vec![0; hash.digest().output_len()];
        pbkdf2::derive(
            hash.pbkdf2(),
            challenge.iterations,
            &challenge.salt,
            password.as_bytes(),
            &mut salted,
        );
        let salted = hmac::Key::new(hash.hmac(), &salted);
        let server = hmac::sign(&salted, b"Server Key");
        Self {
            client: hmac::sign(&salted, b"Client Key"),
            server: hmac::Key::new(hash.hmac(), server.as_ref()),
        }
    }

    fn proof(&self, hash: Hash, auth_message: &str) -> Vec<u8> {
        let stored = digest::digest(hash.digest(), self.client.as_ref());
        let stored = hmac::Key::new(hash.hmac(), stored.as_ref());
        let signature = hmac::sign(&stored, auth_message.as_bytes());
        let pairs = self.client.as_ref().iter().zip(signature.as_ref());
        pairs.map(|(key, signature)| key ^ signature).collect()
    }
}

/// Returns the value of an attribute in `a=value,b=value`.
fn attribute(message: &str, name: char) -> Option<&str> {
    message
        .split(',')
        .find_map(|attribute| attribute.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    /// RFC 7677, section 3.
    const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn scram(hash: Hash) -> Scram {
        Scram::new(hash, "user", "pencil", NONCE.to_owned())
    }

    #[track_caller]
    fn sent(step: Result<SaslStep, KafkaError>) -> String {
        match step {
            Ok(SaslStep::Send(bytes)) => String::from_utf8(bytes).expect("SCRAM is text"),
            other => panic!("{other:?}"),
        }
    }

    /// Returns an exchange whose first message is sent.
    fn started() -> Scram {
        let mut scram = scram(Hash::Sha256);
        sent(scram.next(None));
        scram
    }

    /// Returns an exchange whose proof is sent.
    fn proven() -> Scram {
        let mut scram = started();
        sent(scram.next(Some(SERVER_FIRST.as_bytes())));
        scram
    }

    #[track_caller]
    fn assert_failed(step: Result<SaslStep, KafkaError>, reason: &str) {
        let error = step.expect_err("it fails").to_string();
        assert_eq!(
            error,
            format!("SASL SCRAM-SHA-256 authentication failed: {reason} (`_AUTHENTICATION`)")
        );
    }

    #[test]
    fn messages_are_those_of_rfc_7677() {
        let mut scram = scram(Hash::Sha256);
        assert_eq!(scram.mechanism(), "SCRAM-SHA-256");
        assert_eq!(sent(scram.next(None)), format!("n,,n=user,r={NONCE}"));
        assert_eq!(
            sent(scram.next(Some(SERVER_FIRST.as_bytes()))),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(
            scram.next(Some(SERVER_FINAL.as_bytes())),
            Ok(SaslStep::Done)
        );
    }

    /// Computed by Python's hashlib and hmac, as no RFC has an example.
    #[test]
    fn messages_of_sha_512_are_those_of_another_implementation() {
        let mut scram = scram(Hash::Sha512);
        assert_eq!(scram.mechanism(), "SCRAM-SHA-512");
        sent(scram.next(None));
        assert_eq!(
            sent(scram.next(Some(SERVER_FIRST.as_bytes()))),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ=="
        );
        assert_eq!(
            scram.next(Some(
                b"v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw=="
            )),
            Ok(SaslStep::Done)
        );
    }

    #[test]
    fn a_name_is_escaped() {
        let mut scram = Scram::new(Hash::Sha256, "a=b,c=2C", "p", "nonce".to_owned());
        assert_eq!(sent(scram.next(None)), "n,,n=a=3Db=2Cc=3D2C,r=nonce");
    }

    #[test]
    fn a_broker_without_the_password_is_found_out() {
        let reason = "the broker's signature is wrong, so it does not know the password: \
                      it may not be the broker it claims to be";
        for server_final in [
            "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95A==",
            "v=",
            "v=not Base64",
        ] {
            assert_failed(proven().next(Some(server_final.as_bytes())), reason);
        }
        assert_failed(
            proven().next(Some(b"")),
            "server-final-message: the signature (`v`) is missing",
        );
        assert_failed(
            proven().next(Some(b"e=invalid-proof")),
            "broker responded with `invalid-proof`",
        );
    }

    #[test]
    fn a_first_answer_that_breaks_the_protocol_is_refused() {
        let nonce = format!("r={NONCE}X");
        for (message, problem) in [
            (
                format!("r={NONCE},s=QQ==,i=4096"),
                "the nonce does not continue the client's",
            ),
            (
                "r=other,s=QQ==,i=4096".to_owned(),
                "the nonce does not continue the client's",
            ),
            ("s=QQ==,i=4096".to_owned(), "the nonce (`r`) is missing"),
            (format!("{nonce},i=4096"), "the salt (`s`) is missing"),
            (format!("{nonce},s=,i=4096"), "the salt is not Base64"),
            (format!("{nonce},s=*,i=4096"), "the salt is not Base64"),
            (
                format!("{nonce},s=QQ=="),
                "the number of iterations (`i`) is missing",
            ),
            (
                format!("m=x,{nonce},s=QQ==,i=4096"),
                "it has a mandatory extension, which lagwatch does not know",
            ),
        ] {
            assert_failed(
                started().next(Some(message.as_bytes())),
                &format!("server-first-message: {problem}"),
            );
        }
        assert_failed(
            started().next(Some(b"\xff")),
            "the broker's message is not UTF-8",
        );
        assert_failed(
            started().next(Some(&[b'x'; 20_000])),
            "the broker's message has 20000 bytes, more than 16384",
        );
    }

    #[test]
    fn iterations_are_neither_few_nor_endless() {
        for iterations in [
            "0",
            "1",
            "4095",
            "1000001",
            "2147483647",
            "4294967296",
            "99999999999999999999999",
            "-1",
            "+4096",
            "4096 ",
            "0x1000",
            "",
        ] {
            let message = format!("r={NONCE}X,s=QQ==,i={iterations}");
            assert_failed(
                started().next(Some(message.as_bytes())),
                "server-first-message: the number of iterations is not from 4096 to 1000000",
            );
        }
    }

    #[test]
    fn an_exchange_that_has_failed_goes_no_further() {
        let mut scram = started();
        assert!(scram.next(Some(b"nonsense")).is_err());
        assert!(scram.next(Some(SERVER_FIRST.as_bytes())).is_err());
        assert!(started().next(None).is_err());
    }

    proptest! {
        #[test]
        fn no_answer_panics_or_logs_in(
            first in prop::collection::vec(any::<u8>(), 0..200),
            last in ".{0,60}",
        ) {
            prop_assert!(!matches!(started().next(Some(&first)), Ok(SaslStep::Done)));
            prop_assert!(proven().next(Some(last.as_bytes())).is_err());
        }
    }
}
