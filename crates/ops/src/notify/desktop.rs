//! The desktop of who is logged in.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::text::{cut, html};
use super::webhook::headline;
use super::{Notification, Notifier, NotifyError, Severity};
use crate::process::{self, Ending, Program};

/// The desktop of the user as whom this runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DesktopSettings {
    /// What is told: this and worse.
    #[serde(default = "super::settings::default_from")]
    pub from: Severity,
    /// The program, which takes what `notify-send` takes.
    #[serde(default = "default_program")]
    pub program: PathBuf,
}

fn default_program() -> PathBuf {
    PathBuf::from("notify-send")
}

/// The desktop, by `notify-send` of libnotify.
#[derive(Debug)]
pub struct Desktop {
    program: String,
    environment: BTreeMap<OsString, OsString>,
}

impl Desktop {
    /// Takes settings, and of an environment what leads to the session.
    ///
    /// # Errors
    /// [`NotifyError::Settings`] with what is wrong.
    pub fn new(
        settings: &DesktopSettings,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, NotifyError> {
        let program = settings.program.to_str().filter(|name| !name.is_empty());
        let names = [
            "PATH",
            "HOME",
            "DBUS_SESSION_BUS_ADDRESS",
            "XDG_RUNTIME_DIR",
            "DISPLAY",
            "WAYLAND_DISPLAY",
        ];
        let leads = |name: &OsString| names.iter().any(|known| name == known);
        Ok(Self {
            program: program.map(str::to_owned).ok_or(NotifyError::Settings {
                key: "program",
                problem: "it is no name of a program",
            })?,
            environment: environment
                .into_iter()
                .filter(|(name, _)| leads(name))
                .collect(),
        })
    }
}

impl Notifier for Desktop {
    fn send(&self, notification: &Notification, _: Timestamp) -> Result<(), NotifyError> {
        let told = notification.bounded();
        let urgency = match told.severity {
            Severity::Success => "low",
            Severity::Warning => "normal",
            Severity::Failure | Severity::Critical => "critical",
        };
        let command = [
            self.program.clone(),
            "--app-name=Keepwatch".to_owned(),
            format!("--urgency={urgency}"),
            "--".to_owned(),
            headline(&told),
            // The body may have mark-up, the title not (Desktop Notifications Specification).
            html(&cut(&told.plain(), 1000)),
        ];
        let (ending, _) = process::run(&Program {
            command: &command,
            directory: None,
            environment: &self.environment,
            timeout: Duration::from_secs(10),
            kill_after: Duration::from_secs(1),
        });
        if ending == Ending::Exited(0) {
            return Ok(());
        }
        Err(NotifyError::Program {
            program: process::name_of(&command),
            problem: match ending {
                Ending::Exited(code) => format!("exit status {code}"),
                Ending::Signal(signal) => format!("signal {signal}"),
                Ending::TimedOut => "it took too long".to_owned(),
                Ending::NotStarted(kind) | Ending::Lost(kind) => kind.to_string(),
            },
        })
    }
}
