//! Where rendered bytes go: kept as they are, or compressed, in blocks that an answer's body is joined from.

use bytes::Bytes;

use super::gzip::{self, Deflater, Follows, Piece, Pieces};

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
    Identity(Vec<Bytes>),
    Gzip(Pieces),
}

/// Some lines of one family, encoded.
#[derive(Debug)]
pub(super) struct Block {
    /// How many.
    pub(super) lines: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// As it is, also where the answer is compressed: too small to be compressed alone.
    Text(Bytes),
    Gzip(Piece),
}

/// Joins text and blocks into a part.
pub(super) struct Joiner {
    deflater: Option<Deflater>,
    /// What was not made a chunk of its own yet.
    text: Vec<u8>,
    part: Rendered,
}

/// A smaller block shares a chunk with its neighbours: alone it would compress badly, and cost more to send than to copy.
const SMALL_BYTES: usize = 2 * 1024;

/// How much text is joined into one chunk.
const CHUNK_BYTES: usize = 64 * 1024;

impl Encoding {
    /// Returns what compresses it; nothing where nothing does.
    pub(super) fn deflater(self) -> Option<Deflater> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some(Deflater::new()),
        }
    }
}

impl Block {
    /// Returns a block of that many lines.
    pub(super) fn new(lines: u64, text: &[u8], deflater: Option<&mut Deflater>) -> Self {
        let content = match deflater {
            Some(deflater) if text.len() >= SMALL_BYTES => {
                Content::Gzip(deflater.piece(text, Follows::Another))
            }
            Some(_) | None => Content::Text(Bytes::copy_from_slice(text)),
        };
        Self { lines, content }
    }

    /// Returns its text; nothing where it is compressed.
    pub(super) fn text(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Text(text) => Some(text),
            Content::Gzip(_) => None,
        }
    }
}

impl Joiner {
    /// Returns a part that holds nothing yet.
    pub(super) fn new(encoding: Encoding) -> Self {
        Self {
            deflater: encoding.deflater(),
            text: Vec::with_capacity(CHUNK_BYTES),
            part: match encoding {
                Encoding::Identity => Rendered::Identity(Vec::new()),
                Encoding::Gzip => Rendered::Gzip(Pieces::default()),
            },
        }
    }

    /// Returns the text to append to.
    pub(super) fn text(&mut self) -> &mut Vec<u8> {
        if self.text.len() >= CHUNK_BYTES {
            self.close(Follows::Another);
        }
        &mut self.text
    }

    /// Adds a block of the same encoding. Its bytes are shared, unless there are few.
    pub(super) fn block(&mut self, block: &Block) {
        if let Content::Text(text) = &block.content
            && (text.len() < SMALL_BYTES || self.deflater.is_some())
        {
            self.text().extend_from_slice(text);
            return;
        }
        if !self.text.is_empty() {
            self.close(Follows::Another);
        }
        match (&mut self.part, &block.content) {
            (Rendered::Identity(chunks), Content::Text(text)) => chunks.push(text.clone()),
            (Rendered::Gzip(pieces), Content::Gzip(piece)) => pieces.push(piece),
            (Rendered::Identity(_), Content::Gzip(_)) | (Rendered::Gzip(_), Content::Text(_)) => {
                panic!("a block has the encoding of its part")
            }
        }
    }

    /// Ends the part.
    pub(super) fn finish(mut self, follows: Follows) -> Part {
        self.close(follows);
        Part(self.part)
    }

    fn close(&mut self, follows: Follows) {
        match (&mut self.part, &mut self.deflater) {
            (Rendered::Gzip(pieces), Some(deflater)) => {
                pieces.push(&deflater.piece(&self.text, follows));
            }
            (Rendered::Identity(chunks), _) => chunks.push(Bytes::copy_from_slice(&self.text)),
            (Rendered::Gzip(_), None) => panic!("what is compressed has a compressor"),
        }
        self.text.clear();
    }
}

/// Returns the chunks of a body of two parts that were rendered with the same encoding.
///
/// # Panics
///
/// Where one part is compressed and the other is not.
pub fn body(first: &Part, last: &Part) -> Vec<Bytes> {
    match (&first.0, &last.0) {
        (Rendered::Identity(first), Rendered::Identity(last)) => {
            first.iter().chain(last).cloned().collect()
        }
        (Rendered::Gzip(first), Rendered::Gzip(last)) => gzip::stream(&[first, last]),
        (Rendered::Identity(_), Rendered::Gzip(_)) | (Rendered::Gzip(_), Rendered::Identity(_)) => {
            panic!("both parts of a body have the same encoding")
        }
    }
}
