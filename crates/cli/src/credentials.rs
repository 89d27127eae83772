//! Where passphrases and keys come from. None ever comes from the command line itself.

use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use keepwatch_core::crypto::backuphandler::LegacyKeys;
use keepwatch_core::crypto::zeroize::Zeroizing;
use keepwatch_core::crypto::{
    Credential, Error as CryptoError, Key, NewLock, Passphrase, PublicKey, SecretKey,
};
use keepwatch_core::fs::read_secret;

use crate::args::Global;
use crate::exit::Failure;

/// The environment variable that may hold the passphrase; never handed on to other programs.
pub const PASSWORD_VARIABLE: &str = "KEEPWATCH_PASSWORD";

/// Passphrases and key files longer than this are a mistake.
const MAX_SECRET: u64 = 1 << 20;

const HINT: &str =
    "use --password-file, --password-command, KEEPWATCH_PASSWORD, --key-file or --identity";
const NEW_HINT: &str =
    "use --new-password-file, --new-password-command, --new-key-file or --recipient";

/// What opens the repository or file that exists.
pub fn existing(global: &Global, what: &str) -> Result<Credential, Failure> {
    if let Some(path) = &global.key_file {
        return Ok(Credential::KeyFile(key_file(path)?));
    }
    if let Some(path) = &global.identity {
        return Ok(Credential::Identities(identities(path)?));
    }
    let passphrase = match named_passphrase(global)? {
        Some(passphrase) => Some(passphrase),
        None => environment()?,
    };
    match passphrase {
        Some(passphrase) => Ok(passphrase.into()),
        None => Ok(prompt(&format!("Passphrase for {what}: "), HINT)?.into()),
    }
}

/// Locks of a new repository: from the global options or the environment, and one for each
/// recipient. The one that the user can open comes first; a passphrase is asked for twice when
/// nothing else is given.
pub fn new_locks(global: &Global, recipients: &[PublicKey]) -> Result<Vec<NewLock>, Failure> {
    let mut locks = named_locks(global)?;
    if locks.is_empty() {
        match environment()? {
            Some(passphrase) => locks.push(NewLock::Passphrase(passphrase)),
            None if recipients.is_empty() => locks.push(NewLock::Passphrase(prompt_twice(HINT)?)),
            None => {}
        }
    }
    locks.extend(recipients.iter().cloned().map(NewLock::Recipient));
    Ok(locks)
}

/// Locks that options name.
pub fn named_locks(global: &Global) -> Result<Vec<NewLock>, Failure> {
    if let Some(path) = &global.key_file {
        return Ok(vec![NewLock::KeyFile(key_file(path)?)]);
    }
    if let Some(path) = &global.identity {
        let own = identities(path)?;
        return Ok(own
            .iter()
            .map(|own| NewLock::Recipient(own.public()))
            .collect());
    }
    let passphrase = named_passphrase(global)?;
    Ok(passphrase.map(NewLock::Passphrase).into_iter().collect())
}

/// A passphrase that no option names: from the environment, or else asked for twice.
pub fn new_passphrase() -> Result<NewLock, Failure> {
    match environment()? {
        Some(passphrase) => Ok(NewLock::Passphrase(passphrase)),
        None => prompt_twice(HINT).map(NewLock::Passphrase),
    }
}

/// What a new key slot shall open with.
#[derive(Debug, Args)]
#[group(id = "new-credential", multiple = false)]
pub struct NewCredential {
    /// Read the new passphrase from the first line of a file
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
    /// Run a command, without a shell, that prints the new passphrase
    #[arg(long, value_name = "COMMAND")]
    new_password_command: Option<String>,
    /// Open it with a key file of 32 bytes
    #[arg(long, value_name = "FILE")]
    new_key_file: Option<PathBuf>,
    /// Open it with the identity of this age recipient
    #[arg(long, value_name = "AGE1…", value_parser = recipient)]
    recipient: Option<PublicKey>,
}

impl NewCredential {
    /// Reads what was named, or asks for a passphrase.
    pub fn read(&self) -> Result<NewLock, Failure> {
        if let Some(recipient) = &self.recipient {
            return Ok(NewLock::Recipient(recipient.clone()));
        }
        if let Some(path) = &self.new_key_file {
            return key_file(path).map(NewLock::KeyFile);
        }
        let passphrase = match (&self.new_password_file, &self.new_password_command) {
            (Some(path), _) => passphrase_file(path)?,
            (_, Some(command)) => passphrase_command(command)?,
            _ => prompt_twice(NEW_HINT)?,
        };
        Ok(NewLock::Passphrase(passphrase))
    }
}

/// What opens a backup of another program, which has nothing to do with what opens the repository.
#[derive(Debug, Args)]
pub struct OldCredential {
    /// Read the old backup's passphrase from the first line of a file
    #[arg(long, value_name = "FILE", conflicts_with = "old_password_command")]
    old_password_file: Option<PathBuf>,
    /// Run a command, without a shell, that prints the old backup's passphrase
    #[arg(long, value_name = "COMMAND")]
    old_password_command: Option<String>,
    /// Open the old backup with its key file of 32 bytes
    #[arg(long, value_name = "FILE")]
    old_key_file: Option<PathBuf>,
}

impl OldCredential {
    /// Whether anything is named.
    pub fn is_given(&self) -> bool {
        self.old_password_file.is_some()
            || self.old_password_command.is_some()
            || self.old_key_file.is_some()
    }

    /// Reads what was named.
    pub fn read(&self) -> Result<LegacyKeys, Failure> {
        let passphrase = match (&self.old_password_file, &self.old_password_command) {
            (Some(path), _) => Some(passphrase_file(path)?),
            (_, Some(command)) => Some(passphrase_command(command)?),
            _ => None,
        };
        let key = self.old_key_file.as_deref().map(key_file).transpose()?;
        Ok(LegacyKeys::new(passphrase, key))
    }
}

/// The password of somebody who is to log in.
#[cfg(feature = "vision")]
#[derive(Debug, Args)]
#[group(id = "new-login", multiple = false)]
pub struct NewPassword {
    /// Read it from the first line of a file
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
    /// Run a command, without a shell, that prints it
    #[arg(long, value_name = "COMMAND")]
    new_password_command: Option<String>,
}

#[cfg(feature = "vision")]
impl NewPassword {
    /// Reads what was named, or asks for it.
    pub fn read(&self) -> Result<Passphrase, Failure> {
        match (&self.new_password_file, &self.new_password_command) {
            (Some(path), _) => passphrase_file(path),
            (_, Some(command)) => passphrase_command(command),
            _ => prompt_twice("use --new-password-file or --new-password-command"),
        }
    }
}

/// Parses `age1…`.
pub fn recipient(text: &str) -> Result<PublicKey, String> {
    text.parse()
        .map_err(|_| "it is no age recipient (age1…)".to_owned())
}

fn named_passphrase(global: &Global) -> Result<Option<Passphrase>, Failure> {
    if let Some(path) = &global.password_file {
        return passphrase_file(path).map(Some);
    }
    if let Some(command) = &global.password_command {
        return passphrase_command(command).map(Some);
    }
    Ok(None)
}

fn environment() -> Result<Option<Passphrase>, Failure> {
    match std::env::var(PASSWORD_VARIABLE) {
        Ok(text) => not_empty(Zeroizing::new(text)).map(Some),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Failure::usage(format!("{PASSWORD_VARIABLE} is not UTF-8")))
        }
    }
}

fn passphrase_file(path: &Path) -> Result<Passphrase, Failure> {
    let bytes = read_secret(path)?;
    passphrase_from(&bytes, &format!("the passphrase in {}", path.display()))
}

fn passphrase_command(command: &str) -> Result<Passphrase, Failure> {
    let words = shlex::split(command).unwrap_or_default();
    let Some((program, arguments)) = words.split_first() else {
        return Err(Failure::usage(
            "the password command cannot be split into words",
        ));
    };
    let failed = |problem: &dyn std::fmt::Display| {
        Failure::refused(
            format!("the password command {program:?} failed: {problem}"),
            None,
        )
    };
    let stdin = match io::stdin().is_terminal() {
        true => Stdio::inherit(),
        // It may be what is to be encrypted or backed up: nobody else is to take of it.
        false => Stdio::null(),
    };
    let mut child = Command::new(program)
        .args(arguments)
        .env_remove(PASSWORD_VARIABLE)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error))?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    let output = child.stdout.take().expect("it was asked for");
    let read = output.take(MAX_SECRET).read_to_end(&mut bytes);
    let status = child.wait().map_err(|error| failed(&error))?;
    read.map_err(|error| failed(&error))?;
    if !status.success() {
        return Err(failed(&status));
    }
    passphrase_from(&bytes, "the output of the password command")
}

fn passphrase_from(bytes: &[u8], what: &str) -> Result<Passphrase, Failure> {
    not_empty(line_of(bytes, what)?)
}

/// The secret in the first line of a file.
pub fn first_line(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let bytes = read_secret(path)?;
    line_of(&bytes, &format!("what is in {}", path.display()))
}

/// The first line: what comes after a line break is not part of it.
fn line_of(bytes: &[u8], what: &str) -> Result<Zeroizing<String>, Failure> {
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text =
        std::str::from_utf8(line).map_err(|_| Failure::usage(format!("{what} is not UTF-8")))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn not_empty(text: Zeroizing<String>) -> Result<Passphrase, Failure> {
    if text.is_empty() {
        return Err(Failure::usage("the passphrase is empty"));
    }
    Ok(text.into())
}

fn prompt(text: &str, hint: &'static str) -> Result<Passphrase, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage {
            message: "no passphrase is given, and there is no terminal to ask for one".to_owned(),
            hint: Some(hint),
        });
    }
    let text = rpassword::prompt_password(text).map_err(|source| Failure::File {
        operation: "read from",
        path: "the terminal".to_owned(),
        source,
    })?;
    not_empty(Zeroizing::new(text))
}

/// Asks for a new passphrase, and again, since nobody sees what was typed.
fn prompt_twice(hint: &'static str) -> Result<Passphrase, Failure> {
    let first = prompt("New passphrase: ", hint)?;
    let second = prompt("The same again: ", hint)?;
    if first.expose() != second.expose() {
        return Err(Failure::refused("the two passphrases differ", None));
    }
    Ok(first)
}

fn key_file(path: &Path) -> Result<Key, Failure> {
    let bytes = read_secret(path)?;
    let key: Zeroizing<[u8; 32]> = Zeroizing::new(bytes.as_slice().try_into().map_err(|_| {
        Failure::refused(
            format!(
                "{} is no key file: it has {} bytes, not 32",
                path.display(),
                bytes.len()
            ),
            Some("`keepwatch keygen --key-file -o FILE` makes one"),
        )
    })?);
    Ok(Key::from_bytes(*key))
}

/// The age identities in a file.
pub fn identities(path: &Path) -> Result<Vec<SecretKey>, Failure> {
    let bytes = read_secret(path)?;
    let refuse = |problem: &str| Failure::refused(format!("{}: {problem}", path.display()), None);
    let text = std::str::from_utf8(&bytes).map_err(|_| refuse("it is no identity file"))?;
    SecretKey::parse_file(text).map_err(|error| match error {
        CryptoError::Malformed { problem, .. } => refuse(problem),
        error => error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_one_line() {
        for (bytes, text) in [
            (b"secret".as_slice(), "secret"),
            (b"secret\n", "secret"),
            (b"secret\r\n", "secret"),
            (b" with blanks \nand more", " with blanks "),
        ] {
            let passphrase = passphrase_from(bytes, "it").expect("a passphrase");
            assert_eq!(passphrase.expose(), text);
        }
        for bad in [b"".as_slice(), b"\n", b"\r\n", b"\nsecret", b"\xff\n"] {
            let failure = passphrase_from(bad, "it").expect_err("refused");
            assert_eq!(failure.code(), crate::exit::Code::Usage);
        }
    }

    #[test]
    fn a_password_command_is_run_without_a_shell() {
        let passphrase = passphrase_command("printf '%s\\n' 'a b $HOME'").expect("it prints");
        assert_eq!(passphrase.expose(), "a b $HOME");
        for bad in ["false", "", "'", "/no/such/program", "true"] {
            assert!(passphrase_command(bad).is_err(), "{bad}");
        }
    }
}
