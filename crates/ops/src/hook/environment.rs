//! What a hook finds in its environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

use keepwatch_core::SecretText;

use super::{HookSettings, RunFacts, Stage};
use crate::secrets::Secrets;

/// A variable is shorter than 128 KiB on Linux (`MAX_ARG_STRLEN`), and texts of errors are not
/// read beyond this.
const MAX_FACT: usize = 4096;

/// What the names of facts begin with.
pub(super) const FACTS: &str = "KEEPWATCH_";

/// Names of variables in which programs look for secrets.
const SECRET_NAMES: [&str; 4] = ["MYSQL_PWD", "PGPASSFILE", "NETRC", "TS_AUTHKEY"];
/// What stands in other such names.
const SECRET_PARTS: [&str; 12] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "PGPASS",
    "SECRET",
    "TOKEN",
    "CREDENTIAL",
    "APIKEY",
    "API_KEY",
    "ACCESS_KEY",
    "PRIVATE_KEY",
    "AUTH_KEY",
];
/// What other such names end with.
const SECRET_ENDINGS: [&str; 4] = ["_KEY", "_PWD", "_PASS", "_AUTH"];
/// What a service manager has given to this process and no other.
const SERVICE_NAMES: [&str; 6] = [
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// The environment that hooks inherit.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// Takes that of a process.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// What programs inherit that are told nothing of a run: all but what secrets are usually kept in.
    pub fn harmless(&self) -> BTreeMap<OsString, OsString> {
        let harmless = self
            .0
            .iter()
            .filter(|(name, value)| is_harmless(name, value));
        harmless
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// What of that of one hook nobody is to read in a message.
    pub(super) fn secrets_of(&self, hook: &HookSettings) -> Secrets {
        let passed = hook.pass_environment.iter().filter_map(|name| {
            let value = self.0.get(OsStr::new(name))?.to_str()?;
            Some((name.clone(), SecretText::new(value.to_owned())))
        });
        let own = hook.environment.iter();
        let own = own.map(|(name, value)| (name.clone(), value.clone()));
        let given = passed.chain(own);
        // Facts are no secrets, and stand in many messages.
        Secrets::of_variables(&given.filter(|(name, _)| !name.starts_with(FACTS)).collect())
    }

    /// That of one hook: what it inherits, what its settings add, and the facts.
    pub(super) fn of(
        &self,
        hook: &HookSettings,
        stage: Stage,
        facts: &RunFacts,
    ) -> BTreeMap<OsString, OsString> {
        let passed = |name: &OsStr| hook.pass_environment.iter().any(|passed| name == &**passed);
        let mut all: BTreeMap<_, _> = self
            .0
            .iter()
            .filter(|(name, value)| is_harmless(name, value) || passed(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        for (name, value) in &hook.environment {
            all.insert(name.into(), value.expose().into());
        }
        for (name, value) in of_run(stage, facts) {
            all.insert(name.into(), value.into());
        }
        all
    }
}

/// Only the names, for values may be secret.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn of_run(stage: Stage, facts: &RunFacts) -> [(&'static str, String); 9] {
    let text = |fact: &Option<String>| fact.as_deref().map(cleaned).unwrap_or_default();
    let seconds = facts.finished.map(|finished| {
        let took = finished.duration_since(facts.started);
        took.as_secs().max(0).to_string()
    });
    let finished = facts.finished.map(|finished| finished.to_string());
    [
        ("KEEPWATCH_HOOK", stage.as_str().to_owned()),
        ("KEEPWATCH_JOB", cleaned(&facts.job)),
        ("KEEPWATCH_RUN_ID", cleaned(&facts.run_id)),
        ("KEEPWATCH_STATUS", facts.status.as_str().to_owned()),
        ("KEEPWATCH_SNAPSHOT", text(&facts.snapshot)),
        ("KEEPWATCH_ERROR", text(&facts.error)),
        ("KEEPWATCH_STARTED", facts.started.to_string()),
        ("KEEPWATCH_FINISHED", finished.unwrap_or_default()),
        ("KEEPWATCH_SECONDS", seconds.unwrap_or_default()),
    ]
}

/// Without what no variable can hold, and no longer than anybody reads.
fn cleaned(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_FACT);
    text[..end].replace('\0', "\u{fffd}")
}

/// Whether a variable is one that secrets are not kept in.
pub(crate) fn is_harmless(name: &OsStr, value: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_uppercase();
    let has_secret_name = SECRET_NAMES.contains(&&*name)
        || SECRET_PARTS.iter().any(|part| name.contains(part))
        || SECRET_ENDINGS.iter().any(|ending| name.ends_with(ending));
    // Our own say where secrets are, and would be mistaken for facts.
    let is_ours = name.starts_with("KEEPWATCH");
    let is_service = SERVICE_NAMES.contains(&&*name);
    !(has_secret_name || is_ours || is_service || has_password(&value.to_string_lossy()))
}

/// Whether a value holds an address with a password, `scheme://user:password@host`.
fn has_password(value: &str) -> bool {
    value.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', '#', ' ']).next().unwrap_or_default();
        let user = authority.rsplit_once('@').map(|(user, _)| user);
        user.is_some_and(|user| user.contains(':'))
    })
}
