//! Consumer groups: listing, describing, and what they have committed.

use std::sync::Arc;
use std::time::Duration;

use rdkafka_sys as sys;
use sys::rd_kafka_consumer_group_state_t as NativeState;
use sys::rd_kafka_consumer_group_type_t as NativeType;

use super::array;
use super::calls::Call;
use super::client::Client;
use super::event::Event;
use super::options::Options;
use super::partitions::{PartitionList, Reader};
use super::{codes, text};
use crate::kafka::admin::{GroupDescription, ListedGroup};
use crate::kafka::error::{ErrorCode, KafkaError};
use crate::lag::{BrokerId, Committed, GroupId, Offset, TopicPartition};
use crate::snapshot::{GroupState, GroupType, Member};

/// What a group has committed, partition by partition.
pub(in crate::kafka) type CommittedOffsets = Vec<(TopicPartition, Result<Committed, KafkaError>)>;

impl Client {
    /// Returns the groups that `broker` coordinates, in these states and of these types; all where none are named.
    pub(in crate::kafka) async fn list_groups(
        &self,
        broker: BrokerId,
        states: &[GroupState],
        types: &[GroupType],
        timeout: Duration,
    ) -> Result<Vec<ListedGroup>, KafkaError> {
        let call = self.send_list_groups(broker, states, types, timeout)?;
        call.answer().await
    }

    /// Returns a group as `broker`, its coordinator, describes it.
    pub(in crate::kafka) async fn describe_group(
        &self,
        group: &GroupId,
        broker: BrokerId,
        timeout: Duration,
    ) -> Result<GroupDescription, KafkaError> {
        let kind = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
        let options = Options::new(self, kind, timeout)?.at_broker(broker)?;
        self.send_describe(group, &options, copy_description)?
            .answer()
            .await
    }

    /// Returns what a group has committed, as `broker`, its coordinator, tells it.
    pub(in crate::kafka) async fn committed_offsets(
        &self,
        group: &GroupId,
        partitions: Option<&[TopicPartition]>,
        broker: BrokerId,
        timeout: Duration,
    ) -> Result<CommittedOffsets, KafkaError> {
        let call = self.send_committed_offsets(group, partitions, broker, timeout)?;
        call.answer().await
    }

    fn send_list_groups(
        &self,
        broker: BrokerId,
        states: &[GroupState],
        types: &[GroupType],
        timeout: Duration,
    ) -> Result<Call<Vec<ListedGroup>>, KafkaError> {
        let states: Vec<_> = states
            .iter()
            .filter_map(|state| to_native(*state))
            .collect();
        let types: Vec<_> = types
            .iter()
            .filter_map(|kind| to_native_type(*kind))
            .collect();
        let kind = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS;
        let options = Options::new(self, kind, timeout)?
            .at_broker(broker)?
            .in_states(&states)?
            .of_types(&types)?;
        self.call(&options, copy_listing, |live, options| {
            // SAFETY: client, options and queue are live; options are copied.
            unsafe {
                sys::rd_kafka_ListConsumerGroups(
                    live.handle.as_ptr(),
                    options,
                    live.queue.as_ptr(),
                );
            }
        })
    }

    /// Has a group described; `copy` gets the answer.
    pub(super) fn send_describe<T: Send + 'static>(
        &self,
        group: &GroupId,
        options: &Options,
        copy: fn(&Event) -> Result<T, KafkaError>,
    ) -> Result<Call<T>, KafkaError> {
        let group = text::c_string(group.as_str());
        self.call(options, copy, |live, options| {
            let mut groups = [group.as_ptr()];
            // SAFETY: client, options and queue are live; options, array and string are copied.
            unsafe {
                sys::rd_kafka_DescribeConsumerGroups(
                    live.handle.as_ptr(),
                    groups.as_mut_ptr(),
                    groups.len(),
                    options,
                    live.queue.as_ptr(),
                );
            }
        })
    }

    fn send_committed_offsets(
        &self,
        group: &GroupId,
        partitions: Option<&[TopicPartition]>,
        broker: BrokerId,
        timeout: Duration,
    ) -> Result<Call<CommittedOffsets>, KafkaError> {
        let kind = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS;
        let options = Options::new(self, kind, timeout)?.at_broker(broker)?;
        let request = OffsetsRequest::new(group, partitions);
        self.call(&options, copy_offsets, |live, options| {
            let mut requests = [request.as_ptr()];
            // SAFETY: client, options, queue and request are live; options and request are copied.
            unsafe {
                sys::rd_kafka_ListConsumerGroupOffsets(
                    live.handle.as_ptr(),
                    requests.as_mut_ptr(),
                    requests.len(),
                    options,
                    live.queue.as_ptr(),
                );
            }
        })
    }
}

/// An owned request for one group's offsets.
pub(super) struct OffsetsRequest(*mut sys::rd_kafka_ListConsumerGroupOffsets_t);

impl OffsetsRequest {
    pub(super) fn new(group: &GroupId, partitions: Option<&[TopicPartition]>) -> Self {
        let group = text::c_string(group.as_str());
        let list = partitions.map(|partitions| {
            // The offset field is an answer's; librdkafka's own lists begin with "none".
            let none = i64::from(sys::RD_KAFKA_OFFSET_INVALID);
            PartitionList::new(partitions.iter().map(|partition| (partition, none)))
        });
        let list = list
            .as_ref()
            .map_or(std::ptr::null_mut(), PartitionList::as_ptr);
        // SAFETY: the string and the list, where there is one, are live and copied.
        Self(unsafe { sys::rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), list) })
    }

    /// Returns the pointer, valid while `self` lives.
    pub(super) fn as_ptr(&self) -> *mut sys::rd_kafka_ListConsumerGroupOffsets_t {
        self.0
    }
}

impl Drop for OffsetsRequest {
    fn drop(&mut self) {
        // SAFETY: owned, and destroyed once.
        unsafe { sys::rd_kafka_ListConsumerGroupOffsets_destroy(self.0) };
    }
}

fn copy_listing(event: &Event) -> Result<Vec<ListedGroup>, KafkaError> {
    event.error()?;
    // SAFETY: the event is live; null if it is of another type.
    let result = unsafe { sys::rd_kafka_event_ListConsumerGroups_result(event.as_ptr()) };
    if result.is_null() {
        return Err(unexpected_answer());
    }
    let mut count = 0;
    // SAFETY: the result lives as long as its event.
    let errors = unsafe { sys::rd_kafka_ListConsumerGroups_result_errors(result, &raw mut count) };
    // SAFETY: the array and its length, owned by the result.
    let errors = unsafe { array::view(errors, count) };
    if let Some(&first) = errors.first() {
        // SAFETY: an element of the result is live.
        unsafe { codes::of_error(first) }?;
    }
    // SAFETY: the result lives as long as its event.
    let groups = unsafe { sys::rd_kafka_ListConsumerGroups_result_valid(result, &raw mut count) };
    // SAFETY: the array and its length, owned by whatever it was asked of.
    let groups = unsafe { array::view(groups, count) };
    Ok(groups
        .iter()
        .map(|&group| {
            // SAFETY: an element of the result is live.
            unsafe { copy_listed_group(group) }
        })
        .collect())
}

/// # Safety
///
/// `group` is a live listing.
unsafe fn copy_listed_group(group: *const sys::rd_kafka_ConsumerGroupListing_t) -> ListedGroup {
    // SAFETY: live by the caller's promise.
    let id = unsafe { sys::rd_kafka_ConsumerGroupListing_group_id(group) };
    // SAFETY: as above.
    let state = unsafe { sys::rd_kafka_ConsumerGroupListing_state(group) };
    // SAFETY: as above.
    let group_type = unsafe { sys::rd_kafka_ConsumerGroupListing_type(group) };
    // SAFETY: as above.
    let is_simple = unsafe { sys::rd_kafka_ConsumerGroupListing_is_simple_consumer_group(group) };
    ListedGroup {
        // SAFETY: a string owned by the listing, copied here.
        id: GroupId::from(unsafe { text::lossy(id) }),
        state: from_native(state),
        group_type: from_native_type(group_type),
        protocol_type: if is_simple != 0 {
            String::new()
        } else {
            "consumer".to_owned()
        },
    }
}

fn copy_description(event: &Event) -> Result<GroupDescription, KafkaError> {
    let group = described(event)?;
    // SAFETY: the description lives as long as its event.
    Ok(unsafe { copy_group(group) })
}

/// Returns the one group that an event describes; it lives as long as the event.
pub(super) fn described(
    event: &Event,
) -> Result<*const sys::rd_kafka_ConsumerGroupDescription_t, KafkaError> {
    event.error()?;
    // SAFETY: the event is live; null if it is of another type.
    let result = unsafe { sys::rd_kafka_event_DescribeConsumerGroups_result(event.as_ptr()) };
    if result.is_null() {
        return Err(unexpected_answer());
    }
    let mut count = 0;
    // SAFETY: the result lives as long as its event.
    let groups =
        unsafe { sys::rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut count) };
    if count == 0 {
        return Err(unexpected_answer());
    }
    // SAFETY: the array has `count` elements.
    let group = unsafe { *groups };
    // SAFETY: an element of the result is live.
    let error = unsafe { sys::rd_kafka_ConsumerGroupDescription_error(group) };
    // SAFETY: null or an error owned by the description.
    unsafe { codes::of_error(error) }?;
    Ok(group)
}

/// # Safety
///
/// `group` is a live description.
unsafe fn copy_group(group: *const sys::rd_kafka_ConsumerGroupDescription_t) -> GroupDescription {
    // SAFETY: live by the caller's promise.
    let state = unsafe { sys::rd_kafka_ConsumerGroupDescription_state(group) };
    // SAFETY: as above.
    let group_type = unsafe { sys::rd_kafka_ConsumerGroupDescription_type(group) };
    // SAFETY: as above.
    let assignor = unsafe { sys::rd_kafka_ConsumerGroupDescription_partition_assignor(group) };
    // SAFETY: as above.
    let coordinator = unsafe { sys::rd_kafka_ConsumerGroupDescription_coordinator(group) };
    // SAFETY: as above.
    let count = unsafe { sys::rd_kafka_ConsumerGroupDescription_member_count(group) };
    let members = (0..count)
        .map(|index| {
            // SAFETY: live, and the index is within the count.
            let member = unsafe { sys::rd_kafka_ConsumerGroupDescription_member(group, index) };
            // SAFETY: a member of a live description.
            unsafe { copy_member(member) }
        })
        .collect();
    GroupDescription {
        state: from_native(state),
        group_type: from_native_type(group_type),
        protocol_type: "consumer".to_owned(),
        malformed: None,
        // SAFETY: null or a string owned by the description, copied here.
        assignor: unsafe { text::lossy(assignor) },
        // SAFETY: null or a node owned by the description.
        coordinator: unsafe { node_id(coordinator) },
        members,
    }
}

/// # Safety
///
/// `member` is live.
unsafe fn copy_member(member: *const sys::rd_kafka_MemberDescription_t) -> Member {
    // SAFETY: live by the caller's promise.
    let id = unsafe { sys::rd_kafka_MemberDescription_consumer_id(member) };
    // SAFETY: as above.
    let client_id = unsafe { sys::rd_kafka_MemberDescription_client_id(member) };
    // SAFETY: as above.
    let host = unsafe { sys::rd_kafka_MemberDescription_host(member) };
    // SAFETY: as above.
    let instance_id = unsafe { sys::rd_kafka_MemberDescription_group_instance_id(member) };
    // SAFETY: as above. What it owns now, not a KIP-848 group's target, which it may yet have to wait for.
    let assignment = unsafe { sys::rd_kafka_MemberDescription_assignment(member) };
    // SAFETY: the assignment is owned by the member.
    let partitions = unsafe { sys::rd_kafka_MemberAssignment_partitions(assignment) };
    // SAFETY: null or a list owned by the assignment.
    let partitions = unsafe { Reader::default().list(partitions) };
    let mut assignment: Vec<_> = partitions
        .into_iter()
        .map(|element| element.partition)
        .collect();
    assignment.sort();
    Member {
        // SAFETY: a string owned by the member, copied here; so are the next two.
        id: Arc::from(unsafe { text::lossy(id) }),
        // SAFETY: as above.
        client_id: Arc::from(unsafe { text::lossy(client_id) }),
        // SAFETY: as above.
        host: Arc::from(unsafe { text::lossy(host) }),
        // SAFETY: null or a string owned by the member.
        instance_id: unsafe { text::lossy_opt(instance_id) }.map(Arc::from),
        assignment,
    }
}

fn copy_offsets(event: &Event) -> Result<CommittedOffsets, KafkaError> {
    event.error()?;
    // SAFETY: the event is live; null if it is of another type.
    let result = unsafe { sys::rd_kafka_event_ListConsumerGroupOffsets_result(event.as_ptr()) };
    if result.is_null() {
        return Err(unexpected_answer());
    }
    let mut count = 0;
    // SAFETY: the result lives as long as its event.
    let groups =
        unsafe { sys::rd_kafka_ListConsumerGroupOffsets_result_groups(result, &raw mut count) };
    if count == 0 {
        return Err(unexpected_answer());
    }
    // SAFETY: the array has `count` elements.
    let group = unsafe { *groups };
    // SAFETY: an element of the result is live.
    let error = unsafe { sys::rd_kafka_group_result_error(group) };
    // SAFETY: null or an error owned by the result.
    unsafe { codes::of_error(error) }?;
    // SAFETY: an element of the result is live.
    let partitions = unsafe { sys::rd_kafka_group_result_partitions(group) };
    // SAFETY: null or a list owned by the result.
    let elements = unsafe { Reader::default().list(partitions) };
    Ok(elements
        .into_iter()
        .map(|element| {
            let committed = element
                .outcome
                .map(|()| Offset::new(element.offset).map_or(Committed::Never, Committed::At));
            (element.partition, committed)
        })
        .collect())
}

/// Returns a node's id; nothing for null and for a node that is only a bootstrap address.
///
/// # Safety
///
/// `node` is null or live.
pub(super) unsafe fn node_id(node: *const sys::rd_kafka_Node_t) -> Option<BrokerId> {
    if node.is_null() {
        return None;
    }
    // SAFETY: live by the caller's promise.
    let id = unsafe { sys::rd_kafka_Node_id(node) };
    (id >= 0).then_some(BrokerId(id))
}

/// Returns the error for an answer of another kind than its call's.
pub(super) fn unexpected_answer() -> KafkaError {
    KafkaError {
        code: ErrorCode::BAD_MSG,
        message: "librdkafka answered another question".to_owned(),
    }
}

fn from_native(state: NativeState) -> GroupState {
    match state {
        NativeState::RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE => {
            GroupState::PreparingRebalance
        }
        NativeState::RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE => {
            GroupState::CompletingRebalance
        }
        NativeState::RD_KAFKA_CONSUMER_GROUP_STATE_STABLE => GroupState::Stable,
        NativeState::RD_KAFKA_CONSUMER_GROUP_STATE_DEAD => GroupState::Dead,
        NativeState::RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY => GroupState::Empty,
        // librdkafka has no word for KIP-848's Assigning and Reconciling.
        _ => GroupState::Unknown,
    }
}

fn to_native(state: GroupState) -> Option<NativeState> {
    match state {
        GroupState::PreparingRebalance => {
            Some(NativeState::RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE)
        }
        GroupState::CompletingRebalance => {
            Some(NativeState::RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE)
        }
        GroupState::Stable => Some(NativeState::RD_KAFKA_CONSUMER_GROUP_STATE_STABLE),
        GroupState::Dead => Some(NativeState::RD_KAFKA_CONSUMER_GROUP_STATE_DEAD),
        GroupState::Empty => Some(NativeState::RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY),
        GroupState::Unknown
        | GroupState::Assigning
        | GroupState::Reconciling
        | GroupState::NotReady => None,
    }
}

fn from_native_type(group_type: NativeType) -> GroupType {
    match group_type {
        NativeType::RD_KAFKA_CONSUMER_GROUP_TYPE_CLASSIC => GroupType::Classic,
        NativeType::RD_KAFKA_CONSUMER_GROUP_TYPE_CONSUMER => GroupType::Consumer,
        _ => GroupType::Unknown,
    }
}

fn to_native_type(group_type: GroupType) -> Option<NativeType> {
    match group_type {
        GroupType::Classic => Some(NativeType::RD_KAFKA_CONSUMER_GROUP_TYPE_CLASSIC),
        GroupType::Consumer => Some(NativeType::RD_KAFKA_CONSUMER_GROUP_TYPE_CONSUMER),
        GroupType::Unknown | GroupType::Share | GroupType::Streams => None,
    }
}
