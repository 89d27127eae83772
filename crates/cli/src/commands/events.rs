//! `keepwatch events`

use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use keepwatch_core::Error;
use keepwatch_core::crypto::Credential;
use keepwatch_core::events::{
    Event, EventFilter, EventId, EventKind, EventStore, MediaRef, RetentionPolicy, Store,
    VerifyOptions, VerifyReport,
};
use keepwatch_core::fs::{AtomicFile, Replace};
use serde::Serialize;

use crate::commands::{Context, Outcome};
use crate::credentials::identities;
use crate::exit::{Code, Failure};
use crate::stores::{Place, StoreName, describe};
use crate::values::{age, size, time};

/// Where the events are.
#[derive(Debug, Args)]
pub struct StoreArgs {
    /// The event store, a directory or postgres://…
    #[arg(
        long,
        value_name = "DIR|URL",
        env = "KEEPWATCH_STORE",
        hide_env_values = true,
        value_parser = StoreName::parser()
    )]
    store: StoreName,
    /// With postgres://…: the directory with clips and pictures
    #[arg(long, value_name = "DIR")]
    media_dir: Option<PathBuf>,
}

impl StoreArgs {
    /// Where it is.
    pub fn place(&self) -> Result<Place, Failure> {
        Place::of(self.store.path(), self.media_dir.as_ref())
    }

    /// Opens it.
    pub fn open(&self, context: &Context) -> Result<Store, Failure> {
        self.place()?.open(&context.global)
    }
}

/// What can be done with events.
#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// List events, newest first
    List(ListArgs),
    /// Show all that is known of an event
    Show(ShowArgs),
    /// Write a clip or picture to a file
    Export(ExportArgs),
    /// Look for what was removed or changed
    Verify(VerifyArgs),
    /// Delete what is old
    Purge(PurgeArgs),
}

/// Which events.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// Of this camera; may be repeated
    #[arg(long, value_name = "NAME")]
    camera: Vec<String>,
    /// Of this kind; may be repeated
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<EventKind>,
    /// In which this was seen, whatever its case, blanks and hyphens; may be repeated
    #[arg(long, value_name = "TEXT")]
    label: Vec<String>,
    /// From this time on
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Only what comes after this event in the list
    #[arg(long, value_name = "ID", value_parser = id)]
    after: Option<EventId>,
    /// Oldest first
    #[arg(long)]
    oldest_first: bool,
}

/// Which event.
#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// The event
    #[arg(value_name = "ID", value_parser = id)]
    event: EventId,
}

/// What to write of which event.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct What {
    /// The clip of this event
    #[arg(long, value_name = "ID", value_parser = id)]
    clip: Option<EventId>,
    /// The picture of this event
    #[arg(long, value_name = "ID", value_parser = id)]
    picture: Option<EventId>,
    /// All of this event, with a proof that `evidence verify` checks without the store
    #[arg(long, value_name = "ID", value_parser = id)]
    bundle: Option<EventId>,
}

/// What to write, and where to.
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    what: What,
    /// The file to write; - is standard output
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// The age identities of a recipient of the clips, if the store cannot open them itself
    #[arg(long, value_name = "FILE")]
    clip_identity: Option<PathBuf>,
}

/// How thoroughly.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// Read every clip and picture, too
    #[arg(long)]
    media: bool,
    /// A head of the chain that was noted earlier, NUMBER:DIGITS: nothing before it may be missing
    #[arg(long, value_name = "HEAD", value_parser = expected)]
    expect: Option<Head>,
}

/// What is old.
#[derive(Debug, Args)]
pub struct PurgeArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// Events that ended longer ago
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<SignedDuration>,
    /// Segments of continuous recording that ended longer ago
    #[arg(long, value_name = "AGE", value_parser = age)]
    segments_older_than: Option<SignedDuration>,
    /// The oldest segments, until the others take no more than this
    #[arg(long, value_name = "SIZE", value_parser = size)]
    segments_beyond: Option<u64>,
    /// Only of this camera; may be repeated
    #[arg(long, value_name = "NAME")]
    camera: Vec<String>,
    /// Only of this kind; may be repeated
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<EventKind>,
    /// Only say what would be deleted
    #[arg(long)]
    dry_run: bool,
}

fn id(text: &str) -> Result<EventId, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

fn kind(text: &str) -> Result<EventKind, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

/// The number of a record and its link.
type Head = (u64, [u8; 32]);

fn expected(text: &str) -> Result<Head, String> {
    let parse = || {
        let (seq, link) = text.split_once(':')?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(link, &mut bytes).ok()?;
        Some((seq.parse().ok()?, bytes))
    };
    parse().ok_or_else(|| "it is not NUMBER:64 HEXADECIMAL DIGITS".to_owned())
}

/// Runs one of them.
pub fn run(command: EventsCommand, context: &mut Context) -> Outcome {
    match command {
        EventsCommand::List(args) => list(args, context),
        EventsCommand::Show(args) => show(&args, context),
        EventsCommand::Export(args) => export(&args, context),
        EventsCommand::Verify(args) => verify(&args, context),
        EventsCommand::Purge(args) => purge(args, context),
    }
}

fn list(args: ListArgs, context: &mut Context) -> Outcome {
    let store = args.store.open(context)?;
    let events = store.list(&EventFilter {
        cameras: args.camera,
        kinds: args.kind,
        labels: args.label,
        label_prefix: None,
        since: args.since,
        until: args.until,
        after: args.after,
        oldest_first: args.oldest_first,
        limit: Some(args.limit),
    })?;
    if context.out.json {
        context.out.json_rows(&events)?;
    } else {
        for event in &events {
            context.out.line(describe(event))?;
        }
    }
    Ok(Code::Ok)
}

fn find(store: &Store, id: EventId) -> Result<Event, Failure> {
    let event = store.get(id)?;
    Ok(event.ok_or_else(|| Error::NoSuchEvent { id })?)
}

fn show(args: &ShowArgs, context: &mut Context) -> Outcome {
    let store = args.store.open(context)?;
    let event = find(&store, args.event)?;
    if context.out.json {
        context.out.json(&event)?;
        return Ok(Code::Ok);
    }
    let file = |media: &Option<MediaRef>| match media {
        Some(media) => format!("{} ({} bytes)", media.path, media.bytes),
        None => "none".to_owned(),
    };
    let ended = event
        .ended_at
        .map_or_else(|| "lasts".to_owned(), |at| at.to_string());
    let mut facts = vec![
        ("event", event.id.to_string()),
        ("camera", event.camera.clone()),
        ("kind", event.kind.to_string()),
        ("began", event.started_at.to_string()),
        ("ended", ended),
        ("clip", file(&event.clip)),
        ("picture", file(&event.snapshot)),
    ];
    if let Some(reason) = &event.reason {
        facts.push(("reason", reason.clone()));
    }
    for seen in &event.observations {
        let place = seen.region.map_or_else(String::new, |r| {
            format!(" at {:.2},{:.2} {:.2}x{:.2}", r.x, r.y, r.w, r.h)
        });
        facts.push((
            "seen",
            format!("{} {} {:.3}{place}", seen.at, seen.label, seen.score),
        ));
    }
    context.out.facts(&facts)?;
    Ok(Code::Ok)
}

#[derive(Serialize)]
struct Exported {
    event: EventId,
    file: String,
    bytes: u64,
    complete: bool,
}

fn export(args: &ExportArgs, context: &mut Context) -> Outcome {
    let store = args.store.open(context)?;
    if let Some(id) = args.what.bundle {
        return export_bundle(&store, id, args, context);
    }
    let (event, what, media) = match (args.what.clip, args.what.picture) {
        (Some(id), _) => (id, "clip", find(&store, id)?.clip),
        (None, Some(id)) => (id, "picture", find(&store, id)?.snapshot),
        (None, None) => return Err(Failure::usage("it is not said what to export")),
    };
    let media =
        media.ok_or_else(|| Failure::refused(format!("event {event} has no {what}"), None))?;
    let credential = clip_credential(&store, args.clip_identity.as_deref())?;
    let open = || store.media().open(&media, &credential);
    let end = match media.complete {
        true => u64::MAX,
        false => playable(open()?).map_err(Failure::file("read", Path::new(&media.path)))?,
    };
    let mut reader = open()?.take(end);
    if args.output == Path::new("-") {
        io::copy(&mut reader, context.out.writer())?;
        return Ok(Code::Ok);
    }
    let replace = if args.force {
        Replace::Files
    } else {
        Replace::Never
    };
    let mut out = AtomicFile::create(&args.output, replace)?;
    let bytes = io::copy(&mut reader, &mut out).map_err(Failure::file("write", &args.output))?;
    out.flush().map_err(Failure::file("write", &args.output))?;
    out.commit()?;
    let exported = Exported {
        event,
        file: args.output.display().to_string(),
        bytes,
        complete: media.complete,
    };
    if context.out.json {
        context.out.json(&exported)?;
    } else {
        context
            .out
            .line(format_args!("wrote {} bytes to {}", bytes, exported.file))?;
    }
    if !media.complete {
        context.problem(
            "the recording was cut off; what there is of it was written",
            Code::Partly,
        );
        return Ok(Code::Partly);
    }
    Ok(Code::Ok)
}

/// Where a recording that was cut off is to end, so that it can be played.
#[cfg(feature = "vision")]
fn playable(recording: impl Read) -> io::Result<u64> {
    Ok(match keepwatch_vision::mp4::scan(recording)?.whole_bytes {
        // None of ours, or nothing of it is whole.
        0 => u64::MAX,
        whole => whole,
    })
}

/// What recordings are made of is known to the cameras' part alone.
#[cfg(not(feature = "vision"))]
fn playable(_: impl Read) -> io::Result<u64> {
    Ok(u64::MAX)
}

fn export_bundle(store: &Store, id: EventId, args: &ExportArgs, context: &mut Context) -> Outcome {
    let credential = clip_credential(store, args.clip_identity.as_deref())?;
    if args.output == Path::new("-") {
        store.export_bundle(id, &credential, context.out.writer())?;
        return Ok(Code::Ok);
    }
    let replace = if args.force {
        Replace::Files
    } else {
        Replace::Never
    };
    let mut out = AtomicFile::create(&args.output, replace)?;
    let report = store.export_bundle(id, &credential, &mut out)?;
    out.commit()?;
    if context.out.json {
        context.out.json(&report)?;
    } else {
        context.out.line(format_args!(
            "wrote event {id} with {} files to {}, signed by {}",
            report.parts.len(),
            args.output.display(),
            hex::encode(report.signer)
        ))?;
    }
    Ok(Code::Ok)
}

fn clip_credential(store: &Store, identity: Option<&Path>) -> Result<Credential, Failure> {
    if let Some(path) = identity {
        return Ok(Credential::Identities(identities(path)?));
    }
    store.clip_credential().ok_or(Failure::Refused {
        message: "the key that opened the store opens no clips".to_owned(),
        hint: Some("use a full key, or --clip-identity with an identity of a recipient"),
    })
}

fn verify(args: &VerifyArgs, context: &mut Context) -> Outcome {
    let store = args.store.open(context)?;
    let report = store.verify(&VerifyOptions {
        media: args.media,
        expect: args.expect,
    })?;
    if context.out.json {
        context.out.json(&report)?;
    } else {
        render(&report, context)?;
    }
    Ok(match report.is_ok() {
        true => Code::Ok,
        false => Code::Damaged,
    })
}

fn render(report: &VerifyReport, context: &mut Context) -> Result<(), Failure> {
    for finding in &report.findings {
        context.out.line(&finding.detail)?;
    }
    let verdict = match report.is_ok() {
        true => "nothing was removed or changed".to_owned(),
        false => format!(
            "{} findings",
            report.findings.len() as u64 + report.more_findings
        ),
    };
    context.out.facts(&[
        ("records", report.records.to_string()),
        ("checkpoints", report.checkpoints.to_string()),
        (
            "deleted",
            format!(
                "{} records in {} gaps, signed for",
                report.purged, report.gaps
            ),
        ),
        ("files", report.media.to_string()),
        ("cut off", report.incomplete_media.to_string()),
        (
            "head",
            format!("{}:{}", report.head_seq, hex::encode(report.head_link)),
        ),
        ("signed by", hex::encode(report.signer)),
        ("result", verdict),
    ])?;
    Ok(())
}

fn purge(args: PurgeArgs, context: &mut Context) -> Outcome {
    let nothing = args.older_than.is_none()
        && args.segments_older_than.is_none()
        && args.segments_beyond.is_none();
    if nothing {
        return Err(Failure::Usage {
            message: "it is not said what is old".to_owned(),
            hint: Some("use --older-than, --segments-older-than or --segments-beyond"),
        });
    }
    let store = args.store.open(context)?;
    let policy = RetentionPolicy {
        events_max_age: args.older_than,
        segments_max_age: args.segments_older_than,
        segments_max_bytes: args.segments_beyond,
        filter: EventFilter {
            cameras: args.camera,
            kinds: args.kind,
            ..EventFilter::default()
        },
    };
    let plan = store.plan_purge(&policy, context.now())?;
    if args.dry_run {
        if context.out.json {
            context.out.json(&plan)?;
        } else {
            context.out.line(format_args!(
                "would delete {} events and {} segments",
                plan.events.len(),
                plan.segments.len()
            ))?;
        }
        return Ok(Code::Ok);
    }
    let report = store.purge(&plan, "keepwatch", "events purge")?;
    if context.out.json {
        context.out.json(&report)?;
    } else {
        context.out.line(format_args!(
            "deleted {} events and {} segments with {} files",
            report.events, report.segments, report.files
        ))?;
    }
    for path in &report.left_over {
        context.problem(&format!("{path} could not be deleted"), Code::Partly);
    }
    Ok(match report.left_over.is_empty() {
        true => Code::Ok,
        false => Code::Partly,
    })
}
