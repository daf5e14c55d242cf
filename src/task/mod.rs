//! The task consumer: polls, processes, commits, and reports what it did.
//!
//! [`run`] is the loop; [`config`] holds its settings; [`produce`](produce()) produces events for it.
//! It knows nothing of the collectors that watch its lag.

mod assigned;
mod audit;
mod commit_schedule;
pub mod config;
pub mod dead_letter;
mod error;
pub mod event;
pub mod handler;
mod item;
mod journal;
mod partition;
pub mod produce;
mod run;
mod summary;
mod work;

pub use audit::AuditError;
pub use config::{Backoff, CommitMode, CommitStrategy, Preset, TaskConfig};
pub use error::TaskError;
pub use event::{EventError, EventId, TaskCreated};
pub use handler::{HandlerError, TaskHandler};
pub use produce::{Pace, ProduceConfig, ProduceSummary, RecordSource, produce};
pub use run::{TaskConsumer, run};
pub use summary::TaskSummary;
