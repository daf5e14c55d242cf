//! Values to bytes: snapshots and this process's registry as Prometheus text, OpenMetrics, JSON and HTML.
//!
//! Rendering is pure: whatever is fresh is decided by an instant given as an argument, and nothing here computes a
//! lag or talks to Kafka. [`Scrapes`] keeps the bytes made from the newest snapshots, for every scraper to share.

mod cache;
mod families;
mod gzip;
pub mod html;
mod join;
pub mod json;
mod lines;
mod output;
mod own;
mod render;
mod rhythm;
mod run;
mod runs;
pub mod sse;
mod view;
mod writer;
mod zstd;

pub use cache::Scrapes;
pub use output::{Encoding, Part, body};
pub use own::render_own;
pub use render::{Rendering, render};
pub(crate) use view::{GroupView, PartitionView, Scene};
pub use writer::Format;
