//! Who did what.

use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use jiff::Timestamp;
use keepwatch_core::events::AuditFilter;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::events::limit;
use crate::app::App;
use crate::error::Result;
use crate::extract::{Query, TimeAsked, time};
use crate::login::Needs;
use crate::permission::Permission;
use crate::router::group;

pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    let all = OpenApiRouter::new().routes(routes!(list));
    group(app, Needs::Permission(Permission::AuditRead), all)
}

/// Which entries.
#[derive(Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// Of this one.
    actor: Option<String>,
    /// Of this act.
    action: Option<String>,
    /// At this time or later.
    #[serde(deserialize_with = "time")]
    #[param(value_type = Option<TimeAsked>, inline)]
    since: Option<Timestamp>,
    /// Before this time.
    #[serde(deserialize_with = "time")]
    #[param(value_type = Option<TimeAsked>, inline)]
    until: Option<Timestamp>,
    /// What `next` of the page before says.
    after: Option<u64>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
}

/// A page of the log.
#[derive(Serialize, ToSchema)]
struct Entries {
    entries: Vec<Entry>,
    /// `after` of the next page; null at the end.
    next: Option<u64>,
}

/// Something that somebody did.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct Entry {
    /// Its place in the chain of events.
    number: u64,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    actor: String,
    action: String,
    #[schema(value_type = Option<Object>)]
    detail: serde_json::Value,
}

/// Who did what, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "system", params(Asked),
    responses((status = 200, body = Entries)))]
async fn list(State(app): State<Arc<App>>, Query(asked): Query<Asked>) -> Result<Reply<Entries>> {
    let limit = limit(asked.limit, 100)?;
    let filter = AuditFilter {
        actor: asked.actor,
        action: asked.action,
        since: asked.since,
        until: asked.until,
        limit: Some(limit + 1),
    };
    let mut entries = app
        .blocking(move |app| Ok(app.store.audit_log_before(&filter, asked.after)?))
        .await?;
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| more).map(|(number, _)| *number);
    let entries = entries.into_iter().map(|(number, entry)| Entry {
        number,
        at: entry.at,
        actor: entry.actor,
        action: entry.action,
        detail: entry.detail,
    });
    Ok(Reply(Entries {
        entries: entries.collect(),
        next,
    }))
}
