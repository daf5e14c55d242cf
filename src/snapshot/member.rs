//! The members of a group.

use std::sync::Arc;

use crate::lag::TopicPartition;

/// The members of a group, as the coordinator orders them: Kafka's own tool breaks ties by that order.
pub type MemberList = Arc<[Member]>;

/// One member of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// The id the coordinator gave it (CONSUMER-ID).
    pub id: Arc<str>,
    /// Its `client.id`.
    pub client_id: Arc<str>,
    /// Where it connects from, as Kafka prints it: `/127.0.0.1`.
    pub host: Arc<str>,
    /// Its `group.instance.id`, where it is a static member.
    pub instance_id: Option<Arc<str>>,
    /// The partitions assigned to it, sorted.
    pub assignment: Vec<TopicPartition>,
}
