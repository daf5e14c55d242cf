//! The border to librdkafka: the only place with `unsafe`.
//!
//! Owned Rust values cross it in both directions and nothing stays borrowed: what librdkafka returns is copied out
//! and destroyed in the function that received it. No opinion on what to ask, when, or what an answer means.
#![allow(unsafe_code)]

pub(super) mod codes;
pub(super) mod conf;
pub(super) mod event;
pub(super) mod fetch;
pub(super) mod handle;
mod heaps;
pub(super) mod mock;
mod text;
pub(super) mod tls;

pub use heaps::share_heaps;
pub use tls::skip_tls_cleanup;

/// Returns the version of the librdkafka that is linked in, such as `2.12.1`.
pub fn librdkafka_version() -> String {
    // SAFETY: takes no argument and returns a string that lives as long as the process.
    let version = unsafe { rdkafka_sys::rd_kafka_version_str() };
    // SAFETY: the pointer above is a C string that is never freed.
    unsafe { text::lossy(version) }
}
