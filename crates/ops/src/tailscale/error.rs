//! What can go wrong with Tailscale.

use std::io;
use std::time::Duration;

use crate::secrets::without;

/// Why a machine is not connected, or not disconnected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TailscaleError {
    /// Settings that cannot be.
    #[error("tailscale.{problem}")]
    Settings {
        /// The key, and what is wrong with it.
        problem: &'static str,
    },
    /// No such program.
    #[error("there is no program {program:?}")]
    Missing {
        /// Its name.
        program: String,
    },
    /// The program failed.
    #[error("`tailscale {command}` failed{}: {complaint}", code.map_or(String::new(), |code| format!(" with exit status {code}")))]
    Failed {
        /// What it was to do.
        command: &'static str,
        /// Its exit status, if it has one.
        code: Option<i32>,
        /// What it said, without the key.
        complaint: String,
    },
    /// The program did not answer.
    #[error("`tailscale {command}` did not answer")]
    Silent {
        /// What it was to do.
        command: &'static str,
    },
    /// The program said more than is read.
    #[error("`tailscale {command}` said more than it ever should")]
    TooMuch {
        /// What it was to do.
        command: &'static str,
    },
    /// No status.
    #[error("what `tailscale status --json` said is not understood")]
    NotUnderstood,
    /// The key could not be handed over.
    #[error("the key cannot be handed to tailscale")]
    Pipe(#[source] io::Error),
    /// Nobody has logged in.
    #[error("this machine is not logged in to Tailscale, and there is no key to do it with")]
    NeedsLogin,
    /// A state that it does not come out of by itself.
    #[error("Tailscale cannot connect: its state is {state:?}")]
    State {
        /// As the daemon says.
        state: String,
    },
    /// It took too long.
    #[error("Tailscale was not connected within {} s", timeout.as_secs())]
    TooSlow {
        /// How long it had.
        timeout: Duration,
    },
}

impl TailscaleError {
    /// How to put it right.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Settings { .. } => {
                "as in: tailscale = { auth_key = \"file:/etc/keepwatch/tailscale.key\" }"
            }
            Self::Missing { .. } => "install Tailscale, or say in `program` where it is",
            Self::Failed { .. } => {
                "look whether tailscaled runs, and this user may use it (tailscale set --operator)"
            }
            Self::Silent { .. } | Self::TooMuch { .. } | Self::NotUnderstood => {
                "run it by hand and look at what it says; it should be Tailscale 1.50 or later"
            }
            Self::Pipe(_) => "look whether processes may open so many files",
            Self::NeedsLogin => "give a key in `auth_key`, or run `tailscale up` once by hand",
            Self::State { .. } => {
                "run `tailscale status`; somebody may have to approve the machine"
            }
            Self::TooSlow { .. } => "look at the network, or give it a longer `timeout`",
        }
    }

    /// Takes a secret out of what a program said, which may have repeated it.
    pub(super) fn without(self, secret: Option<&str>) -> Self {
        match (self, secret) {
            (
                Self::Failed {
                    command,
                    code,
                    complaint,
                },
                Some(secret),
            ) => Self::Failed {
                command,
                code,
                complaint: without(&complaint, secret),
            },
            (error, _) => error,
        }
    }
}
