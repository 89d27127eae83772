//! `/api/v1`: a file for each thing; a handler takes the request apart, asks whether it may be, calls
//! one operation, and answers.

mod audit;
mod cameras;
mod events;
mod faces;
pub(crate) mod follow;
mod hidden;
mod jobs;
mod live;
mod media;
mod plates;
mod session;
mod system;
mod tokens;
mod users;
pub(crate) mod vault;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// All of them.
pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(session::routes(app))
        .merge(users::routes(app))
        .merge(tokens::routes(app))
        .merge(audit::routes(app))
        .merge(cameras::routes(app))
        .merge(live::routes(app))
        .merge(events::routes(app))
        .merge(follow::routes(app))
        .merge(media::routes(app))
        .merge(faces::routes(app))
        .merge(plates::routes(app))
        .merge(vault::routes(app))
        .merge(jobs::routes(app))
        .merge(system::routes(app))
}
