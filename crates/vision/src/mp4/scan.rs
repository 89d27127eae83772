//! How much of a file is whole.

use std::io::{self, Read};
use std::time::Duration;

use super::TIMESCALE;

/// Larger `moof` boxes are none of ours.
const MAX_MOOF: u64 = 1 << 20;

/// What is whole of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Fragments.
    pub fragments: u64,
    /// Frames in them.
    pub frames: u64,
    /// How long they play.
    pub duration: Duration,
    /// How many bytes they and what precedes them take: up to here the file can be played.
    pub whole_bytes: u64,
    /// Whether something after that is cut off or not understood.
    pub cut: bool,
}

/// Walks over the boxes of a file that [`super::Fmp4Writer`] wrote, as far as they go.
///
/// # Errors
/// Those of the reader, other than its end.
pub fn scan(mut reader: impl Read) -> io::Result<Scan> {
    let mut scan = Scan::default();
    let mut at = 0;
    let mut described: Option<Samples> = None;
    loop {
        let mut head = [0; 8];
        match read_full(&mut reader, &mut head)? {
            0 => {
                scan.cut = described.is_some();
                return Ok(scan);
            }
            8 => {}
            _ => break,
        }
        let [a, b, c, d, name @ ..] = head;
        let len = u64::from(u32::from_be_bytes([a, b, c, d]));
        let Some(body) = len.checked_sub(8) else {
            break;
        };
        // What a `moof` describes is in the `mdat` right after it, and nowhere else.
        if described.is_some() != (&name == b"mdat") {
            break;
        }
        if &name == b"moof" {
            if body > MAX_MOOF {
                break;
            }
            let mut moof = vec![0; body as usize];
            if read_full(&mut reader, &mut moof)? < moof.len() {
                break;
            }
            let Some(found) = samples(&moof) else {
                break;
            };
            described = Some(found);
        } else {
            if described
                .as_ref()
                .is_some_and(|samples| samples.bytes != body)
            {
                break;
            }
            let skipped = io::copy(&mut reader.by_ref().take(body), &mut io::sink())?;
            if skipped < body {
                break;
            }
        }
        at += len;
        if &name == b"moof" {
            continue;
        }
        if let Some(samples) = described.take() {
            scan.fragments += 1;
            scan.frames += samples.count;
            scan.duration = duration(samples.end);
        }
        scan.whole_bytes = at;
    }
    scan.cut = true;
    Ok(scan)
}

/// What a `moof` says of the samples in its fragment.
struct Samples {
    count: u64,
    bytes: u64,
    /// When the last one ends, in ticks.
    end: u64,
}

fn samples(moof: &[u8]) -> Option<Samples> {
    let traf = child(moof, b"traf")?;
    let tfdt = child(traf, b"tfdt")?;
    let base = u64::from_be_bytes(tfdt.get(4..12)?.try_into().ok()?);
    let trun = child(traf, b"trun")?;
    let count = u32::from_be_bytes(trun.get(4..8)?.try_into().ok()?);
    let entries = trun.get(12..)?;
    if entries.len() != 16 * usize::try_from(count).ok()? {
        return None;
    }
    let (mut bytes, mut end) = (0, base);
    for entry in entries.chunks_exact(16) {
        let field = |at: usize| Some(u32::from_be_bytes(entry[at..at + 4].try_into().ok()?));
        end = end.checked_add(field(0)?.into())?;
        bytes += u64::from(field(4)?);
    }
    Some(Samples {
        count: count.into(),
        bytes,
        end,
    })
}

fn child<'a>(mut boxes: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    while let Some(head) = boxes.get(..8) {
        let len = u32::from_be_bytes(head[..4].try_into().ok()?) as usize;
        let body = boxes.get(8..len)?;
        if &head[4..] == name {
            return Some(body);
        }
        boxes = &boxes[len..];
    }
    None
}

fn duration(ticks: u64) -> Duration {
    let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(TIMESCALE);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn read_full(reader: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buf.len() {
        match reader.read(&mut buf[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
