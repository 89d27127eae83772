//! A dump of one MySQL database, on its way into another.

use std::io::{self, Read};

/// Lines that name the database are shorter.
const LINE: usize = 1024;

/// Gives the database another name where the dump makes and takes it: in lines that begin so. A line
/// of data never does, since `mysqldump` writes line breaks in texts as `\n`.
pub(super) struct Renamed<R> {
    dump: R,
    old: String,
    new: String,
    /// What was read and not given yet.
    ready: Vec<u8>,
    at: usize,
    /// The beginning of a line whose rest is still to be read.
    line: Vec<u8>,
    is_at_start: bool,
    has_ended: bool,
}

impl<R: Read> Renamed<R> {
    pub fn new(dump: R, old: &str, new: &str) -> Self {
        let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
        Self {
            dump,
            old: quoted(old),
            new: quoted(new),
            ready: Vec::new(),
            at: 0,
            line: Vec::new(),
            is_at_start: true,
            has_ended: false,
        }
    }

    fn take(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let end = piece.iter().position(|byte| *byte == b'\n');
            let (part, rest) = piece.split_at(end.map_or(piece.len(), |end| end + 1));
            piece = rest;
            if self.is_at_start {
                self.line.extend(part);
                if end.is_some() || self.line.len() > LINE {
                    self.flush();
                    self.is_at_start = end.is_some();
                }
            } else {
                self.ready.extend(part);
                self.is_at_start = end.is_some();
            }
        }
    }

    fn flush(&mut self) {
        let line = std::mem::take(&mut self.line);
        let names = line.starts_with(b"USE `") || line.starts_with(b"CREATE DATABASE ");
        match std::str::from_utf8(&line) {
            Ok(text) if names => {
                let renamed = text.replacen(&self.old, &self.new, 1);
                self.ready.extend(renamed.as_bytes());
            }
            _ => self.ready.extend(line),
        }
    }
}

impl<R: Read> Read for Renamed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.ready.len() && !self.has_ended {
            self.ready.clear();
            self.at = 0;
            let mut piece = vec![0; 64 * 1024];
            match self.dump.read(&mut piece)? {
                0 => {
                    self.flush();
                    self.has_ended = true;
                }
                length => self.take(&piece[..length]),
            }
        }
        let left = &self.ready[self.at..];
        let length = left.len().min(buffer.len());
        buffer[..length].copy_from_slice(&left[..length]);
        self.at += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives so many bytes at a time.
    struct Slowly<'a>(&'a [u8], usize);

    impl Read for Slowly<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = self.1.min(buffer.len());
            (&mut self.0).take(most as u64).read(&mut buffer[..most])
        }
    }

    fn renamed(dump: &[u8], step: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut renamed = Renamed::new(Slowly(dump, step), "shop", "copy");
        renamed.read_to_end(&mut out).expect("it is read");
        out
    }

    #[test]
    fn only_lines_that_name_the_database_change() {
        let dump =
            b"-- USE `shop`;\nCREATE DATABASE /*!32312 IF NOT EXISTS*/ `shop` /*!40100 */;\n\
                     USE `shop`;\nINSERT INTO `t` VALUES ('USE `shop`;');\nUSE `shop`";
        let wanted =
            b"-- USE `shop`;\nCREATE DATABASE /*!32312 IF NOT EXISTS*/ `copy` /*!40100 */;\n\
                       USE `copy`;\nINSERT INTO `t` VALUES ('USE `shop`;');\nUSE `copy`";
        for step in [1, 7, 1000] {
            assert_eq!(renamed(dump, step), wanted, "{step}");
        }
    }

    proptest! {
        #[test]
        fn all_else_stays_as_it_is(
            lines in prop::collection::vec("[^\n]{0,40}|x{2000}", 0..20), step in 1_usize..300,
        ) {
            let dump = lines.join("\n").replace("shop", "x");
            prop_assert_eq!(renamed(dump.as_bytes(), step), dump.as_bytes());
        }
    }
}
