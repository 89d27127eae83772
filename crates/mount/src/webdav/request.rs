//! From a request to an answer.

use std::sync::Arc;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use keepwatch_core::{Id, with_causes};

use crate::tree::{Dir, Entry, EntryKind};
use crate::webdav::answer::{self, Answer, Content};
use crate::webdav::{Shared, content, page, path};

/// What can be asked for.
const ALLOWED: HeaderValue = HeaderValue::from_static("OPTIONS, GET, HEAD, PROPFIND");
/// The most that a request may carry, in bytes.
const MAX_BODY: usize = 64 << 10;

/// Why a request is not answered as it wants.
const NOT_FOUND: (StatusCode, &str) = (StatusCode::NOT_FOUND, "not found");

/// What is at a path.
#[derive(Debug)]
pub(super) enum Found {
    Dir {
        dir: Dir,
        /// Nothing for the top.
        entry: Option<Entry>,
    },
    File(Entry),
}

/// Answers a request.
pub(super) async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    if !is_ours(shared, &parts.uri, &parts.headers) {
        let words = "this is reached as 127.0.0.1 or localhost only";
        return answer::says(StatusCode::FORBIDDEN, words);
    }
    // What is refused is not waited for, and what is sent is of no importance.
    let propfind = parts.method.as_str() == "PROPFIND";
    if !(propfind || [Method::GET, Method::HEAD, Method::OPTIONS].contains(&parts.method)) {
        let mut answer = answer::says(StatusCode::METHOD_NOT_ALLOWED, "this is only read");
        answer.headers_mut().insert(header::ALLOW, ALLOWED);
        return answer;
    }
    if Limited::new(body, MAX_BODY).collect().await.is_err() {
        return answer::says(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large");
    }
    if parts.method == Method::OPTIONS {
        let mut answer = answer::with(StatusCode::OK, "text/plain", Content::Whole(None));
        let headers = answer.headers_mut();
        headers.insert(header::ALLOW, ALLOWED);
        headers.insert("dav", HeaderValue::from_static("1"));
        headers.insert("ms-author-via", HeaderValue::from_static("DAV"));
        return answer;
    }
    let one_level = match parts.headers.get("depth").map(HeaderValue::as_bytes) {
        Some(b"0") => false,
        Some(b"1") => true,
        _ if !propfind => true,
        // All of it, which is also what no depth means.
        _ => return infinite(),
    };
    let shared = shared.clone();
    let work = move || {
        let names = names(&shared, &parts.uri)?;
        let found = find(&shared, &names)?;
        let base = base(&shared, &names);
        let head = parts.method == Method::HEAD;
        Ok(match found {
            found if propfind => page::properties(&shared.tree, found, base, one_level),
            Found::Dir { dir, .. } => page::index(&shared.tree, &dir, &names, base, head),
            Found::File(Entry {
                kind: EntryKind::Stored(node),
                ..
            }) => content::answer(&shared.tree, &node, &parts.headers, head),
            Found::File(_) => return Err(NOT_FOUND),
        })
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(answer)) => answer,
        Ok(Err((status, words))) => answer::says(status, words),
        Err(_) => answer::says(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong"),
    }
}

/// Whether it is called by a name of this machine: a page of somebody else's whose host's name is
/// made to mean 127.0.0.1 comes with that name.
fn is_ours(shared: &Shared, uri: &Uri, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let authority = uri.authority().map(|authority| authority.as_str());
    let named = |host: &str| {
        ["127.0.0.1", "localhost", "[::1]"].iter().any(|name| {
            let rest = host
                .get(..name.len())
                .filter(|start| start.eq_ignore_ascii_case(name))
                .and_then(|_| host.get(name.len()..));
            rest.is_some_and(|rest| {
                rest == format!(":{}", shared.port) || rest.is_empty() && shared.port == 80
            })
        })
    };
    host.to_str().is_ok_and(named) && authority.is_none_or(named)
}

/// The names in the path, without what all paths begin with.
fn names(shared: &Shared, uri: &Uri) -> Result<Vec<Vec<u8>>, (StatusCode, &'static str)> {
    let names = path::names(uri.path());
    let mut names = names.map_err(|path::BadPath| (StatusCode::BAD_REQUEST, "no such path"))?;
    if shared.secret.is_empty() {
        return Ok(names);
    }
    // Hashes are compared: how long that takes says nothing of the secret.
    match names.first() {
        Some(first) if Id::of(first) == Id::of(shared.secret.as_bytes()) => {
            names.remove(0);
            Ok(names)
        }
        _ => Err(NOT_FOUND),
    }
}

/// The path of a directory or file, without a slash at its end.
fn base(shared: &Shared, names: &[Vec<u8>]) -> String {
    let mut base = String::new();
    if !shared.secret.is_empty() {
        base.push('/');
        base.push_str(&shared.secret);
    }
    for name in names {
        base.push('/');
        base.push_str(&path::encode(name));
    }
    base
}

fn find(shared: &Shared, names: &[Vec<u8>]) -> Result<Found, (StatusCode, &'static str)> {
    if names.is_empty() {
        return Ok(Found::Dir {
            dir: Dir::Root,
            entry: None,
        });
    }
    let path: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
    match shared.tree.find(&path) {
        Ok(Some(entry)) if !page::is_shown(&entry) => Err(NOT_FOUND),
        Ok(Some(entry)) => Ok(match entry.dir() {
            Some(dir) => Found::Dir {
                dir,
                entry: Some(entry),
            },
            None => Found::File(entry),
        }),
        Ok(None) => Err(NOT_FOUND),
        Err(error) => {
            tracing::error!(error = with_causes(&error), "cannot be read");
            Err((StatusCode::INTERNAL_SERVER_ERROR, "it cannot be read"))
        }
    }
}

/// RFC 4918, section 9.1: a server may refuse to list everything.
fn infinite() -> Answer {
    const WORDS: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
        <error xmlns=\"DAV:\"><propfind-finite-depth/></error>\n";
    let content = Content::Whole(Some(WORDS.into()));
    answer::with(
        StatusCode::FORBIDDEN,
        "application/xml; charset=utf-8",
        content,
    )
}
