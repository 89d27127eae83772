//! Event stores: how they are opened, and how events are shown.

use std::fmt::Write as _;

use keepwatch_core::events::Event;
#[cfg(feature = "vision")]
use {
    crate::commands::Context,
    crate::credentials::{existing, new_locks},
    crate::exit::Failure,
    keepwatch_core::crypto::{Kdf, PublicKey},
    keepwatch_core::events::{Store, StoreOptions, StoreRole},
    std::path::Path,
};

/// An event in a line.
pub fn describe(event: &Event) -> String {
    let mut text = format!(
        "{}  {}  {}  {}",
        event.started_at.strftime("%Y-%m-%d %H:%M:%S"),
        event.camera,
        event.kind,
        event.id
    );
    let _ = match event.ended_at {
        None => write!(text, "  lasts"),
        Some(ended) => {
            let seconds = ended.duration_since(event.started_at).as_secs_f64();
            write!(text, "  {seconds:.1} s")
        }
    };
    if let Some(clip) = &event.clip {
        let cut = if clip.complete { "" } else { ", cut off" };
        let _ = write!(
            text,
            "  clip {:.1} s{cut}",
            clip.duration_ms as f64 / 1000.0
        );
    }
    if event.snapshot.is_some() {
        text.push_str("  picture");
    }
    if let Some(reason) = &event.reason {
        let _ = write!(text, "  ({reason})");
    }
    text
}

/// Opens an event store, or makes one whose clips are sealed to these recipients.
#[cfg(feature = "vision")]
pub fn open_or_create(
    root: &Path,
    recipients: Vec<PublicKey>,
    context: &mut Context,
) -> Result<Store, Failure> {
    if Store::exists(root) {
        let credential = existing(&context.global, &root.display().to_string())?;
        let store = Store::open(root, &credential)?;
        let same = |wanted: &PublicKey| store.recipients().contains(wanted);
        if !recipients.iter().all(same) {
            return Err(Failure::Refused {
                message: "the event store seals clips to other recipients".to_owned(),
                hint: Some("who can open clips is chosen when a store is made; use a new one"),
            });
        }
        return Ok(store);
    }
    let locks = new_locks(&context.global, &[])?;
    let locks: Vec<_> = locks
        .iter()
        .map(|lock| (lock.lock(Kdf::default()), StoreRole::Full))
        .collect();
    let options = StoreOptions {
        own_identity: recipients.is_empty(),
        recipients,
        ..StoreOptions::default()
    };
    let store = Store::create(root, &locks, &options)?;
    context.out.note(format_args!(
        "made an event store at {}; it signs as {}",
        root.display(),
        hex::encode(store.signer())
    ));
    Ok(store)
}

/// Whom the configuration wants clips to be sealed to.
#[cfg(feature = "vision")]
pub fn recipients(config: &keepwatch_config::Config) -> Result<Vec<PublicKey>, Failure> {
    let texts = config.store.recipients.iter();
    texts
        .map(|text| crate::credentials::recipient(text).map_err(Failure::usage))
        .collect()
}
