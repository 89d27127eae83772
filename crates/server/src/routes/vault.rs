//! Repositories, their snapshots, and what is in them.

use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use keepwatch_core::{Error, Listed, Repository, Snapshot};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::events::limit;
use crate::app::App;
use crate::audit::Audit;
use crate::error::{ApiError, Result};
use crate::extract::{Path, Query};
use crate::login::{Needs, Who};
use crate::media::body;
use crate::permission::Permission;
use crate::router::group;

/// What a name in a header may not hold as it is (RFC 8187).
const NOT_IN_HEADERS: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'%')
    .add(b'\'')
    .add(b'(')
    .add(b')')
    .add(b'*')
    .add(b',')
    .add(b'/')
    .add(b':')
    .add(b';')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'@')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'{')
    .add(b'}');

pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    let all = OpenApiRouter::new()
        .routes(routes!(repositories))
        .routes(routes!(snapshots))
        .routes(routes!(tree))
        .routes(routes!(file));
    group(app, Needs::Permission(Permission::VaultRead), all)
}

#[derive(Serialize, ToSchema)]
struct RepositoryList {
    repositories: Vec<RepositoryView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Repository)]
struct RepositoryView {
    name: String,
    state: RepositoryState,
    /// What is wrong with it.
    problem: Option<&'static str>,
    snapshots: usize,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_snapshot: Option<Timestamp>,
    /// What its objects take.
    bytes: u64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RepositoryState {
    Ok,
    Error,
}

/// What is wrong with a repository, without saying where it is.
fn problem(error: &Error) -> &'static str {
    tracing::warn!(
        error = keepwatch_core::with_causes(error),
        "a repository cannot be opened"
    );
    match error {
        Error::NoRepository { .. } => "there is no repository at the path in the configuration",
        Error::WrongKey { .. } => "it does not open with the key in the configuration",
        Error::NeedsFullKey { .. } => "the key may only write",
        error if error.is_damage() => "it is damaged",
        _ => "it cannot be opened",
    }
}

/// The repositories of the configuration.
#[utoipa::path(get, path = "/api/v1/repositories", tag = "vault", responses((status = 200, body = RepositoryList)))]
async fn repositories(State(app): State<Arc<App>>) -> Result<Reply<RepositoryList>> {
    let repositories = app
        .blocking(|app| {
            let config = app.config();
            let all = config.repositories.iter().map(|(name, config)| {
                let mut view = RepositoryView {
                    name: name.clone(),
                    state: RepositoryState::Ok,
                    problem: None,
                    snapshots: 0,
                    last_snapshot: None,
                    bytes: 0,
                };
                match app.repositories.snapshots(name, config) {
                    Ok((_, snapshots)) => {
                        view.snapshots = snapshots.len();
                        view.last_snapshot = snapshots.first().map(|(_, snapshot)| snapshot.time);
                        view.bytes = app.repositories.bytes(name).unwrap_or_default();
                    }
                    Err(error) => {
                        view.state = RepositoryState::Error;
                        view.problem = Some(problem(&error));
                    }
                }
                view
            });
            Ok(all.collect())
        })
        .await?;
    Ok(Reply(RepositoryList { repositories }))
}

#[derive(Serialize, ToSchema)]
struct SnapshotList {
    snapshots: Vec<SnapshotView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Snapshot)]
struct SnapshotView {
    id: String,
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    host: String,
    user: String,
    paths: Vec<String>,
    tags: Vec<String>,
    files: u64,
    bytes: u64,
    /// Whether everything could be read.
    complete: bool,
}

/// The snapshots of a repository, newest first.
#[utoipa::path(get, path = "/api/v1/repositories/{name}/snapshots", tag = "vault", params(("name" = String, Path)),
    responses((status = 200, body = SnapshotList)))]
async fn snapshots(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Reply<SnapshotList>> {
    let snapshots = app
        .blocking(move |app| {
            let config = app.config();
            let config = config.repositories.get(&name).ok_or_else(missing)?;
            Ok(app.repositories.snapshots(&name, config)?.1)
        })
        .await?;
    let snapshots = snapshots.into_iter().map(|(id, snapshot)| SnapshotView {
        id: id.to_string(),
        time: snapshot.time,
        host: snapshot.host,
        user: snapshot.user,
        paths: snapshot.paths.iter().map(|path| path.to_string()).collect(),
        tags: snapshot.tags,
        files: snapshot.files,
        bytes: snapshot.bytes,
        complete: snapshot.failed == 0,
    });
    Ok(Reply(SnapshotList {
        snapshots: snapshots.collect(),
    }))
}

fn missing() -> ApiError {
    ApiError::not_found("Repository")
}

/// A snapshot of a repository, by its whole id.
fn find(app: &App, name: &str, id: &str) -> Result<(Arc<Repository>, Snapshot)> {
    let config = app.config();
    let config = config.repositories.get(name).ok_or_else(missing)?;
    let (repository, snapshots) = app.repositories.snapshots(name, config)?;
    let found = snapshots.into_iter().find(|(own, _)| own.to_string() == id);
    let (_, snapshot) = found.ok_or_else(|| ApiError::not_found("Snapshot"))?;
    Ok((repository, snapshot))
}

#[derive(Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct TreeAsked {
    /// The directory; the top one if it is left out. `%XX` stands for bytes that are no UTF-8, `%25`
    /// for `%`.
    path: String,
    /// What `next` of the page before says.
    after: Option<String>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000, default = 500)]
    limit: Option<usize>,
}

/// A page of a directory.
#[derive(Serialize, ToSchema)]
struct Tree {
    path: String,
    entries: Vec<TreeEntry>,
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct TreeEntry {
    name: String,
    kind: EntryKind,
    size: u64,
    #[schema(value_type = String, format = DateTime)]
    modified_at: Timestamp,
    /// Permissions, in octal digits.
    mode: String,
    /// Where a symbolic link leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum EntryKind {
    File,
    Dir,
    Symlink,
    Other,
}

/// A name as text: what is no UTF-8 becomes `%XX`, and so does `%`.
pub(crate) fn shown(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        text.push_str(&chunk.valid().replace('%', "%25"));
        for byte in chunk.invalid() {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

pub(crate) fn name_of(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

fn last_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

impl From<&Listed> for TreeEntry {
    fn from(listed: &Listed) -> Self {
        Self {
            name: shown(last_name(&listed.path.0)),
            kind: match listed.kind {
                "file" => EntryKind::File,
                "dir" => EntryKind::Dir,
                "symlink" => EntryKind::Symlink,
                _ => EntryKind::Other,
            },
            size: listed.size,
            modified_at: listed.mtime,
            mode: format!("{:04o}", listed.mode & 0o7777),
            target: listed.target.as_ref().map(|target| shown(&target.0)),
        }
    }
}

/// What is in a directory of a snapshot.
#[utoipa::path(get, path = "/api/v1/repositories/{name}/snapshots/{id}/tree", tag = "vault",
    params(("name" = String, Path), ("id" = String, Path), TreeAsked),
    responses((status = 200, body = Tree)))]
async fn tree(
    State(app): State<Arc<App>>,
    Path((name, id)): Path<(String, String)>,
    Query(asked): Query<TreeAsked>,
) -> Result<Reply<Tree>> {
    let limit = limit(asked.limit, 500)?;
    let page = app
        .blocking(move |app| {
            let (repository, snapshot) = find(app, &name, &id)?;
            let path = name_of(&asked.path);
            let after = asked.after.as_deref().map(name_of);
            let mut entries: Vec<TreeEntry> = Vec::new();
            let mut last = Vec::new();
            let mut more = false;
            let depth = components(&path).count();
            let listed = repository.list_tree(&snapshot, &path, false, &mut |listed| {
                // The directory itself comes first.
                if components(&listed.path.0).count() <= depth {
                    return match listed.kind {
                        "dir" => Ok(()),
                        _ => Err(Error::Invalid {
                            what: "path",
                            problem: "it is no directory".to_owned(),
                        }),
                    };
                }
                let name = last_name(&listed.path.0);
                if after.as_deref().is_some_and(|after| name <= after) {
                    return Ok(());
                }
                if entries.len() == limit {
                    more = true;
                    return Err(Error::Interrupted);
                }
                entries.push(TreeEntry::from(&listed));
                last = name.to_vec();
                Ok(())
            });
            match listed {
                Ok(()) => {}
                Err(Error::Interrupted) if more => {}
                Err(error) => return Err(error.into()),
            }
            Ok(Tree {
                path: asked.path,
                entries,
                next: more.then(|| shown(&last)),
            })
        })
        .await?;
    Ok(Reply(page))
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty())
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct FileAsked {
    /// The file, as in the tree.
    path: String,
}

/// A file of a snapshot, as a download.
#[utoipa::path(get, path = "/api/v1/repositories/{name}/snapshots/{id}/file", tag = "vault",
    params(("name" = String, Path), ("id" = String, Path), FileAsked),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>)))]
async fn file(
    State(app): State<Arc<App>>,
    who: Who,
    Path((name, id)): Path<(String, String)>,
    Query(asked): Query<FileAsked>,
) -> Result<Response> {
    let path = name_of(&asked.path);
    let file_name = String::from_utf8_lossy(last_name(&path)).into_owned();
    let reader = app
        .blocking(move |app| {
            let (repository, snapshot) = find(app, &name, &id)?;
            let reader = repository.open_file(&snapshot, &path)?;
            let detail = json!({ "repository": name, "snapshot": id, "path": asked.path });
            app.audit(&who.name, Audit::FileDownloaded, detail)?;
            Ok(reader)
        })
        .await?;
    let len = reader.len();
    let encoded = utf8_percent_encode(&file_name, NOT_IN_HEADERS);
    let disposition = format!("attachment; filename*=UTF-8''{encoded}");
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        ),
        (header::CONTENT_LENGTH, HeaderValue::from(len)),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_str(&disposition).expect("it is encoded"),
        ),
    ];
    Ok((headers, body(app, reader, len)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_bytes_go_there_and_back() {
        for name in [
            b"plain".as_slice(),
            b"100%",
            b"\xff\xfe",
            "gr\u{fc}n \u{1f600}".as_bytes(),
            b"%41",
            b"a\nb",
        ] {
            let text = shown(name);
            assert_eq!(name_of(&text), name, "{text}");
        }
        assert_eq!(shown(b"a\xffb%"), "a%FFb%25");
    }
}
