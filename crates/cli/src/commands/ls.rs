//! `keepwatch ls`

use clap::Args;
use keepwatch_core::{Error, Listed};

use crate::commands::{Context, Outcome};
use crate::exit::{Code, Failure};
use crate::output::Output;
use crate::select::{LatestArgs, split_name};
use crate::values::human_time;

/// What to list.
#[derive(Debug, Args)]
pub struct LsArgs {
    /// The snapshot, and perhaps a path in it
    #[arg(value_name = "SNAPSHOT[:PATH]", default_value = "latest")]
    snapshot: String,
    /// A path in the snapshot
    #[arg(value_name = "PATH")]
    path: Option<String>,
    /// Only what is directly in the path
    #[arg(long)]
    flat: bool,
    /// Show modes, owners, sizes and times
    #[arg(long, short)]
    long: bool,
    /// What `latest` means.
    #[command(flatten)]
    latest: LatestArgs,
}

/// Lists a snapshot.
pub fn run(args: &LsArgs, context: &mut Context) -> Outcome {
    let opened = context.open()?;
    let (name, path) = split_name(&args.snapshot);
    let path = args.path.as_deref().unwrap_or(path);
    let (_, snapshot) = args.latest.find(&opened.repository, name)?;
    let out = &mut context.out;
    let mut failed = None;
    let result =
        opened
            .repository
            .list_tree(&snapshot, path.as_bytes(), !args.flat, &mut |entry| {
                keep(&mut failed, line(out, &entry, args.long))
            });
    finish(failed, result)?;
    Ok(Code::Ok)
}

/// Ends a listing whose output fails, and remembers why.
pub fn keep(failed: &mut Option<std::io::Error>, result: std::io::Result<()>) -> Result<(), Error> {
    result.map_err(|error| {
        *failed = Some(error);
        Error::Interrupted
    })
}

/// Why a listing ended, if it was before its time.
pub fn finish(failed: Option<std::io::Error>, result: Result<(), Error>) -> Result<(), Failure> {
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(result?),
    }
}

fn line(out: &mut Output, entry: &Listed, long: bool) -> std::io::Result<()> {
    if out.json {
        return out.json(entry);
    }
    if !long {
        return out.bytes(&[&entry.path.0]);
    }
    let facts = details(entry);
    match &entry.target {
        Some(target) => out.bytes(&[facts.as_bytes(), &entry.path.0, b" -> ", &target.0]),
        None => out.bytes(&[facts.as_bytes(), &entry.path.0]),
    }
}

/// What `ls -l` shows before the name.
pub fn details(entry: &Listed) -> String {
    let owner = |name: &Option<keepwatch_core::Name>, id: u32| {
        name.as_ref()
            .map_or_else(|| id.to_string(), ToString::to_string)
    };
    format!(
        "{}{} {:>8} {:>8} {:>12} {}  ",
        letter(entry.kind),
        permissions(entry.mode),
        owner(&entry.user, entry.uid),
        owner(&entry.group, entry.gid),
        entry.size,
        human_time(entry.mtime),
    )
}

fn letter(kind: &str) -> char {
    match kind {
        "dir" => 'd',
        "symlink" => 'l',
        "chardev" => 'c',
        "blockdev" => 'b',
        "fifo" => 'p',
        "socket" => 's',
        _ => '-',
    }
}

fn permissions(mode: u32) -> String {
    let mut text = String::with_capacity(9);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::permissions;

    #[test]
    fn permissions_read_as_ls_shows_them() {
        assert_eq!(permissions(0o755), "rwxr-xr-x");
        assert_eq!(permissions(0o4750), "rwsr-x---");
        assert_eq!(permissions(0o2640), "rw-r-S---");
        assert_eq!(permissions(0o1777), "rwxrwxrwt");
        assert_eq!(permissions(0), "---------");
    }
}
