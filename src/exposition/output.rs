//! Where rendered bytes go: kept as they are, or compressed while they are made.

use bytes::Bytes;

use super::gzip::{self, Deflater, Follows, Piece};

/// The content encoding of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// RFC 1952.
    Gzip,
}

/// Rendered bytes: the first or the last part of an answer's body.
#[derive(Debug)]
pub struct Part(Rendered);

#[derive(Debug)]
enum Rendered {
    Identity(Bytes),
    Gzip(Piece),
}

/// Where a part is written to.
pub(super) struct Output {
    buffer: Vec<u8>,
    deflater: Option<Deflater>,
}

/// A compressed part never holds more than about this much plain text at once.
const BUFFER_BYTES: usize = 64 * 1024;

impl Output {
    /// Returns an empty output.
    pub(super) fn new(encoding: Encoding) -> Self {
        Self {
            buffer: Vec::with_capacity(BUFFER_BYTES),
            deflater: match encoding {
                Encoding::Identity => None,
                Encoding::Gzip => Some(Deflater::new()),
            },
        }
    }

    /// Returns the buffer to append to.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        if let Some(deflater) = &mut self.deflater
            && self.buffer.len() >= BUFFER_BYTES
        {
            deflater.write(&self.buffer);
            self.buffer.clear();
        }
        &mut self.buffer
    }

    /// Ends the part.
    pub(super) fn finish(mut self, follows: Follows) -> Part {
        Part(match self.deflater {
            None => {
                self.buffer.shrink_to_fit();
                Rendered::Identity(self.buffer.into())
            }
            Some(mut deflater) => {
                deflater.write(&self.buffer);
                Rendered::Gzip(deflater.finish(follows))
            }
        })
    }
}

/// Returns the chunks of a body of two parts that were rendered with the same encoding.
///
/// # Panics
///
/// Where one part is compressed and the other is not.
pub fn body(first: &Part, last: &Part) -> Vec<Bytes> {
    match (&first.0, &last.0) {
        (Rendered::Identity(first), Rendered::Identity(last)) => vec![first.clone(), last.clone()],
        (Rendered::Gzip(first), Rendered::Gzip(last)) => gzip::stream(&[first, last]),
        (Rendered::Identity(_), Rendered::Gzip(_)) | (Rendered::Gzip(_), Rendered::Identity(_)) => {
            panic!("both parts of a body have the same encoding")
        }
    }
}
