//! Any bytes are a record of `__consumer_offsets` or an error in them, and cost little memory.
//!
//! The first byte tells the length of the key, and by its highest bit a tombstone; the rest is the value.

#![no_main]

use std::alloc::System;

use cap::Cap;
use lagwatch_fuzz::offsets_topic::decode;
use libfuzzer_sys::fuzz_target;

/// What may be allocated for each byte of a record, all the steps in which a list grows added up.
///
/// Members of a classic group cost most: about 240 bytes for no less than 15, four times in the worst case.
const BYTES_PER_BYTE: usize = 100;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fuzz_target!(|data: &[u8]| {
    let Some((&first, rest)) = data.split_first() else {
        return;
    };
    let Some((key, value)) = rest.split_at_checked(usize::from(first & 0x7f)) else {
        return;
    };
    let value = (first & 0x80 == 0).then_some(value);
    let before = ALLOCATOR.total_allocated();
    let record = decode(key, value);
    let allocated = ALLOCATOR.total_allocated() - before;
    assert!(
        allocated <= BYTES_PER_BYTE * data.len(),
        "{allocated} bytes for {}",
        data.len()
    );
    if let Err(error) = record {
        assert!(error.position <= data.len(), "{error:?}");
    }
});
