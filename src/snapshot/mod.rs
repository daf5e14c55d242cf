//! What the world looked like at one instant: immutable values, published and read without a lock.
//!
//! Nothing here fetches, computes a lag or renders. Rows are sorted by their ids, and a row that did not change
//! between two cycles may be shared by both snapshots. What happened in between is in the [`EventLog`].

mod cluster;
mod cycle;
mod event;
mod event_log;
mod exposure;
mod group;
mod group_state;
mod member;
mod moment;
mod partition;
mod revision;
mod rows;
mod sorted;
mod store;
mod topic;

pub use cluster::{BrokerRow, ClusterSnapshot, SkippedGroup};
pub use cycle::{CollectMode, CycleOutcome};
pub use event::{
    Event, EventKind, EventPosition, Happening, MemberShare, NotAnEventPosition, Rebalance,
};
pub use event_log::{EventBounds, EventLog, EventPage, EventWriter, Gap};
pub use exposure::{AbandonedPolicy, Exposure, Granularity, OwnerInfo};
pub use group::{Activity, Commits, GroupFailure, GroupRow, Membership, RowsToJudge};
pub use group_state::{GroupState, GroupType};
pub use member::{Member, MemberList};
pub use moment::Moment;
pub use partition::{Judgement, MemberIndex, PartitionRow, Reading};
pub use revision::Revision;
pub use rows::{PartitionRows, PartitionRun};
pub(crate) use sorted::walk_to;
pub use store::{SnapshotSlot, SnapshotStore, World};
pub use topic::{TopicPartitionRow, TopicRow, TopicSeries};
