//! `keepwatch face purge-events`

use std::collections::BTreeSet;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use keepwatch_core::events::{
    Event, EventFilter, EventId, EventKind, EventStore, PurgePlan, PurgeReport, Store,
};
use serde::Serialize;

use crate::commands::events::StoreArgs;
use crate::commands::{Context, Outcome};
use crate::exit::{Code, Failure};

/// So many events are read at once.
const PAGE: usize = 1000;

/// Whose events.
#[derive(Debug, Args)]
pub struct PurgeEventsArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// Their name
    #[arg(value_name = "NAME")]
    name: String,
    /// Also delete what else was recorded by the same camera at the same time: clips show them, too
    #[arg(long)]
    with_recordings: bool,
    /// Only say what would be deleted
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Purged<'a> {
    person_id: &'a str,
    /// Events that name the person.
    matches: usize,
    /// Those of them that have not ended, and stay.
    lasting: usize,
    /// Other events and segments of the same cameras and times.
    recordings: usize,
    dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<PurgeReport>,
}

pub fn run(args: &PurgeEventsArgs, context: &mut Context) -> Outcome {
    let store = args.store.open(context)?;
    let mut named = Vec::new();
    each(&store, &[EventKind::FaceMatch], |event| {
        let names = |label: &str| label == args.name;
        if event.observations.iter().any(|seen| names(&seen.label)) {
            named.push(event);
        }
    })?;
    let mut plan = PurgePlan {
        events: named.iter().map(|event| event.id).collect(),
        ..PurgePlan::default()
    };
    let others = beside(&store, &named)?;
    let recordings = others.0.len() + others.1.len();
    if args.with_recordings {
        plan.events.extend(&others.0);
        plan.segments.extend(&others.1);
    }
    // What lasts is not deleted under whoever records it.
    let lasting = named
        .iter()
        .filter(|event| event.ended_at.is_none())
        .count();
    let mut purged = Purged {
        person_id: &args.name,
        matches: named.len(),
        lasting,
        recordings,
        dry_run: args.dry_run,
        report: None,
    };
    if !args.dry_run {
        purged.report = Some(store.purge(&plan, "command line", "a person asked for it")?);
    }
    if context.out.json {
        context.out.json(&purged)?;
    } else {
        let done = if args.dry_run {
            "would be deleted"
        } else {
            "were deleted"
        };
        let recordings = match args.with_recordings {
            true => format!(", and {recordings} other recordings"),
            false => String::new(),
        };
        context.out.line(format_args!(
            "{} events{recordings} {done}",
            named.len() - lasting
        ))?;
    }
    if !args.with_recordings && recordings > 0 {
        context.out.note(format_args!(
            "{recordings} other recordings of the same cameras and times may show them: \
             --with-recordings deletes those as well"
        ));
    }
    let left = purged
        .report
        .map(|report| report.left_over)
        .unwrap_or_default();
    for file in &left {
        context.problem(&format!("{file} could not be deleted yet"), Code::Partly);
    }
    if lasting > 0 {
        let problem = format!("{lasting} events have not ended and stay: delete them afterwards");
        context.problem(&problem, Code::Partly);
    }
    Ok(match left.is_empty() && lasting == 0 {
        true => Code::Ok,
        false => Code::Partly,
    })
}

fn each(store: &Store, kinds: &[EventKind], mut with: impl FnMut(Event)) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let events = store.list(&EventFilter {
            kinds: kinds.to_vec(),
            after,
            limit: Some(PAGE),
            ..EventFilter::default()
        })?;
        after = events.last().map(|event| event.id);
        let full = events.len() == PAGE;
        events.into_iter().for_each(&mut with);
        if !full {
            return Ok(());
        }
    }
}

/// What the recordings of an event show at most: a clip begins before it and ends after it, and only
/// its length is known.
fn shown(event: &Event) -> (Timestamp, Option<Timestamp>) {
    let Some(ended_at) = event.ended_at else {
        return (event.started_at, None);
    };
    let length = event.clip.as_ref().map_or(0, |clip| clip.duration_ms);
    let length = SignedDuration::from_millis(i64::try_from(length).unwrap_or(i64::MAX));
    let event_itself = ended_at.duration_since(event.started_at);
    let around = length
        .saturating_sub(event_itself)
        .max(SignedDuration::ZERO);
    let from = event.started_at.checked_sub(around);
    let to = ended_at.checked_add(around);
    (
        from.unwrap_or(Timestamp::MIN),
        Some(to.unwrap_or(Timestamp::MAX)),
    )
}

/// The other events and the segments that overlap one of these on the same camera.
fn beside(
    store: &Store,
    named: &[Event],
) -> Result<(BTreeSet<EventId>, BTreeSet<EventId>), Failure> {
    let overlaps = |camera: &str, from: Timestamp, to: Option<Timestamp>| {
        named.iter().any(|event| {
            let ends_before = |a: Option<Timestamp>, b| a.is_some_and(|a| a < b);
            event.camera == camera
                && !ends_before(event.ended_at, from)
                && !ends_before(to, event.started_at)
        })
    };
    let ids: BTreeSet<EventId> = named.iter().map(|event| event.id).collect();
    let mut events = BTreeSet::new();
    each(store, &[], |event| {
        let recorded = event.clip.is_some() || event.snapshot.is_some();
        // One that lasts is not to be deleted under whoever records it.
        let over = event.ended_at.is_some() && !ids.contains(&event.id);
        let (from, to) = shown(&event);
        if recorded && over && overlaps(&event.camera, from, to) {
            events.insert(event.id);
        }
    })?;
    let mut segments = BTreeSet::new();
    for segment in store.list_segments(&EventFilter::default())? {
        let length = i64::try_from(segment.media.duration_ms).unwrap_or(i64::MAX);
        let started = segment
            .ended_at
            .checked_sub(SignedDuration::from_millis(length));
        let started = started.unwrap_or(Timestamp::MIN);
        if overlaps(&segment.camera, started, Some(segment.ended_at)) {
            segments.insert(segment.id);
        }
    }
    Ok((events, segments))
}
