//! Finding events.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use keepwatch_core::events::{Event, EventFilter, EventId, EventKind, EventStore as _, PurgePlan};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::audit::Audit;
use crate::error::{ApiError, Result};
use crate::event_view::{EventView, KindView};
use crate::extract::{Path, Query, TimeAsked, time};
use crate::login::{Needs, Who};
use crate::permission::Permission;
use crate::principal::Principal;
use crate::router::group;

pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    let read = OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(summary))
        .routes(routes!(timeline))
        .routes(routes!(show));
    let purge = OpenApiRouter::new().routes(routes!(remove));
    group(app, Needs::Permission(Permission::EventsRead), read).merge(group(
        app,
        Needs::Permission(Permission::EventsPurge),
        purge,
    ))
}

/// Which events.
#[derive(Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// Of these cameras; may be repeated.
    camera: Vec<String>,
    /// Of these kinds; may be repeated.
    #[param(value_type = Vec<KindView>)]
    kind: Vec<EventKind>,
    /// Of these people, plates or classes; may be repeated.
    label: Vec<String>,
    /// Of people, plates or classes that begin like this.
    q: Option<String>,
    /// That began at this time or later.
    #[serde(deserialize_with = "time")]
    #[param(value_type = Option<TimeAsked>, inline)]
    since: Option<Timestamp>,
    /// That began before this time.
    #[serde(deserialize_with = "time")]
    #[param(value_type = Option<TimeAsked>, inline)]
    until: Option<Timestamp>,
}

/// The order of a list, and which page of it.
#[derive(Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct Page {
    #[param(value_type = Option<String>, pattern = "^(asc|desc)$")]
    order: Order,
    /// What `next` of the page before says.
    #[param(value_type = Option<String>, format = Uuid)]
    after: Option<EventId>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    /// Newest first.
    #[default]
    Desc,
    /// Oldest first.
    Asc,
}

impl Asked {
    /// As a filter of what `who` may see; none if that is nothing.
    fn filter(self, who: &Principal) -> Option<EventFilter> {
        let mut filter = EventFilter {
            cameras: self.camera,
            kinds: self.kind,
            labels: self.label,
            label_prefix: self.q.filter(|text| !text.trim().is_empty()),
            since: self.since,
            until: self.until,
            ..EventFilter::default()
        };
        who.narrow(&mut filter).then_some(filter)
    }
}

/// So many, within bounds.
pub(super) fn limit(asked: Option<usize>, default: usize) -> Result<usize> {
    let limit = asked.unwrap_or(default);
    match (1..=1000).contains(&limit) {
        true => Ok(limit),
        false => Err(ApiError::value("query", "limit", "it must be 1 to 1000")),
    }
}

/// A page of events.
#[derive(Serialize, ToSchema)]
struct Events {
    events: Vec<EventView>,
    /// `after` of the next page; null at the end.
    #[schema(value_type = Option<String>, format = Uuid)]
    next: Option<EventId>,
}

/// Events, newest first.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(Asked, Page),
    responses((status = 200, body = Events)))]
async fn list(
    State(app): State<Arc<App>>,
    who: Who,
    Query(asked): Query<Asked>,
    Query(page): Query<Page>,
) -> Result<Reply<Events>> {
    let limit = limit(page.limit, 100)?;
    let Some(mut filter) = asked.filter(&who) else {
        return Ok(Reply(Events {
            events: Vec::new(),
            next: None,
        }));
    };
    filter.after = page.after;
    filter.oldest_first = page.order == Order::Asc;
    // One more than is asked for tells whether there is more.
    filter.limit = Some(limit + 1);
    let mut events = app
        .blocking(move |app| {
            app.store
                .list_numbered(&filter)
                .map_err(|error| match error {
                    // It may have been purged since the page before.
                    keepwatch_core::Error::NoSuchEvent { .. } => {
                        ApiError::value("query", "after", "there is no such event any more")
                    }
                    error => error.into(),
                })
        })
        .await?;
    let more = events.len() > limit;
    events.truncate(limit);
    let next = events.last().filter(|_| more).map(|(_, event)| event.id);
    let events = events.into_iter().map(EventView::from).collect();
    Ok(Reply(Events { events, next }))
}

/// How many events there are of each kind.
#[derive(Serialize, ToSchema)]
struct Summary {
    total: u64,
    counts: BTreeMap<String, u64>,
}

/// How many events there are.
#[utoipa::path(get, path = "/api/v1/events/summary", tag = "events", params(Asked),
    responses((status = 200, body = Summary)))]
async fn summary(
    State(app): State<Arc<App>>,
    who: Who,
    Query(asked): Query<Asked>,
) -> Result<Reply<Summary>> {
    let counts = match asked.filter(&who) {
        None => BTreeMap::new(),
        Some(filter) => {
            app.blocking(move |app| Ok(app.store.count(&filter)?))
                .await?
        }
    };
    Ok(Reply(Summary {
        total: counts.values().sum(),
        counts: named(counts),
    }))
}

fn named(counts: BTreeMap<EventKind, u64>) -> BTreeMap<String, u64> {
    let counts = counts.into_iter();
    counts
        .map(|(kind, count)| (kind.name().to_owned(), count))
        .collect()
}

#[derive(Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct Buckets {
    /// So many parts of the time.
    #[param(minimum = 1, maximum = 288, default = 96)]
    buckets: Option<u32>,
}

/// How many events began in each part of a time.
#[derive(Serialize, ToSchema)]
struct Timeline {
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    bucket_seconds: f64,
    buckets: Vec<BTreeMap<String, u64>>,
}

/// When events began: the last 24 hours, if no time is given.
#[utoipa::path(get, path = "/api/v1/events/timeline", tag = "events", params(Asked, Buckets),
    responses((status = 200, body = Timeline)))]
async fn timeline(
    State(app): State<Arc<App>>,
    who: Who,
    Query(asked): Query<Asked>,
    Query(buckets): Query<Buckets>,
) -> Result<Reply<Timeline>> {
    let count = buckets.buckets.unwrap_or(96);
    if !(1..=288).contains(&count) {
        return Err(ApiError::value("query", "buckets", "it must be 1 to 288"));
    }
    let until = asked.until.unwrap_or_else(|| (app.now)());
    let day = SignedDuration::from_hours(24);
    let since = asked
        .since
        .unwrap_or_else(|| until.checked_sub(day).unwrap_or(Timestamp::MIN));
    let span = until.duration_since(since);
    if span <= SignedDuration::ZERO {
        return Err(ApiError::value("query", "until", "it is not after since"));
    }
    let step = span / i32::try_from(count).expect("it is small");
    let filter = asked.filter(&who);
    let buckets = app
        .blocking(move |app| {
            let Some(filter) = filter else {
                return Ok(vec![BTreeMap::new(); count as usize]);
            };
            (0..count)
                .map(|at| {
                    let begin = since + step * i32::try_from(at).expect("it is small");
                    let end = if at + 1 == count { until } else { begin + step };
                    let filter = EventFilter {
                        since: Some(begin),
                        until: Some(end),
                        ..filter.clone()
                    };
                    Ok(named(app.store.count(&filter)?))
                })
                .collect()
        })
        .await?;
    Ok(Reply(Timeline {
        start: since,
        bucket_seconds: step.as_secs_f64(),
        buckets,
    }))
}

/// The event that `who` may see.
pub(super) fn find(app: &App, who: &Principal, id: &str) -> Result<Event> {
    let missing = || ApiError::not_found("Event");
    let id: EventId = id.parse().map_err(|_| missing())?;
    let event = app.store.get(id)?.filter(|event| who.sees(&event.camera));
    event.ok_or_else(missing)
}

/// One event.
#[utoipa::path(get, path = "/api/v1/events/{id}", tag = "events",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = EventView)))]
async fn show(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Reply<EventView>> {
    let numbered = app
        .blocking(move |app| {
            let event = find(app, &who, &id)?;
            let number = app.store.number_of(event.id)?;
            Ok((number.unwrap_or_default(), event))
        })
        .await?;
    Ok(Reply(numbered.into()))
}

/// Deletes an event with its picture and clip. The chain keeps a signed mark in its place.
#[utoipa::path(delete, path = "/api/v1/events/{id}", tag = "events",
    params(("id" = String, Path, format = Uuid)), responses((status = 204)))]
async fn remove(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    app.blocking(move |app| {
        let event = find(app, &who, &id)?;
        if event.ended_at.is_none() {
            return Err(ApiError::conflict("the event has not ended"));
        }
        let plan = PurgePlan {
            events: vec![event.id],
            ..PurgePlan::default()
        };
        let detail = json!({ "event": event.id, "camera": event.camera, "kind": event.kind });
        app.audit(&who.name, Audit::EventRemoved, detail)?;
        app.store.purge(&plan, &who.name, "deleted by hand")?;
        Ok(())
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
