//! One gzip stream made of pieces that were compressed apart.
//!
//! Every piece but the last ends with a sync flush, on a byte's edge and without a final block, so pieces simply
//! follow each other; the checksum of the whole is combined from theirs. A stream of two gzip members would be
//! simpler, but browsers and older curls read only the first one.
//!
//! Source: RFC 1951 (deflate), RFC 1952 (gzip).

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};

/// Magic number, deflate, no flags, no time, no hints, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// How many bytes the output grows by when it is full.
const CHUNK_BYTES: usize = 64 * 1024;

/// Compresses one piece.
pub(super) struct Deflater {
    compress: Compress,
    checksum: Crc,
    deflated: Vec<u8>,
}

/// A compressed piece of a stream.
#[derive(Debug)]
pub(super) struct Piece {
    deflated: Bytes,
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
    /// Returns a compressor that holds nothing yet.
    pub(super) fn new() -> Self {
        Self {
            // Samples repeat themselves: the fastest level already makes them some twenty times smaller.
            compress: Compress::new(Compression::fast(), false),
            checksum: Crc::new(),
            deflated: Vec::new(),
        }
    }

    /// Adds `bytes` to the piece.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.checksum.update(bytes);
        self.deflate(bytes, FlushCompress::None);
    }

    /// Ends the piece.
    pub(super) fn finish(mut self, follows: Follows) -> Piece {
        self.deflate(
            &[],
            match follows {
                Follows::Another => FlushCompress::Sync,
                Follows::Nothing => FlushCompress::Finish,
            },
        );
        self.deflated.shrink_to_fit();
        Piece {
            deflated: self.deflated.into(),
            checksum: self.checksum,
        }
    }

    fn deflate(&mut self, bytes: &[u8], flush: FlushCompress) {
        let start = self.compress.total_in();
        loop {
            let consumed = usize::try_from(self.compress.total_in() - start)
                .expect("no more is consumed than the slice is long");
            if self.deflated.capacity() == self.deflated.len() {
                self.deflated.reserve(CHUNK_BYTES);
            }
            self.compress
                .compress_vec(&bytes[consumed..], &mut self.deflated, flush)
                .expect("compressing fails only on a broken state");
            // Room left over is how deflate says that it has nothing more to give for this input.
            if self.deflated.len() < self.deflated.capacity() {
                return;
            }
        }
    }
}

/// Returns the whole stream as the chunks it is made of; the last of `pieces` ended with [`Follows::Nothing`].
pub(super) fn stream(pieces: &[&Piece]) -> Vec<Bytes> {
    let mut checksum = Crc::new();
    let mut chunks = vec![Bytes::from_static(&HEADER)];
    for piece in pieces {
        checksum.combine(&piece.checksum);
        chunks.push(piece.deflated.clone());
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

    fn piece(bytes: &[u8], follows: Follows) -> Piece {
        let mut deflater = Deflater::new();
        for chunk in bytes.chunks(1000) {
            deflater.write(chunk);
        }
        deflater.finish(follows)
    }

    #[test]
    fn pieces_join_into_one_valid_member() {
        let noise: Vec<u8> = (0..400_000_u64)
            .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
            .collect();
        for (first, last) in [
            (&b""[..], &b""[..]),
            (b"", b"end\n"),
            (b"start\n", b""),
            (b"start\n", b"end\n"),
            (&noise, b"end\n"),
            (b"start\n", &noise),
        ] {
            let pieces = [
                piece(first, Follows::Another),
                piece(last, Follows::Nothing),
            ];
            let plain = inflate(&stream(&[&pieces[0], &pieces[1]]));
            assert_eq!(plain, [first, last].concat());
        }
    }
}
