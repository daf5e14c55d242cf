//! lagwatch shows how far every Kafka consumer group is behind, why, and what happens next.
//!
//! Modules import only from lower layers:
//!
//! | layer | modules |
//! | --- | --- |
//! | 0 | [`lag`]: pure arithmetic and rules; [`offsets_topic`]: the records of `__consumer_offsets`; [`diagnostics`]: how errors are written |
//! | 1 | [`snapshot`]: one cluster at one instant; [`metrics`]: the table of every metric |
//! | 2 | [`kafka`]: safe asynchronous Kafka |
//! | 3 | [`collect`]: pollers; [`task`]: the task consumer; [`exposition`]: values to bytes |
//! | 4 | [`http`]: the server |
//! | 5 | [`app`]: configuration, wiring, reload |
//! | 6 | [`cli`]: commands and printing |

pub mod app;
pub mod cli;
pub mod collect;
pub mod diagnostics;
pub mod exposition;
pub mod http;
pub mod kafka;
pub mod lag;
pub mod metrics;
pub mod offsets_topic;
pub mod snapshot;
pub mod task;
