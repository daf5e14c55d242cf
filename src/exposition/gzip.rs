//! One gzip stream made of pieces that were compressed apart.
//!
//! Every piece but the last ends with a sync flush, on a byte's edge and without a final block, so pieces simply
//! follow each other; the checksum of the whole is combined from theirs. A stream of two gzip members would be
//! simpler, but browsers and older curls read only the first one. No piece refers to bytes of another, so one may be
//! made anew without its neighbours.
//!
//! Source: RFC 1951 (deflate), RFC 1952 (gzip).

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// Magic number, deflate, no flags, no time, no hints, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Compresses pieces, one after the other. Its tables are large, so one is used for many.
pub(super) struct Deflater {
    compress: Compress,
    deflated: Vec<u8>,
}

/// A compressed piece of a stream.
#[derive(Debug)]
pub(super) struct Piece {
    deflated: Bytes,
    checksum: Crc,
}

/// Pieces that follow each other.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    chunks: Vec<Bytes>,
    checksum: Crc,
}

/// What follows a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// Another piece.
    Another,
    /// The end of the stream.
    Nothing,
}

impl Deflater {
    /// Returns a compressor.
    pub(super) fn new() -> Self {
        Self {
            // Samples repeat themselves: the fastest level already makes them some twenty times smaller.
            compress: Compress::new(Compression::fast(), false),
            deflated: Vec::new(),
        }
    }

    /// Compresses one piece.
    pub(super) fn piece(&mut self, plain: &[u8], follows: Follows) -> Piece {
        let flush = match follows {
            Follows::Another => FlushCompress::Sync,
            Follows::Nothing => FlushCompress::Finish,
        };
        self.compress.reset();
        self.deflated.clear();
        let mut checksum = Crc::new();
        checksum.update(plain);
        loop {
            let consumed = usize::try_from(self.compress.total_in())
                .expect("no more is consumed than the slice is long");
            // Room left over is how deflate says that it has nothing more to give for this input.
            self.deflated.reserve(1024 + (plain.len() - consumed) / 8);
            let status = self
                .compress
                .compress_vec(&plain[consumed..], &mut self.deflated, flush)
                .expect("compressing fails only on a broken state");
            let has_room = self.deflated.len() < self.deflated.capacity();
            if status == Status::StreamEnd || (has_room && follows == Follows::Another) {
                break;
            }
        }
        Piece {
            deflated: Bytes::copy_from_slice(&self.deflated),
            checksum,
        }
    }
}

impl Pieces {
    /// Adds a piece; its bytes are shared.
    pub(super) fn push(&mut self, piece: &Piece) {
        self.chunks.push(piece.deflated.clone());
        self.checksum.combine(&piece.checksum);
    }
}

/// Returns the whole stream as the chunks it is made of; the last of the pieces ended with [`Follows::Nothing`].
pub(super) fn stream(parts: &[&Pieces]) -> Vec<Bytes> {
    let mut checksum = Crc::new();
    let count: usize = parts.iter().map(|part| part.chunks.len()).sum();
    let mut chunks = Vec::with_capacity(count + 2);
    chunks.push(Bytes::from_static(&HEADER));
    for part in parts {
        checksum.combine(&part.checksum);
        chunks.extend_from_slice(&part.chunks);
    }
    let trailer = [
        checksum.sum().to_le_bytes(),
        checksum.amount().to_le_bytes(),
    ];
    chunks.push(Bytes::copy_from_slice(&trailer.concat()));
    chunks
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn inflate(chunks: &[Bytes]) -> Vec<u8> {
        let stream = chunks.concat();
        let mut decoder = GzDecoder::new(stream.as_slice());
        let mut plain = Vec::new();
        decoder
            .read_to_end(&mut plain)
            .expect("the stream is valid, its checksum included");
        assert!(
            decoder.into_inner().is_empty(),
            "one member holds everything"
        );
        plain
    }

    #[test]
    fn pieces_join_into_one_valid_member() {
        let noise: Vec<u8> = (0..400_000_u64)
            .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
            .collect();
        let mut deflater = Deflater::new();
        for (first, last) in [
            (&b""[..], &b""[..]),
            (b"", b"end\n"),
            (b"start\n", b""),
            (b"start\n", b"end\n"),
            (&noise, b"end\n"),
            (b"start\n", &noise),
        ] {
            let mut start = Pieces::default();
            start.push(&deflater.piece(first, Follows::Another));
            start.push(&deflater.piece(first, Follows::Another));
            let mut end = Pieces::default();
            end.push(&deflater.piece(last, Follows::Nothing));
            let plain = inflate(&stream(&[&start, &end]));
            assert_eq!(plain, [first, first, last].concat());
        }
    }

    #[test]
    fn a_piece_depends_on_none_before_it() {
        let mut used = Deflater::new();
        used.piece(b"partition=\"1\"} 5\n", Follows::Another);
        let again = used.piece(b"partition=\"1\"} 5\n", Follows::Another);
        let alone = Deflater::new().piece(b"partition=\"1\"} 5\n", Follows::Another);
        assert_eq!(again.deflated, alone.deflated);
    }
}
