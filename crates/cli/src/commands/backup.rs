//! `keepwatch backup`

mod event_store;

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::{Args, ValueEnum};
use keepwatch_core::fs::ExcludesBuilder;
use keepwatch_core::{BackupOptions, BackupReport, CachePlace, Compression, Mode, Source, Stream};
use keepwatch_ops::source::WideOutput;

use crate::args::Global;
use crate::commands::{Context, Outcome};
use crate::credentials::PASSWORD_VARIABLE;
use crate::exit::{Code, Failure};
use crate::interrupt::stop_flag;
use crate::open::{cache_place, location};
use crate::output::counted;
use crate::select::tag_list;
use crate::values::{human_seconds, human_size, size};

/// What to back up, and how.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Files and directories
    #[arg(value_name = "PATH", required_unless_present_any = ["stdin_name", "command", "event_store"])]
    paths: Vec<PathBuf>,
    /// A word to find the snapshot by; may be repeated
    #[arg(long, value_name = "TAG[,TAG…]")]
    tag: Vec<String>,
    /// The name of this machine [default: its host name]
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Which files to read
    #[arg(long, value_enum, default_value_t)]
    mode: ModeName,
    /// How hard to compress
    #[arg(long, value_enum, default_value_t)]
    compression: CompressionName,
    /// Read and count, and write nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Back up standard input as a file of this name
    #[arg(long, value_name = "NAME", value_parser = Stream::parse_path, help_heading = "Streams")]
    stdin_name: Option<PathBuf>,
    /// Back up what the command after `--` prints as a file of this name; without a snapshot if it
    /// fails
    #[arg(long, value_name = "NAME", value_parser = Stream::parse_path, requires = "argv", help_heading = "Streams")]
    command: Option<PathBuf>,
    /// The command, which is run without a shell
    #[arg(
        last = true,
        value_name = "COMMAND",
        requires = "command",
        help_heading = "Streams"
    )]
    argv: Vec<OsString>,
    /// The event store, if one is backed up.
    #[command(flatten)]
    event_store: event_store::EventStoreArgs,
    /// What to leave out.
    #[command(flatten)]
    excludes: ExcludeArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "What to leave out")]
struct ExcludeArgs {
    /// What matches a pattern, as in .gitignore; may be repeated
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// What matches a pattern in a file; may be repeated
    #[arg(long, value_name = "FILE")]
    exclude_file: Vec<PathBuf>,
    /// What is in directories that a CACHEDIR.TAG marks as caches
    #[arg(long)]
    exclude_caches: bool,
    /// What is in directories that have an entry of this name; may be repeated
    #[arg(long, value_name = "NAME")]
    exclude_if_present: Vec<OsString>,
    /// Files above this size
    #[arg(long, value_name = "SIZE", value_parser = size)]
    exclude_larger_than: Option<u64>,
    /// What .gitignore files name
    #[arg(long)]
    gitignore: bool,
    /// What is on other file systems
    #[arg(long, short = 'x')]
    one_file_system: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ModeName {
    /// All
    Full,
    /// Those that changed since the last backup
    #[default]
    Incremental,
    /// Those that changed since the last full backup
    Differential,
}

/// How hard to compress.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum CompressionName {
    /// Not at all
    Off,
    /// zstd level 1
    #[default]
    Fast,
    /// zstd level 7
    Better,
    /// zstd level 19
    Max,
}

impl From<CompressionName> for Compression {
    fn from(name: CompressionName) -> Self {
        match name {
            CompressionName::Off => Compression::Off,
            CompressionName::Fast => Compression::Fast,
            CompressionName::Better => Compression::Better,
            CompressionName::Max => Compression::Max,
        }
    }
}

/// Makes a snapshot.
pub fn run(args: BackupArgs, context: &mut Context) -> Outcome {
    let excludes = args
        .event_store
        .exclude(args.excludes.patterns()?)?
        .build()?;
    let opened = context.open()?;
    let stop = stop_flag()?;
    let options = BackupOptions {
        mode: match args.mode {
            ModeName::Full => Mode::Full,
            ModeName::Incremental => Mode::Incremental,
            ModeName::Differential => Mode::Differential,
        },
        tags: args.tag.iter().flat_map(|list| tag_list(list)).collect(),
        host: args.host.clone().unwrap_or_else(host_name),
        user: user_name(),
        program: concat!("keepwatch ", env!("CARGO_PKG_VERSION")).to_owned(),
        time: context.now(),
        excludes,
        one_file_system: args.excludes.one_file_system,
        exclude_caches: args.excludes.exclude_caches,
        exclude_if_present: args
            .excludes
            .exclude_if_present
            .iter()
            .map(|name| name.clone().into_vec())
            .collect(),
        gitignore: args.excludes.gitignore,
        skip: never_enter(&context.global)?,
        compression: args.compression.into(),
        dry_run: args.dry_run,
        stop: Some(stop.clone()),
    };
    let sources = sources(args, &context.global)?;
    let bar = context.bar();
    let report = opened.repository.backup(sources, &options, &bar)?;
    drop(bar);
    for problem in &report.errors {
        context.problem(
            &format!("{}: {}", problem.path, problem.error),
            Code::Partly,
        );
    }
    if context.out.json {
        context.out.json(&report)?;
    } else {
        render(&report, context)?;
    }
    if report.snapshot.is_some() {
        opened.repository.renew_holds(context.now(), &stop)?;
    }
    match report.errors.is_empty() {
        true => Ok(Code::Ok),
        false => Ok(Code::Partly),
    }
}

fn render(report: &BackupReport, context: &mut Context) -> io::Result<()> {
    let files = &report.files;
    let failed = match files.failed {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    };
    context.out.facts(&[
        (
            "files",
            format!(
                "{} new, {} changed, {} unmodified{failed}",
                files.new, files.changed, files.unmodified
            ),
        ),
        ("directories", report.dirs.to_string()),
        (
            "content",
            format!(
                "{}, {} of it new, {} stored",
                human_size(report.bytes.scanned),
                human_size(report.bytes.new),
                human_size(report.bytes.stored)
            ),
        ),
        ("time", human_seconds(report.duration_s)),
    ])?;
    match &report.snapshot {
        Some(id) => context.out.line(format_args!("snapshot {id} saved")),
        None => context.out.line("nothing was written"),
    }?;
    if !report.errors.is_empty() {
        let problems = counted(report.errors.len() as u64, "problem");
        context
            .out
            .note(format_args!("The snapshot is not complete: {problems}"));
    }
    Ok(())
}

impl ExcludeArgs {
    /// Files come first, so that the command line has the last word.
    fn patterns(&self) -> Result<ExcludesBuilder, Failure> {
        let mut builder = ExcludesBuilder::new();
        for path in &self.exclude_file {
            let content = std::fs::read_to_string(path).map_err(Failure::file("read", path))?;
            builder = builder.file_lines(&content)?;
        }
        for pattern in &self.exclude {
            builder = builder.glob(pattern)?;
        }
        if let Some(bytes) = self.exclude_larger_than {
            builder = builder.larger_than(bytes);
        }
        Ok(builder)
    }
}

/// The repository and the cache are no part of any backup.
fn never_enter(global: &Global) -> Result<Vec<PathBuf>, Failure> {
    let mut dirs: Vec<PathBuf> = location(global)?
        .as_path()
        .map(Path::to_owned)
        .into_iter()
        .collect();
    if let CachePlace::Dir(cache) = cache_place(global)? {
        dirs.push(cache);
    }
    // What cannot be resolved does not exist, and is not entered either.
    Ok(dirs
        .iter()
        .filter_map(|dir| dir.canonicalize().ok())
        .collect())
}

fn sources(args: BackupArgs, global: &Global) -> Result<Vec<Source>, Failure> {
    let mut sources = args.event_store.sources(global)?;
    for path in &args.paths {
        sources.push(Source::at(path)?);
    }
    if let Some(path) = args.stdin_name {
        sources.push(Source::stream(Stream {
            path,
            reader: Box::new(io::stdin()),
            finish: Box::new(|| Ok(())),
        }));
    }
    if let Some(path) = args.command {
        sources.push(command_source(path, &args.argv)?);
    }
    Ok(sources)
}

/// The output of a command, whole only if the command succeeds.
fn command_source(path: PathBuf, argv: &[OsString]) -> Result<Source, Failure> {
    let (program, arguments) = argv.split_first().expect("clap asks for a command");
    let mut child = Command::new(program)
        .args(arguments)
        .env_remove(PASSWORD_VARIABLE)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Failure::file("run", Path::new(program)))?;
    let output = child.stdout.take().expect("it was asked for");
    Ok(Source::stream(Stream {
        path,
        reader: Box::new(WideOutput::new(output)),
        finish: Box::new(move || match child.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("the command ended with {status}")),
            Err(error) => Err(error.to_string()),
        }),
    }))
}

pub fn host_name() -> String {
    let uname = rustix::system::uname();
    uname.nodename().to_string_lossy().into_owned()
}

pub fn user_name() -> String {
    uzers::get_current_username().map_or_else(
        || uzers::get_current_uid().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
