//! Arrays that librdkafka returns: a pointer and a length.

use std::slice;

/// Views an array; null and an empty or negative length are the empty one.
///
/// # Safety
///
/// `first` is null or points to `length` valid elements that stay as they are during `'a`.
pub(super) unsafe fn view<'a, T>(first: *const T, length: impl TryInto<usize>) -> &'a [T] {
    match length.try_into() {
        // SAFETY: not null and not empty, so valid by the caller's promise.
        Ok(length @ 1..) if !first.is_null() => unsafe { slice::from_raw_parts(first, length) },
        _ => &[],
    }
}
