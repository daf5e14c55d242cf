//! The alerts and rules that ship with lagwatch.

mod completeness;
mod firing_kafka;
mod migration;
mod rule_files;
