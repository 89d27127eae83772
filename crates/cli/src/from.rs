//! What opens a second repository, that something is taken from.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::args::Global;

/// What opens the repository of `--from`.
#[derive(Debug, Default, Args)]
pub struct FromCredential {
    /// Read its passphrase from the first line of a file [default: what opens --repo]
    #[arg(long, value_name = "FILE", group = "from_credential")]
    from_password_file: Option<PathBuf>,
    /// Run a command, without a shell, that prints its passphrase
    #[arg(long, value_name = "COMMAND", group = "from_credential")]
    from_password_command: Option<String>,
    /// Open it with a key file of 32 bytes
    #[arg(long, value_name = "FILE", group = "from_credential")]
    from_key_file: Option<PathBuf>,
    /// Open it with the age identities in a file
    #[arg(long, value_name = "FILE", group = "from_credential")]
    from_identity: Option<PathBuf>,
}

impl FromCredential {
    /// The options as they are for the other repository.
    pub fn global(&self, from: &Path, global: &Global) -> Global {
        let mut other = Global {
            repo: Some(from.to_owned()),
            ..global.clone()
        };
        let given = self.from_password_file.is_some()
            || self.from_password_command.is_some()
            || self.from_key_file.is_some()
            || self.from_identity.is_some();
        if given {
            other.password_file.clone_from(&self.from_password_file);
            other
                .password_command
                .clone_from(&self.from_password_command);
            other.key_file.clone_from(&self.from_key_file);
            other.identity.clone_from(&self.from_identity);
        }
        other
    }
}
