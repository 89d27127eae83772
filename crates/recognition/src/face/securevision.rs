//! SecureVision's galleries: `gallery.npz`, as NumPy's `savez` writes it, with `person_ids` and
//! `embeddings`.
//!
//! (NumPy Enhancement Proposal 1, "A Simple File Format for NumPy Arrays"; the ZIP around it is the
//! library's.)

use std::io::{Cursor, Read};

use super::embed::Embedding;
use crate::error::{Error, Result};

/// The largest array that is read, in bytes.
const MAX_ARRAY: u64 = 1 << 30;
/// The longest header of an array, in bytes.
const MAX_HEADER: usize = 64 << 10;

/// Reads who is in a gallery: each person with the mean of their embeddings.
///
/// # Errors
/// [`Error::Gallery`] for what is none: an array is missing, is made of Python objects (which are
/// programs), or they do not fit each other.
pub fn read(bytes: &[u8]) -> Result<Vec<(String, Embedding)>> {
    let names = Array::read(&entry(bytes, "person_ids.npy")?)?.texts()?;
    let embeddings = Array::read(&entry(bytes, "embeddings.npy")?)?.rows()?;
    if names.len() != embeddings.len() {
        return Err(Error::gallery(
            "it has more or fewer people than embeddings",
        ));
    }
    let embedded = |row: Vec<f32>| {
        Embedding::new(row).ok_or_else(|| Error::gallery("an embedding points nowhere"))
    };
    let people = names.into_iter().zip(embeddings);
    people
        .map(|(name, row)| Ok((name, embedded(row)?)))
        .collect()
}

fn entry(bytes: &[u8], name: &str) -> Result<Vec<u8>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes))
        .map_err(|_| Error::gallery("it is no .npz of NumPy"))?;
    let file = archive
        .by_name(name)
        .map_err(|_| Error::gallery("person_ids or embeddings are missing"))?;
    let mut out = Vec::new();
    file.take(MAX_ARRAY + 1)
        .read_to_end(&mut out)
        .map_err(|_| Error::gallery("an array in it is broken"))?;
    if out.len() as u64 > MAX_ARRAY {
        return Err(Error::gallery("an array in it is too large"));
    }
    Ok(out)
}

/// An array: what its elements are, how many, and their bytes.
struct Array<'a> {
    kind: u8,
    size: usize,
    shape: Vec<usize>,
    data: &'a [u8],
}

impl<'a> Array<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self> {
        let bad = || Error::gallery("an array in it is not understood");
        let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(bad)?;
        let (&[major, _], rest) = rest.split_first_chunk::<2>().ok_or_else(bad)?;
        let (length, rest) = match major {
            1 => {
                let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(bad)?;
                (usize::from(u16::from_le_bytes(*length)), rest)
            }
            _ => {
                let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(bad)?;
                (u32::from_le_bytes(*length) as usize, rest)
            }
        };
        if length > MAX_HEADER {
            return Err(bad());
        }
        let (header, data) = rest.split_at_checked(length).ok_or_else(bad)?;
        let header = std::str::from_utf8(header).map_err(|_| bad())?;
        let value = |key: &str| {
            let (_, rest) = header.split_once(&format!("'{key}':"))?;
            Some(rest.trim_start())
        };
        let descr = value("descr").and_then(|rest| rest.strip_prefix('\''));
        let descr = descr
            .and_then(|rest| rest.split('\'').next())
            .ok_or_else(bad)?;
        let (order, kind) = (descr.as_bytes().first(), descr.as_bytes().get(1));
        let size: usize = descr
            .get(2..)
            .and_then(|size| size.parse().ok())
            .ok_or_else(bad)?;
        let (Some(b'<' | b'|'), Some(kind)) = (order, kind) else {
            return Err(bad());
        };
        if !value("fortran_order").is_some_and(|rest| rest.starts_with("False")) {
            return Err(bad());
        }
        let shape = value("shape").and_then(|rest| rest.strip_prefix('('));
        let shape = shape
            .and_then(|rest| rest.split(')').next())
            .ok_or_else(bad)?;
        let sides = shape
            .split(',')
            .map(str::trim)
            .filter(|side| !side.is_empty());
        let shape: Vec<usize> = sides
            .map(|side| side.parse().map_err(|_| bad()))
            .collect::<Result<_>>()?;
        let width = if *kind == b'U' { 4 } else { 1 };
        let needed = shape
            .iter()
            .try_fold(size.checked_mul(width).ok_or_else(bad)?, |all, side| {
                all.checked_mul(*side)
            });
        if needed != Some(data.len()) || size == 0 {
            return Err(bad());
        }
        Ok(Self {
            kind: *kind,
            size,
            shape,
            data,
        })
    }

    fn texts(&self) -> Result<Vec<String>> {
        let bad = || Error::gallery("its person_ids are no texts");
        if self.kind != b'U' || self.shape.len() != 1 {
            return Err(bad());
        }
        let text = |bytes: &[u8]| -> Option<String> {
            let letters = bytes
                .chunks_exact(4)
                .map(|letter| u32::from_le_bytes(letter.try_into().expect("4 bytes")));
            // What is shorter is filled up with zeros.
            let letters = letters.take_while(|letter| *letter != 0);
            letters.map(char::from_u32).collect()
        };
        let texts = self.data.chunks_exact(self.size * 4);
        texts.map(|bytes| text(bytes).ok_or_else(bad)).collect()
    }

    fn rows(&self) -> Result<Vec<Vec<f32>>> {
        let (kind, size, &[_, columns]) = (self.kind, self.size, &self.shape[..]) else {
            return Err(Error::gallery("its embeddings are no rows of numbers"));
        };
        if kind != b'f' || !matches!(size, 4 | 8) || columns == 0 {
            return Err(Error::gallery("its embeddings are no rows of numbers"));
        }
        let number = |bytes: &[u8]| match size {
            4 => f32::from_le_bytes(bytes.try_into().expect("4 bytes")),
            _ => f64::from_le_bytes(bytes.try_into().expect("8 bytes")) as f32,
        };
        let rows = self.data.chunks_exact(columns * size);
        Ok(rows
            .map(|row| row.chunks_exact(size).map(number).collect())
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::write::SimpleFileOptions;

    use super::*;

    fn array(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        bytes
    }

    fn npz(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        let mut archive = zip::ZipWriter::new(&mut out);
        for (name, bytes) in entries {
            let options = SimpleFileOptions::default();
            archive.start_file(*name, options).expect("it can be begun");
            archive.write_all(bytes).expect("it can be written");
        }
        archive.finish().expect("it can be ended");
        out.into_inner()
    }

    fn names() -> Vec<u8> {
        let letters = "Zoë\0Ada\0".chars().flat_map(|c| (c as u32).to_le_bytes());
        array("<U4", "(2,)", &letters.collect::<Vec<u8>>())
    }

    fn numbers(value: f64) -> Vec<u8> {
        let mut values = [0.5; 32];
        values[0] = value;
        let bytes = values.iter().flat_map(|v: &f64| v.to_le_bytes());
        array("<f8", "(2, 16)", &bytes.collect::<Vec<u8>>())
    }

    #[test]
    fn names_and_embeddings_are_read() {
        let bytes = npz(&[
            ("person_ids.npy", names()),
            ("embeddings.npy", numbers(0.5)),
        ]);
        let people = read(&bytes).expect("it is one");
        let names: Vec<&str> = people.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Zoë", "Ada"]);
        assert_eq!(people[1].1.values(), [0.25; 16]);
    }

    #[test]
    fn what_is_no_gallery_is_refused() {
        let with = |names: Vec<u8>, numbers: Vec<u8>| {
            npz(&[("person_ids.npy", names), ("embeddings.npy", numbers)])
        };
        let object = array("|O8", "(2,)", &[0; 16]);
        let short = array("<U4", "(1,)", &[65; 16]);
        for bytes in [
            b"PK".to_vec(),
            npz(&[("person_ids.npy", names())]),
            with(names(), numbers(f64::NAN)),
            with(object, numbers(0.5)),
            with(short, numbers(0.5)),
            with(names(), array("<f4", "(2, 16)", &[0; 64])),
            with(names(), array("<f4", "(2, 99999999999999999999)", &[])),
            with(names(), array("<f4", "(2, 4611686018427387904, 4)", &[])),
            with(names(), b"\x93NUMPY\x01\x00\xff\xff".to_vec()),
        ] {
            assert!(matches!(read(&bytes), Err(Error::Gallery { .. })));
        }
    }
}
