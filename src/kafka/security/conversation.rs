//! The messages by which a client logs in (SASL). Pure: bytes in, bytes out.

use super::sasl::{SaslStep, failed, refused};
use super::scram::Scram;
use crate::kafka::error::KafkaError;

/// A SASL exchange with one broker.
pub(in crate::kafka) struct Conversation {
    /// The mechanism, as brokers name it: `SCRAM-SHA-256`.
    pub(in crate::kafka) mechanism: &'static str,
    exchange: Exchange,
}

/// The exchange of a mechanism, and how far it has come.
enum Exchange {
    /// The client sends one message; the broker's answer to it is empty.
    OneMessage(Option<Vec<u8>>),
    Scram(Box<Scram>),
    Over,
}

impl Conversation {
    /// Returns the exchange of PLAIN (RFC 4616).
    pub(super) fn plain(username: &str, password: &str) -> Self {
        let message = format!("\0{username}\0{password}").into_bytes();
        Self {
            mechanism: "PLAIN",
            exchange: Exchange::OneMessage(Some(message)),
        }
    }

    /// Returns the exchange of OAUTHBEARER (RFC 7628), which starts with `message`.
    pub(super) fn oauthbearer(message: Vec<u8>) -> Self {
        Self {
            mechanism: "OAUTHBEARER",
            exchange: Exchange::OneMessage(Some(message)),
        }
    }

    /// Returns the exchange of SCRAM.
    pub(super) fn scram(scram: Scram) -> Self {
        Self {
            mechanism: scram.mechanism(),
            exchange: Exchange::Scram(Box::new(scram)),
        }
    }

    /// Returns the first message, or the one that follows `answer`, the bytes that the broker has sent.
    ///
    /// With SCRAM, the step from the broker's first answer takes as long as the iterations that the broker asks for: some
    /// milliseconds for the 4,096 to 16,384 that Kafka allows, at most about a second.
    ///
    /// # Errors
    ///
    /// `_AUTHENTICATION` where the broker refuses, is not the one that knows the password, or breaks the protocol. Never
    /// holds a secret.
    pub(in crate::kafka) fn next(&mut self, answer: Option<&[u8]>) -> Result<SaslStep, KafkaError> {
        match (&mut self.exchange, answer) {
            (Exchange::OneMessage(message), None) => match message.take() {
                Some(message) => Ok(SaslStep::Send(message)),
                None => Err(self.out_of_turn()),
            },
            (Exchange::OneMessage(None), Some(answer)) => {
                self.exchange = Exchange::Over;
                if self.mechanism == "OAUTHBEARER" && !answer.is_empty() {
                    return Err(refused(self.mechanism, answer));
                }
                Ok(SaslStep::Done)
            }
            (Exchange::Scram(scram), answer) => {
                let step = scram.next(answer);
                if !matches!(step, Ok(SaslStep::Send(_))) {
                    self.exchange = Exchange::Over;
                }
                step
            }
            (Exchange::OneMessage(_) | Exchange::Over, _) => Err(self.out_of_turn()),
        }
    }

    fn out_of_turn(&self) -> KafkaError {
        failed(
            self.mechanism,
            "a message arrived that the mechanism has no place for",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_sends_name_and_password_once_and_takes_any_answer() {
        let mut conversation = Conversation::plain("user", "pencil");
        assert_eq!(conversation.mechanism, "PLAIN");
        let first = conversation.next(None).expect("it starts");
        assert_eq!(first, SaslStep::Send(b"\0user\0pencil".to_vec()));
        assert_eq!(conversation.next(Some(b"")), Ok(SaslStep::Done));
        assert!(conversation.next(Some(b"")).is_err());
    }

    #[test]
    fn a_conversation_that_is_asked_out_of_turn_is_an_error_and_sends_nothing() {
        let mut early = Conversation::plain("user", "pencil");
        assert!(early.next(Some(b"")).is_err());
        let mut twice = Conversation::plain("user", "pencil");
        assert!(twice.next(None).is_ok());
        assert!(twice.next(None).is_err());
    }

    #[test]
    fn oauthbearer_ends_with_an_empty_answer_and_reports_any_other() {
        let start = || {
            let mut conversation =
                Conversation::oauthbearer(b"n,,\x01auth=Bearer t\x01\x01".to_vec());
            assert!(matches!(conversation.next(None), Ok(SaslStep::Send(_))));
            conversation
        };
        assert_eq!(start().next(Some(b"")), Ok(SaslStep::Done));
        let refused = start().next(Some(b"{\"status\":\"invalid_token\"}\n\x1b[31m"));
        assert_eq!(
            refused.expect_err("the broker refuses").to_string(),
            "SASL OAUTHBEARER authentication failed: broker responded with `{\"status\":\"invalid_token\"}  [31m` (`_AUTHENTICATION`)"
        );
        let long = start().next(Some(&[b'x'; 100_000]));
        assert!(long.expect_err("the broker refuses").message.len() < 300);
    }

    #[test]
    fn a_step_does_not_show_its_bytes() {
        let step = Conversation::plain("user", "hunter2").next(None);
        assert_eq!(format!("{step:?}"), "Ok(Send([13 bytes redacted]))");
    }
}
