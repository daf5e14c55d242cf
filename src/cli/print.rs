//! Standard output whose reader may have gone: `lagwatch describe … | head` is no failure.

use std::io::{self, Write};

/// Writes `text` at once; a closed pipe counts as success.
///
/// # Errors
///
/// Any other reason why it could not be written.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
