//! Looking at a system, all sections at once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use keepwatch_core::Name;
use sha2::{Digest, Sha256};

use super::model::*;
use super::system::{Contents, Entry, Kind, System, join};
use super::text::{holds_private_key, lines, name, split};
use super::users::{Users, users_of};
use super::{
    Result, apt, containers, cron, editors, home, languages, network, repositories, secrets,
    services, stores,
};
use crate::process::ask::{Answer, Bounds};

/// What to take an inventory of, and how much.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whose homes to look at.
    pub users: Users,
    /// More files in homes, beside those that are looked for anyway; relative to the homes.
    pub dotfiles: Vec<Name>,
    /// What else to put in.
    pub include: Include,
    /// How much.
    pub limits: Limits,
}

/// What is left out unless it is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Include {
    /// What is in dotfiles.
    pub dotfiles: bool,
    /// What is in units that were written here.
    pub units: bool,
    /// Private keys of SSH and WireGuard.
    pub private_keys: bool,
    /// Secrets of networks.
    pub wifi_secrets: bool,
    /// What was typed into shells.
    pub shell_history: bool,
}

/// How much is read. What is left out because of it is told as a [`Problem`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// So many bytes of a file are kept at most.
    pub kept_bytes: usize,
    /// So many bytes of a list of packages are read at most.
    pub list_bytes: usize,
    /// So many names of a directory are read at most, and so many directories are looked at in
    /// search of something.
    pub names: usize,
    /// So many bytes of what a program says are read at most.
    pub answer_bytes: usize,
    /// A program that takes longer is stopped.
    pub answer_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            kept_bytes: 256 << 10,
            list_bytes: 128 << 20,
            names: 20_000,
            answer_bytes: 16 << 20,
            answer_time: Duration::from_secs(20),
        }
    }
}

/// Takes an inventory of a system, in a few seconds and a few threads.
///
/// What cannot be read or asked is left out and told in [`Inventory::problems`]; a program that is
/// not there is none of them.
///
/// # Errors
/// The users are not known, or are not those who were asked for.
pub fn collect(system: &System, options: &Options, now: Timestamp) -> Result<Inventory> {
    let look = Look {
        system,
        limits: options.limits,
        problems: Mutex::default(),
        programs: Mutex::default(),
    };
    let users = users_of(&look, &options.users)?;
    let include = options.include;
    let (look, users) = (&look, users.as_slice());
    // Programs take their time to answer, so that they are asked side by side.
    let inventory = thread::scope(|scope| {
        let apt = scope.spawn(move || apt::packages(look));
        let snap = scope.spawn(move || stores::snap(look));
        let flatpak = scope.spawn(move || stores::flatpak(look, users));
        let npm = scope.spawn(move || languages::npm(look, users));
        let go = scope.spawn(move || languages::go(look, users));
        let containers = scope.spawn(move || containers::containers(look, users));
        let services = services::services(look, users, include.units);
        let cron = cron::cron(look, users, &services);
        let repositories = repositories::repositories(look, users);
        let dotfiles = home::dotfiles(look, users, &options.dotfiles, include.dotfiles);
        let network = network::network(look);
        let fonts = home::fonts(look, users);
        let editors = editors::editors(look, users);
        let secrets = secrets::secrets(look, users, include);
        let pip = languages::pip(look, users);
        let pipx = languages::pipx(look, users);
        let cargo = languages::cargo(look, users);
        let (apt, architecture) = joined(apt);
        Inventory {
            format: FORMAT.to_owned(),
            version: VERSION,
            taken_at: now,
            machine: machine(look, architecture),
            users: users.to_vec(),
            packages: Packages {
                apt,
                snap: joined(snap),
                flatpak: joined(flatpak),
                pip,
                pipx,
                npm: joined(npm),
                cargo,
                go: joined(go),
            },
            repositories,
            dotfiles,
            services,
            cron,
            network,
            fonts,
            editors,
            containers: joined(containers),
            secrets,
            programs: Vec::new(),
            problems: Vec::new(),
        }
    });
    Ok(Inventory {
        programs: look.programs(),
        problems: look.problems(),
        ..inventory
    })
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(found) => found,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn machine(look: &Look<'_>, architecture: Option<Name>) -> Machine {
    let first_line = |path: &[u8]| {
        let contents = look.read("machine", path, look.limits.kept_bytes)?;
        let line = lines(&contents.bytes)
            .map(<[u8]>::trim_ascii)
            .find(|line| !line.is_empty() && !line.starts_with(b"#"))?;
        Some(name(line))
    };
    let mut release = BTreeMap::new();
    let paths: [&[u8]; 2] = [b"/etc/os-release", b"/usr/lib/os-release"];
    let found = paths
        .iter()
        .find_map(|path| look.read("machine", path, look.limits.kept_bytes));
    for line in lines(&found.map(|found| found.bytes).unwrap_or_default()) {
        if let Some((key, value)) = split(line, b'=') {
            let value = value
                .strip_prefix(b"\"")
                .and_then(|value| value.strip_suffix(b"\""))
                .unwrap_or(value);
            release.insert(key.to_vec(), name(value));
        }
    }
    let mut released = |key: &str| release.remove(key.as_bytes());
    Machine {
        hostname: first_line(b"/etc/hostname"),
        os: released("PRETTY_NAME"),
        os_id: released("ID"),
        os_version: released("VERSION_ID"),
        architecture,
    }
}

/// What the collectors look with: it bounds what they read, and notes what they miss.
pub(super) struct Look<'a> {
    pub system: &'a System,
    pub limits: Limits,
    problems: Mutex<Vec<Problem>>,
    programs: Mutex<BTreeMap<String, ProgramState>>,
}

impl Look<'_> {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a cause is given away by whoever has it"
    )]
    pub fn problem(
        &self,
        section: &str,
        kind: ProblemKind,
        what: impl AsRef<[u8]>,
        why: impl ToString,
    ) {
        let problem = Problem {
            section: section.to_owned(),
            kind,
            what: name(what),
            why: why.to_string(),
        };
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        problems.push(problem);
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        let mut problems = std::mem::take(&mut *problems);
        problems.sort();
        problems.dedup();
        problems
    }

    fn programs(&self) -> Vec<Program> {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *programs)
            .into_iter()
            .map(|(name, state)| Program { name, state })
            .collect()
    }

    /// A file, if it is there; one that cannot be read is a problem.
    pub fn read(&self, section: &str, path: &[u8], limit: usize) -> Option<Contents> {
        match self.system.read(path, limit) {
            Ok(contents) => contents,
            Err(error) => {
                self.problem(section, ProblemKind::Unreadable, path, error);
                None
            }
        }
    }

    /// A list of packages or the like, of which nothing may be missing.
    pub fn read_list(&self, section: &str, path: &[u8]) -> Option<Vec<u8>> {
        let contents = self.read(section, path, self.limits.list_bytes)?;
        if contents.cut {
            let why = format!("it has more than {} bytes", self.limits.list_bytes);
            self.problem(section, ProblemKind::Cut, path, why);
        }
        Some(contents.bytes)
    }

    /// What is in a directory; nothing if it is not there.
    pub fn list(&self, section: &str, path: &[u8]) -> Vec<Entry> {
        match self.system.list(path, self.limits.names) {
            Ok(None) => Vec::new(),
            Ok(Some(listed)) => {
                if listed.cut {
                    let why = format!("there are more than {} names", self.limits.names);
                    self.problem(section, ProblemKind::Cut, path, why);
                }
                listed.entries
            }
            Err(error) => {
                self.problem(section, ProblemKind::Unreadable, path, error);
                Vec::new()
            }
        }
    }

    /// Files beneath a directory that are called so, and how they are called from there. Links are
    /// not followed.
    pub fn find(
        &self,
        section: &str,
        top: &[u8],
        depth: usize,
        enter: fn(&[u8]) -> bool,
        wanted: fn(&[u8]) -> bool,
    ) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        let mut left = self.limits.names;
        let mut waiting = vec![(top.to_vec(), 0)];
        while let Some((dir, level)) = waiting.pop() {
            if left == 0 || found.len() >= self.limits.names {
                let why = format!("there is more than {} of it", self.limits.names);
                self.problem(section, ProblemKind::Cut, top, why);
                break;
            }
            left -= 1;
            for entry in self.list(section, &dir) {
                let path = join(&dir, &entry.name);
                match entry.kind {
                    Kind::Directory if level < depth && enter(&entry.name) => {
                        waiting.push((path, level + 1));
                    }
                    Kind::File if wanted(&entry.name) => found.push(path),
                    _ => {}
                }
            }
        }
        found.truncate(self.limits.names);
        found.sort_unstable();
        found
    }

    /// Asks a program. Nothing is what it says that is not there, or not run; a failure is noted.
    pub fn ask(&self, section: &str, argv: &[&str]) -> Option<Vec<u8>> {
        let answer = self.answer(argv);
        let why = match answer {
            Answer::Said(said) => return Some(said),
            Answer::Missing | Answer::NotRun => return None,
            Answer::Failed { code, complaint } => {
                let code = code.map_or_else(
                    || "it was ended by a signal or did not start".to_owned(),
                    |code| format!("it ended with {code}"),
                );
                format!("{code}: {complaint}")
            }
            Answer::TooSlow => format!("it took more than {:?}", self.limits.answer_time),
            Answer::TooMuch => format!("it said more than {} bytes", self.limits.answer_bytes),
        };
        let command = argv.join(" ");
        self.problem(section, ProblemKind::Failed, command, why);
        None
    }

    /// Asks a program, whatever it says.
    pub fn answer(&self, argv: &[&str]) -> Answer {
        let bounds = Bounds {
            time: self.limits.answer_time,
            output: self.limits.answer_bytes,
        };
        let answer = self.system.ask(argv, bounds);
        let state = match answer {
            Answer::Said(_) => ProgramState::Asked,
            Answer::Missing => ProgramState::Missing,
            Answer::NotRun => ProgramState::NotRun,
            Answer::Failed { .. } | Answer::TooSlow | Answer::TooMuch => ProgramState::Failed,
        };
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = programs.entry(argv[0].to_owned()).or_insert(state);
        // The worst of several.
        *noted = state.max(*noted);
        answer
    }

    /// A file of somebody's home as it is kept. A file of others that a link in there leads to must
    /// not become theirs when it is written to their home again.
    pub fn keep_of(&self, section: &str, home: &[u8], path: &[u8], wanted: bool) -> Option<Kept> {
        let owner = self.system.owner(home);
        let contents = self.read(section, path, self.limits.kept_bytes)?;
        if owner == Some(contents.owner) {
            return Some(self.kept(section, path, contents, wanted));
        }
        Some(Kept {
            size: contents.size,
            mode: contents.mode,
            sha256: None,
            content: None,
            withheld: Some(Withheld::NotOwned),
        })
    }

    /// A file as it is kept: with what is in it if that is wanted and may be.
    pub fn keep(&self, section: &str, path: &[u8], wanted: bool) -> Option<Kept> {
        let contents = self.read(section, path, self.limits.kept_bytes)?;
        Some(self.kept(section, path, contents, wanted))
    }

    fn kept(&self, section: &str, path: &[u8], contents: Contents, wanted: bool) -> Kept {
        if contents.cut && wanted {
            let why = format!(
                "it has {} bytes, and {} are kept",
                contents.size, self.limits.kept_bytes
            );
            self.problem(section, ProblemKind::Cut, path, why);
        }
        kept(contents, wanted)
    }
}

/// Without what is in it, if that is not wanted, not all of it, or a private key.
pub(super) fn kept(contents: Contents, wanted: bool) -> Kept {
    let withheld = if contents.cut {
        Some(Withheld::TooLarge)
    } else if holds_private_key(&contents.bytes) {
        Some(Withheld::PrivateKey)
    } else if !wanted {
        Some(Withheld::NotAsked)
    } else {
        None
    };
    let hashed = matches!(withheld, None | Some(Withheld::NotAsked));
    Kept {
        size: contents.size,
        mode: contents.mode,
        sha256: hashed.then(|| sha256(&contents.bytes)),
        content: withheld.is_none().then_some(Name(contents.bytes)),
        withheld,
    }
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
