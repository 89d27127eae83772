//! Pictures out of `multipart/x-mixed-replace` (RFC 2046, section 5.1), as cameras send them.

use crate::error::{Error, Result};

/// Larger pictures are refused.
const MAX_PICTURE: usize = 16 << 20;

/// Longer headers of a part, and longer preambles, are refused.
const MAX_HEADER: usize = 8 << 10;

/// The longest boundary: RFC 2046 allows 70.
const MAX_BOUNDARY: usize = 200;

/// What a JPEG picture begins and ends with (ITU-T T.81, annex B).
const START: &[u8] = b"\xff\xd8";
const END: &[u8] = b"\xff\xd9";

/// How much of what comes is looked at in one go.
const PIECE: usize = 64 << 10;

const TOO_LARGE: &str = "a picture is larger than 16 MiB";

/// Where in the stream the parser is.
#[derive(Debug)]
enum Place {
    /// Before a boundary, after so many bytes that are none.
    Boundary(usize),
    /// In the header of a part.
    Header,
    /// In a picture of known length.
    Counted(usize),
    /// In a picture that ends where the next boundary begins. Up to here none was found.
    Uncounted(usize),
}

/// Takes a stream apart as it comes, however it is cut into pieces.
#[derive(Debug)]
pub struct MjpegParser {
    /// With the two dashes before it.
    boundary: Option<Vec<u8>>,
    place: Place,
    buf: Vec<u8>,
    /// Whether a boundary was found yet.
    begun: bool,
    failed: Option<&'static str>,
}

impl MjpegParser {
    /// A parser for a stream with the given `Content-Type`; without one, or without a boundary in
    /// it, the first line of the stream that begins with two dashes is the boundary.
    pub fn new(content_type: Option<&str>) -> Self {
        Self {
            boundary: content_type.and_then(boundary_of),
            place: Place::Boundary(0),
            buf: Vec::new(),
            begun: false,
            failed: None,
        }
    }

    /// Takes the next bytes, and gives the pictures that are whole by now.
    ///
    /// # Errors
    /// [`Error::Mjpeg`] when it is not such a stream. It stays in that state.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        let mut pictures = Vec::new();
        let mut rest = bytes;
        // Piece by piece, so that no more than one picture is here at a time.
        while self.failed.is_none() && !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(PIECE));
            self.buf.extend_from_slice(piece);
            rest = after;
            loop {
                match self.step(&mut pictures) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(problem) => {
                        self.failed = Some(problem);
                        self.buf = Vec::new();
                        break;
                    }
                }
            }
        }
        match self.failed {
            // What was whole before comes out first; the next call tells.
            Some(problem) if pictures.is_empty() => Err(Error::Mjpeg { problem }),
            _ => Ok(pictures),
        }
    }

    /// Goes on by one place; gives whether there is more to be done with what is here.
    fn step(&mut self, pictures: &mut Vec<Vec<u8>>) -> Result<bool, &'static str> {
        match self.place {
            Place::Boundary(passed) => self.find_boundary(passed),
            Place::Header => self.read_header(),
            Place::Counted(len) => {
                if self.buf.len() < len {
                    return Ok(false);
                }
                let rest = self.buf.split_off(len);
                let picture = std::mem::replace(&mut self.buf, rest);
                keep(picture, pictures);
                self.place = Place::Boundary(0);
                Ok(true)
            }
            Place::Uncounted(from) => self.find_end(from, pictures),
        }
    }

    fn find_boundary(&mut self, passed: usize) -> Result<bool, &'static str> {
        let Some(end) = self.buf.iter().position(|byte| *byte == b'\n') else {
            return self.wait("no boundary comes");
        };
        let line: Vec<u8> = self.buf.drain(..=end).collect();
        let text = line.trim_ascii_end();
        let is_boundary = match &self.boundary {
            Some(boundary) => text == boundary.as_slice(),
            None => text.starts_with(b"--") && (3..=MAX_BOUNDARY).contains(&text.len()),
        };
        if is_boundary {
            self.boundary.get_or_insert_with(|| text.to_vec());
            self.begun = true;
            self.place = Place::Header;
            return Ok(true);
        }
        if !self.begun && text.starts_with(START) {
            return Err("a picture comes where a boundary should");
        }
        // Between pictures there may be the rest of one whose length was wrong.
        let passed = passed + line.len();
        match passed > if self.begun { MAX_PICTURE } else { MAX_HEADER } {
            true => Err("no boundary comes"),
            false => {
                self.place = Place::Boundary(passed);
                Ok(true)
            }
        }
    }

    fn read_header(&mut self) -> Result<bool, &'static str> {
        let mut lines = self.buf.split_inclusive(|byte| *byte == b'\n');
        let mut len = None;
        let mut read = 0;
        loop {
            let Some(line) = lines.next().filter(|line| line.ends_with(b"\n")) else {
                return self.wait("the header of a picture does not end");
            };
            read += line.len();
            if read > MAX_HEADER {
                return Err("the header of a picture does not end");
            }
            let line = line.trim_ascii();
            if line.is_empty() {
                break;
            }
            len = content_length(line)?.or(len);
        }
        self.buf.drain(..read);
        self.place = match len {
            Some(len) if len > MAX_PICTURE => return Err(TOO_LARGE),
            Some(len) => Place::Counted(len),
            None => Place::Uncounted(0),
        };
        Ok(true)
    }

    /// Finds the next boundary: at the beginning of a line, or right after the end of a picture,
    /// for cameras that forget the line break.
    fn find_end(&mut self, from: usize, pictures: &mut Vec<Vec<u8>>) -> Result<bool, &'static str> {
        let boundary = self.boundary.as_deref().unwrap_or_default();
        let is_end = |at: usize| {
            let before = &self.buf[..at];
            before.is_empty() || before.ends_with(b"\n") || before.ends_with(END)
        };
        let found = self.buf[from..]
            .windows(boundary.len())
            .enumerate()
            .find(|(at, window)| *window == boundary && is_end(from + at))
            .map(|(at, _)| from + at);
        match found {
            Some(at) => {
                // The line break belongs to the boundary.
                let rest = self.buf.split_off(at);
                let mut picture = std::mem::replace(&mut self.buf, rest);
                for part in [b'\n', b'\r'] {
                    picture.pop_if(|last| *last == part);
                }
                keep(picture, pictures);
                self.place = Place::Boundary(0);
                Ok(true)
            }
            None if self.buf.len() > MAX_PICTURE => Err(TOO_LARGE),
            None => {
                let seen = self
                    .buf
                    .len()
                    .saturating_sub(boundary.len().saturating_sub(1));
                self.place = Place::Uncounted(seen.max(from));
                Ok(false)
            }
        }
    }

    /// Waits for the end of a line.
    fn wait(&self, problem: &'static str) -> Result<bool, &'static str> {
        match self.buf.len() > MAX_HEADER {
            true => Err(problem),
            false => Ok(false),
        }
    }
}

/// Parts that are no picture, some cameras send such, are passed over.
fn keep(picture: Vec<u8>, pictures: &mut Vec<Vec<u8>>) {
    if picture.starts_with(START) {
        pictures.push(picture);
    }
}

fn content_length(line: &[u8]) -> Result<Option<usize>, &'static str> {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return Ok(None);
    };
    if !line[..colon]
        .trim_ascii()
        .eq_ignore_ascii_case(b"content-length")
    {
        return Ok(None);
    }
    let digits = std::str::from_utf8(line[colon + 1..].trim_ascii());
    let len = digits.ok().and_then(|digits| digits.parse().ok());
    len.map(Some).ok_or("the length of a picture is no number")
}

/// The boundary of a `Content-Type`, with two dashes before it. Some cameras put them there
/// themselves.
fn boundary_of(content_type: &str) -> Option<Vec<u8>> {
    // Within quotes a semicolon separates nothing (RFC 2045, section 5.1).
    let mut quoted = false;
    let mut parameters = content_type.split(|letter| {
        quoted ^= letter == '"';
        letter == ';' && !quoted
    });
    let parameter = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("boundary")
            .then_some(value)
    })?;
    let name = parameter.trim().trim_matches('"');
    let name = name.strip_prefix("--").unwrap_or(name).trim_end();
    (!name.is_empty() && name.len() <= MAX_BOUNDARY).then(|| format!("--{name}").into_bytes())
}

#[cfg(test)]
mod tests;
