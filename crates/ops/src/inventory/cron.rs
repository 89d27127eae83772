//! What runs at its time: cron tables, `cron.daily` and the like, timers of systemd.

use keepwatch_core::Name;

use super::collect::{Look, kept};
use super::model::{Cron, CronTable, ProblemKind, Services, UnitState, User};
use super::program::Answer;
use super::system::{Contents, Kind, join};
use super::text::{lines, name};

const SECTION: &str = "cron";
const SPOOL: &[u8] = b"/var/spool/cron/crontabs";
const CRONTAB: &[&str] = &["crontab", "-l"];

pub(super) fn cron(look: &Look<'_>, users: &[User], services: &Services) -> Cron {
    let mut tables = spool(look, users);
    let mut paths = vec![b"/etc/crontab".to_vec()];
    let dir: &[u8] = b"/etc/cron.d";
    for entry in look.list(SECTION, dir) {
        if entry.kind != Kind::Directory && is_read(&entry.name) {
            paths.push(join(dir, &entry.name));
        }
    }
    for path in paths {
        if let Some(contents) = look.read(SECTION, &path, look.limits.kept_bytes) {
            tables.push(table(look, None, Some(&path), contents));
        }
    }
    tables.sort();
    let mut scripts = Vec::new();
    for often in ["hourly", "daily", "weekly", "monthly", "yearly"] {
        let dir = format!("/etc/cron.{often}").into_bytes();
        for entry in look.list(SECTION, &dir) {
            if entry.kind != Kind::Directory && is_read(&entry.name) {
                scripts.push(name(join(&dir, &entry.name)));
            }
        }
    }
    scripts.sort();
    let timers = services
        .units
        .iter()
        .filter(|unit| unit.state == UnitState::Enabled && unit.name.0.ends_with(b".timer"));
    let mut timers: Vec<Name> = timers.map(|unit| unit.name.clone()).collect();
    timers.sort();
    timers.dedup();
    Cron {
        tables,
        scripts,
        timers,
    }
}

/// cron and run-parts pass over other names, such as those of packages' leftovers.
fn is_read(file: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
    !file.is_empty() && file.iter().all(allowed)
}

/// Tables of users. Only root can read where they are; another is told of their own by `crontab`.
fn spool(look: &Look<'_>, users: &[User]) -> Vec<CronTable> {
    match look.system.list(SPOOL, look.limits.names) {
        Ok(None) => Vec::new(),
        Ok(Some(listed)) => {
            if listed.cut {
                look.problem(SECTION, ProblemKind::Cut, SPOOL, "there are too many names");
            }
            let read = |entry: super::system::Entry| {
                let path = join(SPOOL, &entry.name);
                let contents = look.read(SECTION, &path, look.limits.kept_bytes)?;
                Some(table(look, Some(&entry.name), Some(&path), contents))
            };
            listed.entries.into_iter().filter_map(read).collect()
        }
        Err(error) => match (look.system.is_running(), users) {
            (true, [user]) => own(look, user).into_iter().collect(),
            _ => {
                look.problem(SECTION, ProblemKind::Unreadable, SPOOL, error);
                Vec::new()
            }
        },
    }
}

fn own(look: &Look<'_>, user: &User) -> Option<CronTable> {
    let bytes = match look.answer(CRONTAB) {
        Answer::Said(said) => said,
        // So it says that there is none.
        Answer::Failed { complaint, .. } if complaint.starts_with("no crontab for") => return None,
        Answer::Missing | Answer::NotRun => return None,
        other => {
            let why = format!("{other:?}");
            look.problem(SECTION, ProblemKind::Failed, CRONTAB.join(" "), why);
            return None;
        }
    };
    let contents = Contents {
        mode: 0o600,
        owner: 0,
        size: bytes.len() as u64,
        bytes,
        cut: false,
    };
    Some(table(look, Some(&user.name.0), None, contents))
}

fn table(
    look: &Look<'_>,
    user: Option<&[u8]>,
    path: Option<&[u8]>,
    contents: Contents,
) -> CronTable {
    if contents.cut {
        let what = path.unwrap_or(b"crontab -l");
        look.problem(SECTION, ProblemKind::Cut, what, "it is too large");
    }
    let jobs = lines(&contents.bytes)
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
        .map(name)
        .collect();
    let file = kept(contents, true);
    CronTable {
        user: user.map(name),
        path: path.map(name),
        // What is withheld is not told another way.
        jobs: match file.withheld {
            Some(_) => Vec::new(),
            None => jobs,
        },
        file,
    }
}
