//! Records of groups whose assignment the coordinator makes, as a coordinator would write them.

use super::super::*;
use super::writer::Writer;

impl Writer<'_> {
    pub(super) fn epoch(&mut self, epoch: &GroupEpoch, kind: GroupKind) {
        let GroupEpoch {
            epoch,
            metadata_hash,
            creation_time_ms,
        } = epoch;
        self.i32(*epoch);
        let tag =
            |tag, number: Option<i64>| number.map(|number| (tag, number.to_be_bytes().to_vec()));
        match kind {
            GroupKind::Consumer => {
                let known: Vec<_> = [tag(0, *metadata_hash), tag(1, *creation_time_ms)]
                    .into_iter()
                    .flatten()
                    .collect();
                self.end(&known);
            }
            GroupKind::Share | GroupKind::Streams => {
                self.i64(7);
                self.end(&[]);
            }
        }
    }

    pub(super) fn topics(&mut self, topics: &[GroupTopic<'_>]) {
        self.list(
            topics,
            |writer,
             GroupTopic {
                 id,
                 name,
                 partitions,
             }| {
                writer.topic_id(*id);
                writer.string(name);
                writer.i32(*partitions);
                writer.list(&[0, 1], |writer, partition| {
                    writer.i32(*partition);
                    writer.strings(&["rack-a", "rack-b"]);
                    writer.end(&[]);
                });
                writer.end(&[]);
            },
        );
        self.end(&[]);
    }

    pub(super) fn member(&mut self, member: &MemberMetadata<'_>, kind: GroupKind) {
        let MemberMetadata {
            instance_id,
            rack_id,
            client_id,
            client_host,
            subscribed_topics,
            subscribed_regex,
            rebalance_timeout_ms,
            server_assignor,
            classic,
        } = member;
        if kind != GroupKind::Share {
            self.nullable_string(*instance_id);
        }
        self.nullable_string(*rack_id);
        self.string(client_id);
        self.string(client_host);
        match kind {
            GroupKind::Consumer => {
                self.strings(subscribed_topics);
                self.nullable_string(*subscribed_regex);
                self.i32(rebalance_timeout_ms.unwrap_or(-1));
                self.nullable_string(*server_assignor);
                // Kafka 4.3 writes the field in any case: a structure that is null where there is none.
                let classic = classic
                    .as_ref()
                    .map_or(vec![0], |classic| self.classic_protocols(classic));
                self.end(&[(0, classic)]);
            }
            GroupKind::Share => {
                self.strings(subscribed_topics);
                self.end(&[]);
            }
            GroupKind::Streams => {
                self.i32(rebalance_timeout_ms.unwrap_or(-1));
                // The epoch of the topology, the process, no endpoint, no tags.
                self.i32(3);
                self.string("process");
                self.bytes.push(0xff);
                self.length(Some(0));
                self.end(&[]);
            }
        }
    }

    fn classic_protocols(&self, classic: &ClassicProtocols<'_>) -> Vec<u8> {
        let ClassicProtocols {
            session_timeout_ms,
            protocols,
        } = classic;
        let mut field = Writer::new(self.encoding, self.unknown);
        field.bytes.push(1);
        field.i32(*session_timeout_ms);
        field.list(protocols, |field, name| {
            field.string(name);
            field.nullable_bytes(Some(b"metadata"));
            field.end(&[]);
        });
        field.end(&[]);
        field.bytes
    }

    pub(super) fn target_epoch(&mut self, target: TargetEpoch) {
        let TargetEpoch {
            epoch,
            timestamp_ms,
        } = target;
        self.i32(epoch);
        let timestamp: Vec<_> = timestamp_ms
            .iter()
            .map(|ms| (0, ms.to_be_bytes().to_vec()))
            .collect();
        self.end(&timestamp);
    }

    pub(super) fn target(&mut self, target: &Assigned<'_>) {
        self.assigned(target);
        self.end(&[]);
    }

    pub(super) fn current(&mut self, current: &CurrentAssignment<'_>, kind: GroupKind) {
        let CurrentAssignment {
            member_epoch,
            previous_member_epoch,
            state,
            assigned,
            pending_revocation,
        } = current;
        self.i32(*member_epoch);
        self.i32(*previous_member_epoch);
        let first = i8::from(kind == GroupKind::Streams);
        let state = match state {
            MemberState::Stable => first,
            MemberState::Unrevoked => first + 1,
            MemberState::Unreleased => first + 2,
            MemberState::Unknown(number) => *number,
        };
        self.bytes.extend(state.to_be_bytes());
        self.assigned(assigned);
        if kind != GroupKind::Share {
            self.assigned(pending_revocation);
        }
        self.end(&[]);
    }

    fn assigned(&mut self, assigned: &Assigned<'_>) {
        match assigned {
            Assigned::Partitions(topics) => {
                self.list(topics, |writer, TopicIdPartitions { topic, partitions }| {
                    writer.topic_id(*topic);
                    writer.partitions(partitions);
                    writer.end(&[]);
                })
            }
            Assigned::Tasks(Tasks {
                active,
                standby,
                warmup,
            }) => {
                for tasks in [active, standby, warmup] {
                    self.list(
                        tasks,
                        |writer,
                         SubtopologyTasks {
                             subtopology,
                             partitions,
                         }| {
                            writer.string(subtopology);
                            writer.partitions(partitions);
                            writer.end(&[]);
                        },
                    );
                }
            }
        }
    }

    pub(super) fn resolved(&mut self, resolved: &ResolvedTopics<'_>) {
        let ResolvedTopics {
            topics,
            version,
            timestamp_ms,
        } = resolved;
        self.strings(topics);
        self.i64(*version);
        self.i64(*timestamp_ms);
        self.end(&[]);
    }
}
