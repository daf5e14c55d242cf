//! Any bytes are a broker's response to each request that lagwatch sends, or an error in it, and cost little memory.
//!
//! The first byte is the API key of the request and the second its version; the rest is the response behind its
//! correlation id. Of other requests and versions nothing is read.

#![no_main]

use std::alloc::System;

use cap::Cap;
use lagwatch_fuzz::kafka::responses::{check, read};
use libfuzzer_sys::{Corpus, fuzz_target};

/// What may be allocated for each byte of a response, all the steps in which a list grows added up.
///
/// Groups in a response to OffsetFetch cost most, with the commits they decode to: about 600 bytes for no less than 5.
const BYTES_PER_BYTE: usize = 150;

/// What may be allocated for any response: the request, and an error with its message.
const BYTES: usize = 4096;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fuzz_target!(|data: &[u8]| -> Corpus {
    let &[api, version, ref bytes @ ..] = data else {
        return Corpus::Reject;
    };
    let before = ALLOCATOR.total_allocated();
    let response = read(api, version, bytes);
    let allocated = ALLOCATOR.total_allocated() - before;
    let Some(response) = response else {
        return Corpus::Reject;
    };
    assert!(
        allocated <= BYTES + BYTES_PER_BYTE * bytes.len(),
        "{allocated} bytes for {}",
        bytes.len()
    );
    check(&response);
    Corpus::Keep
});
