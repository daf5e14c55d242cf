//! Events, and a reader of their stream.

use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpStream;
use std::sync::Arc;

use lagwatch::lag::{Offset, TopicPartition};
use lagwatch::snapshot::{EventKind, GroupType, Happening, MemberShare, Rebalance};
use serde_json::Value;

use super::server::Server;

/// The reader of a stream, block by block.
pub(crate) struct Reader {
    socket: BufReader<TcpStream>,
    pub(crate) head: String,
    body: Vec<u8>,
}

/// What stands between two empty lines; without an event's name it is for the reader alone.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// Returns a commit of `group`.
pub(crate) fn commit(group: &str, offset: i64) -> Happening {
    Happening {
        group: group.into(),
        at_ms: Some(1_700_000_000_125),
        kind: EventKind::Commit {
            partition: TopicPartition::new("orders", 0),
            offset: Offset::new(offset),
            previous: Offset::new(offset - 1),
        },
    }
}

/// Returns a rebalance of `group` with a member whose id is so long.
pub(crate) fn rebalance(group: &str, id_length: usize) -> Happening {
    let member: Arc<str> = "m".repeat(id_length).into();
    Happening {
        group: group.into(),
        at_ms: None,
        kind: EventKind::Rebalance(Rebalance {
            group_type: GroupType::Consumer,
            generation: 3,
            assignor: "uniform".into(),
            joined: vec![Arc::clone(&member)],
            left: vec!["gone".into()],
            members: vec![MemberShare {
                id: member,
                before: None,
                after: Some(6),
            }],
        }),
    }
}

impl Reader {
    /// Opens a stream, which succeeds.
    pub(crate) fn open(server: &Server, query: &str, headers: &[(&str, &str)]) -> Self {
        let mut request = format!("GET /api/v1/events{query} HTTP/1.1\r\nhost: x\r\n");
        for (name, value) in [("accept", "text/event-stream")].iter().chain(headers) {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut client = server.send(&(request + "\r\n"));
        let head = client.head();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        Self {
            socket: BufReader::new(client.into_socket()),
            head,
            body: Vec::new(),
        }
    }

    /// Returns the next block; nothing at the end of the answer.
    pub(crate) fn block(&mut self) -> io::Result<Option<Block>> {
        loop {
            let end = self.body.windows(2).position(|bytes| bytes == b"\n\n");
            if let Some(end) = end {
                let text: Vec<u8> = self.body.drain(..end + 2).collect();
                let text = String::from_utf8(text).expect("a stream is UTF-8");
                return Ok(Some(Block::parse(&text)));
            }
            if !self.chunk()? {
                return Ok(None);
            }
        }
    }

    /// Returns the next block that is shown to a reader.
    pub(crate) fn event(&mut self) -> Block {
        loop {
            let block = self.block().expect("the stream goes on");
            let block = block.expect("the stream does not end");
            if !block.name.is_empty() {
                return block;
            }
        }
    }

    /// Returns the next event's offset.
    pub(crate) fn offset(&mut self) -> i64 {
        let event = self.event();
        let offset = event.data["current_offset"].as_i64();
        offset.unwrap_or_else(|| panic!("{event:?} is no commit"))
    }

    /// Reads one chunk; tells whether there was one.
    fn chunk(&mut self) -> io::Result<bool> {
        let mut size = String::new();
        self.socket.read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim_end(), 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; size + 2];
        self.socket.read_exact(&mut chunk)?;
        self.body.extend_from_slice(&chunk[..size]);
        Ok(size > 0)
    }
}

impl Block {
    fn parse(text: &str) -> Self {
        let field = |name: &str| {
            let mut values = text.lines().filter_map(|line| line.strip_prefix(name));
            values.next().unwrap_or_default().to_owned()
        };
        let data = field("data: ");
        Self {
            id: field("id: "),
            name: field("event: "),
            data: match data.as_str() {
                "" => Value::Null,
                data => serde_json::from_str(data).expect("data is JSON on one line"),
            },
        }
    }
}
