//! What lag means: ids, offsets and the arithmetic between them.
//!
//! Pure: no clock, no I/O and no Kafka; whatever depends on time takes `now` as an argument.

pub mod age;
pub mod group;
pub mod history;
pub mod ids;
pub mod index_search;
pub mod offset;
pub mod partition;
pub mod share;
#[cfg(test)]
mod tests;
pub mod timestamp;

pub use age::{Age, Method, Standing};
pub use group::TopicTotals;
pub use history::{History, Progress, Sighting};
pub use ids::{BrokerId, ClusterName, GroupId, PartitionId, TopicId, TopicName, TopicPartition};
pub use index_search::IndexAnswer;
pub use offset::{Committed, Offset, Watermarks};
pub use partition::{
    Distance, Isolation, Lag, Unavailable, UncommittedPolicy, partition_lag, readable_end,
};
pub use share::{Share, partition_of};
pub use timestamp::Timestamp;
