//! Directories: as WebDAV lists them (RFC 4918, sections 9.1 and 13), and as a page.

use std::fmt::Write;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use keepwatch_core::tree::NodeKind;
use keepwatch_core::with_causes;

use crate::tree::{Dir, Entry, EntryKind, Tree};
use crate::webdav::answer::{self, Answer, Content};
use crate::webdav::content::{etag, http_time, modified};
use crate::webdav::path::{encode, escape};
use crate::webdav::request::Found;

/// How many bytes are sent in one piece, about.
const PIECE: usize = 32 << 10;

/// Whether clients see an entry: WebDAV has files and directories, and nothing else.
pub(super) fn is_shown(entry: &Entry) -> bool {
    match &entry.kind {
        EntryKind::Stored(node) => {
            matches!(node.kind, NodeKind::File { .. } | NodeKind::Dir { .. })
        }
        _ => true,
    }
}

/// Answers `PROPFIND`. All that is known is told, whatever is asked for.
pub(super) fn properties(tree: &Arc<Tree>, found: Found, base: String, one_level: bool) -> Answer {
    let tree = tree.clone();
    let content = answer::pieces(None, move |send| {
        let mut out =
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:multistatus xmlns:D=\"DAV:\">\n"
                .to_owned();
        let dir = match &found {
            Found::File(entry) => {
                one(&mut out, &base, Some(entry));
                None
            }
            Found::Dir { dir, entry } => {
                one(&mut out, &format!("{base}/"), entry.as_ref());
                Some(dir)
            }
        };
        let each = |out: &mut String, entry: &Entry| {
            if is_shown(entry) {
                one(out, &href(&base, entry), Some(entry));
            }
        };
        let done = match dir.filter(|_| one_level) {
            Some(dir) => list(&tree, dir, &mut out, &each, send),
            None => true,
        };
        if done {
            out.push_str("</D:multistatus>\n");
            send(Ok(out.into()));
        }
    });
    answer::with(
        StatusCode::MULTI_STATUS,
        "application/xml; charset=utf-8",
        content,
    )
}

/// Writes `each` entry of a directory, and sends what has come together; gives whether all went
/// well.
fn list(
    tree: &Tree,
    dir: &Dir,
    out: &mut String,
    each: &dyn Fn(&mut String, &Entry),
    send: answer::Send<'_>,
) -> bool {
    let listed = tree.open_dir(dir).and_then(|entries| {
        let mut n = 0;
        loop {
            let some = tree.read_dir(&entries, n)?;
            if some.is_empty() {
                return Ok(true);
            }
            n += some.len() as u64;
            for entry in &some {
                each(out, entry);
                if out.len() >= PIECE && !send(Ok(Bytes::from(std::mem::take(out)))) {
                    return Ok(false);
                }
            }
        }
    });
    listed.unwrap_or_else(|error| {
        tracing::error!(error = with_causes(&error), "a directory cannot be read");
        // The connection ends early: nobody takes it for the whole.
        send(Err(io::Error::other("the directory cannot be read")));
        false
    })
}

fn is_dir(entry: &Entry) -> bool {
    match &entry.kind {
        EntryKind::Stored(node) => matches!(node.kind, NodeKind::Dir { .. }),
        // `latest` is followed, too: there are no links.
        _ => true,
    }
}

fn href(base: &str, entry: &Entry) -> String {
    let slash = if is_dir(entry) { "/" } else { "" };
    format!("{base}/{}{slash}", encode(&entry.name))
}

fn time(entry: &Entry) -> Option<String> {
    match &entry.kind {
        EntryKind::View(_) => None,
        EntryKind::Latest { time, .. } | EntryKind::Snapshot { time, .. } => Some(http_time(*time)),
        EntryKind::Stored(node) => modified(node.meta.mtime).map(http_time),
    }
}

fn size(entry: &Entry) -> Option<u64> {
    match &entry.kind {
        EntryKind::Stored(node) => match node.kind {
            NodeKind::File { size, .. } => Some(size),
            _ => None,
        },
        _ => None,
    }
}

/// Writes what is known of one entry; nothing is known of the top but that it is a directory.
fn one(out: &mut String, href: &str, entry: Option<&Entry>) {
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "<D:response><D:href>{href}</D:href><D:propstat><D:prop>"
    );
    match entry.is_none_or(is_dir) {
        true => out.push_str("<D:resourcetype><D:collection/></D:resourcetype>"),
        false => out.push_str(
            "<D:resourcetype/><D:getcontenttype>application/octet-stream</D:getcontenttype>",
        ),
    }
    if let Some(entry) = entry {
        let name = escape(&entry.name);
        let _ = write!(out, "<D:displayname>{name}</D:displayname>");
        if let Some(size) = size(entry) {
            let _ = write!(out, "<D:getcontentlength>{size}</D:getcontentlength>");
        }
        if let Some(time) = time(entry) {
            let _ = write!(out, "<D:getlastmodified>{time}</D:getlastmodified>");
        }
        if let EntryKind::Stored(node) = &entry.kind
            && let Some(tag) = etag(node)
        {
            let _ = write!(out, "<D:getetag>{}</D:getetag>", escape(tag.as_bytes()));
        }
    }
    out.push_str("</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>\n");
}

/// Answers `GET` and `HEAD` of a directory: a page with links.
pub(super) fn index(
    tree: &Arc<Tree>,
    dir: &Dir,
    names: &[Vec<u8>],
    base: String,
    head: bool,
) -> Answer {
    let kind = "text/html; charset=utf-8";
    if head {
        return answer::with(StatusCode::OK, kind, Content::Whole(None));
    }
    let title = match names {
        [] => "Snapshots".to_owned(),
        names => escape(&names.join(&b'/')),
    };
    let above = match names {
        [] => None,
        _ => base.rfind('/').map(|slash| base[..=slash].to_owned()),
    };
    let (tree, dir) = (tree.clone(), dir.clone());
    let content = answer::pieces(None, move |send| {
        let mut out = format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
             <style>body {{ font-family: sans-serif }} td {{ padding-right: 2em }} \
             td + td {{ font-variant-numeric: tabular-nums; text-align: right }}</style>\n\
             <h1>{title}</h1>\n<table>\n"
        );
        if let Some(above) = above {
            let _ = writeln!(out, "<tr><td><a href=\"{above}\">..</a><td><td>");
        }
        let done = list(
            &tree,
            &dir,
            &mut out,
            &|out, entry| row(out, &base, entry),
            send,
        );
        if done {
            out.push_str("</table>\n");
            send(Ok(out.into()));
        }
    });
    answer::with(StatusCode::OK, kind, content)
}

fn row(out: &mut String, base: &str, entry: &Entry) {
    let name = escape(&entry.name);
    let slash = if is_dir(entry) { "/" } else { "" };
    let shown = match &entry.kind {
        _ if is_shown(entry) => {
            format!("<a href=\"{}\">{name}{slash}</a>", href(base, entry))
        }
        EntryKind::Stored(node) => match &node.kind {
            NodeKind::Symlink { target } => format!("{name} → {}", escape(target)),
            _ => name,
        },
        _ => name,
    };
    let size = size(entry).map(|size| size.to_string()).unwrap_or_default();
    let time = time(entry).unwrap_or_default();
    let _ = writeln!(out, "<tr><td>{shown}<td>{size}<td>{time}");
}
