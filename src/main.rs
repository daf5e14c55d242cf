//! The `lagwatch` binary.

fn main() {}
