//! Restoring one entry that is no directory.

use std::io;
use std::sync::Arc;

use rustix::fs::FileType;

use crate::backup::VirtualContent;
use crate::error::{Error, Result};
use crate::fs::{FileKind, RestoreDir, Stat};
use crate::read::Scratch;
use crate::restore::content::{self, Outcome};
use crate::restore::links::{First, Link};
use crate::restore::{Overwrite, Shared, Target};
use crate::tree::{Node, NodeKind};

/// An entry for a worker.
pub(super) struct Job<'s, 'r> {
    pub target: Arc<Target<'s, 'r>>,
    pub path: Vec<u8>,
    pub node: Node,
    /// The content of a file that is in no repository.
    pub given: Option<VirtualContent>,
    pub link: Option<Link>,
}

/// Restores it; what goes wrong is in the report.
pub(super) fn restore_entry(shared: &Shared<'_>, job: &Job<'_, '_>, scratch: &mut Scratch) {
    let done = shared.go_on().and_then(|()| match &job.link {
        Some(Link::Other(first)) if first.wait() => restore_link(shared, job, first).map(|()| true),
        _ => restore_node(shared, job, scratch),
    });
    if let Some(Link::First(first)) = &job.link {
        first.settle(matches!(done, Ok(true)));
    }
    match done {
        Ok(_) | Err(Error::Interrupted) => {}
        Err(Error::Io { source, .. }) => shared.failed_io(&job.path, &source),
        Err(error) => shared.failed(&job.path, &error),
    }
}

fn io_error(operation: &'static str) -> impl FnOnce(io::Error) -> Error {
    Error::io(operation, "an entry".as_ref())
}

/// Restores it as it is; whether it is there then, and not something else that was to stay.
fn restore_node(shared: &Shared<'_>, job: &Job<'_, '_>, scratch: &mut Scratch) -> Result<bool> {
    let node = &job.node;
    let mut size = match &node.kind {
        NodeKind::File { size, .. } => *size,
        _ => 0,
    };
    let Some(dir) = &job.target.dir else {
        shared.written(size);
        return Ok(true);
    };
    let there = dir.stat(&node.name).map_err(io_error("look at"))?;
    if let Some(stat) = &there {
        if shared.overwrite == Overwrite::Never {
            shared.skip();
            shared.progress.advance(1, size);
            return Ok(false);
        }
        if shared.overwrite == Overwrite::IfChanged && is_unchanged(stat, node) {
            shared.skip();
            shared.progress.advance(1, size);
            return match shared.dry_run {
                true => Ok(true),
                false => dir
                    .set_existing_metadata(&node.name, &node.meta)
                    .map(|()| true)
                    .map_err(io_error("update")),
            };
        }
    }
    let made = match (&node.kind, &job.given) {
        (_, Some(_)) if shared.dry_run => None,
        (_, Some(given)) => {
            let (temporary, len) = content::write_given(shared, dir, node, given)?;
            size = len;
            Some(temporary)
        }
        (
            NodeKind::File {
                content, extents, ..
            },
            None,
        ) => {
            let wanted = content::Wanted {
                size,
                content,
                extents: extents.as_deref(),
            };
            let old = there.filter(|stat| stat.kind == FileKind::File);
            match content::restore(shared, dir, node, &wanted, old.as_ref(), scratch)? {
                Outcome::Same => {
                    shared.skip();
                    shared.progress.advance(1, 0);
                    return Ok(true);
                }
                Outcome::Written(temporary) => temporary,
            }
        }
        _ if shared.dry_run => None,
        (kind, None) => Some(special(dir, kind).map_err(io_error("make"))?),
    };
    if let Some(temporary) = made {
        finish(dir, job, &temporary, there.as_ref())?;
    }
    shared.written(size);
    shared.progress.advance(1, 0);
    Ok(true)
}

/// Whether what is there is the file by size and time.
fn is_unchanged(stat: &Stat, node: &Node) -> bool {
    match node.kind {
        NodeKind::File { size, .. } => {
            stat.kind == FileKind::File && stat.size == size && stat.mtime == node.meta.mtime
        }
        // Links and devices cost nothing to make anew.
        _ => false,
    }
}

/// Makes a link, device, FIFO or socket with a temporary name.
fn special(dir: &RestoreDir, kind: &NodeKind) -> io::Result<Vec<u8>> {
    match kind {
        NodeKind::Symlink { target } => dir.new_symlink(target),
        NodeKind::CharDevice { major, minor } => {
            dir.new_node(FileType::CharacterDevice, (*major, *minor))
        }
        NodeKind::BlockDevice { major, minor } => {
            dir.new_node(FileType::BlockDevice, (*major, *minor))
        }
        NodeKind::Fifo => dir.new_node(FileType::Fifo, (0, 0)),
        NodeKind::Socket => dir.new_node(FileType::Socket, (0, 0)),
        NodeKind::File { .. } | NodeKind::Dir { .. } => {
            unreachable!("files and directories are made elsewhere")
        }
    }
}

/// Gives a new entry its metadata and its name.
fn finish(
    dir: &RestoreDir,
    job: &Job<'_, '_>,
    temporary: &[u8],
    there: Option<&Stat>,
) -> Result<()> {
    let node = &job.node;
    let is_file = matches!(node.kind, NodeKind::File { .. });
    let link = matches!(node.kind, NodeKind::Symlink { .. });
    let metadata = if is_file {
        // Set through the open file while it was written.
        Ok(())
    } else {
        dir.set_entry_metadata(temporary, &node.meta, link)
    };
    replace(dir, temporary, &node.name, there)?;
    metadata.map_err(io_error("set the metadata of"))
}

fn replace(dir: &RestoreDir, temporary: &[u8], name: &[u8], there: Option<&Stat>) -> Result<()> {
    let replaced = match there {
        Some(stat) if stat.kind == FileKind::Dir => dir.remove_tree(name).map(drop),
        _ => Ok(()),
    };
    replaced
        .and_then(|()| dir.publish(temporary, name))
        .map_err(|error| {
            let _ = dir.remove(temporary);
            io_error("replace")(error)
        })
}

fn restore_link(shared: &Shared<'_>, job: &Job<'_, '_>, first: &First) -> Result<()> {
    let (Some(dir), Some(root), false) = (&job.target.dir, &shared.root, shared.dry_run) else {
        shared.written(0);
        return Ok(());
    };
    let name = &job.node.name;
    let there = dir.stat(name).map_err(io_error("look at"))?;
    let cut = first
        .path
        .iter()
        .rposition(|byte| *byte == b'/')
        .unwrap_or(0);
    let (above, file) = (&first.path[..cut], &first.path[cut + 1..]);
    let from = root.dir_at(above).map_err(io_error("open the folder of"))?;
    if let Some(stat) = &there {
        let same = from
            .stat(file)
            .map_err(io_error("look at"))?
            .is_some_and(|original| original.same_file(stat));
        if same || shared.overwrite == Overwrite::Never {
            shared.skip();
            shared.progress.advance(1, 0);
            return Ok(());
        }
    }
    let temporary = dir.new_link(&from, file).map_err(io_error("link"))?;
    replace(dir, &temporary, name, there.as_ref())?;
    shared.written(0);
    shared.progress.advance(1, 0);
    Ok(())
}
