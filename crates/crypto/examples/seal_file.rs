//! Seals a file with a passphrase, or opens one.
//!
//! `cargo run --release -p keepwatch-crypto --example seal_file -- FILE PASSPHRASE`
//!
//! writes `FILE.kw`, or, if FILE is a sealed file, its content beside it. (A real program does not
//! take passphrases as arguments, where other users see them.)

#![allow(clippy::print_stdout, reason = "it says what it did")]

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use keepwatch_crypto::sealed::{self, SealOptions};
use keepwatch_crypto::{Credential, Kdf, Lock, Passphrase};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [path, passphrase] = args.as_slice() else {
        return Err("usage: seal_file FILE PASSPHRASE".into());
    };
    let (path, passphrase) = (Path::new(path), Passphrase::from(passphrase.as_str()));

    let is_sealed = sealed::Info::read(File::open(path)?).is_ok();
    let target = if is_sealed {
        path.with_extension("opened")
    } else {
        PathBuf::from(format!("{}.kw", path.display()))
    };
    // What is in `part` counts only once the call has succeeded.
    let part = target.with_extension("part");
    let (input, output) = (File::open(path)?, File::create_new(&part)?);
    let result = if is_sealed {
        sealed::open_stream(input, output, &Credential::from(passphrase), 0)
    } else {
        let lock = Lock::Passphrase(&passphrase, Kdf::default());
        sealed::seal_stream(input, output, &[lock], SealOptions::default(), 0)
    };
    match result {
        Ok(len) => {
            fs::rename(&part, &target)?;
            println!("{}: {len} bytes of content", target.display());
            Ok(())
        }
        Err(error) => {
            fs::remove_file(&part)?;
            Err(error.into())
        }
    }
}
