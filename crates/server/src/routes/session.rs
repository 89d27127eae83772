//! Logging in and out, and what somebody does with their own account.

use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum_extra::extract::cookie::CookieJar;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::hidden::Hidden;
use crate::accounts::{AccountError, Attempt, LoggedIn};
use crate::app::App;
use crate::audit::Audit;
use crate::error::{ApiError, Result};
use crate::extract::{Json, Path};
use crate::login::{Needs, Origin, Who, catch_up, check_origin, cookie};
use crate::permission::{Permission, Role};
use crate::principal::{Kind, Principal};
use crate::router::group;
use crate::tickets;

pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    let own = OpenApiRouter::new()
        .routes(routes!(current, log_out))
        .routes(routes!(change_password))
        .routes(routes!(begin_totp, confirm_totp, remove_totp))
        .routes(routes!(sessions))
        .routes(routes!(end_session))
        .routes(routes!(ticket));
    OpenApiRouter::new()
        .routes(routes!(setup, set_up))
        .routes(routes!(log_in))
        .merge(group(app, Needs::Login, own))
}

/// Whether there is no user yet.
#[derive(Serialize, ToSchema)]
struct Setup {
    needed: bool,
}

/// Whether the first user is still to be made; for anybody.
#[utoipa::path(get, path = "/api/v1/setup", tag = "session", responses((status = 200, body = Setup)))]
async fn setup(State(app): State<Arc<App>>) -> Result<Reply<Setup>> {
    // `keepwatch user add` may have made one.
    catch_up(&app).await?;
    Ok(Reply(Setup {
        needed: !app.is_open() && app.accounts.needs_setup(),
    }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetUp {
    /// What the server printed.
    #[schema(value_type = String)]
    code: Hidden,
    user: String,
    #[schema(value_type = String, format = Password)]
    password: Hidden,
}

/// Makes the first admin with the code that the server printed, and logs in.
#[utoipa::path(post, path = "/api/v1/setup", tag = "session", request_body = SetUp,
    responses((status = 201, body = SessionView)))]
async fn set_up(
    State(app): State<Arc<App>>,
    origin: Origin,
    headers: HeaderMap,
    Json(asked): Json<SetUp>,
) -> Result<Response> {
    check_origin(&app, &headers)?;
    let logged_in = app
        .blocking(move |app| {
            let code = asked.code.expose();
            let done =
                app.accounts
                    .set_up(code, &asked.user, asked.password.expose(), origin.from());
            let done = done.map_err(|error| match error {
                AccountError::Wrong => ApiError::unauthorized("Wrong code"),
                error => error.into(),
            })?;
            let detail = json!({ "address": origin.address });
            app.audit(&done.principal.name, Audit::SetUp, detail)?;
            Ok(done)
        })
        .await?;
    Ok(let_in(&app, StatusCode::CREATED, &logged_in))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LogIn {
    user: String,
    #[schema(value_type = String, format = Password)]
    password: Hidden,
    /// Six digits, or a recovery code, where there is a second factor.
    #[schema(value_type = Option<String>)]
    totp: Option<Hidden>,
}

/// Logs in. 401 has `totp_required` where the password is right and a code is missing.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", request_body = LogIn,
    responses((status = 200, body = SessionView, description = "and a cookie")))]
async fn log_in(
    State(app): State<Arc<App>>,
    origin: Origin,
    headers: HeaderMap,
    Json(asked): Json<LogIn>,
) -> Result<Response> {
    check_origin(&app, &headers)?;
    if app.is_open() {
        return Err(ApiError::conflict(
            "there are no users without authentication",
        ));
    }
    let logged_in = app
        .blocking(move |app| {
            let done = app.accounts.log_in(&Attempt {
                user: &asked.user,
                password: asked.password.expose(),
                code: asked.totp.as_ref().map(Hidden::expose),
                from: origin.from(),
            });
            let address = json!({ "address": origin.address });
            match done {
                Ok(done) => {
                    app.audit(&done.principal.name, Audit::LogIn, address)?;
                    Ok(done)
                }
                Err(error) => {
                    // Who waits has not tried: a flood of them must not fill the log.
                    if matches!(error, AccountError::Wrong | AccountError::WrongCode) {
                        let user: String = asked.user.chars().take(64).collect();
                        app.audit(&user, Audit::LogInFailed, address)?;
                    }
                    Err(error.into())
                }
            }
        })
        .await?;
    Ok(let_in(&app, StatusCode::OK, &logged_in))
}

fn let_in(app: &App, status: StatusCode, logged_in: &LoggedIn) -> Response {
    let jar = CookieJar::new().add(cookie(app, Some(&logged_in.secret)));
    let view = SessionView::of(app, &logged_in.principal);
    (status, jar, Reply(view)).into_response()
}

/// Who is logged in, and what they may.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
struct SessionView {
    user: String,
    role: Option<Role>,
    permissions: Vec<Permission>,
    /// Only these cameras; all if none are named.
    cameras: Option<Vec<String>>,
    /// Whether there is a second factor.
    totp: bool,
    /// How many recovery codes are left.
    recovery_codes: usize,
    /// What belongs into `X-CSRF-Token`; of a session only.
    csrf: Option<String>,
    kind: KindView,
    version: &'static str,
}

/// How somebody was let in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SessionKind)]
enum KindView {
    /// By a cookie.
    Session,
    /// By an API token.
    Token,
    /// By nothing.
    Open,
}

impl SessionView {
    fn of(app: &App, who: &Principal) -> Self {
        let user = who.user.as_deref().and_then(|name| app.accounts.user(name));
        let factor = user.and_then(|user| user.totp);
        Self {
            user: who.user.clone().unwrap_or_else(|| who.name.clone()),
            role: who.role,
            permissions: who.permissions.iter().collect(),
            cameras: who
                .cameras
                .as_ref()
                .map(|cameras| cameras.iter().cloned().collect()),
            totp: factor.is_some(),
            recovery_codes: factor.map_or(0, |factor| factor.recovery_left()),
            csrf: match &who.kind {
                Kind::Session { csrf, .. } => Some(csrf.clone()),
                _ => None,
            },
            kind: match who.kind {
                Kind::Session { .. } => KindView::Session,
                Kind::Token | Kind::Single => KindView::Token,
                Kind::Open => KindView::Open,
            },
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// Who is logged in.
#[utoipa::path(get, path = "/api/v1/session", tag = "session", responses((status = 200, body = SessionView)))]
async fn current(State(app): State<Arc<App>>, who: Who) -> Reply<SessionView> {
    Reply(SessionView::of(&app, &who))
}

/// Logs out.
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", responses((status = 204)))]
async fn log_out(State(app): State<Arc<App>>, who: Who) -> Result<Response> {
    let ended = who.clone();
    app.blocking(move |app| {
        let (user, id) = ended.session()?;
        app.accounts.end_session(user, id)?;
        app.audit(user, Audit::LogOut, Value::Null)
    })
    .await?;
    let jar = CookieJar::new().add(cookie(&app, None));
    Ok((StatusCode::NO_CONTENT, jar).into_response())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    #[schema(value_type = String, format = Password)]
    old: Hidden,
    /// At least 12 characters.
    #[schema(value_type = String, format = Password)]
    new: Hidden,
}

/// Changes one's own password; other sessions end.
#[utoipa::path(put, path = "/api/v1/session/password", tag = "session", request_body = NewPassword,
    responses((status = 204)))]
async fn change_password(
    State(app): State<Arc<App>>,
    who: Who,
    origin: Origin,
    Json(asked): Json<NewPassword>,
) -> Result<StatusCode> {
    app.blocking(move |app| {
        let (user, id) = who.session()?;
        let (old, new) = (asked.old.expose(), asked.new.expose());
        let changed = app
            .accounts
            .change_password(user, id, old, new, origin.from());
        changed.map_err(wrong_password)?;
        app.audit(user, Audit::PasswordChanged, Value::Null)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Somebody is logged in, so that a wrong password is no reason to log in again.
fn wrong_password(error: AccountError) -> ApiError {
    match error {
        AccountError::Wrong => ApiError::forbidden("Wrong password"),
        AccountError::WrongCode => ApiError::forbidden("Wrong code"),
        error => error.into(),
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Confirm {
    #[schema(value_type = String, format = Password)]
    password: Hidden,
}

/// What a phone has to know.
#[derive(Serialize, ToSchema)]
struct TotpView {
    /// In base 32.
    secret: String,
    /// `otpauth:`
    uri: String,
    /// It as an SVG.
    qr: String,
}

/// Begins a second factor: a new secret, which counts once it is confirmed.
#[utoipa::path(post, path = "/api/v1/session/totp", tag = "session", request_body = Confirm,
    responses((status = 200, body = TotpView)))]
async fn begin_totp(
    State(app): State<Arc<App>>,
    who: Who,
    origin: Origin,
    Json(asked): Json<Confirm>,
) -> Result<Reply<TotpView>> {
    let begun = app
        .blocking(move |app| {
            let (user, _) = who.session()?;
            let checked = app
                .accounts
                .check_password(user, asked.password.expose(), origin.from());
            checked.map_err(wrong_password)?;
            Ok(app.accounts.begin_totp(user)?)
        })
        .await?;
    Ok(Reply(TotpView {
        secret: begun.secret.to_string(),
        uri: begun.uri.to_string(),
        qr: begun.qr.to_string(),
    }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Code {
    /// Six digits.
    #[schema(value_type = String)]
    totp: Hidden,
}

#[derive(Serialize, ToSchema)]
struct RecoveryCodes {
    /// They are shown this once.
    recovery_codes: Vec<String>,
}

/// Puts the second factor in force that was begun.
#[utoipa::path(put, path = "/api/v1/session/totp", tag = "session", request_body = Code,
    responses((status = 200, body = RecoveryCodes)))]
async fn confirm_totp(
    State(app): State<Arc<App>>,
    who: Who,
    Json(asked): Json<Code>,
) -> Result<Reply<RecoveryCodes>> {
    let recovery_codes = app
        .blocking(move |app| {
            let (user, _) = who.session()?;
            let confirmed = app.accounts.confirm_totp(user, asked.totp.expose());
            let codes = confirmed.map_err(wrong_password)?;
            app.audit(user, Audit::TotpAdded, Value::Null)?;
            Ok(codes)
        })
        .await?;
    Ok(Reply(RecoveryCodes { recovery_codes }))
}

/// Ends one's own second factor.
#[utoipa::path(delete, path = "/api/v1/session/totp", tag = "session", request_body = Confirm,
    responses((status = 204)))]
async fn remove_totp(
    State(app): State<Arc<App>>,
    who: Who,
    origin: Origin,
    Json(asked): Json<Confirm>,
) -> Result<StatusCode> {
    app.blocking(move |app| {
        let (user, _) = who.session()?;
        let checked = app
            .accounts
            .check_password(user, asked.password.expose(), origin.from());
        checked.map_err(wrong_password)?;
        app.accounts.remove_totp(user)?;
        app.audit(user, Audit::TotpRemoved, Value::Null)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, ToSchema)]
struct Sessions {
    sessions: Vec<OneSession>,
}

/// A browser that is logged in.
#[derive(Serialize, ToSchema)]
struct OneSession {
    id: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    last_used_at: Timestamp,
    address: String,
    agent: String,
    /// Whether it is the one that asks.
    current: bool,
}

/// One's own sessions, the latest first.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "session", responses((status = 200, body = Sessions)))]
async fn sessions(State(app): State<Arc<App>>, who: Who) -> Result<Reply<Sessions>> {
    let sessions = app.accounts.sessions_of(who.user()?);
    let is_current = |id: &str| matches!(&who.kind, Kind::Session { id: own, .. } if own == id);
    let sessions = sessions.into_iter().map(|session| OneSession {
        current: is_current(&session.id),
        id: session.id,
        created_at: session.created_at,
        last_used_at: session.last_used_at,
        address: session.address,
        agent: session.agent,
    });
    Ok(Reply(Sessions {
        sessions: sessions.collect(),
    }))
}

/// Ends one of one's own sessions.
#[utoipa::path(delete, path = "/api/v1/sessions/{id}", tag = "session", params(("id" = String, Path)),
    responses((status = 204)))]
async fn end_session(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    app.blocking(move |app| {
        let (user, _) = who.session()?;
        app.accounts.end_session(user, &id)?;
        app.audit(user, Audit::SessionEnded, json!({ "session": id }))
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, ToSchema)]
struct Ticket {
    ticket: String,
    /// In so many seconds.
    expires_in: i64,
}

/// A ticket for a WebSocket, `?ticket=…`, once.
#[utoipa::path(post, path = "/api/v1/ticket", tag = "session", responses((status = 200, body = Ticket)))]
async fn ticket(State(app): State<Arc<App>>, who: Who) -> Result<Reply<Ticket>> {
    let ticket = app.tickets.give(&who)?;
    Ok(Reply(Ticket {
        ticket: ticket.expose().to_owned(),
        expires_in: tickets::LASTS.as_secs(),
    }))
}
