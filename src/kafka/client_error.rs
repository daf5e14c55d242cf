//! Errors of librdkafka and of rdkafka, as lagwatch's own.

use rdkafka::types::RDKafkaErrorCode;

use super::error::{ErrorCode, KafkaError};
use super::native::codes::NativeError;

impl From<NativeError> for KafkaError {
    fn from(NativeError { code, message }: NativeError) -> Self {
        Self {
            code: ErrorCode::new(code),
            message,
        }
    }
}

impl From<RDKafkaErrorCode> for ErrorCode {
    fn from(code: RDKafkaErrorCode) -> Self {
        Self::new(code as i32)
    }
}

impl From<&rdkafka::error::KafkaError> for KafkaError {
    fn from(error: &rdkafka::error::KafkaError) -> Self {
        match error.rdkafka_error_code() {
            Some(code) => Self::of(ErrorCode::from(code)),
            None => Self {
                code: ErrorCode::INVALID_ARG,
                message: error.to_string(),
            },
        }
    }
}
