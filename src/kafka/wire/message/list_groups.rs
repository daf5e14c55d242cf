//! ListGroups: the groups that a broker coordinates.

use kafka_protocol::messages::ListGroupsRequest;

use super::request::{Request, Throttled, read_throttle_time, succeeded};
use crate::kafka::admin::ListedGroup;
use crate::kafka::api::Api;
use crate::kafka::error::KafkaError;
use crate::lag::GroupId;
use crate::offsets_topic::Malformed;
use crate::offsets_topic::reader::Reader;
use crate::snapshot::{GroupState, GroupType};

/// Asks for the groups of a broker.
pub(in crate::kafka) struct ListGroups;

impl Request for ListGroups {
    const API: Api = Api::LIST_GROUPS;
    const VERSIONS: (i16, i16) = (0, 5);
    const FLEXIBLE: i16 = 3;
    type Message = ListGroupsRequest;
    /// The groups, as the broker orders them; without those whose id is not UTF-8, as no request can name them.
    type Response = Result<Vec<ListedGroup>, KafkaError>;

    fn message(&self, _version: i16) -> ListGroupsRequest {
        ListGroupsRequest::default()
    }

    fn read(&self, body: &mut Reader<'_>) -> Result<Throttled<Self::Response>, Malformed> {
        let throttle_time_ms = read_throttle_time(body, 1)?;
        let code = body.i16("ErrorCode")?;
        let mut groups = Vec::new();
        body.each("Groups", |body| {
            groups.extend(read_group(body)?);
            Ok(())
        })?;
        body.end()?;
        let response = succeeded(code, None).map(|()| groups);
        Ok(Throttled::new(throttle_time_ms, response))
    }
}

/// Reads a group; nothing for one whose id is not UTF-8.
fn read_group(body: &mut Reader<'_>) -> Result<Option<ListedGroup>, Malformed> {
    let id = str::from_utf8(body.string_bytes("Groups.GroupId")?).ok();
    let protocol_type = body.lossy_string("Groups.ProtocolType")?;
    let state = match body.version() {
        4.. => GroupState::from_kafka(&body.lossy_string("Groups.GroupState")?),
        _ => GroupState::Unknown,
    };
    let group_type = match body.version() {
        5.. => GroupType::from_kafka(&body.lossy_string("Groups.GroupType")?),
        _ => GroupType::Unknown,
    };
    body.end()?;
    Ok(id.map(|id| ListedGroup {
        id: GroupId::from(id),
        state,
        group_type,
        protocol_type: protocol_type.into_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::ListGroupsResponse;
    use kafka_protocol::messages::list_groups_response::ListedGroup as WireGroup;

    use super::super::names::{wire_group, wire_string};
    use super::super::request::decode;
    use super::super::tests::{body, read, sent, survives};
    use super::*;
    use crate::kafka::error::ErrorCode;

    fn response(version: i16, groups: &[(&str, &str)]) -> ListGroupsResponse {
        let group = |&(id, protocol_type): &(&str, &str)| {
            let mut group = WireGroup::default()
                .with_group_id(wire_group(&id.into()))
                .with_protocol_type(wire_string(protocol_type));
            if version >= 4 {
                group.group_state = wire_string("PreparingRebalance");
            }
            if version >= 5 {
                group.group_type = wire_string("Consumer");
            }
            group
        };
        let throttle_time_ms = if version >= 1 { 7 } else { 0 };
        ListGroupsResponse::default()
            .with_throttle_time_ms(throttle_time_ms)
            .with_groups(groups.iter().map(group).collect())
    }

    #[test]
    fn groups_of_every_version_are_read_with_their_ids_untouched() {
        let ids = ["", "a\0b", "a\nb", "\u{1f980}", "connect-sink"];
        let groups: Vec<_> = ids.iter().map(|id| (*id, "consumer")).collect();
        for version in 0..=5 {
            let listed = survives(&ListGroups, version, &response(version, &groups));
            let expected = ids.map(|id| ListedGroup {
                id: id.into(),
                state: match version {
                    4.. => GroupState::PreparingRebalance,
                    _ => GroupState::Unknown,
                },
                group_type: match version {
                    5.. => GroupType::Consumer,
                    _ => GroupType::Unknown,
                },
                protocol_type: "consumer".to_owned(),
            });
            assert_eq!(listed, Ok(expected.to_vec()), "version {version}");
        }
    }

    #[test]
    fn a_broker_that_throttles_is_heard_from_version_1_on() {
        for version in 0..=5 {
            let bytes = body::<ListGroups>(version, &response(version, &[]));
            let throttle = decode(&ListGroups, version, &bytes).map(|response| response.throttle);
            let expected_ms = if version >= 1 { 7 } else { 0 };
            let expected = std::time::Duration::from_millis(expected_ms);
            assert_eq!(throttle, Ok(expected), "version {version}");
        }
    }

    #[test]
    fn a_group_that_no_request_can_name_is_skipped() {
        for version in 0..=5 {
            let response = response(version, &[("abc", "connect"), ("d", "")]);
            let mut bytes = body::<ListGroups>(version, &response);
            let at = bytes.windows(3).position(|bytes| bytes == b"abc");
            bytes[at.expect("the id is there")] = 0xff;
            let listed = decode(&ListGroups, version, &bytes).expect("the rest is sound");
            let ids = listed.response.map(|groups| {
                let ids = groups.into_iter().map(|group| group.id);
                ids.collect::<Vec<_>>()
            });
            assert_eq!(ids, Ok(vec!["d".into()]), "version {version}");
        }
    }

    #[test]
    fn an_error_code_is_an_error() {
        let response = ListGroupsResponse::default().with_error_code(15);
        for version in 0..=5 {
            let error = read(&ListGroups, version, &response).expect_err("it has a code");
            assert_eq!(error.code, ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }
    }

    #[test]
    fn every_group_is_asked_for() {
        for version in 0..=5 {
            let request = sent(&ListGroups, version);
            assert!(request.states_filter.is_empty(), "version {version}");
            assert!(request.types_filter.is_empty(), "version {version}");
        }
    }
}
