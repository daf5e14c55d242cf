//! What lag means: ids, offsets and the arithmetic between them.
//!
//! Pure: no clock, no I/O and no Kafka; whatever depends on time takes `now` as an argument.

pub mod group;
pub mod ids;
pub mod offset;
pub mod partition;
pub mod share;

pub use group::TopicTotals;
pub use ids::{BrokerId, ClusterName, GroupId, PartitionId, TopicId, TopicName, TopicPartition};
pub use offset::{Committed, Offset, Watermarks};
pub use partition::{
    Distance, Isolation, Lag, Unavailable, UncommittedPolicy, partition_lag, readable_end,
};
pub use share::{Share, partition_of};
