//! OpenSSL's own words for an error.

use openssl::error::ErrorStack;

/// Returns OpenSSL's reason: that of the newest error, with what belongs to it. Holds no secret.
pub(super) fn reason(errors: &ErrorStack) -> String {
    let Some(error) = errors.errors().last() else {
        return "OpenSSL gives no reason".to_owned();
    };
    let reason = error.reason().unwrap_or("unknown reason");
    match error.data() {
        // The number of an alert says what its name says.
        Some(data) if !data.is_empty() && !data.starts_with("SSL alert number") => {
            format!("{reason}: {data}")
        }
        _ => reason.to_owned(),
    }
}
