//! What the decoder makes of records that a coordinator writes, and of bytes that nobody would.

mod encode;
mod encode_modern;
mod malformed;
mod old_versions;
mod properties;
mod strategies;
mod strategies_modern;
mod writer;
