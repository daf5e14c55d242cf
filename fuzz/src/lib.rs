//! The modules of lagwatch that are fuzzed, built alone: without Kafka's client nothing takes long to instrument.

#[path = "../../src/lag"]
pub mod lag {
    pub mod ids;
    pub mod offset;
}
#[path = "../../src/offsets_topic/mod.rs"]
pub mod offsets_topic;
