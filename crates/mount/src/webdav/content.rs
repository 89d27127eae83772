//! Files: the whole of them, or a part.

use std::io;
use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{self, HeaderMap, HeaderValue};
use jiff::Timestamp;
use keepwatch_core::tree::{Node, NodeKind, Time};
use keepwatch_core::{Id, with_causes};

use crate::tree::{StoredEntry, Tree};
use crate::webdav::answer::{self, Answer, Content};
use crate::webdav::range::{self, Wanted};

/// How many bytes are sent in one piece.
const PIECE: usize = 256 << 10;

/// A mark that is another whenever the content is another. Chunks have ids that are made with the
/// repository's key, so that it tells nobody what the content is.
pub(super) fn etag(node: &Node) -> Option<String> {
    let NodeKind::File {
        size,
        content,
        extents,
        ..
    } = &node.kind
    else {
        return None;
    };
    let mut bytes = size.to_le_bytes().to_vec();
    bytes.push(content.level);
    for id in &content.ids {
        bytes.extend_from_slice(id.as_bytes());
    }
    for (at, len) in extents.iter().flatten() {
        bytes.extend_from_slice(&at.to_le_bytes());
        bytes.extend_from_slice(&len.to_le_bytes());
    }
    Some(format!("\"{}\"", &Id::of(&bytes).to_string()[..32]))
}

/// A time as HTTP writes it (RFC 9110, section 5.6.7).
pub(super) fn http_time(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The time of an entry, if it is one that can be written.
pub(super) fn modified(time: Time) -> Option<Timestamp> {
    let time = Timestamp::from_second(time.secs).ok()?;
    // Years before 0 and after 9999 have no form in HTTP.
    (time >= Timestamp::UNIX_EPOCH).then_some(time)
}

/// Answers `GET` and `HEAD` of a file.
pub(super) fn answer(
    tree: &Arc<Tree>,
    node: &StoredEntry,
    asked: &HeaderMap,
    head: bool,
) -> Answer {
    let NodeKind::File { size, .. } = node.kind else {
        return answer::says(StatusCode::NOT_FOUND, "not found");
    };
    let tag = etag(node).unwrap_or_default();
    let text = |name: header::HeaderName| asked.get(name).and_then(|value| value.to_str().ok());
    let same = |tags: &str| {
        tags.split(',')
            .any(|one| matches!(one.trim(), "*") || one.trim().trim_start_matches("W/") == tag)
    };
    if text(header::IF_NONE_MATCH).is_some_and(same) {
        let mut answer = answer::with(
            StatusCode::NOT_MODIFIED,
            "application/octet-stream",
            Content::Whole(None),
        );
        set(answer.headers_mut(), header::ETAG, &tag);
        return answer;
    }
    let wanted = match (text(header::RANGE), text(header::IF_RANGE)) {
        // A range of something else is of no use.
        (Some(_), Some(known)) if known.trim() != tag => Wanted::All,
        (Some(asked), _) => range::parse(asked, size),
        (None, _) => Wanted::All,
    };
    let (status, part) = match wanted {
        Wanted::All => (StatusCode::OK, 0..size),
        Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Wanted::Beyond => {
            let mut answer = answer::says(StatusCode::RANGE_NOT_SATISFIABLE, "no such bytes");
            let range = format!("bytes */{size}");
            set(answer.headers_mut(), header::CONTENT_RANGE, &range);
            return answer;
        }
    };
    let start = part.start;
    let length = part.end - start;
    let content = match head || length == 0 {
        true => Content::Whole(None),
        false => {
            let (tree, node) = (tree.clone(), node.clone());
            answer::pieces(Some(length), move |send| {
                if let Err(error) = copy(&tree, &node, part.start, part.end, send) {
                    tracing::error!(
                        name = %String::from_utf8_lossy(&node.name).escape_debug(),
                        error = with_causes(&error),
                        "cannot be read"
                    );
                    // The connection ends before all has come: nobody takes it for the whole.
                    send(Err(io::Error::other("the content cannot be read")));
                }
            })
        }
    };
    let mut answer = answer::with(status, "application/octet-stream", content);
    let headers = answer.headers_mut();
    set(headers, header::ETAG, &tag);
    set(headers, header::ACCEPT_RANGES, "bytes");
    set(headers, header::CONTENT_LENGTH, &length.to_string());
    if let Some(time) = modified(node.meta.mtime) {
        set(headers, header::LAST_MODIFIED, &http_time(time));
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {start}-{}/{size}", start + length - 1);
        set(headers, header::CONTENT_RANGE, &range);
    }
    answer
}

fn copy(
    tree: &Tree,
    node: &Node,
    mut at: u64,
    end: u64,
    send: answer::Send<'_>,
) -> keepwatch_core::Result<()> {
    let file = tree.open_file(node)?;
    while at < end {
        let room = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
        let piece = file.read_at(at, room)?;
        at += piece.len() as u64;
        if piece.is_empty() || !send(Ok(piece.into())) {
            break;
        }
    }
    Ok(())
}

pub(super) fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
