//! Errors of Kafka and of its client, by Kafka's own names.

use std::fmt;

use thiserror::Error;

use super::native::codes;

/// A failed Kafka call: its code and one line for people.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message} (`{code}`)")]
pub struct KafkaError {
    /// What went wrong, in a form that can be compared and counted.
    pub code: ErrorCode,
    /// What librdkafka or the broker says of it. Never holds a credential.
    pub message: String,
}

impl KafkaError {
    /// Returns an error with librdkafka's own sentence for `code`.
    pub fn of(code: ErrorCode) -> Self {
        Self {
            code,
            message: codes::describe(code.value()),
        }
    }
}

/// An error code of the Kafka protocol (0 or more) or of librdkafka (below 0).
///
/// Prints as Kafka's name: `GROUP_AUTHORIZATION_FAILED`; librdkafka's own begin with an underscore: `_TRANSPORT`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(i32);

macro_rules! codes {
    ($( $(#[$doc:meta])* $name:ident = $value:literal; )*) => {
        impl ErrorCode {
            $( $(#[$doc])* pub const $name: Self = Self($value); )*
        }
    };
}

codes! {
    /// librdkafka: the answer could not be understood.
    BAD_MSG = -199;
    /// librdkafka: the client is being closed.
    DESTROY = -197;
    /// librdkafka: something failed that has no name of its own.
    FAIL = -196;
    /// librdkafka: the connection to the broker broke or could not be made.
    TRANSPORT = -195;
    /// librdkafka: the host name could not be resolved.
    RESOLVE = -193;
    /// librdkafka: the topic is unknown to the cluster.
    UNKNOWN_TOPIC = -188;
    /// librdkafka: no broker can be reached.
    ALL_BROKERS_DOWN = -187;
    /// librdkafka: an argument makes no sense.
    INVALID_ARG = -186;
    /// The deadline passed here, whatever the broker did.
    TIMED_OUT = -185;
    /// librdkafka: TLS failed.
    SSL = -181;
    /// librdkafka: SASL failed.
    AUTHENTICATION = -169;
    /// librdkafka: there is nothing stored.
    NO_OFFSET = -168;
    /// librdkafka: the broker does not know this request.
    UNSUPPORTED_FEATURE = -165;
    /// librdkafka: there is no such broker.
    UNKNOWN_BROKER = -146;
    /// librdkafka: the offset to be read does not exist, and none is to be chosen in its place.
    AUTO_OFFSET_RESET = -140;
    /// librdkafka: the log was cut below what was read of it.
    LOG_TRUNCATION = -139;
    /// The offset does not exist, or no longer.
    OFFSET_OUT_OF_RANGE = 1;
    /// The topic or partition does not exist, or may not be seen.
    UNKNOWN_TOPIC_OR_PART = 3;
    /// The partition has no leader at the moment.
    LEADER_NOT_AVAILABLE = 5;
    /// The broker does not lead the partition.
    NOT_LEADER_FOR_PARTITION = 6;
    /// The deadline passed at the broker.
    REQUEST_TIMED_OUT = 7;
    /// The coordinator is loading the group.
    COORDINATOR_LOAD_IN_PROGRESS = 14;
    /// The group has no coordinator at the moment.
    COORDINATOR_NOT_AVAILABLE = 15;
    /// The broker does not coordinate the group.
    NOT_COORDINATOR = 16;
    /// No permission for the topic.
    TOPIC_AUTHORIZATION_FAILED = 29;
    /// No permission for the group.
    GROUP_AUTHORIZATION_FAILED = 30;
    /// No permission for the cluster.
    CLUSTER_AUTHORIZATION_FAILED = 31;
    /// The broker does not know this version of the request.
    UNSUPPORTED_VERSION = 35;
    /// The request names an older leader of the partition than the broker knows.
    FENCED_LEADER_EPOCH = 74;
    /// The request names a younger leader of the partition than the broker knows.
    UNKNOWN_LEADER_EPOCH = 75;
    /// SASL refused the credentials.
    SASL_AUTHENTICATION_FAILED = 58;
    /// There is no such group.
    GROUP_ID_NOT_FOUND = 69;
}

impl ErrorCode {
    /// Returns the code of that number.
    pub const fn new(value: i32) -> Self {
        Self(value)
    }

    /// Returns the code's number.
    pub const fn value(self) -> i32 {
        self.0
    }

    /// Returns Kafka's name; `UNKNOWN_CODE` for a number librdkafka does not know, so names are few enough for labels.
    pub fn name(self) -> &'static str {
        codes::name(self.0).unwrap_or("UNKNOWN_CODE")
    }

    /// Returns whether a deadline passed, here or at the broker.
    pub fn is_timeout(self) -> bool {
        matches!(self, Self::TIMED_OUT | Self::REQUEST_TIMED_OUT)
    }

    /// Returns whether the broker is too old, or too unlike Kafka, for the request.
    pub fn is_unsupported(self) -> bool {
        matches!(self, Self::UNSUPPORTED_FEATURE | Self::UNSUPPORTED_VERSION)
    }

    /// Returns whether the group's coordinator is another broker, or none.
    pub fn is_not_coordinator(self) -> bool {
        matches!(
            self,
            Self::NOT_COORDINATOR | Self::COORDINATOR_NOT_AVAILABLE
        )
    }

    /// Returns whether a permission is missing.
    pub fn is_authorization(self) -> bool {
        matches!(
            self,
            Self::TOPIC_AUTHORIZATION_FAILED
                | Self::GROUP_AUTHORIZATION_FAILED
                | Self::CLUSTER_AUTHORIZATION_FAILED
        )
    }

    /// Returns whether the credentials were refused or the secure connection could not be made.
    pub fn is_authentication(self) -> bool {
        matches!(
            self,
            Self::AUTHENTICATION | Self::SASL_AUTHENTICATION_FAILED | Self::SSL
        )
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_print_as_kafkas_names() {
        let names = [
            (ErrorCode::TIMED_OUT, "_TIMED_OUT"),
            (ErrorCode::TRANSPORT, "_TRANSPORT"),
            (ErrorCode::RESOLVE, "_RESOLVE"),
            (ErrorCode::AUTHENTICATION, "_AUTHENTICATION"),
            (ErrorCode::ALL_BROKERS_DOWN, "_ALL_BROKERS_DOWN"),
            (ErrorCode::UNSUPPORTED_FEATURE, "_UNSUPPORTED_FEATURE"),
            (
                ErrorCode::GROUP_AUTHORIZATION_FAILED,
                "GROUP_AUTHORIZATION_FAILED",
            ),
            (ErrorCode::NOT_COORDINATOR, "NOT_COORDINATOR"),
            (ErrorCode::GROUP_ID_NOT_FOUND, "GROUP_ID_NOT_FOUND"),
        ];
        for (code, name) in names {
            assert_eq!(code.to_string(), name);
        }
    }

    #[test]
    fn a_code_nobody_knows_has_one_bounded_name() {
        assert_eq!(ErrorCode::new(9_999).name(), "UNKNOWN_CODE");
        assert_eq!(ErrorCode::new(-9_999).name(), "UNKNOWN_CODE");
    }

    #[test]
    fn an_error_prints_its_message_and_its_name() {
        let error = KafkaError::of(ErrorCode::NOT_COORDINATOR);
        assert_eq!(
            error.to_string(),
            "Broker: Not coordinator (`NOT_COORDINATOR`)"
        );
    }
}
