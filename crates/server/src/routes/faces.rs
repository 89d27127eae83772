//! Who is known by their face.

use std::sync::Arc;

use axum::Json as Reply;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use keepwatch_recognition::store::{Enrolled, read_gallery, remove as forget};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::events::find;
use crate::app::App;
use crate::audit::Audit;
use crate::error::{ApiError, Result};
use crate::extract::{Json, Path};
use crate::login::{Needs, Who};
use crate::media::read_all;
use crate::permission::Permission;
use crate::router::group;

/// The largest photograph, in bytes.
const MAX_PHOTO: usize = 20 << 20;

pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    let read = OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(photograph));
    let write = OpenApiRouter::new()
        .routes(routes!(enrol))
        .routes(routes!(enrol_event))
        .routes(routes!(remove))
        .layer(DefaultBodyLimit::max(MAX_PHOTO));
    group(app, Needs::Permission(Permission::FacesRead), read).merge(group(
        app,
        Needs::Permission(Permission::FacesWrite),
        write,
    ))
}

#[derive(Serialize, ToSchema)]
struct People {
    people: Vec<PersonView>,
    /// Whether faces can be enrolled: their models are there.
    ready: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Person)]
struct PersonView {
    name: String,
    photographs: usize,
    /// When the first was added.
    #[schema(value_type = Option<String>, format = DateTime)]
    added_at: Option<Timestamp>,
}

/// Who is known.
#[utoipa::path(get, path = "/api/v1/faces", tag = "recognition", responses((status = 200, body = People)))]
async fn list(State(app): State<Arc<App>>) -> Result<Reply<People>> {
    let people = app
        .blocking(|app| {
            let gallery = read_gallery(&app.store)?;
            let people = gallery.iter().flat_map(|gallery| gallery.people());
            Ok(People {
                people: people
                    .map(|person| PersonView {
                        name: person.name.clone(),
                        photographs: person.photos.len(),
                        added_at: person.photos.iter().map(|photo| photo.added).min(),
                    })
                    .collect(),
                ready: app.config().models.has_faces(),
            })
        })
        .await?;
    Ok(Reply(people))
}

/// A face as it was enrolled: upright, 112 x 112 pixels.
#[utoipa::path(get, path = "/api/v1/faces/{name}/photographs/{index}", tag = "recognition",
    params(("name" = String, Path), ("index" = usize, Path, description = "from 0")),
    responses((status = 200, content_type = "image/jpeg", body = Vec<u8>)))]
async fn photograph(
    State(app): State<Arc<App>>,
    Path((name, index)): Path<(String, usize)>,
) -> Result<Response> {
    let jpeg = app
        .blocking(move |app| {
            let gallery = read_gallery(&app.store)?;
            let person = gallery.as_ref().and_then(|gallery| gallery.person(&name));
            let photo = person.and_then(|person| person.photos.get(index));
            let face = photo
                .map(|photo| photo.face.clone())
                .filter(|face| !face.is_empty());
            face.ok_or_else(|| ApiError::not_found("Photograph"))
        })
        .await?;
    Ok(([(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response())
}

/// How somebody is known now.
#[derive(Serialize, ToSchema)]
struct EnrolledView {
    name: String,
    photographs: usize,
    /// Something to be thought about, such as somebody who looks alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

impl EnrolledView {
    fn new(name: String, enrolled: Enrolled) -> Self {
        let resembles = enrolled.resembles;
        Self {
            name,
            photographs: enrolled.photos,
            warning: match (resembles, enrolled.known) {
                (Some((other, similarity)), _) => Some(format!(
                    "looks like {other} ({similarity:.2}): faces between the two are nobody's"
                )),
                (None, 1..) => Some("the photograph was there already".to_owned()),
                (None, 0) => None,
            },
        }
    }
}

/// Enrols the one face of a photograph.
#[utoipa::path(post, path = "/api/v1/faces/{name}/photographs", tag = "recognition", params(("name" = String, Path)),
    request_body(content = Vec<u8>, content_type = "image/jpeg", description = "or another form of picture"),
    responses((status = 201, body = EnrolledView)))]
async fn enrol(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
    photo: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<(StatusCode, Reply<EnrolledView>)> {
    let photo = photo.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "the photograph is too large")
        }
        _ => ApiError::new(StatusCode::BAD_REQUEST, "the body cannot be read"),
    })?;
    let view = app
        .blocking(move |app| {
            check_name(&name)?;
            let now = (app.now)();
            let enrolled = app
                .faces
                .enrol_photo(&app.config(), &app.store, &name, &photo, now)?;
            app.audit(&who.name, Audit::FaceEnrolled, json!({ "person": name }))?;
            Ok(EnrolledView::new(name, enrolled))
        })
        .await?;
    Ok((StatusCode::CREATED, Reply(view)))
}

fn check_name(name: &str) -> Result<()> {
    let good = !name.trim().is_empty() && name.len() <= 128 && !name.chars().any(char::is_control);
    match good {
        true => Ok(()),
        false => Err(ApiError::value("path", "name", "it has 1 to 128 bytes")),
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FromEvent {
    /// Its id.
    #[schema(format = Uuid)]
    event: String,
}

/// Enrols the face that an event shows.
#[utoipa::path(post, path = "/api/v1/faces/{name}/events", tag = "recognition", params(("name" = String, Path)),
    request_body = FromEvent, responses((status = 201, body = EnrolledView)))]
async fn enrol_event(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
    Json(asked): Json<FromEvent>,
) -> Result<(StatusCode, Reply<EnrolledView>)> {
    who.needs(Permission::EventsRead)?;
    let view = app
        .blocking(move |app| {
            check_name(&name)?;
            let event = find(app, &who, &asked.event)?;
            let media = event.snapshot.as_ref();
            let media = media.ok_or_else(|| ApiError::conflict("the event has no picture yet"))?;
            let best = event
                .observations
                .iter()
                .max_by(|a, b| a.score.total_cmp(&b.score));
            let region = best.and_then(|seen| seen.region);
            let region = region.ok_or_else(|| ApiError::conflict("the event shows no face"))?;
            let jpeg = read_all(&mut app.open_media(media)?, MAX_PHOTO as u64)?;
            let now = (app.now)();
            let enrolled =
                app.faces
                    .enrol_event(&app.config(), &app.store, &name, (&jpeg, region), now)?;
            let detail = json!({ "person": name, "event": event.id });
            app.audit(&who.name, Audit::FaceEnrolled, detail)?;
            Ok(EnrolledView::new(name, enrolled))
        })
        .await?;
    Ok((StatusCode::CREATED, Reply(view)))
}

/// Forgets somebody.
#[utoipa::path(delete, path = "/api/v1/faces/{name}", tag = "recognition", params(("name" = String, Path)),
    responses((status = 204)))]
async fn remove(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
) -> Result<StatusCode> {
    app.blocking(move |app| {
        let removed = forget(&app.store, &name)?;
        if removed.is_none() {
            return Err(ApiError::not_found("Person"));
        }
        app.audit(&who.name, Audit::FaceRemoved, json!({ "person": name }))
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
