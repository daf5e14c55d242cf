//! Whether `__consumer_offsets` can be followed, found out by reading a little of it.

use tokio::time::timeout;

use super::{Look, Verdict};
use crate::collect::{Mode, OFFSETS_TOPIC};
use crate::kafka::{
    Admin, Connection, ErrorCode, Found, KafkaError, Log, LogReader, OffsetQuery, OffsetSpec,
    TopicSelection,
};
use crate::lag::{Isolation, Offset, PartitionId, TopicName, TopicPartition};

/// What following would meet.
enum Outlook {
    /// It works.
    Possible,
    /// The topic comes with the cluster's first group.
    Missing,
    /// It fails.
    Failing(KafkaError),
}

impl Look<'_> {
    /// Tells whether the topic can be followed, where the mode wants that.
    pub(super) async fn at_offsets_topic(&mut self) {
        let mode = self.cluster.poll.mode;
        let names_groups = !self.cluster.poll.group_names.is_empty();
        if mode == Mode::Poll || mode == Mode::Auto && names_groups {
            let text = "mode poll: commits and rebalances are seen from one poll to the next";
            return self.find(Verdict::Note, text.to_owned());
        }
        let (verdict, text) = match self.outlook().await {
            Outlook::Possible => (
                Verdict::Good,
                format!(
                    "`{OFFSETS_TOPIC}` can be read: every commit and rebalance is seen as it happens (mode stream)"
                ),
            ),
            Outlook::Missing => (
                Verdict::Note,
                format!(
                    "`{OFFSETS_TOPIC}` is not there yet: it comes with the cluster's first group, and is followed from then on"
                ),
            ),
            Outlook::Failing(error) => {
                let verdict = match mode {
                    Mode::Stream => Verdict::Missing,
                    Mode::Auto | Mode::Poll => Verdict::Note,
                };
                let right =
                    format!("--operation Read --operation Describe --topic {OFFSETS_TOPIC}");
                let hint = self.hint(&error, &right);
                let text = format!(
                    "`{OFFSETS_TOPIC}` cannot be read, so the cluster is polled: {error}{hint}"
                );
                (verdict, text)
            }
        };
        self.find(verdict, text);
    }

    async fn outlook(&self) -> Outlook {
        let topic = TopicName::from(OFFSETS_TOPIC);
        let names = [topic.clone()];
        let selection = TopicSelection::Named(&names);
        let partitions = match self.admin.metadata(selection, self.limit).await {
            Err(error) => return Outlook::Failing(error),
            Ok(mut metadata) => match metadata.topics.remove(&topic) {
                None => return Outlook::Missing,
                Some(Err(error)) if error.code == ErrorCode::UNKNOWN_TOPIC_OR_PART => {
                    return Outlook::Missing;
                }
                Some(Err(error)) => return Outlook::Failing(error),
                Some(Ok(partitions)) => partitions,
            },
        };
        let led = partitions
            .iter()
            .find_map(|partition| Some((partition.id, partition.leader?)));
        let Some((partition, leader)) = led else {
            return Outlook::Failing(KafkaError::of(ErrorCode::LEADER_NOT_AVAILABLE));
        };
        let query = OffsetQuery {
            partition: TopicPartition { topic, partition },
            leader,
            spec: OffsetSpec::Latest,
        };
        let ends = self
            .admin
            .list_offsets(vec![query], Isolation::ReadCommitted, self.limit)
            .await;
        let end = match ends.into_iter().next() {
            Some((_, Ok(listed))) => listed.offset,
            Some((_, Err(error))) => return Outlook::Failing(error),
            None => None,
        };
        let reading = read(
            &self.cluster.connection,
            partition,
            end.unwrap_or(Offset::ZERO),
        );
        match timeout(self.limit, reading).await {
            Ok(Ok(())) => Outlook::Possible,
            Ok(Err(error)) => Outlook::Failing(error),
            Err(_) => Outlook::Failing(KafkaError::of(ErrorCode::TIMED_OUT)),
        }
    }
}

/// Reads from an offset until something is read, or the end is seen.
async fn read(
    connection: &Connection,
    partition: PartitionId,
    from: Offset,
) -> Result<(), KafkaError> {
    let mut reader =
        LogReader::start(connection, OFFSETS_TOPIC, ()).map_err(|error| KafkaError {
            code: ErrorCode::INVALID_ARG,
            message: error.to_string(),
        })?;
    reader.read(partition, from);
    let mut failure = KafkaError::of(ErrorCode::DESTROY);
    while let Some(batch) = reader.next().await {
        for found in batch {
            match found {
                Found::Record(..) | Found::End(..) => return Ok(()),
                Found::Error(_, error) if error.code.is_authorization() => return Err(error),
                Found::Error(_, error) => failure = error,
            }
        }
    }
    Err(failure)
}
