//! OffsetFetch: what groups have committed.

use std::sync::Arc;

use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, TopicName as WireTopicName};

use super::names::{by_topic, wire_group, wire_topic};
use super::request::{Request, Throttled, bad_message, read_throttle_time, succeeded};
use crate::kafka::api::Api;
use crate::kafka::committed::CommittedOffsets;
use crate::kafka::error::KafkaError;
use crate::lag::{GroupId, TopicPartition};
use crate::offsets_topic::Malformed;
use crate::offsets_topic::reader::Reader;

/// Asks a coordinator for committed offsets, those of open transactions aside.
#[derive(Clone, Debug)]
pub(in crate::kafka) struct OffsetFetch {
    /// The groups. Before version 8 the first alone is asked for, as a request names one.
    pub(in crate::kafka) groups: Vec<GroupId>,
    /// The partitions of each group; nothing for all that it has a commit on, which version 1 cannot ask for.
    pub(in crate::kafka) partitions: Option<Arc<[TopicPartition]>>,
}

impl Request for OffsetFetch {
    const API: Api = Api::OFFSET_FETCH;
    // Version 10 names topics by their ids.
    const VERSIONS: (i16, i16) = (1, 9);
    const FLEXIBLE: i16 = 6;
    type Message = OffsetFetchRequest;
    /// The groups, as the broker orders them; without those whose id is not UTF-8.
    type Response = Vec<(GroupId, Result<CommittedOffsets, KafkaError>)>;

    /// Many groups a request from version 8 on (KIP-709), all partitions of a group from version 2 on.
    fn oldest(&self) -> i16 {
        match (self.groups.len(), &self.partitions) {
            (2.., _) => 8,
            (_, None) => 2,
            (_, Some(_)) => 1,
        }
    }

    fn message(&self, version: i16) -> OffsetFetchRequest {
        let request = OffsetFetchRequest::default().with_require_stable(false);
        if version >= 8 {
            let topics: Option<Vec<_>> = self.topics(|name, partition_indexes| {
                OffsetFetchRequestTopics::default()
                    .with_name(name)
                    .with_partition_indexes(partition_indexes)
            });
            let group = |group: &GroupId| {
                OffsetFetchRequestGroup::default()
                    .with_group_id(wire_group(group))
                    // lagwatch is not a member of the group.
                    .with_member_id(None)
                    .with_member_epoch(-1)
                    .with_topics(topics.clone())
            };
            return request.with_groups(self.groups.iter().map(group).collect());
        }
        let topics = self.topics(|name, partition_indexes| {
            OffsetFetchRequestTopic::default()
                .with_name(name)
                .with_partition_indexes(partition_indexes)
        });
        let group = self.groups.first().map(wire_group);
        request
            .with_group_id(group.unwrap_or_default())
            .with_topics(topics)
    }

    fn read(&self, body: &mut Reader<'_>) -> Result<Throttled<Self::Response>, Malformed> {
        let throttle_time_ms = read_throttle_time(body, 3)?;
        let mut groups = Vec::new();
        if body.version() >= 8 {
            body.each("Groups", |body| {
                let id = str::from_utf8(body.string_bytes("Groups.GroupId")?).ok();
                let committed = read_committed(body)?;
                body.end()?;
                groups.extend(id.map(|id| (GroupId::from(id), committed)));
                Ok(())
            })?;
        } else {
            let committed = read_committed(body)?;
            let group = self.groups.first().cloned();
            groups.extend(group.map(|group| (group, committed)));
        }
        body.end()?;
        Ok(Throttled::new(throttle_time_ms, groups))
    }
}

impl OffsetFetch {
    /// Returns the partitions topic by topic; nothing for all that a group has.
    fn topics<T>(&self, topic: impl Fn(WireTopicName, Vec<i32>) -> T) -> Option<Vec<T>> {
        let partitions = self.partitions.as_deref()?;
        let topics = by_topic(partitions.iter(), |partition| partition).into_iter();
        let topics = topics.map(|(name, partitions)| {
            let numbers = partitions.iter().map(|partition| partition.partition.0);
            topic(wire_topic(name), numbers.collect())
        });
        Some(topics.collect())
    }
}

/// Reads the topics of one group and its error code.
fn read_committed(
    body: &mut Reader<'_>,
) -> Result<Result<CommittedOffsets, KafkaError>, Malformed> {
    let committed = CommittedOffsets::read(body)?;
    let code = match body.version() {
        2.. => body.i16("ErrorCode")?,
        _ => 0,
    };
    Ok(succeeded(code, None).and_then(|()| committed.map_err(bad_message)))
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::OffsetFetchResponse;
    use kafka_protocol::messages::offset_fetch_response::{
        OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
        OffsetFetchResponseTopic, OffsetFetchResponseTopics,
    };

    use super::super::names::wire_string;
    use super::super::request::decode;
    use super::super::tests::{body, read, sent, survives};
    use super::*;
    use crate::kafka::error::ErrorCode;
    use crate::lag::{Committed, Offset};

    /// A topic and its partitions: number, offset, error code.
    type Topic<'a> = (&'a str, &'a [(i32, i64, i16)]);

    fn request(partitions: Option<&[TopicPartition]>) -> OffsetFetch {
        OffsetFetch {
            groups: vec!["g".into()],
            partitions: partitions.map(Arc::from),
        }
    }

    /// Returns the response for one group.
    fn response(version: i16, topics: &[Topic<'_>], code: i16) -> OffsetFetchResponse {
        let metadata = Some(wire_string("\u{1f980}"));
        if version < 8 {
            let partition = |&(number, offset, code): &(i32, i64, i16)| {
                OffsetFetchResponsePartition::default()
                    .with_partition_index(number)
                    .with_committed_offset(offset)
                    .with_metadata(metadata.clone())
                    .with_error_code(code)
            };
            let topic = |&(name, partitions): &Topic<'_>| {
                OffsetFetchResponseTopic::default()
                    .with_name(wire_topic(&name.into()))
                    .with_partitions(partitions.iter().map(partition).collect())
            };
            return OffsetFetchResponse::default()
                .with_topics(topics.iter().map(topic).collect())
                .with_error_code(code);
        }
        let partition = |&(number, offset, code): &(i32, i64, i16)| {
            OffsetFetchResponsePartitions::default()
                .with_partition_index(number)
                .with_committed_offset(offset)
                .with_metadata(metadata.clone())
                .with_error_code(code)
        };
        let topic = |&(name, partitions): &Topic<'_>| {
            OffsetFetchResponseTopics::default()
                .with_name(wire_topic(&name.into()))
                .with_partitions(partitions.iter().map(partition).collect())
        };
        let group = OffsetFetchResponseGroup::default()
            .with_group_id(wire_group(&"g".into()))
            .with_topics(topics.iter().map(topic).collect())
            .with_error_code(code);
        OffsetFetchResponse::default().with_groups(vec![group])
    }

    fn committed(version: i16, topics: &[Topic<'_>]) -> CommittedOffsets {
        let mut groups = read(&request(None), version, &response(version, topics, 0));
        let (id, committed) = groups.remove(0);
        assert_eq!((id.as_str(), groups.len()), ("g", 0));
        committed.expect("the group has no error")
    }

    fn at(offset: i64) -> Result<Committed, KafkaError> {
        Ok(Committed::At(Offset::new(offset).expect("it is positive")))
    }

    #[test]
    fn commits_of_every_version_are_sorted_by_partition() {
        let topics: [Topic<'_>; 2] = [("t", &[(1, 7, 0), (0, -1, 0)]), ("s", &[(2, 0, 0)])];
        let expected = [
            (TopicPartition::new("s", 2), at(0)),
            (TopicPartition::new("t", 0), Ok(Committed::Never)),
            (TopicPartition::new("t", 1), at(7)),
        ];
        for version in 1..=9 {
            let groups = survives(&request(None), version, &response(version, &topics, 0));
            let [(_, Ok(committed))] = &*groups else {
                panic!("version {version}: {groups:?}");
            };
            assert_eq!(committed.decode(), expected, "version {version}");
            assert!(!committed.is_empty());
        }
    }

    #[test]
    fn unchanged_commits_are_equal_and_changed_ones_are_not() {
        for version in 1..=9 {
            let before = committed(version, &[("t", &[(0, 7, 0)])]);
            assert_eq!(before, committed(version, &[("t", &[(0, 7, 0)])]));
            assert_ne!(before, committed(version, &[("t", &[(0, 8, 0)])]));
            assert_ne!(before, committed(version, &[]));
            assert!(committed(version, &[]).is_empty());
        }
    }

    #[test]
    fn what_changed_alone_is_decoded() {
        let before: [Topic<'_>; 2] = [("t", &[(1, 7, 0), (0, -1, 0)]), ("s", &[(2, 0, 0)])];
        for version in 1..=9 {
            let changes_to = |topics: &[Topic<'_>]| {
                let now = committed(version, topics);
                now.changes_since(&committed(version, &before))
            };
            assert_eq!(changes_to(&before), Some(Vec::new()));
            let changes = changes_to(&[("t", &[(1, 7, 3), (0, 4, 0)]), ("s", &[(2, 0, 0)])]);
            let changes = changes.expect("the partitions are the same");
            let unknown = KafkaError::of(ErrorCode::UNKNOWN_TOPIC_OR_PART);
            let expected = [
                (TopicPartition::new("t", 0), at(4)),
                (TopicPartition::new("t", 1), Err(unknown)),
            ];
            assert_eq!(changes, expected, "version {version}");
            let others: [&[Topic<'_>]; 5] = [
                &[],
                &before[..1],
                &[("s", &[(2, 0, 0)]), ("t", &[(1, 7, 0), (0, -1, 0)])],
                &[("t", &[(1, 7, 0), (0, -1, 0)]), ("s", &[(3, 0, 0)])],
                &[("t", &[(1, 7, 0), (0, -1, 0)]), ("r", &[(2, 0, 0)])],
            ];
            for other in others {
                assert_eq!(changes_to(other), None, "version {version}: {other:?}");
            }
        }
    }

    #[test]
    fn what_changed_is_found_wherever_it_stands() {
        let ids: Vec<(i32, i64, i16)> = (0..9).map(|number| (number, 7, 0)).collect();
        for version in 1..=9 {
            for place in 0..18 {
                let mut topics = [ids.clone(), ids.clone()];
                topics[place / 9][place % 9].1 = 8;
                let [a, b] = &topics;
                let now = committed(version, &[("a", a), ("b", b)]);
                let before = committed(version, &[("a", &ids), ("b", &ids)]);
                let (topic, number) = (["a", "b"][place / 9], i32::try_from(place % 9));
                let partition = TopicPartition::new(topic, number.expect("it is small"));
                assert_eq!(now.changes_since(&before), Some(vec![(partition, at(8))]));
            }
            let other = committed(version, &[("a", &ids), ("b", &ids[..8]), ("c", &ids[..1])]);
            let before = committed(version, &[("a", &ids), ("b", &ids)]);
            assert_eq!(other.changes_since(&before), None);
        }
    }

    #[test]
    fn errors_of_partitions_are_known_without_decoding() {
        for version in 1..=9 {
            assert!(!committed(version, &[("t", &[(0, -1, 0), (1, 4, 0)])]).has_errors());
            assert!(committed(version, &[("t", &[(0, 4, 0), (1, 4, 3)])]).has_errors());
            assert!(committed(version, &[("t", &[(0, -2, 0)])]).has_errors());
        }
    }

    #[test]
    fn what_failed_for_a_partition_is_an_error_at_its_place() {
        for version in 1..=9 {
            let topics: [Topic<'_>; 1] = [("t", &[(0, -1, 3), (1, -2, 0), (2, 4, 0), (2, 5, 0)])];
            let committed = committed(version, &topics).decode();
            let codes = committed.iter().map(|(partition, committed)| {
                let code = committed.as_ref().map_err(|error| error.code);
                (partition.partition.0, code.copied())
            });
            let at_4 = Ok(Committed::At(Offset::new(4).expect("it is positive")));
            assert_eq!(
                codes.collect::<Vec<_>>(),
                [
                    (0, Err(ErrorCode::UNKNOWN_TOPIC_OR_PART)),
                    (1, Err(ErrorCode::BAD_MSG)),
                    (2, at_4),
                ],
            );
        }
    }

    #[test]
    fn a_group_that_failed_is_an_error_at_its_place() {
        for version in 2..=9 {
            let groups = read(&request(None), version, &response(version, &[], 16));
            let errors = groups
                .into_iter()
                .map(|(_, group)| group.map_err(|error| error.code));
            let expected = [Err(ErrorCode::NOT_COORDINATOR)];
            assert_eq!(errors.collect::<Vec<_>>(), expected, "version {version}");
        }
    }

    #[test]
    fn names_that_kafka_cannot_have_cost_their_group_alone() {
        for version in 1..=9 {
            for topics in [[("/", &[(0, 1, 0)][..])], [("t", &[(-1, 1, 0)])]] {
                let groups = read(&request(None), version, &response(version, &topics, 0));
                let errors = groups
                    .into_iter()
                    .map(|(_, group)| group.map_err(|error| error.code));
                assert_eq!(errors.collect::<Vec<_>>(), [Err(ErrorCode::BAD_MSG)]);
            }
        }
        let mut response = response(8, &[("/", &[(0, 1, 0)])], 0);
        let sound = self::response(8, &[("t", &[(0, 1, 0)])], 0)
            .groups
            .remove(0);
        response.groups.push(sound);
        let groups = read(&request(None), 8, &response);
        let is_sound: Vec<bool> = groups.iter().map(|(_, group)| group.is_ok()).collect();
        assert_eq!(is_sound, [false, true]);
    }

    #[test]
    fn the_partitions_of_a_topic_share_its_name() {
        for version in 1..=9 {
            let decoded = committed(version, &[("t", &[(0, 1, 0), (1, 1, 0), (2, 1, 0)])]).decode();
            let names = decoded
                .iter()
                .map(|(partition, _)| partition.topic.as_str().as_ptr());
            let names: Vec<_> = names.collect();
            assert!(names.iter().all(|name| *name == names[0]));
        }
    }

    #[test]
    fn a_count_of_partitions_that_were_not_sent_is_an_error() {
        let mut bytes = body::<OffsetFetch>(1, &response(1, &[("t", &[(0, 1, 0)])], 0));
        let count = bytes.len() - 24..bytes.len() - 20;
        assert_eq!(bytes[count.clone()], [0, 0, 0, 1]);
        bytes[count].copy_from_slice(&i32::MAX.to_be_bytes());
        let error = decode(&request(None), 1, &bytes).expect_err("there are not so many");
        assert_eq!(error.code, ErrorCode::BAD_MSG);
    }

    #[test]
    fn partitions_are_named_topic_by_topic() {
        let partitions = ["t", "s", "t"].map(|topic| TopicPartition::new(topic, 4));
        for version in 1..=9 {
            let sent = sent(&request(Some(&partitions)), version);
            let topics: Vec<_> = match sent.groups.first() {
                Some(group) => {
                    assert_eq!(group.group_id.as_str(), "g");
                    let topics = group.topics.iter().flatten();
                    let topics =
                        topics.map(|topic| (topic.name.as_str(), &topic.partition_indexes));
                    topics.collect()
                }
                None => {
                    assert_eq!(sent.group_id.as_str(), "g");
                    let topics = sent.topics.iter().flatten();
                    let topics =
                        topics.map(|topic| (topic.name.as_str(), &topic.partition_indexes));
                    topics.collect()
                }
            };
            assert_eq!(topics, [("s", &vec![4]), ("t", &vec![4, 4])]);
        }
    }

    #[test]
    fn all_partitions_are_asked_for_by_naming_none() {
        for version in 2..=9 {
            let sent = sent(&request(None), version);
            let topics_are_null = match sent.groups.first() {
                Some(group) => group.topics.is_none(),
                None => sent.topics.is_none(),
            };
            assert!(topics_are_null, "version {version}");
            assert!(!sent.require_stable);
        }
    }
}
