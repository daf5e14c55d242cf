//! Zstandard: pieces are frames of their own, and frames that follow each other are a stream.
//!
//! No frame refers to bytes of another, so one may be made anew without its neighbours. A decoder that stops after the first
//! frame does not read a stream as the RFC has it; only clients that like zstd best are sent one.
//!
//! Source: RFC 8878, section 3.

use bytes::Bytes;
use zstd::bulk::Compressor;
use zstd::zstd_safe::{CParameter, compress_bound};

/// Samples repeat themselves: the fastest of the regular levels makes them smaller than gzip does, in less time.
const LEVEL: i32 = 1;

/// Compresses pieces, one after the other. Its tables are large, so one is used for many.
pub(super) struct Encoder {
    compressor: Compressor<'static>,
    frame: Vec<u8>,
}

impl Encoder {
    /// Returns a compressor.
    pub(super) fn new() -> Self {
        let mut compressor = Compressor::new(LEVEL).expect("the level exists");
        compressor
            .set_parameter(CParameter::ChecksumFlag(true))
            .expect("the parameter exists");
        Self {
            compressor,
            frame: Vec::new(),
        }
    }

    /// Compresses one piece. It refers to no bytes of another.
    pub(super) fn frame(&mut self, plain: &[u8]) -> Bytes {
        self.frame.clear();
        self.frame.reserve(compress_bound(plain.len()));
        self.compressor
            .compress_to_buffer(plain, &mut self.frame)
            .expect("there is room for the worst case");
        Bytes::copy_from_slice(&self.frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_join_into_one_stream() {
        let noise: Vec<u8> = (0..400_000_u64)
            .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
            .collect();
        let mut encoder = Encoder::new();
        for pieces in [
            &[b"" as &[u8]] as &[&[u8]],
            &[b"start\n", b"", b"end\n"],
            &[b"start\n", &noise],
        ] {
            let frames: Vec<_> = pieces.iter().map(|piece| encoder.frame(piece)).collect();
            let plain = zstd::decode_all(frames.concat().as_slice());
            assert_eq!(plain.expect("it is valid"), pieces.concat());
        }
    }

    #[test]
    fn a_frame_that_was_damaged_is_noticed() {
        let mut frame = Encoder::new().frame(b"partition=\"1\"} 5\n").to_vec();
        let middle = frame.len() / 2;
        frame[middle] ^= 1;
        assert!(zstd::decode_all(frame.as_slice()).is_err());
    }
}
