//! Strings across the border: lossy UTF-8 out, checked C strings in.

use std::ffi::{CStr, CString, c_char};

/// Room for librdkafka's error text; what is longer, it truncates itself.
const ERROR_TEXT_SIZE: usize = 512;

/// Copies a C string; null is the empty string, bytes that are not UTF-8 are replaced.
///
/// # Safety
///
/// `text` is null or a C string that stays valid during the call.
pub(super) unsafe fn lossy(text: *const c_char) -> String {
    // SAFETY: the caller's promise.
    unsafe { lossy_opt(text) }.unwrap_or_default()
}

/// Copies a C string; nothing for null.
///
/// # Safety
///
/// As for [`lossy`].
pub(super) unsafe fn lossy_opt(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, so a C string by the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    Some(text.to_string_lossy().into_owned())
}

/// Copies a C string that lives as long as the process; nothing for null or for what is not UTF-8.
///
/// # Safety
///
/// `text` is null or a C string that is never freed or changed.
pub(super) unsafe fn static_str(text: *const c_char) -> Option<&'static str> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, so a C string that is never freed by the caller's promise.
    let text: &'static CStr = unsafe { CStr::from_ptr(text) };
    text.to_str().ok()
}

/// Returns `text` up to its first NUL byte, as C would read it.
pub(super) fn c_string(text: &str) -> CString {
    let bytes = text.as_bytes();
    let end = bytes.iter().position(|byte| *byte == 0);
    CString::new(&bytes[..end.unwrap_or(bytes.len())]).expect("cut before the first NUL")
}

/// A buffer that librdkafka writes an error text into.
pub(super) struct ErrorText([c_char; ERROR_TEXT_SIZE]);

impl ErrorText {
    pub(super) fn new() -> Self {
        Self([0; ERROR_TEXT_SIZE])
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut c_char {
        self.0.as_mut_ptr()
    }

    pub(super) fn size(&self) -> usize {
        self.0.len()
    }
}

impl std::fmt::Display for ErrorText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // SAFETY: zeroed at birth, and librdkafka terminates what it writes within the size it was told.
        let text = unsafe { CStr::from_ptr(self.0.as_ptr()) };
        f.write_str(text.to_string_lossy().trim())
    }
}
