//! Pictures out of `multipart/x-mixed-replace` (RFC 2046, section 5.1), as cameras send them.

use crate::error::{Error, Result};

/// Larger pictures are refused.
const MAX_PICTURE: usize = 16 << 20;

/// Longer headers of a part, and preambles, are refused.
const MAX_HEADER: usize = 8 << 10;

/// The longest boundary: RFC 2046 allows 70.
const MAX_BOUNDARY: usize = 200;

/// Where in the stream the parser is.
#[derive(Debug)]
enum Place {
    /// Before a boundary.
    Boundary,
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
}

impl MjpegParser {
    /// A parser for a stream with the given `Content-Type`; without one, or without a boundary in
    /// it, the first line of the stream that begins with two dashes is the boundary.
    pub fn new(content_type: Option<&str>) -> Self {
        Self {
            boundary: content_type.and_then(boundary_of),
            place: Place::Boundary,
            buf: Vec::new(),
        }
    }

    /// Takes the next bytes, and gives the pictures that are whole by now.
    ///
    /// # Errors
    /// [`Error::Mjpeg`] when it is not such a stream. It stays in that state.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.buf.extend_from_slice(bytes);
        let mut pictures = Vec::new();
        while self.step(&mut pictures)? {}
        Ok(pictures)
    }

    /// Goes on by one place; gives whether there is more to be done with what is here.
    fn step(&mut self, pictures: &mut Vec<Vec<u8>>) -> Result<bool> {
        match self.place {
            Place::Boundary => self.find_boundary(),
            Place::Header => self.read_header(),
            Place::Counted(len) => {
                if self.buf.len() < len {
                    return Ok(false);
                }
                let rest = self.buf.split_off(len);
                let picture = std::mem::replace(&mut self.buf, rest);
                keep(picture, pictures);
                self.place = Place::Boundary;
                Ok(true)
            }
            Place::Uncounted(from) => self.find_end(from, pictures),
        }
    }

    fn find_boundary(&mut self) -> Result<bool> {
        let Some(end) = self.buf.iter().position(|byte| *byte == b'\n') else {
            return self.wait("no boundary comes");
        };
        let line: Vec<u8> = self.buf.drain(..=end).collect();
        let line = line.trim_ascii_end();
        let is_boundary = match &self.boundary {
            Some(boundary) => line == boundary.as_slice(),
            None => line.starts_with(b"--") && (3..=MAX_BOUNDARY).contains(&line.len()),
        };
        if is_boundary {
            self.boundary.get_or_insert_with(|| line.to_vec());
            self.place = Place::Header;
        } else if line.starts_with(b"\xff\xd8") {
            return Err(Error::Mjpeg {
                problem: "a picture comes where a boundary should",
            });
        }
        Ok(true)
    }

    fn read_header(&mut self) -> Result<bool> {
        let mut lines = self.buf.split_inclusive(|byte| *byte == b'\n');
        let mut len = None;
        let mut read = 0;
        loop {
            let Some(line) = lines.next().filter(|line| line.ends_with(b"\n")) else {
                return self.wait("the header of a picture does not end");
            };
            read += line.len();
            let line = line.trim_ascii();
            if line.is_empty() {
                break;
            }
            len = content_length(line)?.or(len);
        }
        self.buf.drain(..read);
        self.place = match len {
            Some(len) if len > MAX_PICTURE => return Err(too_large()),
            Some(len) => Place::Counted(len),
            None => Place::Uncounted(0),
        };
        Ok(true)
    }

    /// Finds the next boundary at the beginning of a line.
    fn find_end(&mut self, from: usize, pictures: &mut Vec<Vec<u8>>) -> Result<bool> {
        let boundary = self.boundary.as_deref().unwrap_or_default();
        let needle = [b"\n", boundary].concat();
        let found = self.buf[from..]
            .windows(needle.len())
            .position(|window| window == needle);
        match found {
            Some(at) => {
                // The line break belongs to the boundary.
                let rest = self.buf.split_off(from + at + 1);
                let mut picture = std::mem::replace(&mut self.buf, rest);
                picture.pop();
                if picture.ends_with(b"\r") {
                    picture.pop();
                }
                keep(picture, pictures);
                self.place = Place::Boundary;
                Ok(true)
            }
            None if self.buf.len() > MAX_PICTURE => Err(too_large()),
            None => {
                let seen = self.buf.len().saturating_sub(needle.len() - 1);
                self.place = Place::Uncounted(seen.max(from));
                Ok(false)
            }
        }
    }

    fn wait(&self, problem: &'static str) -> Result<bool> {
        match self.buf.len() > MAX_HEADER {
            true => Err(Error::Mjpeg { problem }),
            false => Ok(false),
        }
    }
}

/// Parts that are no picture, some cameras send such, are passed over.
fn keep(picture: Vec<u8>, pictures: &mut Vec<Vec<u8>>) {
    if picture.starts_with(b"\xff\xd8") {
        pictures.push(picture);
    }
}

fn too_large() -> Error {
    Error::Mjpeg {
        problem: "a picture is larger than 16 MiB",
    }
}

fn content_length(line: &[u8]) -> Result<Option<usize>> {
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
    len.map(Some).ok_or(Error::Mjpeg {
        problem: "the length of a picture is no number",
    })
}

/// The boundary of a `Content-Type`, with two dashes before it. Some cameras put them there
/// themselves.
fn boundary_of(content_type: &str) -> Option<Vec<u8>> {
    let parameter = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("boundary")
            .then_some(value)
    })?;
    let name = parameter.trim().trim_matches('"');
    let name = name.strip_prefix("--").unwrap_or(name);
    (!name.is_empty() && name.len() <= MAX_BOUNDARY).then(|| format!("--{name}").into_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pictures() -> Vec<Vec<u8>> {
        let filler = [b'\n', b'-', b'-', b'b', 7];
        (1..5_usize)
            .map(|n| {
                let body = filler.iter().cycle().take(n * 37).copied();
                [0xff, 0xd8]
                    .into_iter()
                    .chain(body)
                    .chain([0xff, 0xd9])
                    .collect()
            })
            .collect()
    }

    fn stream(end: &str, counted: bool, preamble: &str) -> Vec<u8> {
        let mut out = preamble.as_bytes().to_vec();
        for picture in pictures() {
            out.extend(format!("--frame{end}Content-Type: image/jpeg{end}").bytes());
            if counted {
                out.extend(format!("content-length : {}{end}", picture.len()).bytes());
            }
            out.extend(end.bytes());
            out.extend(&picture);
            out.extend(end.bytes());
        }
        out.extend(format!("--frame--{end}--frame{end}").bytes());
        out
    }

    proptest! {
        #[test]
        fn pictures_come_out_however_the_stream_is_cut(
            pieces in proptest::collection::vec(1_usize..90, 1..40),
            counted: bool,
            crlf: bool,
            header in prop_oneof![
                Just(None),
                Just(Some("multipart/x-mixed-replace; boundary=frame")),
                Just(Some("multipart/x-mixed-replace;boundary=\"--frame\"")),
            ],
            preamble in prop_oneof![Just(""), Just("\r\n"), Just("hello\n")],
        ) {
            let stream = stream(if crlf { "\r\n" } else { "\n" }, counted, preamble);
            let mut parser = MjpegParser::new(header);
            let mut found = Vec::new();
            let mut rest = stream.as_slice();
            for len in pieces.iter().cycle() {
                let (piece, after) = rest.split_at((*len).min(rest.len()));
                found.extend(parser.push(piece).expect("it is a stream"));
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(found, pictures());
        }

        #[test]
        fn any_bytes_are_pictures_an_error_or_nothing(bytes: Vec<u8>) {
            let _ = MjpegParser::new(None).push(&bytes);
        }
    }

    #[test]
    fn nothing_grows_without_bound() {
        for (stream, what) in [
            (vec![b'a'; 20_000], "no boundary"),
            (
                b"--b\nContent-Length: 99999999\n\n".to_vec(),
                "too long a picture",
            ),
            (b"--b\nContent-Length: -1\n\n".to_vec(), "no number"),
            (
                [b"--b\nX: ".to_vec(), vec![b'a'; 20_000]].concat(),
                "too long a header",
            ),
            (
                [b"--b\n\n".to_vec(), vec![0; MAX_PICTURE + 10]].concat(),
                "no end",
            ),
            (b"\xff\xd8\xff\n".to_vec(), "a picture without a part"),
        ] {
            assert!(MjpegParser::new(None).push(&stream).is_err(), "{what}");
        }
    }
}
