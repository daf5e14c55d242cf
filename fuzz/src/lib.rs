//! The modules of lagwatch that are fuzzed, built alone: without Kafka's client nothing takes long to instrument.

// What the modules offer to the rest of lagwatch is not called here.
#![allow(dead_code, unused_imports)]

pub mod members;

#[path = "../../src/lag"]
pub mod lag {
    pub mod ids;
    pub mod offset;
    pub mod partition;

    pub use ids::{BrokerId, GroupId, PartitionId, TopicId, TopicName, TopicPartition};
    pub use offset::{Committed, Offset};
    pub use partition::Isolation;
}
#[path = "../../src/offsets_topic/mod.rs"]
pub mod offsets_topic;
#[path = "../../src/snapshot"]
pub mod snapshot {
    mod group_state;
    mod member;

    pub use group_state::{GroupState, GroupType};
    pub use member::Member;
}
#[path = "../../src/kafka"]
pub mod kafka {
    pub mod admin;
    pub mod api;
    pub mod committed;
    pub mod error;
    /// The one module that is not lagwatch's own: its names of error codes are librdkafka's.
    #[path = "../../fuzz/src/native"]
    mod native {
        pub(super) mod codes;
    }
    #[path = "../../fuzz/src/responses.rs"]
    pub mod responses;
    mod wire {
        pub(super) mod message;
    }
}
