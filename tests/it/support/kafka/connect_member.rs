//! A member of a group whose protocol type is not `consumer`, as a worker of Kafka Connect is.

use super::Kafka;
use super::raw_connection::{Answer, Body, RawConnection};

/// Longer than any test, so that nobody has to send heartbeats.
const SESSION_TIMEOUT_MS: i32 = 600_000;
const JOIN_GROUP: i16 = 11;
const SYNC_GROUP: i16 = 14;
const LEAVE_GROUP: i16 = 13;

/// The only member of a stable group. It leaves when dropped.
#[derive(Debug)]
pub(crate) struct ConnectMember {
    connection: RawConnection,
    group: String,
    id: String,
}

impl Kafka {
    /// Joins a new group of protocol type `connect`, on a cluster of one node where some group has committed before.
    pub(crate) fn connect_member(&self, group: &str) -> ConnectMember {
        let mut connection = RawConnection::open(&self.bootstrap_servers());
        let join = Body::default()
            .string(group)
            .int32(SESSION_TIMEOUT_MS)
            .int32(SESSION_TIMEOUT_MS)
            // An id of the broker's choice.
            .string("")
            .string("connect")
            .int32(1)
            .string("sessioned")
            .bytes(b"metadata");
        let mut joined = connection.call(JOIN_GROUP, 2, &join);
        expect_no_error(&mut joined);
        let generation = joined.int32();
        let (protocol, leader, id) = (joined.string(), joined.string(), joined.string());
        assert_eq!((protocol.as_str(), &leader), ("sessioned", &id));
        let sync = Body::default()
            .string(group)
            .int32(generation)
            .string(&id)
            .int32(1)
            .string(&id)
            .bytes(b"assignment");
        expect_no_error(&mut connection.call(SYNC_GROUP, 1, &sync));
        ConnectMember {
            connection,
            group: group.to_owned(),
            id,
        }
    }
}

impl Drop for ConnectMember {
    fn drop(&mut self) {
        let leave = Body::default().string(&self.group).string(&self.id);
        self.connection.call(LEAVE_GROUP, 1, &leave);
    }
}

fn expect_no_error(answer: &mut Answer) {
    let _throttle_time_ms = answer.int32();
    assert_eq!(answer.int16(), 0, "the error code");
}
