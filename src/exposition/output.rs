//! Where rendered bytes go: kept as they are, or compressed, in blocks that an answer's body is joined from.

use bytes::Bytes;

use super::gzip::{self, Deflater, Follows, Pieces};
use super::lines::Lines;
use super::zstd::Encoder;

/// The content encoding of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// Compresses pieces of text.
pub(super) enum Compressor {
    Gzip(Deflater),
    Zstd(Encoder),
}

/// Rendered bytes: the first or the last part of an answer's body.
#[derive(Debug)]
pub struct Part(Rendered);

#[derive(Debug)]
enum Rendered {
    Identity(Vec<Bytes>),
    Gzip(Pieces),
    Zstd(Vec<Bytes>),
}

/// Some lines of one family, encoded.
#[derive(Debug)]
pub(super) struct Block {
    /// How many.
    pub(super) lines: u64,
    /// Their size, uncompressed.
    pub(super) bytes: u64,
    /// The size of the smallest row among them.
    pub(super) smallest_row_bytes: u64,
    content: BlockContent,
}

#[derive(Debug)]
enum BlockContent {
    /// As it is, also where the answer is compressed: too small to be compressed alone.
    Text(Bytes),
    Packed(Packed),
    /// Too long to be kept: made again, row by row, where it is joined.
    Unkept,
}

/// A piece of text, compressed.
#[derive(Debug)]
enum Packed {
    Gzip(gzip::Piece),
    Zstd(Bytes),
}

/// Joins text and blocks into a part.
pub(super) struct Joiner {
    compressor: Option<Compressor>,
    /// What was not made a chunk of its own yet.
    text: Vec<u8>,
    part: Rendered,
}

/// A smaller block shares a chunk with its neighbours: alone it would compress badly, and cost more to send than to copy.
const SMALL_BYTES: usize = 2 * 1024;

/// How much text is joined into one chunk.
const CHUNK_BYTES: usize = 64 * 1024;

impl Encoding {
    /// Returns its name in HTTP; nothing for what is as it is.
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// Returns what compresses it; nothing where nothing does.
    pub(super) fn compressor(self) -> Option<Compressor> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some(Compressor::Gzip(Deflater::new())),
            Self::Zstd => Some(Compressor::Zstd(Encoder::new())),
        }
    }
}

impl Compressor {
    fn pack(&mut self, text: &[u8], follows: Follows) -> Packed {
        match self {
            Self::Gzip(deflater) => Packed::Gzip(deflater.piece(text, follows)),
            Self::Zstd(encoder) => Packed::Zstd(encoder.frame(text)),
        }
    }
}

impl Rendered {
    /// Adds a piece of the same encoding.
    fn push(&mut self, piece: &Packed) {
        match (self, piece) {
            (Self::Gzip(pieces), Packed::Gzip(piece)) => pieces.push(piece),
            (Self::Zstd(frames), Packed::Zstd(frame)) => frames.push(frame.clone()),
            (Self::Identity(_) | Self::Gzip(_) | Self::Zstd(_), _) => {
                panic!("a block has the encoding of its part")
            }
        }
    }
}

impl Block {
    /// Returns a block of those lines.
    pub(super) fn new(lines: &Lines<'_>, compressor: Option<&mut Compressor>) -> Self {
        let content = match (lines.text(), compressor) {
            (None, _) => BlockContent::Unkept,
            (Some(text), Some(compressor)) if text.len() >= SMALL_BYTES => {
                BlockContent::Packed(compressor.pack(text, Follows::Another))
            }
            (Some(text), _) => BlockContent::Text(Bytes::copy_from_slice(text)),
        };
        Self {
            lines: lines.count(),
            bytes: lines.bytes(),
            smallest_row_bytes: lines.smallest_row_bytes(),
            content,
        }
    }

    /// Returns whether it holds its lines, in whatever encoding.
    pub(super) fn is_kept(&self) -> bool {
        match self.content {
            BlockContent::Text(_) | BlockContent::Packed(_) => true,
            BlockContent::Unkept => false,
        }
    }

    /// Returns its text; nothing where it is compressed or was not kept.
    pub(super) fn text(&self) -> Option<&[u8]> {
        match &self.content {
            BlockContent::Text(text) => Some(text),
            BlockContent::Packed(_) | BlockContent::Unkept => None,
        }
    }
}

impl Joiner {
    /// Returns a part that holds nothing yet.
    pub(super) fn new(encoding: Encoding) -> Self {
        Self {
            compressor: encoding.compressor(),
            text: Vec::with_capacity(CHUNK_BYTES),
            part: match encoding {
                Encoding::Identity => Rendered::Identity(Vec::new()),
                Encoding::Gzip => Rendered::Gzip(Pieces::default()),
                Encoding::Zstd => Rendered::Zstd(Vec::new()),
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
    ///
    /// # Panics
    ///
    /// Where its lines were not kept.
    pub(super) fn block(&mut self, block: &Block) {
        if let BlockContent::Text(text) = &block.content
            && (text.len() < SMALL_BYTES || self.compressor.is_some())
        {
            self.text().extend_from_slice(text);
            return;
        }
        if !self.text.is_empty() {
            self.close(Follows::Another);
        }
        match (&mut self.part, &block.content) {
            (Rendered::Identity(chunks), BlockContent::Text(text)) => chunks.push(text.clone()),
            (part, BlockContent::Packed(piece)) => part.push(piece),
            (Rendered::Gzip(_) | Rendered::Zstd(_), BlockContent::Text(_)) => {
                panic!("text is compressed with what stands around it")
            }
            (_, BlockContent::Unkept) => panic!("a block that is added holds its lines"),
        }
    }

    /// Ends the part.
    pub(super) fn finish(mut self, follows: Follows) -> Part {
        self.close(follows);
        Part(self.part)
    }

    fn close(&mut self, follows: Follows) {
        match (&mut self.part, &mut self.compressor) {
            (part, Some(compressor)) => part.push(&compressor.pack(&self.text, follows)),
            (Rendered::Identity(chunks), None) => chunks.push(Bytes::copy_from_slice(&self.text)),
            (Rendered::Gzip(_) | Rendered::Zstd(_), None) => {
                panic!("what is compressed has a compressor")
            }
        }
        self.text.clear();
    }
}

/// Returns the chunks of a body of two parts that were rendered with the same encoding.
///
/// # Panics
///
/// Where they were not.
pub fn body(first: &Part, last: &Part) -> Vec<Bytes> {
    match (&first.0, &last.0) {
        (Rendered::Identity(first), Rendered::Identity(last))
        | (Rendered::Zstd(first), Rendered::Zstd(last)) => {
            first.iter().chain(last).cloned().collect()
        }
        (Rendered::Gzip(first), Rendered::Gzip(last)) => gzip::stream(&[first, last]),
        (Rendered::Identity(_) | Rendered::Gzip(_) | Rendered::Zstd(_), _) => {
            panic!("both parts of a body have the same encoding")
        }
    }
}
