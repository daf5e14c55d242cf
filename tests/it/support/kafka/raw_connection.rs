//! Requests of Kafka's protocol by their bytes, for what no client of Kafka's would send.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::http::connect;

/// A connection to one node.
#[derive(Debug)]
pub(super) struct RawConnection(TcpStream);

/// A request's body, field by field, as versions before the flexible ones lay it out.
#[derive(Debug, Default)]
pub(super) struct Body(Vec<u8>);

/// An answer's body, read field by field.
#[derive(Debug)]
pub(super) struct Answer(std::io::Cursor<Vec<u8>>);

impl RawConnection {
    /// Connects to the only node of a cluster.
    pub(super) fn open(server: &str) -> Self {
        let address = server.parse().expect("a cluster of one node");
        let stream = connect(address).expect("the node listens");
        // A join waits for a rebalance.
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("it is not zero");
        Self(stream)
    }

    /// Sends a request and returns what answers it.
    pub(super) fn call(&mut self, api: i16, version: i16, body: &Body) -> Answer {
        let header = Body::default()
            .int16(api)
            .int16(version)
            .int32(1)
            .string("raw");
        let length = i32::try_from(header.0.len() + body.0.len()).expect("it is small");
        let request = [&length.to_be_bytes(), header.0.as_slice(), &body.0].concat();
        self.0.write_all(&request).expect("the node reads");
        let mut length = [0; 4];
        self.0.read_exact(&mut length).expect("the node answers");
        let length = usize::try_from(i32::from_be_bytes(length)).expect("a length");
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer).expect("the node answers");
        let mut answer = Answer(std::io::Cursor::new(answer));
        assert_eq!(answer.int32(), 1, "the correlation id");
        answer
    }
}

impl Body {
    pub(super) fn int16(self, value: i16) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(super) fn int32(self, value: i32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(super) fn int64(self, value: i64) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(super) fn string(self, text: &str) -> Self {
        let length = i16::try_from(text.len()).expect("it is short");
        self.int16(length).raw(text.as_bytes())
    }

    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        let length = i32::try_from(bytes.len()).expect("it is short");
        self.int32(length).raw(bytes)
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

impl Answer {
    pub(super) fn int16(&mut self) -> i16 {
        i16::from_be_bytes(self.array())
    }

    pub(super) fn int32(&mut self) -> i32 {
        i32::from_be_bytes(self.array())
    }

    pub(super) fn string(&mut self) -> String {
        let length = usize::try_from(self.int16()).expect("it is not null");
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).expect("the answer is whole");
        String::from_utf8(bytes).expect("it is text")
    }

    fn array<const LENGTH: usize>(&mut self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        self.0.read_exact(&mut bytes).expect("the answer is whole");
        bytes
    }
}
