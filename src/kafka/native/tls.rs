//! What the crate openssl cannot do: skip what OpenSSL does when the process exits, and withhold a client certificate.
//!
//! OpenSSL frees what all connections share, by a handler of `exit`. A client that still talks to a broker then may crash
//! the process, and one whose broker is away cannot be made to end at once: the calls it was given have to reach their
//! deadlines.

use std::ffi::{c_int, c_long, c_void};
use std::ptr;

use openssl::ssl::SslContextBuilder;

/// `OPENSSL_INIT_NO_ATEXIT` of OpenSSL's crypto.h.
const NO_ATEXIT: u64 = 0x0008_0000;

unsafe extern "C" {
    /// Of the OpenSSL that librdkafka is linked with.
    fn OPENSSL_init_crypto(options: u64, settings: *const c_void) -> c_int;
    fn SSL_CTX_set_cert_cb(
        context: *mut c_void,
        callback: CertificateCallback,
        argument: *mut c_void,
    );
    fn SSL_get_certificate(ssl: *const c_void) -> *mut c_void;
    fn SSL_get_client_CA_list(ssl: *const c_void) -> *mut c_void;
    fn SSL_get_SSL_CTX(ssl: *const c_void) -> *mut c_void;
    fn SSL_CTX_ctrl(
        context: *mut c_void,
        command: c_int,
        number: c_long,
        pointer: *mut c_void,
    ) -> c_long;
    fn SSL_certs_clear(ssl: *mut c_void);
    fn OPENSSL_sk_num(stack: *const c_void) -> c_int;
    fn OPENSSL_sk_value(stack: *const c_void, index: c_int) -> *mut c_void;
    fn X509_get_issuer_name(certificate: *const c_void) -> *mut c_void;
    fn X509_NAME_cmp(left: *const c_void, right: *const c_void) -> c_int;
}

type CertificateCallback = unsafe extern "C" fn(ssl: *mut c_void, argument: *mut c_void) -> c_int;

/// `SSL_CTRL_GET_EXTRA_CHAIN_CERTS` of OpenSSL's ssl.h: the chain of the certificate, whichever way it was set.
const GET_EXTRA_CHAIN_CERTS: c_int = 82;

/// Lets the process exit at any moment: the system takes back what OpenSSL would free.
///
/// For the start of a process, before there is a client: only OpenSSL's first caller decides.
pub fn skip_tls_cleanup() {
    // SAFETY: may be called at any time by any thread; null stands for no settings.
    unsafe { OPENSSL_init_crypto(NO_ATEXIT, ptr::null()) };
}

/// Makes connections show their certificate only to a broker that names an authority of it, or names none.
///
/// As librdkafka does: a broker with `ssl.client.auth=requested` would refuse a certificate that it cannot verify, while it
/// lets in a client without one, which then logs in by SASL.
pub(in crate::kafka) fn withhold_unaccepted_certificates(context: &mut SslContextBuilder) {
    let context = context.as_ptr().cast();
    // SAFETY: a live context; the callback needs no argument and lives as long as the process.
    unsafe { SSL_CTX_set_cert_cb(context, withhold, ptr::null_mut()) };
}

/// Called by OpenSSL before it sends a certificate; 1 lets the handshake go on.
unsafe extern "C" fn withhold(ssl: *mut c_void, _: *mut c_void) -> c_int {
    // SAFETY: OpenSSL hands over the live session whose handshake this is.
    if unsafe { is_unaccepted(ssl) } {
        tracing::warn!(
            "the broker accepts no certificate of this client's authority: none is sent"
        );
        // SAFETY: as above.
        unsafe { SSL_certs_clear(ssl) };
    }
    1
}

/// # Safety
///
/// `ssl` is a live session in its handshake.
unsafe fn is_unaccepted(ssl: *mut c_void) -> bool {
    // SAFETY: live by the caller's promise; the certificate stays the session's.
    let certificate = unsafe { SSL_get_certificate(ssl) };
    if certificate.is_null() {
        return false;
    }
    // SAFETY: live by the caller's promise; the list stays the session's, and may be null.
    let authorities = unsafe { SSL_get_client_CA_list(ssl) };
    // SAFETY: a stack of OpenSSL or null, and so below.
    let authorities = unsafe { elements(authorities) };
    if authorities.is_empty() {
        return false;
    }
    let mut chain: *mut c_void = ptr::null_mut();
    // SAFETY: live by the caller's promise; the context lives as long as the session.
    let context = unsafe { SSL_get_SSL_CTX(ssl) };
    // SAFETY: a live context; the command writes a pointer to a stack that stays the context's.
    unsafe { SSL_CTX_ctrl(context, GET_EXTRA_CHAIN_CERTS, 0, (&raw mut chain).cast()) };
    // SAFETY: a stack of OpenSSL or null.
    let issuers = unsafe { elements(chain) };
    !std::iter::once(certificate)
        .chain(issuers)
        .any(|certificate| {
            // SAFETY: a live certificate of the session, which keeps the name.
            let issuer = unsafe { X509_get_issuer_name(certificate) };
            authorities.iter().any(|authority| {
                // SAFETY: two live names.
                unsafe { X509_NAME_cmp(*authority, issuer) == 0 }
            })
        })
}

/// Returns the elements of a stack; none of null, of which OpenSSL says -1.
///
/// # Safety
///
/// `stack` is null or a live stack of OpenSSL. The elements live as long as it does.
unsafe fn elements(stack: *const c_void) -> Vec<*mut c_void> {
    // SAFETY: null is allowed.
    let count = unsafe { OPENSSL_sk_num(stack) };
    (0..count)
        .map(|index| {
            // SAFETY: below the count of a live stack.
            unsafe { OPENSSL_sk_value(stack, index) }
        })
        .collect()
}
