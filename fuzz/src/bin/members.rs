//! Any bytes are an assignment of a member of a classic group, or an error in it, and cost little memory.

#![no_main]

use std::alloc::System;

use cap::Cap;
use lagwatch_fuzz::members::{check_partitions, read_assignment};
use libfuzzer_sys::fuzz_target;

/// What may be allocated for each byte, all the steps in which a list grows added up.
///
/// Partitions of many topics cost most where they are not in order: about 400 bytes for no less than 11.
const BYTES_PER_BYTE: usize = 50;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fuzz_target!(|data: &[u8]| {
    let before = ALLOCATOR.total_allocated();
    let assignment = read_assignment(data);
    let allocated = ALLOCATOR.total_allocated() - before;
    assert!(
        allocated <= BYTES_PER_BYTE * data.len(),
        "{allocated} bytes for {}",
        data.len()
    );
    match assignment {
        Ok(partitions) => check_partitions(&partitions),
        Err(error) => assert!(error.position <= data.len(), "{error:?}"),
    }
});
