//! The committed offsets of one group, as its coordinator sent them.

use std::fmt;
use std::sync::Arc;

use super::api::Api;
use super::error::{ErrorCode, KafkaError};
use crate::lag::ids::is_valid_topic_name;
use crate::lag::{Committed, Offset, TopicName, TopicPartition};
use crate::offsets_topic::encoding::FieldEncoding;
use crate::offsets_topic::reader::Reader;
use crate::offsets_topic::{Malformed, Problem, Schema};

/// The first version of OffsetFetch that names many groups (KIP-709).
const FIRST_BATCHED: i16 = 8;

/// The committed offsets of one group.
///
/// They are kept as the coordinator sent them: comparing them with those of the poll before costs no decoding, and most
/// groups are unchanged. Equal ones hold the same commits; the reverse is not promised, as the coordinator may send the
/// same commits in another order. A clone shares the memory.
#[derive(Clone, PartialEq, Eq)]
pub struct CommittedOffsets {
    /// The elements of the array `Topics` in a response to OffsetFetch, which have been read once without an error.
    bytes: Arc<[u8]>,
    version: i16,
    encoding: FieldEncoding,
    /// How many partitions they hold, repeated ones included.
    count: usize,
    /// Whether one of them is an error.
    has_errors: bool,
}

/// A partition, and what is committed on it.
type PartitionCommit = (TopicPartition, Result<Committed, KafkaError>);

impl CommittedOffsets {
    /// Reads the array `Topics`. The inner error is one that costs no more than this group.
    ///
    /// Nothing is allocated but one copy of the bytes.
    pub(in crate::kafka) fn read(
        body: &mut Reader<'_>,
    ) -> Result<Result<Self, Malformed>, Malformed> {
        let (mut count, mut has_errors, mut fault) = (0, false, None);
        let start = body.position();
        let bytes = body.nullable_list_bytes("Topics", |body| {
            let position = body.position();
            let mut negative = None;
            let topic = read_topic(body, |commit| {
                count += 1;
                has_errors |= commit.committed().is_err();
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
            None => Ok(Self {
                bytes: bytes.into(),
                version: body.version(),
                encoding: body.encoding(),
                count,
                has_errors,
            }),
        })
    }

    /// Returns the committed offset of each partition, sorted by partition.
    ///
    /// A partition that failed, or whose offset is none that Kafka can have, is an error at its place. Of a partition that
    /// was sent twice, the first offset counts.
    pub fn decode(&self) -> Vec<(TopicPartition, Result<Committed, KafkaError>)> {
        // As many partitions were read before.
        let mut commits = Vec::with_capacity(self.count);
        let mut names = Names::default();
        commits.extend(self.commits().map(|commit| names.decode(&commit)));
        sorted(commits)
    }

    /// Returns the commits that differ from those of `earlier`, sorted by partition; nothing where the two do not name the same
    /// partitions in the same order.
    ///
    /// Only those are decoded: between two polls most partitions of a group do not change. Of a partition that was sent twice,
    /// the offset that changed counts.
    pub fn changes_since(
        &self,
        earlier: &Self,
    ) -> Option<Vec<(TopicPartition, Result<Committed, KafkaError>)>> {
        if self == earlier {
            return Some(Vec::new());
        }
        if self.count != earlier.count {
            return None;
        }
        let mut changes = Vec::new();
        let mut names = Names::default();
        let (mut before, mut now) = (earlier.commits(), self.commits());
        let mut left = self.count;
        while left > 0 {
            left -= now.skip_same(&mut before);
            let (before, now) = (before.next()?, now.next()?);
            left -= 1;
            if !before.is_of_partition(&now) {
                return None;
            }
            if !before.says_the_same_as(&now) {
                changes.push(names.decode(&now));
            }
        }
        Some(sorted(changes))
    }

    /// Returns whether a partition failed.
    pub fn has_errors(&self) -> bool {
        self.has_errors
    }

    /// Returns whether there is no partition.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the commits as they were sent.
    fn commits(&self) -> WireCommits<'_> {
        let mut body = Reader::new(&self.bytes, Schema::Response(Api::OFFSET_FETCH.name()));
        body.set_version(self.version, self.encoding);
        WireCommits {
            body,
            topic: &[],
            left: 0,
        }
    }
}

impl Default for CommittedOffsets {
    fn default() -> Self {
        Self {
            bytes: Arc::default(),
            version: 0,
            encoding: FieldEncoding::Fixed,
            count: 0,
            has_errors: false,
        }
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
    fn is_of_partition(&self, other: &WireCommit<'_>) -> bool {
        self.partition == other.partition && self.topic == other.topic
    }

    fn says_the_same_as(&self, other: &WireCommit<'_>) -> bool {
        (self.offset, self.code) == (other.offset, other.code)
    }

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

/// Commits of topics that were read once without an error.
struct WireCommits<'a> {
    body: Reader<'a>,
    /// The topic of the newest commit.
    topic: &'a [u8],
    /// How many of its partitions are still to come.
    left: usize,
}

impl WireCommits<'_> {
    /// Skips plain commits of the current topic while both sides hold the same bytes, but never its last one; returns how many.
    fn skip_same(&mut self, other: &mut Self) -> usize {
        if [&self.body, &other.body].map(Reader::encoding) != [FieldEncoding::Flexible; 2] {
            return 0;
        }
        let most = self.left.min(other.left).saturating_sub(1);
        let (theirs, _) = other.body.rest().as_chunks();
        let mut theirs = theirs.iter();
        let is_same = |bytes: &_| is_plain(bytes) && theirs.next() == Some(bytes);
        let skipped = self.body.arrays_while(most, is_same).len();
        other.body.arrays_while::<PLAIN>(skipped, |_| true);
        self.left -= skipped;
        other.left -= skipped;
        skipped
    }
}

impl<'a> Iterator for WireCommits<'a> {
    type Item = WireCommit<'a>;

    fn next(&mut self) -> Option<WireCommit<'a>> {
        while self.left == 0 {
            if self.body.rest().is_empty() {
                return None;
            }
            // The same bytes were read before: no error comes here.
            (self.topic, self.left) = begin_topic(&mut self.body).ok()?;
            if self.left == 0 {
                self.body.end().ok()?;
            }
        }
        let commit = read_commit(&mut self.body, self.topic).ok()?;
        self.left -= 1;
        if self.left == 0 {
            self.body.end().ok()?;
        }
        Some(commit)
    }
}

/// The name of the newest topic, so that its partitions share it.
#[derive(Default)]
struct Names<'a>(Option<(&'a [u8], TopicName)>);

impl<'a> Names<'a> {
    fn decode(&mut self, commit: &WireCommit<'a>) -> PartitionCommit {
        let known = self.0.take().filter(|(sent, _)| *sent == commit.topic);
        let (_, name) = self.0.insert(known.unwrap_or_else(|| {
            let name = str::from_utf8(commit.topic).unwrap_or_default();
            (commit.topic, TopicName::from(name))
        }));
        let partition = TopicPartition::new(name.clone(), commit.partition);
        (partition, commit.committed())
    }
}

/// Reads a topic, hands each of its partitions to `partition`, and returns its name.
fn read_topic<'a>(
    body: &mut Reader<'a>,
    mut partition: impl FnMut(WireCommit<'a>),
) -> Result<&'a [u8], Malformed> {
    let (topic, count) = begin_topic(body)?;
    let mut left = count;
    while left > 0 {
        let plain = read_plain_commits(body, topic, left);
        left -= plain.len();
        plain.for_each(&mut partition);
        if left > 0 {
            left -= 1;
            partition(read_commit(body, topic)?);
        }
    }
    body.end()?;
    Ok(topic)
}

/// Reads the name of a topic, and how many partitions of it follow.
fn begin_topic<'a>(body: &mut Reader<'a>) -> Result<(&'a [u8], usize), Malformed> {
    let topic = body.string_bytes("Topics.Name")?;
    Ok((topic, body.list_length("Topics.Partitions")?))
}

fn read_commit<'a>(body: &mut Reader<'a>, topic: &'a [u8]) -> Result<WireCommit<'a>, Malformed> {
    if let Some(commit) = read_plain_commits(body, topic, 1).next() {
        return Ok(commit);
    }
    let partition = body.i32("Partitions.PartitionIndex")?;
    let offset = body.i64("Partitions.CommittedOffset")?;
    if body.version() >= 5 {
        body.i32("Partitions.CommittedLeaderEpoch")?;
    }
    body.nullable_string_bytes("Partitions.Metadata")?;
    let code = body.i16("Partitions.ErrorCode")?;
    body.end()?;
    Ok(WireCommit {
        topic,
        partition,
        offset,
        code,
    })
}

/// How many bytes a commit has in the flexible encoding that has neither metadata nor tagged fields, as nearly all are: the
/// partition, the offset, the leader epoch, the length of the metadata, the error code and the count of tagged fields.
const PLAIN: usize = 4 + 8 + 4 + 1 + 2 + 1;

/// Returns whether such a commit lies there; only in the flexible encoding, and at the begin of a commit.
fn is_plain(bytes: &[u8; PLAIN]) -> bool {
    bytes[16] <= 1 && bytes[19] == 0
}

/// Reads plain commits, at most `most`, and stops before the first that is not plain. Their size is known, so that the bounds are
/// checked once for all.
fn read_plain_commits<'a>(
    body: &mut Reader<'a>,
    topic: &'a [u8],
    most: usize,
) -> impl ExactSizeIterator<Item = WireCommit<'a>> {
    let most = match body.encoding() {
        FieldEncoding::Flexible => most,
        FieldEncoding::Fixed => 0,
    };
    let plain = body.arrays_while(most, is_plain);
    plain.iter().map(move |bytes| plain_commit(topic, bytes))
}

fn plain_commit<'a>(topic: &'a [u8], bytes: &[u8; PLAIN]) -> WireCommit<'a> {
    WireCommit {
        topic,
        partition: i32::from_be_bytes(bytes_at(bytes, 0)),
        offset: i64::from_be_bytes(bytes_at(bytes, 4)),
        code: i16::from_be_bytes(bytes_at(bytes, 17)),
    }
}

fn bytes_at<const N: usize>(bytes: &[u8; PLAIN], start: usize) -> [u8; N] {
    std::array::from_fn(|index| bytes[start + index])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes them as a coordinator would, sorted by partition; of errors the code alone.
    impl FromIterator<PartitionCommit> for CommittedOffsets {
        fn from_iter<I: IntoIterator<Item = PartitionCommit>>(commits: I) -> Self {
            let commits = sorted(commits.into_iter().collect());
            let mut bytes = i32::try_from(commits.len())
                .expect("few")
                .to_be_bytes()
                .to_vec();
            for (TopicPartition { topic, partition }, commit) in &commits {
                let (offset, code) = match commit {
                    Ok(Committed::At(offset)) => (offset.value() as i64, 0),
                    Ok(Committed::Never) => (-1, 0),
                    Err(error) => (-1, error.code.value() as i16),
                };
                bytes.extend((topic.as_str().len() as i16).to_be_bytes());
                bytes.extend(topic.as_str().as_bytes());
                // One partition.
                bytes.extend(1_i32.to_be_bytes());
                bytes.extend(partition.0.to_be_bytes());
                bytes.extend(offset.to_be_bytes());
                // No metadata.
                bytes.extend((-1_i16).to_be_bytes());
                bytes.extend(code.to_be_bytes());
            }
            let mut body = Reader::new(&bytes, Schema::Response(Api::OFFSET_FETCH.name()));
            let read = Self::read(&mut body).expect("the bytes are whole");
            read.expect("the partitions are ones that Kafka can have")
        }
    }

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

    #[test]
    fn changes_of_commits_that_a_fake_makes_are_found() {
        let at = |offset| Ok(Committed::At(Offset::new(offset).expect("it is positive")));
        let commits = |commits: &[(i32, i64)]| -> CommittedOffsets {
            let commits = commits.iter();
            commits
                .map(|&(number, offset)| (TopicPartition::new("t", number), at(offset)))
                .collect()
        };
        let before = commits(&[(0, 5), (1, 6)]);
        assert_eq!(before.changes_since(&before), Some(Vec::new()));
        let changes = commits(&[(0, 5), (1, 7)]).changes_since(&before);
        assert_eq!(changes, Some(vec![(TopicPartition::new("t", 1), at(7))]));
        for other in [&[(0, 5)][..], &[(0, 5), (2, 6)], &[(0, 5), (1, 6), (2, 6)]] {
            assert_eq!(commits(other).changes_since(&before), None);
        }
    }
}
