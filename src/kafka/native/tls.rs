//! What OpenSSL does when the process exits.
//!
//! It frees what all connections share, by a handler of `exit`. A client that still talks to a broker then may crash the
//! process, and one whose broker is away cannot be made to end at once: the calls it was given have to reach their
//! deadlines.

use std::ffi::{c_int, c_void};
use std::ptr;

/// `OPENSSL_INIT_NO_ATEXIT` of OpenSSL's crypto.h.
const NO_ATEXIT: u64 = 0x0008_0000;

unsafe extern "C" {
    /// Of the OpenSSL that librdkafka is linked with.
    fn OPENSSL_init_crypto(options: u64, settings: *const c_void) -> c_int;
}

/// Lets the process exit at any moment: the system takes back what OpenSSL would free.
///
/// For the start of a process, before there is a client: only OpenSSL's first caller decides.
pub fn skip_tls_cleanup() {
    // SAFETY: may be called at any time by any thread; null stands for no settings.
    unsafe { OPENSSL_init_crypto(NO_ATEXIT, ptr::null()) };
}
