//! A group member, or a committing client, by raw bytes: nothing it sends has to make sense.
//!
//! Kafka's own clients refuse to write most of this; brokers store it unread and hand it out to everyone that
//! describes the group. Names are bytes, not text, for the same reason.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::Kafka;

/// No answer takes longer on a loaded machine; some never come.
const LIMIT: Duration = Duration::from_secs(5);
/// Longer than any test: a member stays without heartbeats.
const SESSION_MS: i32 = 600_000;

const OFFSET_COMMIT: (i16, i16) = (8, 2);
const JOIN_GROUP: (i16, i16) = (11, 2);
const HEARTBEAT: (i16, i16) = (12, 1);
const LEAVE_GROUP: (i16, i16) = (13, 1);
const SYNC_GROUP: (i16, i16) = (14, 1);
const API_VERSIONS: (i16, i16) = (18, 0);
/// The first versions that are still answered by Kafka 4 (KIP-896), or later ones.
const NEEDED: [(i16, i16); 5] = [
    OFFSET_COMMIT,
    JOIN_GROUP,
    HEARTBEAT,
    LEAVE_GROUP,
    SYNC_GROUP,
];

/// What a member says of itself.
#[derive(Clone, Debug)]
pub(crate) struct RawIdentity {
    pub(crate) group: Vec<u8>,
    pub(crate) client_id: Vec<u8>,
    pub(crate) protocol_type: Vec<u8>,
    pub(crate) protocol: Vec<u8>,
    /// The member's metadata: a subscription, if it is a consumer's.
    pub(crate) metadata: Vec<u8>,
    pub(crate) assignment: Vec<u8>,
}

/// Why a broker did not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// An error code of Kafka.
    Code(i16),
    /// Kafka 4 leaves JoinGroup without an answer where it cannot read a consumer's subscription.
    NoAnswer,
}

/// The only member of its group. It leaves when dropped.
#[derive(Debug)]
pub(crate) struct RawMember {
    connection: Connection,
    group: Vec<u8>,
    generation: i32,
    member_id: Vec<u8>,
}

impl RawIdentity {
    /// Returns a consumer that owns nothing, for a group.
    pub(crate) fn consumer(group: impl AsRef<[u8]>) -> Self {
        Self {
            group: group.as_ref().to_vec(),
            client_id: b"raw".to_vec(),
            protocol_type: b"consumer".to_vec(),
            protocol: b"range".to_vec(),
            metadata: subscription(&[]),
            assignment: assignment(&[]),
        }
    }
}

impl Kafka {
    /// Joins a group that has no other member, and hands itself the assignment.
    ///
    /// # Errors
    ///
    /// The code that JoinGroup or SyncGroup is answered with, or that JoinGroup is not answered.
    pub(crate) fn raw_member(&self, identity: &RawIdentity) -> Result<RawMember, Refusal> {
        RawMember::join(&self.bootstrap_servers(), identity)
    }

    /// Commits an offset for a group without members, whatever bytes its id has.
    ///
    /// # Errors
    ///
    /// The code that the partition is answered with.
    pub(crate) fn raw_commit(
        &self,
        group: &[u8],
        (topic, partition): (&str, i32),
        offset: i64,
    ) -> Result<(), Refusal> {
        let mut connection = Connection::open(&self.bootstrap_servers(), b"raw");
        let mut request = Request::default();
        request.text(group).int32(-1).text(b"").int64(-1);
        request.int32(1).text(topic.as_bytes());
        request.int32(1).int32(partition).int64(offset).text(b"");
        let mut answer = connection.ask(OFFSET_COMMIT, &request);
        answer.skip(4);
        answer.text();
        answer.skip(8);
        answer.refusal()
    }
}

impl RawMember {
    fn join(server: &str, identity: &RawIdentity) -> Result<Self, Refusal> {
        let RawIdentity {
            group,
            client_id,
            protocol_type,
            protocol,
            metadata,
            assignment,
        } = identity;
        let mut connection = Connection::open(server, client_id);
        let mut request = Request::default();
        request.text(group).int32(SESSION_MS).int32(SESSION_MS);
        request.text(b"").text(protocol_type);
        request.int32(1).text(protocol).bytes(metadata);
        let mut answer = match connection.try_ask(JOIN_GROUP, &request) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(Refusal::NoAnswer);
            }
            answer => answer.unwrap_or_else(|error| panic!("JoinGroup: {error}")),
        };
        answer.skip(4);
        answer.refusal()?;
        let generation = answer.int32();
        let (_protocol, _leader, member_id) = (answer.text(), answer.text(), answer.text());

        // It exists from here on: whatever comes next, it leaves.
        let mut member = Self {
            connection,
            group: group.clone(),
            generation,
            member_id,
        };
        let mut request = member.request();
        request.int32(1).text(&member.member_id).bytes(assignment);
        let mut answer = member.connection.ask(SYNC_GROUP, &request);
        answer.skip(4);
        answer.refusal()?;
        Ok(member)
    }

    /// Asks the coordinator whether it still counts as a member.
    ///
    /// # Errors
    ///
    /// The code that the heartbeat is answered with.
    pub(crate) fn heartbeat(&mut self) -> Result<(), Refusal> {
        let request = self.request();
        let mut answer = self.connection.ask(HEARTBEAT, &request);
        answer.skip(4);
        answer.refusal()
    }

    /// Begins a request of a member: group, generation, member id.
    fn request(&self) -> Request {
        let mut request = Request::default();
        request.text(&self.group).int32(self.generation);
        request.text(&self.member_id);
        request
    }
}

impl Drop for RawMember {
    fn drop(&mut self) {
        let mut request = Request::default();
        request.text(&self.group).text(&self.member_id);
        // The answer is awaited: the group is empty once the test goes on.
        let _ = self.connection.try_ask(LEAVE_GROUP, &request);
    }
}

/// Returns the bytes of a consumer's subscription to these topics, version 0.
pub(crate) fn subscription(topics: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Request::default();
    bytes.int16(0).int32(count(topics));
    for topic in topics {
        bytes.text(topic);
    }
    bytes.int32(-1);
    bytes.0
}

/// Returns the bytes of a consumer's assignment, version 0.
pub(crate) fn assignment(topics: &[(&[u8], &[i32])]) -> Vec<u8> {
    let mut bytes = Request::default();
    bytes.int16(0).int32(count(topics));
    for (topic, partitions) in topics {
        bytes.text(topic).int32(count(partitions));
        for partition in *partitions {
            bytes.int32(*partition);
        }
    }
    bytes.int32(-1);
    bytes.0
}

fn count<T>(list: &[T]) -> i32 {
    i32::try_from(list.len()).expect("a test's list is short")
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    client_id: Vec<u8>,
}

impl Connection {
    /// Connects, and makes sure that the broker knows every version that is used here.
    fn open(server: &str, client_id: &[u8]) -> Self {
        let stream = TcpStream::connect(server).expect("the node runs");
        stream
            .set_read_timeout(Some(LIMIT))
            .and_then(|()| stream.set_nodelay(true))
            .expect("sockets have options");
        let mut connection = Self {
            stream,
            client_id: client_id.to_vec(),
        };
        let mut answer = connection.ask(API_VERSIONS, &Request::default());
        answer.refusal().expect("every broker lists its versions");
        let known: Vec<_> = (0..answer.int32())
            .map(|_| (answer.int16(), answer.int16()..=answer.int16()))
            .collect();
        for (api, version) in NEEDED {
            let range = known.iter().find(|(key, _)| *key == api).map(|(_, r)| r);
            assert!(
                range.is_some_and(|range| range.contains(&version)),
                "the broker answers {range:?} of API {api}, and version {version} is needed"
            );
        }
        connection
    }

    fn ask(&mut self, api: (i16, i16), body: &Request) -> Answer {
        self.try_ask(api, body)
            .unwrap_or_else(|error| panic!("API {api:?}: {error}"))
    }

    fn try_ask(&mut self, (api, version): (i16, i16), body: &Request) -> io::Result<Answer> {
        let mut frame = Request::default();
        frame.int16(api).int16(version).int32(7);
        frame.text(&self.client_id);
        frame.0.extend_from_slice(&body.0);
        let mut sent = Request::default();
        sent.bytes(&frame.0);
        self.stream.write_all(&sent.0)?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = usize::try_from(i32::from_be_bytes(length)).expect("Kafka tells no lies");
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        let mut answer = Answer { bytes, position: 0 };
        assert_eq!(answer.int32(), 7, "the correlation id");
        Ok(answer)
    }
}

/// Bytes of a request, in the encoding from before KIP-482.
#[derive(Clone, Debug, Default)]
struct Request(Vec<u8>);

impl Request {
    fn int16(&mut self, value: i16) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    fn int32(&mut self, value: i32) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    fn int64(&mut self, value: i64) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    fn text(&mut self, value: &[u8]) -> &mut Self {
        self.int16(i16::try_from(value.len()).expect("at most 32,767 bytes"));
        self.0.extend_from_slice(value);
        self
    }

    fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.int32(count(value));
        self.0.extend_from_slice(value);
        self
    }
}

/// Bytes of an answer behind the correlation id; a short one panics, as Kafka sends none.
#[derive(Debug)]
struct Answer {
    bytes: Vec<u8>,
    position: usize,
}

impl Answer {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let bytes = self.bytes[self.position..self.position + N].try_into();
        self.position += N;
        bytes.expect("as many as were asked for")
    }

    fn skip(&mut self, count: usize) {
        self.position += count;
    }

    fn int16(&mut self) -> i16 {
        i16::from_be_bytes(self.take())
    }

    fn int32(&mut self) -> i32 {
        i32::from_be_bytes(self.take())
    }

    fn text(&mut self) -> Vec<u8> {
        let length = usize::try_from(self.int16()).expect("no text is null here");
        let text = self.bytes[self.position..self.position + length].to_vec();
        self.skip(length);
        text
    }

    /// Reads an error code.
    fn refusal(&mut self) -> Result<(), Refusal> {
        match self.int16() {
            0 => Ok(()),
            code => Err(Refusal::Code(code)),
        }
    }
}
