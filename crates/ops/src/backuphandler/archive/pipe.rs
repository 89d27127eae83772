//! A reader of what another thread writes: readers of zips cannot be taken along.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use keepwatch_crypto::zeroize::Zeroizing;

/// So many parts wait to be read.
const AHEAD: usize = 4;

type Part = io::Result<Zeroizing<Vec<u8>>>;

/// Where the other thread writes.
pub(super) struct Pipe(SyncSender<Part>);

impl Pipe {
    /// Sends some bytes; whether anybody still reads.
    pub fn send(&mut self, part: &[u8]) -> bool {
        self.0.send(Ok(Zeroizing::new(part.to_vec()))).is_ok()
    }
}

/// Reads what a thread writes, and fails as it does.
pub(super) struct Piped {
    parts: Receiver<Part>,
    part: Zeroizing<Vec<u8>>,
    at: usize,
    ended: bool,
}

impl Piped {
    pub fn new(write: impl FnOnce(&mut Pipe) -> io::Result<()> + Send + 'static) -> Self {
        let (sender, parts) = sync_channel(AHEAD);
        std::thread::spawn(move || {
            let mut pipe = Pipe(sender);
            let end = write(&mut pipe).map(|()| Zeroizing::default());
            // Nobody listens when the reader was dropped.
            let _ = pipe.0.send(end);
        });
        Self {
            parts,
            part: Zeroizing::default(),
            at: 0,
            ended: false,
        }
    }
}

impl Read for Piped {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.at == self.part.len() && !self.ended {
            let gone = |_| io::Error::other("it was not read to its end");
            self.part = self.parts.recv().map_err(gone)??;
            self.at = 0;
            self.ended = self.part.is_empty();
        }
        let len = buf.len().min(self.part.len() - self.at);
        buf[..len].copy_from_slice(&self.part[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut reader = Piped::new(|pipe| {
            for part in 0..100_u8 {
                assert!(pipe.send(&vec![part; 1000]));
            }
            Ok(())
        });
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        let expected: Vec<u8> = (0..100).flat_map(|part| vec![part; 1000]).collect();
        assert_eq!(read, expected);
        assert_eq!(reader.read(&mut [0; 9]).unwrap(), 0);
    }

    #[test]
    fn its_failure_is_the_readers() {
        let mut reader = Piped::new(|pipe| {
            pipe.send(b"some");
            Err(io::Error::other("broken"))
        });
        let mut read = Vec::new();
        let error = reader.read_to_end(&mut read).unwrap_err();
        assert_eq!(
            (read.as_slice(), error.to_string().as_str()),
            (&b"some"[..], "broken")
        );
    }

    #[test]
    fn a_writer_that_panics_is_no_end() {
        let mut reader = Piped::new(|pipe| {
            pipe.send(b"some");
            panic!("on purpose");
        });
        reader.read_to_end(&mut Vec::new()).unwrap_err();
    }

    #[test]
    fn a_reader_that_goes_ends_the_writer() {
        let (done, is_done) = sync_channel(1);
        drop(Piped::new(move |pipe| {
            while pipe.send(&[0; 9]) {}
            done.send(()).unwrap();
            Ok(())
        }));
        is_done.recv().unwrap();
    }
}
