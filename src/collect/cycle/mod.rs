//! What a poller does: whole cycles, which ask about everything, and what changes between two of them.
//!
//! Both end in an [`Update`](super::update::Update), from which the [`Collector`] makes the next snapshot.

mod changes;
mod collector;
mod sources;
mod whole;

pub(super) use self::changes::show as show_changes;
pub(super) use self::collector::Collector;
pub(super) use self::whole::run as run_whole;
