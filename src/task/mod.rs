//! The task consumer: polls, processes, commits, and tells what it did.
//!
//! [`run`] is the loop; [`config`] says how it shall behave; [`produce`](produce()) makes something to consume.
//! It knows nothing of the collectors that watch its lag.

mod audit;
pub mod config;
pub mod dead_letter;
mod error;
pub mod event;
pub mod handler;
mod journal;
mod offsets;
mod partition;
pub mod produce;
mod run;
mod work;

pub use audit::AuditError;
pub use config::{Backoff, CommitMode, CommitStrategy, Preset, TaskConfig};
pub use error::TaskError;
pub use event::{EventError, EventId, TaskCreated};
pub use handler::{HandlerError, TaskHandler};
pub use produce::{Pace, ProduceConfig, ProduceSummary, RecordSource, produce};
pub use run::{TaskConsumer, TaskSummary, run};
