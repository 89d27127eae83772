//! Numbers and file contents that are the same in every run: BLAKE3 in counter mode.

use std::fs;
use std::path::Path;

use keepwatch_core::id::Id;

pub struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self { seed, thrown: 0 }
    }

    fn block(&mut self) -> [u8; 32] {
        let mut input = [0; 16];
        input[..8].copy_from_slice(&self.seed.to_le_bytes());
        input[8..].copy_from_slice(&self.thrown.to_le_bytes());
        self.thrown += 1;
        *Id::of(&input).as_bytes()
    }

    /// A number below this one.
    pub fn below(&mut self, end: u64) -> u64 {
        let number = u64::from_le_bytes(self.block()[..8].try_into().unwrap());
        number % end
    }

    /// Content that does not compress.
    pub fn noise(&mut self, len: usize) -> Vec<u8> {
        let mut noise = Vec::with_capacity(len + 32);
        while noise.len() < len {
            noise.extend_from_slice(&self.block());
        }
        noise.truncate(len);
        noise
    }

    /// Writes so many of the files `0` to `files - 1`, chosen at random, anew.
    pub fn scribble(&mut self, dir: &Path, files: u64, times: u64) {
        fs::create_dir_all(dir).unwrap();
        for _ in 0..times {
            let name = self.below(files).to_string();
            let len = 20_000 + self.below(200_000);
            fs::write(dir.join(name), self.noise(len as usize)).unwrap();
        }
    }
}
