//! The committed offsets of one group, as its coordinator sent them.

use std::fmt;
use std::sync::Arc;

use super::api::Api;
use super::error::{ErrorCode, KafkaError};
use crate::lag::ids::is_valid_topic_name;
use crate::lag::{Committed, Offset, TopicName, TopicPartition};
use crate::offsets_topic::reader::{Encoding, Reader};
use crate::offsets_topic::{Malformed, Problem, Schema};

/// The first version of OffsetFetch that names many groups (KIP-709).
const FIRST_BATCHED: i16 = 8;

/// The committed offsets of one group.
///
/// They are kept as the coordinator sent them: comparing them with those of the poll before costs no decoding, and most
/// groups are unchanged. Equal ones hold the same commits; the reverse is not promised, as the coordinator may send the
/// same commits in another order. A clone shares the memory.
#[derive(Clone, PartialEq, Eq)]
pub struct CommittedOffsets(Content);

#[derive(Clone, PartialEq, Eq)]
enum Content {
    Encoded(Encoded),
    Decoded(Arc<[PartitionCommit]>),
}

/// A partition, and what is committed on it.
type PartitionCommit = (TopicPartition, Result<Committed, KafkaError>);

/// The elements of the array `Topics` in a response to OffsetFetch, which have been read once without an error.
#[derive(Clone, PartialEq, Eq)]
struct Encoded {
    bytes: Arc<[u8]>,
    version: i16,
    encoding: Encoding,
    /// How many partitions they hold, repeated ones included.
    count: usize,
}

impl CommittedOffsets {
    /// Reads the array `Topics`. The inner error is one that costs no more than this group.
    ///
    /// Nothing is allocated but one copy of the bytes.
    pub(in crate::kafka) fn read(
        body: &mut Reader<'_>,
    ) -> Result<Result<Self, Malformed>, Malformed> {
        let (mut count, mut fault) = (0, None);
        let start = body.position();
        let bytes = body.nullable_list_bytes("Topics", |body| {
            let position = body.position();
            let mut negative = None;
            let topic = read_topic(body, |commit| {
                count += 1;
                if commit.partition < 0 {
                    negative = Some(commit.partition);
                }
            })?;
            let is_valid = str::from_utf8(topic).is_ok_and(is_valid_topic_name);
            let problem = match negative {
                _ if !is_valid => Problem::TopicName,
                Some(partition) => Problem::NegativePartition(partition),
                None => return Ok(()),
            };
            fault.get_or_insert(body.malformed(position, "Topics", problem));
            Ok(())
        })?;
        // Kafka sends an empty list. The embedded cluster, whose versions are old, sends null where no partition was named.
        let bytes = match bytes {
            None if body.version() >= FIRST_BATCHED => {
                return Err(body.malformed(start, "Topics", Problem::Null));
            }
            bytes => bytes.unwrap_or_default(),
        };
        Ok(match fault {
            Some(malformed) => Err(malformed),
            None => Ok(Self(Content::Encoded(Encoded {
                bytes: bytes.into(),
                version: body.version(),
                encoding: body.encoding(),
                count,
            }))),
        })
    }

    /// Returns the committed offset of each partition, sorted by partition.
    ///
    /// A partition that failed, or whose offset is none that Kafka can have, is an error at its place. Of a partition that
    /// was sent twice, the first offset counts.
    pub fn decode(&self) -> Vec<(TopicPartition, Result<Committed, KafkaError>)> {
        match &self.0 {
            Content::Encoded(encoded) => encoded.decode(),
            Content::Decoded(commits) => commits.to_vec(),
        }
    }

    /// Returns whether there is no partition.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Content::Encoded(encoded) => encoded.count == 0,
            Content::Decoded(commits) => commits.is_empty(),
        }
    }
}

impl Encoded {
    fn decode(&self) -> Vec<PartitionCommit> {
        let Self {
            bytes,
            version,
            encoding,
            count,
        } = self;
        let mut body = Reader::new(bytes, Schema::Response(Api::OFFSET_FETCH.name()));
        body.set_version(*version, *encoding);
        // As many partitions were read before.
        let mut commits = Vec::with_capacity(*count);
        while !body.rest().is_empty() {
            let mut topic: Option<TopicName> = None;
            let read = read_topic(&mut body, |commit| {
                let topic = topic.get_or_insert_with(|| {
                    TopicName::from(str::from_utf8(commit.topic).unwrap_or_default())
                });
                let partition = TopicPartition::new(topic.clone(), commit.partition);
                commits.push((partition, commit.committed()));
            });
            if read.is_err() {
                // The same bytes were read before.
                break;
            }
        }
        sorted(commits)
    }
}

impl Default for CommittedOffsets {
    fn default() -> Self {
        Self::from_iter([])
    }
}

impl FromIterator<(TopicPartition, Result<Committed, KafkaError>)> for CommittedOffsets {
    fn from_iter<I>(commits: I) -> Self
    where
        I: IntoIterator<Item = (TopicPartition, Result<Committed, KafkaError>)>,
    {
        let commits = sorted(commits.into_iter().collect());
        Self(Content::Decoded(commits.into()))
    }
}

impl fmt::Debug for CommittedOffsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.decode()).finish()
    }
}

/// Returns commits sorted by partition, of each partition the first.
fn sorted(mut commits: Vec<PartitionCommit>) -> Vec<PartitionCommit> {
    commits.sort_by(|(one, _), (other, _)| one.cmp(other));
    commits.dedup_by(|(later, _), (first, _)| later == first);
    commits
}

/// What a coordinator sends of one partition.
struct WireCommit<'a> {
    topic: &'a [u8],
    partition: i32,
    offset: i64,
    code: i16,
}

impl WireCommit<'_> {
    fn committed(&self) -> Result<Committed, KafkaError> {
        if self.code != 0 {
            return Err(KafkaError::of(ErrorCode::new(i32::from(self.code))));
        }
        match (self.offset, Offset::new(self.offset)) {
            (_, Some(offset)) => Ok(Committed::At(offset)),
            (-1, None) => Ok(Committed::Never),
            (offset, None) => Err(KafkaError {
                code: ErrorCode::BAD_MSG,
                message: format!("the coordinator sent the committed offset {offset}"),
            }),
        }
    }
}

/// Reads a topic, hands each of its partitions to `partition`, and returns its name.
fn read_topic<'a>(
    body: &mut Reader<'a>,
    mut partition: impl FnMut(WireCommit<'a>),
) -> Result<&'a [u8], Malformed> {
    let topic = body.string_bytes("Topics.Name")?;
    body.each("Topics.Partitions", |body| {
        let index = body.i32("Partitions.PartitionIndex")?;
        let offset = body.i64("Partitions.CommittedOffset")?;
        if body.version() >= 5 {
            body.i32("Partitions.CommittedLeaderEpoch")?;
        }
        body.nullable_string_bytes("Partitions.Metadata")?;
        let code = body.i16("Partitions.ErrorCode")?;
        body.end()?;
        partition(WireCommit {
            topic,
            partition: index,
            offset,
            code,
        });
        Ok(())
    })?;
    body.end()?;
    Ok(topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_that_a_fake_makes_are_sorted_and_each_partition_counts_once() {
        let at = |offset| Ok(Committed::At(Offset::new(offset).expect("it is positive")));
        let (a, b) = (TopicPartition::new("t", 1), TopicPartition::new("t", 2));
        let commits = [
            (b.clone(), at(5)),
            (a.clone(), Ok(Committed::Never)),
            (b.clone(), at(6)),
        ];
        let commits: CommittedOffsets = commits.into_iter().collect();
        let expected = vec![(a, Ok(Committed::Never)), (b, at(5))];
        assert_eq!(commits.decode(), expected);
        assert!(!commits.is_empty());
        assert_eq!(commits, expected.into_iter().collect());
        assert!(CommittedOffsets::default().is_empty());
    }
}
