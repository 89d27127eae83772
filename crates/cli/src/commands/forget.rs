//! `keepwatch forget`

use std::io;

use clap::Args;
use jiff::{SignedDuration, Span, tz::TimeZone};
use keepwatch_core::retention::{GroupBy, Policy};
use keepwatch_core::{ForgetReport, Id, PruneOptions, PruneReport, Repository, Snapshot};
use serde::Serialize;

use crate::commands::{Context, Outcome, prune};
use crate::exit::{Code, Failure};
use crate::output::{Align, counted};
use crate::select::{FilterArgs, tag_list};
use crate::values::{count, duration, human_time, short, span};

/// Which snapshots to forget.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// Snapshots to forget, whatever the policy
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<String>,
    /// Take a snapshot back out of the trash
    #[arg(long, value_name = "SNAPSHOT", conflicts_with_all = ["snapshots", "dry_run", "prune"])]
    undo: Option<String>,
    /// Forget named snapshots even if they are pinned by the tag keepwatch:pin
    #[arg(long, requires = "snapshots")]
    pinned: bool,
    /// Only say what would be done
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Then free the space of what nothing needs any more
    #[arg(long)]
    prune: bool,
    /// With --prune: how long forgotten snapshots can be taken back
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = duration)]
    keep_trash: SignedDuration,
    /// What to keep.
    #[command(flatten)]
    policy: PolicyArgs,
    /// Which snapshots the policy is about.
    #[command(flatten)]
    filter: FilterArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "What to keep")]
struct PolicyArgs {
    /// This many of the newest
    #[arg(long, short = 'l', value_name = "N", value_parser = count)]
    keep_last: Option<u32>,
    /// The newest of each of the last N hours that have one
    #[arg(long, short = 'H', value_name = "N", value_parser = count)]
    keep_hourly: Option<u32>,
    /// The same for days
    #[arg(long, short = 'd', value_name = "N", value_parser = count)]
    keep_daily: Option<u32>,
    /// The same for weeks
    #[arg(long, short = 'w', value_name = "N", value_parser = count)]
    keep_weekly: Option<u32>,
    /// The same for months
    #[arg(long, short = 'm', value_name = "N", value_parser = count)]
    keep_monthly: Option<u32>,
    /// The same for years
    #[arg(long, short = 'y', value_name = "N", value_parser = count)]
    keep_yearly: Option<u32>,
    /// Those at most this much older than the newest, such as 30d or 1y6mo
    #[arg(long, value_name = "TIME", value_parser = span)]
    keep_within: Option<Span>,
    /// Those with these tags; repeat it for one list or another
    #[arg(long, value_name = "TAG[,TAG…]")]
    keep_tag: Vec<String>,
    /// But none that is older than this, unless its tags keep it
    #[arg(long, value_name = "TIME", value_parser = span)]
    max_age: Option<Span>,
    /// But no more than so many, and those that their tags keep
    #[arg(long, value_name = "N")]
    max_count: Option<u32>,
    /// Which snapshots compete: those with the same of these
    #[arg(long, value_name = "host,paths,tags", default_value = "host,paths", value_parser = group_by)]
    group_by: GroupBy,
    /// Do not refuse to forget all snapshots of a group
    #[arg(long)]
    allow_empty: bool,
}

fn group_by(text: &str) -> Result<GroupBy, String> {
    let mut by = GroupBy {
        host: false,
        paths: false,
        tags: false,
    };
    for word in text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
    {
        match word {
            "host" => by.host = true,
            "path" | "paths" => by.paths = true,
            "tag" | "tags" => by.tags = true,
            _ => return Err(format!("{word:?} is none of host, paths and tags")),
        }
    }
    Ok(by)
}

impl PolicyArgs {
    fn policy(&self) -> Policy {
        Policy {
            keep_last: self.keep_last,
            keep_hourly: self.keep_hourly,
            keep_daily: self.keep_daily,
            keep_weekly: self.keep_weekly,
            keep_monthly: self.keep_monthly,
            keep_yearly: self.keep_yearly,
            keep_within: self.keep_within,
            keep_tags: self.keep_tag.iter().map(|list| tag_list(list)).collect(),
            max_age: self.max_age,
            max_count: self.max_count,
            group_by: self.group_by,
            time_zone: Some(TimeZone::system()),
            allow_empty: self.allow_empty,
        }
    }
}

#[derive(Serialize)]
struct Forgotten<'a> {
    #[serde(flatten)]
    report: &'a ForgetReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    prune: Option<PruneReport>,
}

#[derive(Serialize)]
struct Undone {
    snapshot: Id,
}

/// Moves snapshots to the trash.
pub fn run(args: &ForgetArgs, context: &mut Context) -> Outcome {
    let policy = args.policy.policy();
    match (args.snapshots.is_empty(), policy.is_empty(), &args.undo) {
        (true, true, None) => {
            return Err(Failure::Usage {
                message: "nothing says what to forget".to_owned(),
                hint: Some("name snapshots, or what to keep (--keep-last, --keep-daily, …)"),
            });
        }
        (_, false, Some(_)) | (false, false, _) => {
            return Err(Failure::usage(
                "a policy goes neither with named snapshots nor with --undo",
            ));
        }
        _ => {}
    }
    let opened = context.open()?;
    let repository = &opened.repository;
    if let Some(name) = &args.undo {
        return undo(repository, name, context);
    }
    let now = context.now();
    let report = if args.snapshots.is_empty() {
        repository.forget_by_policy(&args.filter.filter(), &policy, now, args.dry_run)?
    } else {
        let ids = named(repository, &args.snapshots)?;
        match args.pinned {
            true => repository.forget_pinned(&ids, now, args.dry_run)?,
            false => repository.forget(&ids, now, args.dry_run)?,
        }
    };
    let pruned = match args.prune && !args.dry_run {
        true => Some(repository.prune(
            &PruneOptions {
                keep_trash: args.keep_trash,
                ..PruneOptions::default()
            },
            context.now(),
        )?),
        false => None,
    };
    if pruned.is_some() {
        prune::sweep(&opened);
    }
    if context.out.json {
        context.out.json(&Forgotten {
            report: &report,
            prune: pruned,
        })?;
        return Ok(Code::Ok);
    }
    render(&report, args.dry_run, context)?;
    if let Some(pruned) = &pruned {
        prune::render(pruned, false, context)?;
    }
    Ok(Code::Ok)
}

fn named(repository: &Repository, names: &[String]) -> Result<Vec<Id>, Failure> {
    names
        .iter()
        .map(|name| Ok(repository.find_snapshot(name)?.0))
        .collect()
}

fn undo(repository: &Repository, name: &str, context: &mut Context) -> Outcome {
    let (id, snapshot): (Id, Snapshot) = repository.unforget(name)?;
    if context.out.json {
        context.out.json(&Undone { snapshot: id })?;
    } else {
        context.out.line(format_args!(
            "the snapshot of {} is back, as {id}",
            human_time(snapshot.time)
        ))?;
    }
    Ok(Code::Ok)
}

fn render(report: &ForgetReport, dry_run: bool, context: &mut Context) -> io::Result<()> {
    let columns = [
        ("ID", Align::Left),
        ("Time", Align::Left),
        ("Host", Align::Left),
        ("Paths", Align::Left),
        ("Kept for", Align::Left),
    ];
    let rows: Vec<Vec<String>> = report
        .kept
        .iter()
        .chain(&report.removed)
        .map(|entry| {
            let join =
                |words: &mut dyn Iterator<Item = String>| words.collect::<Vec<_>>().join(" ");
            let reasons = join(&mut entry.reasons.iter().map(ToString::to_string));
            vec![
                short(&entry.id),
                human_time(entry.time),
                entry.host.clone(),
                join(&mut entry.paths.iter().map(ToString::to_string)),
                if reasons.is_empty() {
                    "- forgotten".to_owned()
                } else {
                    reasons
                },
            ]
        })
        .collect();
    if !rows.is_empty() {
        context.out.table(&columns, &rows)?;
    }
    let verb = if dry_run { "would be" } else { "" };
    context.out.line(
        format!(
            "{} kept, {} {verb} forgotten",
            counted(report.kept.len() as u64, "snapshot"),
            report.removed.len()
        )
        .replace("  ", " "),
    )
}
