//! Users, for those who may change them.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::hidden::Hidden;
use crate::accounts::UserChange;
use crate::app::App;
use crate::audit::Audit;
use crate::error::{ApiError, Result};
use crate::extract::{Json, Path};
use crate::login::{Needs, Who};
use crate::permission::{Permission, Role};
use crate::router::group;
use crate::users::UserInfo;

pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    let all = OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(change, remove));
    group(app, Needs::Permission(Permission::UsersWrite), all)
}

#[derive(Serialize, ToSchema)]
struct Users {
    users: Vec<UserInfo>,
}

/// All users.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", responses((status = 200, body = Users)))]
async fn list(State(app): State<Arc<App>>) -> Reply<Users> {
    let users = app.accounts.users().into_iter().map(UserInfo::from);
    Reply(Users {
        users: users.collect(),
    })
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUser {
    name: String,
    /// At least 12 characters.
    #[schema(value_type = String, format = Password)]
    password: Hidden,
    role: Role,
    /// Only these cameras.
    #[serde(default)]
    cameras: Option<BTreeSet<String>>,
}

/// Makes a user.
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = NewUser,
    responses((status = 201, body = UserInfo)))]
async fn add(
    State(app): State<Arc<App>>,
    who: Who,
    Json(asked): Json<NewUser>,
) -> Result<(StatusCode, Reply<UserInfo>)> {
    let user = app
        .blocking(move |app| {
            let password = asked.password.expose();
            let user = app
                .accounts
                .add_user(&asked.name, password, asked.role, asked.cameras)?;
            let detail = json!({ "user": user.name, "role": user.role, "cameras": user.cameras });
            app.audit(&who.name, Audit::UserAdded, detail)?;
            Ok(user)
        })
        .await?;
    Ok((StatusCode::CREATED, Reply(user.into())))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangedUser {
    /// A new one.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<Hidden>,
    role: Option<Role>,
    /// Only these cameras; null for all.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    cameras: Option<Option<BTreeSet<String>>>,
    disabled: Option<bool>,
    /// False to end the second factor of somebody who has lost it.
    totp: Option<bool>,
}

/// Tells null from nothing.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    input: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(input).map(Some)
}

/// Changes a user. Sessions of who is disabled, or has a new password, end.
#[utoipa::path(patch, path = "/api/v1/users/{name}", tag = "users", params(("name" = String, Path)),
    request_body = ChangedUser, responses((status = 200, body = UserInfo)))]
async fn change(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
    Json(asked): Json<ChangedUser>,
) -> Result<Reply<UserInfo>> {
    if asked.totp == Some(true) {
        return Err(ApiError::value(
            "body",
            "totp",
            "a second factor is begun by its owner",
        ));
    }
    let user = app
        .blocking(move |app| {
            let detail = json!({
                "user": name, "role": asked.role, "cameras": asked.cameras, "disabled": asked.disabled,
                "password": asked.password.is_some(), "totp": asked.totp,
            });
            let change = UserChange {
                password: asked.password.map(|password| password.expose().to_owned()),
                role: asked.role,
                cameras: asked.cameras,
                disabled: asked.disabled,
                remove_totp: asked.totp == Some(false),
            };
            let user = app.accounts.change_user(&name, change)?;
            app.audit(&who.name, Audit::UserChanged, detail)?;
            Ok(user)
        })
        .await?;
    Ok(Reply(user.into()))
}

/// Removes a user with sessions and tokens.
#[utoipa::path(delete, path = "/api/v1/users/{name}", tag = "users", params(("name" = String, Path)),
    responses((status = 204)))]
async fn remove(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
) -> Result<StatusCode> {
    app.blocking(move |app| {
        app.accounts.remove_user(&name)?;
        app.audit(&who.name, Audit::UserRemoved, json!({ "user": name }))
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
