//! API tokens: of programs that act for a user.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::{NewToken, Token};
use crate::app::App;
use crate::audit::Audit;
use crate::error::{ApiError, Result};
use crate::extract::{Json, Path};
use crate::login::{Needs, Who};
use crate::permission::Permission;
use crate::principal::{Kind, Principal};
use crate::router::group;

pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    let all = OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(remove));
    group(app, Needs::Login, all)
}

/// Whose tokens somebody deals with: their own, or those of all.
fn whose(who: &Principal) -> Result<Option<&str>> {
    let user = who.user()?;
    Ok((!who.permissions.has(Permission::UsersWrite)).then_some(user))
}

#[derive(Serialize, ToSchema)]
struct Tokens {
    tokens: Vec<TokenView>,
}

/// What a program logs in with, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
struct TokenView {
    id: String,
    name: String,
    user: String,
    permissions: Vec<Permission>,
    cameras: Option<BTreeSet<String>>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
}

impl From<Token> for TokenView {
    fn from(token: Token) -> Self {
        Self {
            id: token.id,
            name: token.name,
            user: token.user,
            permissions: token.permissions,
            cameras: token.cameras,
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
        }
    }
}

/// One's own tokens; those of all for who may change users.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "users", responses((status = 200, body = Tokens)))]
async fn list(State(app): State<Arc<App>>, who: Who) -> Result<Reply<Tokens>> {
    let tokens = app
        .accounts
        .tokens(whose(&who)?)
        .into_iter()
        .map(TokenView::from);
    Ok(Reply(Tokens {
        tokens: tokens.collect(),
    }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AskedToken {
    name: String,
    /// Some of one's own.
    #[schema(min_items = 1)]
    permissions: BTreeSet<Permission>,
    /// Only these cameras.
    #[serde(default)]
    cameras: Option<BTreeSet<String>>,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// A new token, with its secret, which is shown this once.
#[derive(Serialize, ToSchema)]
struct MadeToken {
    #[serde(flatten)]
    about: TokenView,
    /// `kw_…`
    token: String,
}

/// Makes a token, in a session only: a token makes no others.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "users", request_body = AskedToken,
    responses((status = 201, body = MadeToken)))]
async fn add(
    State(app): State<Arc<App>>,
    who: Who,
    Json(asked): Json<AskedToken>,
) -> Result<(StatusCode, Reply<MadeToken>)> {
    if !matches!(who.kind, Kind::Session { .. }) {
        return Err(ApiError::forbidden("this needs a session"));
    }
    if asked.permissions.is_empty() {
        return Err(ApiError::value("body", "permissions", "there is none"));
    }
    for permission in &asked.permissions {
        who.needs(*permission)?;
    }
    let (token, secret) = app
        .blocking(move |app| {
            let (token, secret) = app.accounts.add_token(NewToken {
                name: asked.name,
                user: who.user()?.to_owned(),
                permissions: asked.permissions.into_iter().collect(),
                cameras: asked.cameras,
                expires_at: asked.expires_at,
            })?;
            let detail = json!({
                "token": token.id, "name": token.name, "permissions": token.permissions,
                "cameras": token.cameras, "expires_at": token.expires_at,
            });
            app.audit(&who.name, Audit::TokenAdded, detail)?;
            Ok((token, secret))
        })
        .await?;
    let made = MadeToken {
        about: token.into(),
        token: format!("kw_{}", secret.expose()),
    };
    Ok((StatusCode::CREATED, Reply(made)))
}

/// Removes a token.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "users", params(("id" = String, Path)),
    responses((status = 204)))]
async fn remove(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    app.blocking(move |app| {
        let token = app.accounts.remove_token(&id, whose(&who)?)?;
        let detail = json!({ "token": token.id, "name": token.name, "user": token.user });
        app.audit(&who.name, Audit::TokenRemoved, detail)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
