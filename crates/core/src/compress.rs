//! Compression of chunks: zstd, spared where a probe says that it would not help.

use std::io;

use serde::{Deserialize, Serialize};
use zstd::bulk::{Compressor, Decompressor};

use crate::index::Encoding;

/// How hard to try to make chunks smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Store everything as it is.
    Off,
    /// zstd level 1.
    #[default]
    Fast,
    /// zstd level 7.
    Better,
    /// zstd level 19.
    Max,
}

impl Compression {
    fn level(self) -> Option<i32> {
        match self {
            Compression::Off => None,
            Compression::Fast => Some(1),
            Compression::Better => Some(7),
            Compression::Max => Some(19),
        }
    }
}

/// Chunks below this size are compressed without a probe: trying costs no more than probing.
const PROBE_FROM: usize = 64 << 10;
const SAMPLE: usize = 8 << 10;

/// Compresses chunks; one for each thread.
pub(crate) struct Squeezer {
    level: Option<i32>,
    probe: Compressor<'static>,
    compressor: Compressor<'static>,
    scratch: Vec<u8>,
}

impl Squeezer {
    pub fn new(compression: Compression) -> io::Result<Self> {
        let level = compression.level();
        Ok(Self {
            level,
            probe: Compressor::new(1)?,
            compressor: Compressor::new(level.unwrap_or(1))?,
            scratch: vec![0; 2 * SAMPLE],
        })
    }

    /// Writes `data` to `out` from `at` on, compressed if that helps, and gives encoding and length.
    ///
    /// `out` is grown as needed and never shrunk.
    pub fn squeeze(
        &mut self,
        data: &[u8],
        out: &mut Vec<u8>,
        at: usize,
    ) -> io::Result<(Encoding, usize)> {
        if out.len() < at + data.len() {
            out.resize(at + data.len(), 0);
        }
        if self.level.is_some() && self.promises(data)? {
            // The room given is what would be worth it: zstd stops when it does not fit.
            let room = data.len() - data.len() / 32;
            if let Ok(len) = self
                .compressor
                .compress_to_buffer(data, &mut out[at..at + room])
            {
                return Ok((Encoding::Zstd, len));
            }
        }
        out[at..at + data.len()].copy_from_slice(data);
        Ok((Encoding::Raw, data.len()))
    }

    /// Compresses samples from the first and third quarter; media and archives fail here cheaply.
    fn promises(&mut self, data: &[u8]) -> io::Result<bool> {
        if data.len() < PROBE_FROM {
            return Ok(data.len() > 32);
        }
        for at in [data.len() / 4, data.len() * 3 / 4] {
            let sample = &data[at..at + SAMPLE];
            let room = SAMPLE - SAMPLE / 32;
            if self
                .probe
                .compress_to_buffer(sample, &mut self.scratch[..room])
                .is_ok()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Decompresses chunks; one for each thread.
pub(crate) struct Expander(Decompressor<'static>);

impl Expander {
    pub fn new() -> io::Result<Self> {
        Decompressor::new().map(Self)
    }

    /// The plaintext, which must have exactly `raw_len` bytes; no more than that is allocated.
    pub fn expand(&mut self, data: &[u8], raw_len: usize, out: &mut Vec<u8>) -> io::Result<()> {
        out.clear();
        out.resize(raw_len, 0);
        let len = self.0.decompress_to_buffer(data, out.as_mut_slice())?;
        if len != raw_len {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a chunk is shorter than it says",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(data: &[u8]) -> Encoding {
        let mut out = Vec::new();
        let (encoding, len) = Squeezer::new(Compression::Fast)
            .expect("zstd")
            .squeeze(data, &mut out, 24)
            .expect("squeeze");
        let stored = &out[24..24 + len];
        let mut back = Vec::new();
        match encoding {
            Encoding::Raw => back.extend_from_slice(stored),
            Encoding::Zstd => Expander::new()
                .expect("zstd")
                .expand(stored, data.len(), &mut back)
                .expect("expand"),
        }
        assert_eq!(back, data);
        encoding
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        blake3::Hasher::new().finalize_xof().fill(&mut out);
        out
    }

    #[test]
    fn text_shrinks_and_noise_does_not() {
        assert_eq!(
            round_trip(&b"motion at the gate. ".repeat(50_000)),
            Encoding::Zstd
        );
        assert_eq!(round_trip(&noise(1_000_000)), Encoding::Raw);
        assert_eq!(round_trip(&noise(100)), Encoding::Raw);
        assert_eq!(round_trip(b""), Encoding::Raw);
        assert_eq!(round_trip(b"x"), Encoding::Raw);
    }

    #[test]
    fn a_chunk_larger_than_it_says_is_refused() {
        let data = vec![7; 100_000];
        let mut out = Vec::new();
        let (_, len) = Squeezer::new(Compression::Fast)
            .expect("zstd")
            .squeeze(&data, &mut out, 0)
            .expect("squeeze");
        let mut expander = Expander::new().expect("zstd");
        let mut back = Vec::new();
        assert!(expander.expand(&out[..len], 99_999, &mut back).is_err());
        assert!(expander.expand(&out[..len], 100_001, &mut back).is_err());
    }
}
