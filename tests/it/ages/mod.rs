//! The time lag: how old the oldest unconsumed record is, against what the tests know of each record.

mod backlog_kafka;
mod changes_kafka;
mod schedules;
mod schedules_kafka;
mod world;
