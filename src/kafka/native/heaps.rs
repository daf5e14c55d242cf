//! How many heaps the C library spreads the memory of threads over.
//!
//! glibc gives threads up to eight heaps for each core, and each keeps what it once had. librdkafka has several threads a
//! client that take and give back the answers of whole cycles: with 100,000 partitions, half of the memory of a process
//! lay in such heaps unused.

/// Lets the threads of the process share a few heaps. For the start of a process, before there are threads.
///
/// Nothing happens where another C library is used, and where the environment says how many heaps there are to be
/// (`MALLOC_ARENA_MAX`).
pub fn share_heaps() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if std::env::var_os("MALLOC_ARENA_MAX").is_none() {
        /// Two: one thread seldom waits for another, and little lies unused.
        const HEAPS: std::ffi::c_int = 2;
        // SAFETY: sets a number that malloc looks at when a thread first needs a heap; refers to no memory.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, HEAPS) };
    }
}
