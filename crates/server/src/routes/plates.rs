//! The lists of plates.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use axum::http::StatusCode;
use keepwatch_core::fs::HeldFile;
use keepwatch_recognition::Error;
use keepwatch_recognition::plate::list::{Addition, ListText, PlateList};
use keepwatch_recognition::plate::lookalike::SAME_PLATE;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::audit::Audit;
use crate::error::{ApiError, Result};
use crate::extract::{Json, Path};
use crate::login::{Needs, Who};
use crate::permission::Permission;
use crate::router::group;

pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    let read = OpenApiRouter::new().routes(routes!(lists));
    let write = OpenApiRouter::new()
        .routes(routes!(add))
        .routes(routes!(remove));
    group(app, Needs::Permission(Permission::PlatesRead), read).merge(group(
        app,
        Needs::Permission(Permission::PlatesWrite),
        write,
    ))
}

/// One of the two lists.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Which {
    Allow,
    Deny,
}

impl Which {
    fn path(self, app: &App) -> Option<PathBuf> {
        let config = app.config();
        let plates = config.plates.as_ref()?;
        match self {
            Which::Allow => plates.allow_list.clone(),
            Which::Deny => plates.deny_list.clone(),
        }
    }

    fn needed(self, app: &App) -> Result<PathBuf> {
        self.path(app).ok_or_else(|| {
            ApiError::conflict("the configuration names no such list")
                .with_hint("plates.allow_list and plates.deny_list name them")
        })
    }
}

/// Both lists.
#[derive(Serialize, ToSchema)]
struct Lists {
    allow: ListView,
    deny: ListView,
}

#[derive(Default, Serialize, ToSchema)]
#[schema(as = PlateList)]
struct ListView {
    entries: Vec<EntryView>,
    /// Whether the configuration names a file for it.
    editable: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Plate)]
struct EntryView {
    plate: String,
    description: String,
}

/// The lists of plates.
#[utoipa::path(get, path = "/api/v1/plates", tag = "recognition", responses((status = 200, body = Lists)))]
async fn lists(State(app): State<Arc<App>>) -> Result<Reply<Lists>> {
    let lists = app
        .blocking(|app| {
            let read = |which: Which| -> Result<ListView> {
                let Some(path) = which.path(app) else {
                    return Ok(ListView::default());
                };
                let list = PlateList::read(&path).map_err(unreadable)?;
                let entries = list.entries().iter().map(|entry| EntryView {
                    plate: entry.written.clone(),
                    description: entry.description.clone(),
                });
                Ok(ListView {
                    entries: entries.collect(),
                    editable: true,
                })
            };
            Ok(Lists {
                allow: read(Which::Allow)?,
                deny: read(Which::Deny)?,
            })
        })
        .await?;
    Ok(Reply(lists))
}

fn unreadable(error: Error) -> ApiError {
    match error {
        Error::Setting { problem, .. } => ApiError::value("body", "plate", problem),
        Error::List { .. } | Error::Read { .. } => {
            tracing::error!(
                error = keepwatch_core::with_causes(&error),
                "a list of plates"
            );
            ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the list of plates cannot be read",
            )
        }
        error => error.into(),
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPlate {
    /// Blanks and hyphens do not count.
    plate: String,
    #[serde(default)]
    description: String,
}

/// Puts a plate on a list.
#[utoipa::path(post, path = "/api/v1/plates/{list}", tag = "recognition", params(("list" = inline(Which), Path)),
    request_body = NewPlate, responses((status = 201, body = EntryView)))]
async fn add(
    State(app): State<Arc<App>>,
    who: Who,
    Path(which): Path<Which>,
    Json(asked): Json<NewPlate>,
) -> Result<(StatusCode, Reply<EntryView>)> {
    let added = app
        .blocking(move |app| {
            let file = HeldFile::new(&which.needed(app)?)?;
            let mut text = ListText::read(file.path()).map_err(unreadable)?;
            let addition = text
                .add(&asked.plate, &asked.description, SAME_PLATE)
                .map_err(unreadable)?;
            let Addition::Added(entry) = addition else {
                return Err(ApiError::conflict(
                    "the list has this plate, or one that looks the same",
                ));
            };
            file.replace(&text.bytes())?;
            let detail = json!({ "list": which, "plate": entry.written });
            app.audit(&who.name, Audit::PlateAdded, detail)?;
            Ok(EntryView {
                plate: entry.written,
                description: entry.description,
            })
        })
        .await?;
    Ok((StatusCode::CREATED, Reply(added)))
}

/// Takes a plate off a list.
#[utoipa::path(delete, path = "/api/v1/plates/{list}/{plate}", tag = "recognition",
    params(("list" = inline(Which), Path), ("plate" = String, Path)), responses((status = 204)))]
async fn remove(
    State(app): State<Arc<App>>,
    who: Who,
    Path((which, plate)): Path<(Which, String)>,
) -> Result<StatusCode> {
    app.blocking(move |app| {
        let file = HeldFile::new(&which.needed(app)?)?;
        let mut text = ListText::read(file.path()).map_err(unreadable)?;
        if text.remove(&plate).map_err(unreadable)?.is_empty() {
            return Err(ApiError::not_found("Plate"));
        }
        file.replace(&text.bytes())?;
        app.audit(
            &who.name,
            Audit::PlateRemoved,
            json!({ "list": which, "plate": plate }),
        )
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
