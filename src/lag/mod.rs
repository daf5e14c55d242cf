//! What lag means: ids, offsets and the arithmetic between them.
//!
//! Pure: no clock, no I/O and no Kafka; whatever depends on time takes `now` as an argument.

pub mod abandoned;
pub mod age;
pub mod drain;
pub mod group;
pub mod history;
pub mod ids;
pub mod index_search;
pub mod log_start;
pub mod observation;
pub mod offset;
pub mod outlook;
pub mod partition;
mod points;
pub mod retention;
pub mod rules;
pub mod share;
pub mod status;
#[cfg(test)]
mod tests;
pub mod timestamp;
pub mod verdict;
pub mod window;
mod wording;

pub use abandoned::AbandonedTopics;
pub use age::{Age, Method, Standing, Wait};
pub use drain::Drain;
pub use group::TopicTotals;
pub use history::{History, Progress, Sighting};
pub use ids::{BrokerId, ClusterName, GroupId, PartitionId, TopicId, TopicName, TopicPartition};
pub use index_search::{Asker, IndexAnswer};
pub use log_start::LogStart;
pub use observation::Observation;
pub use offset::{Committed, Offset, Watermarks};
pub use partition::{
    Distance, Isolation, Lag, Unavailable, UncommittedPolicy, partition_lag, readable_end,
};
pub use retention::{Headroom, Limit, RetentionError, RetentionPolicy, Unread, headroom};
pub use rules::{RuleInput, judge};
pub use share::{Share, partition_of};
pub use status::{Finding, Members, Ownership, Status};
pub use timestamp::Timestamp;
pub use verdict::{Sentence, Verdict};
pub use window::Window;
