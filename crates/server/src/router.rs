//! All routes, each with what it needs, and the description of the API that is made of them.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::{Router, middleware};
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    Components, Content, Info, License, OpenApi, PathItem, Ref, ResponseBuilder,
    SecurityRequirement,
};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::error::ErrorBody;
use crate::login::{self, Needs};
use crate::{answer, contract, dashboard, routes};

/// The longest body, but for photographs.
const MAX_BODY: usize = 1 << 20;

/// Routes that need the same.
pub(crate) fn group(
    app: &Arc<App>,
    needs: Needs,
    routes: OpenApiRouter<Arc<App>>,
) -> OpenApiRouter<Arc<App>> {
    let guard = middleware::from_fn_with_state((app.clone(), needs), login::guard);
    let mut routes = routes.route_layer(guard);
    for item in routes.get_openapi_mut().paths.paths.values_mut() {
        operations(item).for_each(|operation| describe(operation, needs));
    }
    routes
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.post,
        &mut item.put,
        &mut item.patch,
        &mut item.delete,
    ]
    .into_iter()
    .filter_map(Option::as_mut)
}

/// Says in the description what a route needs: it cannot differ from what the guard asks for.
fn describe(operation: &mut Operation, needs: Needs) {
    let none: [&str; 0] = [];
    let requirements = ["token", "session"].map(|name| SecurityRequirement::new(name, none));
    operation.security = Some(requirements.into());
    let name = match needs {
        Needs::Login => "login",
        Needs::Permission(permission) | Needs::Contract(permission) => permission.name(),
        Needs::Metrics => "system:read",
    };
    operation.extensions = Some(ExtensionsBuilder::new().add("x-permission", name).build());
}

/// All of it, without what frames requests.
fn all(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    let mut router = OpenApiRouter::with_openapi(head());
    router = router
        .merge(contract::routes(app))
        .merge(routes::routes(app));
    let openapi = router.get_openapi_mut();
    // Whatever goes wrong has one form.
    let mut schemas = vec![(ErrorBody::name().into_owned(), ErrorBody::schema())];
    ErrorBody::schemas(&mut schemas);
    let components = openapi.components.get_or_insert_default();
    components.schemas.extend(schemas);
    for item in openapi.paths.paths.values_mut() {
        for operation in operations(item) {
            let error = ResponseBuilder::new()
                .description("what failed")
                .content(
                    "application/json",
                    Content::new(Some(Ref::from_schema_name(ErrorBody::name()))),
                )
                .build();
            operation
                .responses
                .responses
                .insert("default".to_owned(), error.into());
        }
    }
    router
}

/// The description of the API.
pub(crate) fn openapi(app: &Arc<App>) -> OpenApi {
    all(app).split_for_parts().1
}

fn head() -> OpenApi {
    let mut info = Info::new("Keepwatch", env!("CARGO_PKG_VERSION"));
    info.description =
        Some("Cameras, what they saw, and the vault; docs/API.md says more.".to_owned());
    info.license = Some(License::new(env!("CARGO_PKG_LICENSE")));
    let mut components = Components::new();
    components.add_security_scheme(
        "token",
        SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
    );
    components.add_security_scheme(
        "session",
        SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("keepwatch"))),
    );
    let mut openapi = OpenApi::new(info, utoipa::openapi::Paths::new());
    openapi.components = Some(components);
    openapi
}

/// The whole service.
pub(crate) fn service(app: &Arc<App>) -> Router {
    let (routes, openapi) = all(app).split_for_parts();
    let openapi = serde_json::to_vec(&openapi).expect("a description is plain JSON");
    let openapi = axum::body::Bytes::from(openapi);
    let describe = move || async move { ([(header::CONTENT_TYPE, "application/json")], openapi) };
    let mut service = routes
        .route("/api/v1/openapi.json", axum::routing::get(describe))
        .merge(dashboard::routes())
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY));
    let origins = &app.config().server.allowed_origins;
    if !origins.is_empty() {
        let origins = origins
            .iter()
            .filter_map(|origin| HeaderValue::from_str(origin).ok());
        service = service.layer(
            CorsLayer::new()
                .allow_origin(AllowOrigin::list(origins))
                .allow_methods([
                    Method::GET,
                    Method::POST,
                    Method::PUT,
                    Method::PATCH,
                    Method::DELETE,
                ])
                .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
                .expose_headers([HeaderName::from_static("x-request-id"), header::RETRY_AFTER]),
        );
    }
    service
        .layer(middleware::from_fn_with_state(app.clone(), answer::frame))
        .with_state(app.clone())
}
