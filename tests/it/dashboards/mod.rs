//! The dashboards that ship with lagwatch.

mod files;
mod grafana;
mod panels;
mod prometheus;
mod promql;
mod queries;
