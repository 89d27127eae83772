//! Writing a file, fragment by fragment.

use std::io::Write;
use std::time::Duration;

use keepwatch_core::jiff::Timestamp;

use super::boxes::{fragment, init_segment, random_access};
use super::ticks;
use crate::error::{Error, Result};
use crate::packet::{Codec, Packet, StreamInfo};

/// A fragment ends after this long even within a group of pictures, so that little is lost in a
/// crash and little is in memory.
const FRAGMENT: Duration = Duration::from_secs(1);

/// It ends at this size, too.
const FRAGMENT_BYTES: usize = 8 << 20;

/// And with this many frames, however little time there is between them.
const FRAGMENT_FRAMES: usize = 4096;

/// The duration of a last frame that nothing tells the duration of.
const LAST_FRAME: Duration = Duration::from_millis(40);

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How many frames.
    pub frames: u64,
    /// How long it plays.
    pub duration: Duration,
    /// The length of the file in bytes.
    pub bytes: u64,
}

/// Writes packets of one stream, from a key frame on, as fragmented MP4.
pub struct Fmp4Writer<W: Write> {
    out: W,
    waiting: Vec<Packet>,
    waiting_bytes: usize,
    zero: Option<Duration>,
    sequence: u32,
    /// Where a fragment begins that begins with a key frame.
    index: Vec<(u64, u64)>,
    summary: Summary,
    last_step: Duration,
}

impl<W: Write> Fmp4Writer<W> {
    /// Begins a file whose first frame was taken at `started_at`.
    ///
    /// # Errors
    /// [`Error::Mp4`] for a picture too large for the format and for a stream without codec data,
    /// [`Error::System`] when writing fails.
    pub fn new(mut out: W, info: &StreamInfo, started_at: Timestamp) -> Result<Self> {
        if u16::try_from(info.width).is_err() || u16::try_from(info.height).is_err() {
            return Err(Error::Mp4 {
                problem: "the picture is larger than the format allows",
            });
        }
        if info.codec_data.is_empty() && info.codec != Codec::Mjpeg {
            return Err(Error::Mp4 {
                problem: "the stream lacks what a decoder needs first",
            });
        }
        let init = init_segment(info, started_at);
        out.write_all(&init).map_err(writing)?;
        Ok(Self {
            out,
            waiting: Vec::new(),
            waiting_bytes: 0,
            zero: None,
            sequence: 0,
            index: Vec::new(),
            summary: Summary {
                frames: 0,
                duration: Duration::ZERO,
                bytes: init.len() as u64,
            },
            last_step: LAST_FRAME,
        })
    }

    /// Adds the next packet in decoding order. Packets before the first key frame are left out.
    ///
    /// # Errors
    /// [`Error::System`] when writing fails, [`Error::Mp4`] for a time before that of the last one.
    pub fn push(&mut self, packet: &Packet) -> Result<()> {
        if self.zero.is_none() {
            if !packet.key {
                return Ok(());
            }
            self.zero = Some(packet.dts);
        }
        if let (Some(first), Some(last)) = (self.waiting.first(), self.waiting.last()) {
            if packet.dts < last.dts {
                return Err(Error::Mp4 {
                    problem: "packets are not in decoding order",
                });
            }
            self.last_step = packet.dts - last.dts;
            let full = packet.dts - first.dts >= FRAGMENT
                || self.waiting_bytes >= FRAGMENT_BYTES
                || self.waiting.len() >= FRAGMENT_FRAMES;
            if packet.key || full {
                self.flush(packet.dts)?;
            }
        }
        self.waiting_bytes += packet.len();
        self.waiting.push(packet.clone());
        Ok(())
    }

    /// Writes what is left and the index, and gives the output back.
    ///
    /// # Errors
    /// [`Error::System`] when writing fails.
    pub fn finish(mut self) -> Result<(W, Summary)> {
        if let Some(last) = self.waiting.last() {
            let end = last.dts + last.duration.unwrap_or(self.last_step);
            self.flush(end)?;
        }
        let index = random_access(&self.index);
        self.write(&index)?;
        Ok((self.out, self.summary))
    }

    fn flush(&mut self, end: Duration) -> Result<()> {
        let zero = self.zero.unwrap_or_default();
        self.sequence += 1;
        let bytes = fragment(self.sequence, &self.waiting, zero, end);
        let first = self.waiting.first();
        if let Some(first) = first.filter(|first| first.key) {
            let time = ticks(first.dts.saturating_sub(zero));
            self.index.push((time, self.summary.bytes));
        }
        self.summary.frames += self.waiting.len() as u64;
        self.summary.duration = end.saturating_sub(zero);
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.write(&bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.summary.bytes += bytes.len() as u64;
        self.out.write_all(bytes).map_err(writing)
    }
}

fn writing(source: std::io::Error) -> Error {
    Error::System {
        operation: "write a recording",
        source,
    }
}
