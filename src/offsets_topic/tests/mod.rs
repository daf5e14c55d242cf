//! What the decoder makes of records that a coordinator writes, and of bytes that nobody would.

mod encode;
mod malformed;
mod old_versions;
mod properties;
mod strategies;
mod writer;
