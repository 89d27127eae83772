//! Dumps that are fed back to a program.

use std::io::{ErrorKind, Read, Write};
use std::process::{ChildStdin, Stdio};

use super::SourceError;
use super::dump::{Spec, end_group, heard, listen};
use crate::process::name_of;

/// Feeds a program all that is read, and waits for it to succeed.
pub(super) fn feed(spec: &Spec, mut dump: impl Read) -> Result<(), SourceError> {
    let failed = |problem: String| SourceError::Failed {
        program: name_of(&spec.argv),
        problem,
    };
    let mut child = spec
        .command()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let (input, errors) = (child.stdin.take(), child.stderr.take());
    let (Some(mut input), Some(errors)) = (input, errors) else {
        end_group(child);
        return Err(failed("it takes nothing".to_owned()));
    };
    let complaint = listen(errors);
    let fed = pour(&mut dump, &mut input);
    if let Err(Poured::NotRead(error)) = &fed {
        // Half of a dump is none: the program must not see its end.
        end_group(child);
        return Err(failed(format!("the dump cannot be read: {error}")));
    }
    drop(input);
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    let said = spec.secrets.hide(&heard(&complaint));
    match (status.success(), fed) {
        (true, Ok(())) => Ok(()),
        (true, Err(_)) => Err(failed("it ended before it had taken everything".to_owned())),
        (false, _) => Err(failed(match said.trim() {
            "" => format!("it ended with {status}"),
            said => said.to_owned(),
        })),
    }
}

enum Poured {
    NotRead(std::io::Error),
    NotTaken,
}

fn pour(dump: &mut impl Read, input: &mut ChildStdin) -> Result<(), Poured> {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let length = match dump.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(Poured::NotRead(error)),
        };
        if input.write_all(&buffer[..length]).is_err() {
            // Why is in its exit status.
            return Err(Poured::NotTaken);
        }
    }
}
