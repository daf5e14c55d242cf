//! Events as a stream of server-sent events.
//!
//! Source: HTML, section 9.2. JSON has no line breaks, so each event's data is one line. Every block carries an id,
//! also those without data, which readers do not show: whoever connects again with it goes on where it was.

use serde::Serialize;

use super::json;
use crate::snapshot::{Event, EventPosition, Gap};

/// The type of such a stream.
pub const CONTENT_TYPE: &str = "text/event-stream";

/// How long a reader waits before it connects again, in milliseconds.
const RETRY_MS: u32 = 3_000;

/// Why a stream ends although its reader is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dropped {
    /// It fell behind, and again before it had caught up.
    TooSlow,
    /// This process ends.
    Shutdown,
}

#[derive(Serialize)]
struct DroppedBody {
    reason: Dropped,
}

/// Writes what comes first.
pub fn write_start(frame: &mut Vec<u8>, position: EventPosition) {
    frame.extend_from_slice(format!("retry: {RETRY_MS}\nid: {position}\n\n").as_bytes());
}

/// Writes an event.
pub fn write_event(frame: &mut Vec<u8>, event: &Event) {
    write(frame, event.kind.as_str(), event.id, &json::event(event));
}

/// Writes that events before `position`, or none that anybody knows of, are missing.
pub fn write_gap(frame: &mut Vec<u8>, gap: Gap, position: EventPosition) {
    write(frame, "gap", position, &json::gap(gap));
}

/// Writes that the stream ends at `position`, and why.
pub fn write_dropped(frame: &mut Vec<u8>, reason: Dropped, position: EventPosition) {
    write(frame, "dropped", position, &DroppedBody { reason });
}

/// Writes that everything up to `position` was told; for a connection that would be silent for too long.
pub fn write_heartbeat(frame: &mut Vec<u8>, position: EventPosition) {
    frame.extend_from_slice(format!(":\nid: {position}\n\n").as_bytes());
}

fn write(frame: &mut Vec<u8>, name: &str, id: EventPosition, data: &impl Serialize) {
    frame.extend_from_slice(format!("id: {id}\nevent: {name}\ndata: ").as_bytes());
    // With the line break at its end.
    frame.append(&mut json::to_bytes(data));
    frame.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::lag::TopicPartition;
    use crate::snapshot::{EventKind, EventLog, GroupType, Happening, MemberShare, Rebalance};

    #[test]
    fn a_stream_is_what_browsers_read() {
        let started = UNIX_EPOCH + Duration::from_nanos(0xabc);
        let log = EventLog::new(started, Default::default());
        let mut frame = Vec::new();
        write_start(&mut frame, log.start());
        write_gap(&mut frame, Gap::Events(7), log.start());
        write_gap(&mut frame, Gap::Unknown, log.start());
        let commit = EventKind::Commit {
            partition: TopicPartition::new("orders", 3),
            offset: crate::lag::Offset::new(42),
            previous: None,
        };
        let rebalance = EventKind::Rebalance(Rebalance {
            group_type: GroupType::Classic,
            generation: 8,
            assignor: "range".into(),
            joined: vec!["b".into()],
            left: Vec::new(),
            members: vec![
                MemberShare {
                    id: "a".into(),
                    before: Some(6),
                    after: Some(3),
                },
                MemberShare {
                    id: "b".into(),
                    before: None,
                    after: Some(3),
                },
            ],
        });
        for (cluster, at_ms, kind) in [
            (None, Some(1_700_000_000_125), commit),
            (Some("prod".into()), None, rebalance),
        ] {
            let group = "two\nlines".into();
            log.writer(cluster).append(Happening { group, at_ms, kind });
        }
        for event in log.after(log.start(), 10).events {
            write_event(&mut frame, &event);
        }
        write_heartbeat(&mut frame, log.newest());
        write_dropped(&mut frame, Dropped::TooSlow, log.newest());
        let expected = r#"retry: 3000
id: abc-0

id: abc-0
event: gap
data: {"missed":7}

id: abc-0
event: gap
data: {"missed":null}

id: abc-1
event: commit
data: {"id":"abc-1","kind":"commit","cluster":null,"group":"two\nlines","at":"2023-11-14T22:13:20.125Z","topic":"orders","partition":3,"current_offset":42,"previous_offset":null}

id: abc-2
event: rebalance
data: {"id":"abc-2","kind":"rebalance","cluster":"prod","group":"two\nlines","at":null,"type":"classic","protocol":"range","generation":8,"joined":["b"],"left":[],"members":[{"member_id":"a","partitions_before":6,"partitions_after":3},{"member_id":"b","partitions_before":null,"partitions_after":3}]}

:
id: abc-2

id: abc-2
event: dropped
data: {"reason":"too_slow"}

"#;
        assert_eq!(String::from_utf8_lossy(&frame), expected);
    }
}
