//! What went wrong in a cycle: one value for each failed fetch, to be counted, told and shown on its row.

use std::fmt;

use crate::kafka::{ErrorCode, KafkaError};
use crate::lag::{BrokerId, GroupId, TopicName};
use crate::snapshot::CycleOutcome;

/// A question a cycle asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    Metadata,
    ListGroups,
    DescribeGroup,
    CommittedOffsets,
    ListOffsets,
    TopicConfigs,
    JoinShardGroup,
}

/// A fetch that failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) operation: Operation,
    pub(super) subject: Subject,
    /// Kafka's name of the error.
    pub(super) error: &'static str,
    /// One line for people.
    pub(super) message: String,
}

/// What a failed fetch was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// Every broker and topic.
    Cluster,
    /// Everything one broker was asked for.
    Broker(BrokerId),
    /// Some of the partitions one broker leads.
    Partitions(BrokerId),
    /// Partitions that have no leader to ask.
    Leaderless,
    /// One topic.
    Topic(TopicName),
    /// One group, or some of its partitions.
    Group(GroupId),
}

impl Operation {
    /// Returns the word in labels and JSON.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::ListGroups => "list_groups",
            Self::DescribeGroup => "describe_group",
            Self::CommittedOffsets => "committed_offsets",
            Self::ListOffsets => "list_offsets",
            Self::TopicConfigs => "topic_configs",
            Self::JoinShardGroup => "join_shard_group",
        }
    }
}

impl Failure {
    /// Returns the failure of `operation` on `subject`.
    pub(super) fn new(operation: Operation, subject: Subject, error: &KafkaError) -> Self {
        Self {
            operation,
            subject,
            error: error.code.name(),
            message: error.message.clone(),
        }
    }

    /// Returns whether groups or topics may be hidden behind it, rather than one row being incomplete.
    pub(super) fn hides_rows(&self) -> bool {
        matches!(self.subject, Subject::Cluster | Subject::Broker(_))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            operation,
            subject,
            error,
            message,
        } = self;
        let operation = operation.as_str();
        match subject {
            Subject::Cluster => write!(f, "{operation}"),
            Subject::Broker(broker) => write!(f, "{operation} of broker {broker}"),
            Subject::Partitions(broker) => {
                write!(f, "{operation} of partitions on broker {broker}")
            }
            Subject::Leaderless => write!(f, "{operation} of partitions without a leader"),
            Subject::Topic(topic) => write!(f, "{operation} of topic `{topic}`"),
            Subject::Group(group) => write!(f, "{operation} of group `{group}`"),
        }?;
        write!(f, ": {message} (`{error}`)")
    }
}

/// Whether anything at all was answered in a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contact {
    /// A broker answered at least one question.
    Made,
    /// None did.
    None,
}

/// Returns how a cycle with these failures ended.
pub(super) fn outcome(contact: Contact, failures: &[Failure]) -> CycleOutcome {
    if contact == Contact::None {
        CycleOutcome::Failed
    } else if failures.iter().any(Failure::hides_rows) {
        CycleOutcome::Degraded
    } else if failures.is_empty() {
        CycleOutcome::Complete
    } else {
        CycleOutcome::Partial
    }
}

/// Returns whether a broker gave this error, rather than the client for want of an answer.
pub(super) fn is_answer(code: ErrorCode) -> bool {
    // librdkafka's own codes are below -1, which is the broker's "unknown server error".
    (code.value() >= -1 || code == ErrorCode::NO_OFFSET) && !code.is_timeout()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(subject: Subject) -> Failure {
        Failure::new(
            Operation::ListOffsets,
            subject,
            &KafkaError::of(ErrorCode::TIMED_OUT),
        )
    }

    #[test]
    fn the_worst_failure_decides_the_outcome() {
        let group = || failure(Subject::Group("g".into()));
        let broker = || failure(Subject::Broker(BrokerId(1)));
        let table = [
            (Contact::Made, vec![], CycleOutcome::Complete),
            (Contact::Made, vec![group()], CycleOutcome::Partial),
            (
                Contact::Made,
                vec![failure(Subject::Leaderless)],
                CycleOutcome::Partial,
            ),
            (
                Contact::Made,
                vec![failure(Subject::Partitions(BrokerId(1)))],
                CycleOutcome::Partial,
            ),
            (
                Contact::Made,
                vec![group(), broker()],
                CycleOutcome::Degraded,
            ),
            (
                Contact::Made,
                vec![failure(Subject::Cluster)],
                CycleOutcome::Degraded,
            ),
            (
                Contact::None,
                vec![failure(Subject::Cluster)],
                CycleOutcome::Failed,
            ),
        ];
        for (contact, failures, expected) in table {
            assert_eq!(outcome(contact, &failures), expected, "{failures:?}");
        }
    }

    #[test]
    fn a_timeout_and_a_broken_connection_are_no_answers() {
        let answers = [
            ErrorCode::NOT_COORDINATOR,
            ErrorCode::GROUP_AUTHORIZATION_FAILED,
            ErrorCode::NO_OFFSET,
            ErrorCode::new(-1),
        ];
        let silences = [
            ErrorCode::TIMED_OUT,
            ErrorCode::REQUEST_TIMED_OUT,
            ErrorCode::TRANSPORT,
        ];
        assert!(answers.into_iter().all(is_answer));
        assert!(!silences.into_iter().any(is_answer));
    }
}
