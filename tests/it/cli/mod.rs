//! The binary: its commands, flags, exit codes and signals.

mod bad_input;
mod commands;
mod demo;
mod health;
mod help;
mod serve;
mod unreachable_cluster;
mod web_config;
