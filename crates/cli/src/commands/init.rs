//! `keepwatch init`

use clap::{Args, ValueEnum};
use keepwatch_core::chunker::{ChunkerId, ChunkerParams};
use keepwatch_core::crypto::{Kdf, NewLock, PublicKey, Suite};
use keepwatch_core::{InitOptions, Padding, Repository, Role};
use serde::Serialize;

use crate::commands::{Context, Outcome};
use crate::credentials::{new_locks, recipient};
use crate::exit::Code;
use crate::open::{cache_place, create, location};
use crate::values::size_u32;

/// What a new repository is like.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// What makes a key of the passphrase
    #[arg(long, value_enum, default_value_t)]
    kdf: KdfName,
    /// What encrypts [default: the faster one on this machine]
    #[arg(long, value_name = "xaes-256-gcm|xchacha20-poly1305", value_parser = suite)]
    suite: Option<Suite>,
    /// How files are cut into chunks
    #[arg(long, value_enum, default_value_t)]
    chunker: ChunkerName,
    /// The size at which a pack is closed
    #[arg(long, value_name = "SIZE", default_value = "16M", value_parser = size_u32)]
    pack_size: u32,
    /// Pad packs, so that their sizes tell less
    #[arg(long, value_enum, default_value_t)]
    padding: PaddingName,
    /// Also open it with the identity of this age recipient; may be repeated
    #[arg(long, value_name = "AGE1…", value_parser = recipient)]
    recipient: Vec<PublicKey>,
    /// The name of the first key slot
    #[arg(long, value_name = "NAME", default_value = "first")]
    label: String,
}

/// Key derivations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum KdfName {
    /// Argon2id with 64 MiB of memory
    #[default]
    Argon2id,
    /// PBKDF2-HMAC-SHA-256 with 600 000 iterations, for those who must
    Pbkdf2,
}

impl KdfName {
    /// With its parameters.
    pub fn kdf(self) -> Kdf {
        match self {
            KdfName::Argon2id => Kdf::default(),
            KdfName::Pbkdf2 => Kdf::pbkdf2(600_000),
        }
    }

    fn name(self) -> &'static str {
        match self {
            KdfName::Argon2id => "argon2id",
            KdfName::Pbkdf2 => "pbkdf2",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ChunkerName {
    /// Gear hash with a secret table
    #[default]
    GearKeyed,
    /// Universal hash and AES, against whoever sees chunk sizes
    Prf,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum PaddingName {
    /// As large as their content
    #[default]
    None,
    /// Padmé: at most 12 % more
    Padme,
}

fn suite(text: &str) -> Result<Suite, String> {
    text.parse().map_err(|_| {
        let names: Vec<&str> = Suite::ALL.iter().map(|suite| suite.name()).collect();
        format!("it is neither {}", names.join(" nor "))
    })
}

#[derive(Serialize)]
struct Made {
    repository: String,
    suite: &'static str,
    kdf: Option<&'static str>,
}

/// Makes a repository.
pub fn run(args: &InitArgs, context: &mut Context) -> Outcome {
    location(&context.global)?;
    let locks = new_locks(&context.global, &args.recipient)?;
    let (first, others) = locks.split_first().expect("there is always a lock");
    let defaults = InitOptions::default();
    let options = InitOptions {
        suite: args.suite.unwrap_or(defaults.suite),
        chunker: match args.chunker {
            ChunkerName::GearKeyed => ChunkerId::GearKeyed,
            ChunkerName::Prf => ChunkerId::Prf,
        },
        params: ChunkerParams::default(),
        pack_size: args.pack_size,
        padding: match args.padding {
            PaddingName::None => Padding::None,
            PaddingName::Padme => Padding::Padme,
        },
    };
    let kdf = args.kdf.kdf();
    let now = context.now();
    let repository = Repository::init(
        create(&context.global)?,
        &first.lock(kdf),
        &args.label,
        &options,
        now,
        &cache_place(&context.global)?,
    )?;
    for (nth, lock) in others.iter().enumerate() {
        let label = format!("recipient {}", nth + 1);
        repository.add_key(&lock.lock(kdf), Role::Full, &label, now)?;
    }
    let passphrase = locks
        .iter()
        .any(|lock| matches!(lock, NewLock::Passphrase(_)));
    let made = Made {
        repository: hex::encode(repository.config().id()),
        suite: repository.config().suite().name(),
        kdf: passphrase.then(|| args.kdf.name()),
    };
    if context.out.json {
        context.out.json(&made)?;
    } else {
        context.out.line(format_args!(
            "made repository {} at {}",
            made.repository,
            repository.location()
        ))?;
        context.out.note(
            "Keep what opens it in a second place: without it nobody can read the backups, \
             not even you.",
        );
    }
    Ok(Code::Ok)
}
