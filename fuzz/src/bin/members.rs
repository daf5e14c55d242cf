//! Any bytes are a subscription and an assignment of a member of a classic group, or an error in them, and cost little
//! memory.

#![no_main]

use std::alloc::System;

use cap::Cap;
use lagwatch_fuzz::lag::TopicPartition;
use lagwatch_fuzz::members::{
    check_error, check_partitions, check_topics, read_assignment, read_subscription,
};
use lagwatch_fuzz::offsets_topic::Embedded;
use libfuzzer_sys::fuzz_target;

/// What may be allocated for each byte, all the steps in which a list grows added up.
///
/// Partitions of many topics cost most where they are not in order: about 400 bytes for no less than 11.
const BYTES_PER_BYTE: usize = 50;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fuzz_target!(|data: &[u8]| {
    if let Some(subscription) = read(data, read_subscription) {
        check_topics(&subscription.topics);
    }
    read(data, read_assignment);
});

/// Returns what `read` returns of the bytes, where they are no error, and checks the partitions in it.
fn read<'a, T>(
    data: &'a [u8],
    read: impl Fn(&'a [u8]) -> (Embedded<'a, T>, Vec<TopicPartition>),
) -> Option<T> {
    let before = ALLOCATOR.total_allocated();
    let (content, partitions) = read(data);
    let allocated = ALLOCATOR.total_allocated() - before;
    assert!(
        allocated <= BYTES_PER_BYTE * data.len(),
        "{allocated} bytes for {}",
        data.len()
    );
    check_partitions(&partitions);
    match content {
        Embedded::Consumer(content) => Some(content),
        Embedded::Malformed(error) => {
            check_error(&error, data);
            None
        }
        Embedded::Empty | Embedded::Foreign(_) => None,
    }
}
