//! `keepwatch keygen`

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use keepwatch_core::crypto::zeroize::Zeroizing;
use keepwatch_core::crypto::{Key, SecretKey};
use keepwatch_core::fs::{AtomicFile, Replace};
use serde::Serialize;

use crate::commands::dump::refuse_terminal;
use crate::commands::encrypt::is_dash;
use crate::commands::{Context, Outcome};
use crate::exit::{Code, Failure};

/// What kind of key to make.
#[derive(Debug, Args)]
pub struct KeygenArgs {
    /// Write it to this file, for its owner only, instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Make a key file of 32 random bytes, here if a name follows, instead of an age identity
    // Stands in place of the global option of the same name.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    key_file: Option<PathBuf>,
    /// Replace the file if there is one: what it opens stays closed for ever
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Made {
    public_key: Option<String>,
    file: Option<String>,
}

/// Makes a key.
pub fn run(args: &KeygenArgs, context: &mut Context) -> Outcome {
    let named = args.key_file.as_ref().filter(|path| !is_dash(path));
    if named.is_some() && args.output.is_some() {
        return Err(Failure::usage("two names are given for one key"));
    }
    let output = args.output.as_ref().or(named).filter(|path| !is_dash(path));
    let (public_key, content) = match args.key_file {
        Some(_) => (None, random_key()?),
        None => identity(context.now())?,
    };
    match output {
        Some(path) => {
            let replace = match args.force {
                true => Replace::Files,
                false => Replace::Never,
            };
            let mut file = AtomicFile::create(path, replace)?;
            file.write_all(&content)
                .map_err(Failure::file("write", path))?;
            file.commit()?;
        }
        None if context.out.json => {
            return Err(Failure::usage(
                "--json goes with --output: a key is no JSON",
            ));
        }
        None => {
            if args.key_file.is_some() {
                refuse_terminal()?;
            }
            context.out.writer().write_all(&content)?;
        }
    }
    if context.out.json {
        context.out.json(&Made {
            public_key,
            file: output.map(|path| path.display().to_string()),
        })?;
    } else if let Some(public_key) = public_key {
        context.out.note(format_args!("public key: {public_key}"));
    }
    Ok(Code::Ok)
}

fn random_key() -> Result<Zeroizing<Vec<u8>>, Failure> {
    Ok(Zeroizing::new(Key::generate()?.expose().to_vec()))
}

/// An identity file as `age-keygen` writes it.
fn identity(now: Timestamp) -> Result<(Option<String>, Zeroizing<Vec<u8>>), Failure> {
    let identity = SecretKey::generate()?;
    let public = identity.public().to_string();
    let text = identity.to_age_string();
    // Large enough from the start: growing would leave copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(512));
    let write = |content: &mut Vec<u8>| -> io::Result<()> {
        let now = now.strftime("%Y-%m-%dT%H:%M:%SZ");
        writeln!(content, "# created: {now}\n# public key: {public}")?;
        writeln!(content, "{}", text.as_str())
    };
    write(&mut content)?;
    Ok((Some(public), content))
}
