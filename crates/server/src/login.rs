//! From a request to who sends it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};

use crate::accounts::{self, Secret};
use crate::app::App;
use crate::error::{ApiError, Result};
use crate::permission::Permission;
use crate::principal::{Kind, Principal};

/// The name of the cookie. With the prefix, browsers take it only over TLS, for the whole host and
/// from nobody else (RFC 6265bis, section 4.1.3.2).
const COOKIE: &str = "keepwatch";
const COOKIE_TLS: &str = "__Host-keepwatch";

/// The header that pages of the session send, and no other page can.
pub(crate) const CSRF_HEADER: &str = "x-csrf-token";

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Somebody.
    Login,
    /// Somebody who may.
    Permission(Permission),
    /// As much, or the one token of SecureVision.
    Contract(Permission),
    /// What the configuration says of metrics.
    Metrics,
}

/// The other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub SocketAddr);

/// Where a request comes from: the other end, or what the proxy says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address(pub IpAddr);

impl Address {
    /// Of a request. Of several addresses that a proxy names it is the last, which the proxy itself
    /// has seen; those before are what the client says.
    pub fn of(app: &App, peer: SocketAddr, headers: &HeaderMap) -> Self {
        let proxied = app.config().server.behind_proxy;
        let address = proxied.then(|| forwarded(headers)).flatten();
        Self(address.unwrap_or(peer.ip()).to_canonical())
    }
}

/// Whom a proxy names last.
pub(crate) fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?;
    last.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
}

/// Who asks, in a handler of a route that needs somebody.
#[derive(Clone, Debug)]
pub(crate) struct Who(pub Arc<Principal>);

impl std::ops::Deref for Who {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        // A route without a guard has no one to hand over: it answers nobody.
        let who = parts.extensions.get::<Who>().cloned();
        who.ok_or_else(|| ApiError::unauthorized("Authentication required"))
    }
}

/// Where the request comes from and with which program, in a handler.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub address: IpAddr,
    pub agent: String,
}

impl Origin {
    pub fn from(&self) -> accounts::From<'_> {
        accounts::From {
            address: self.address,
            agent: &self.agent,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let address = parts.extensions.get::<Address>();
        let agent = parts.headers.get(header::USER_AGENT);
        let agent = agent.and_then(|agent| agent.to_str().ok());
        Ok(Self {
            address: address.map_or(IpAddr::from([0, 0, 0, 0]), |address| address.0),
            agent: agent.unwrap_or_default().to_owned(),
        })
    }
}

/// Lets in who may, and nobody else. Every route that is not for anybody stands behind it.
pub(crate) async fn guard(
    State((app, needs)): State<(Arc<App>, Needs)>,
    mut request: Request,
    next: Next,
) -> Result<Response> {
    if needs == Needs::Metrics && app.metrics_are_open() {
        return Ok(next.run(request).await);
    }
    let upgrades = is_upgrade(request.headers());
    if upgrades {
        check_origin(&app, request.headers())?;
    }
    catch_up(&app).await?;
    let who = identify(&app, request.headers(), request.uri(), upgrades)?;
    catch_up(&app).await?;
    let Some(who) = who else {
        return Err(ApiError::unauthorized("Authentication required"));
    };
    app.limits.account(&who.name)?;
    if let Kind::Session { csrf, .. } = &who.kind
        && !is_safe(request.method())
    {
        check_origin(&app, request.headers())?;
        let sent = request.headers().get(CSRF_HEADER);
        let right = sent
            .is_some_and(|sent| keepwatch_core::crypto::ct_eq(sent.as_bytes(), csrf.as_bytes()));
        if !right {
            return Err(ApiError::forbidden(
                "the X-CSRF-Token of the session is missing",
            ));
        }
    }
    match needs {
        Needs::Contract(permission) => who.needs(permission)?,
        _ if who.kind == Kind::Single => {
            return Err(ApiError::forbidden("this token is for SecureVision's API"));
        }
        Needs::Permission(permission) => who.needs(permission)?,
        Needs::Metrics => who.needs(Permission::SystemRead)?,
        Needs::Login => {}
    }
    request.extensions_mut().insert(Who(Arc::new(who)));
    Ok(next.run(request).await)
}

/// Brings the accounts up to date, where that waits for nobody else's answer.
pub(crate) async fn catch_up(app: &Arc<App>) -> Result<()> {
    if app.accounts.is_behind() {
        app.blocking(|app| {
            app.accounts.catch_up();
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Who it is. Nobody without a credential; an error with one that is not in force.
fn identify(
    app: &App,
    headers: &HeaderMap,
    uri: &Uri,
    upgrades: bool,
) -> Result<Option<Principal>> {
    if app.is_open() {
        // A page elsewhere can give its name our address, and then is of the same origin.
        return match host_of(headers).is_some_and(is_this_machine) {
            true => Ok(Some(Principal::open())),
            false => Err(ApiError::forbidden(
                "the host of the request is not this machine",
            )),
        };
    }
    let invalid = || ApiError::unauthorized("Invalid token");
    if let Some(given) = headers.get(header::AUTHORIZATION) {
        let text = given.to_str().map_err(|_| invalid())?;
        // What is no bearer token is none for SecureVision.
        let Some(token) = bearer(text) else {
            return Ok(None);
        };
        let secret = Secret::given(token);
        if app.is_single_token(&secret) {
            return Ok(Some(Principal::single()));
        }
        let token = token.strip_prefix("kw_").ok_or_else(invalid)?;
        let who = app.accounts.of_token(&Secret::given(token));
        return who.map(Some).ok_or_else(invalid);
    }
    if upgrades && let Some(ticket) = ticket_of(uri) {
        return app.tickets.take(ticket).map(Some).ok_or_else(invalid);
    }
    if let Some(cookie) = session_cookie(app, headers) {
        return Ok(app.accounts.of_session(&cookie));
    }
    Ok(None)
}

pub(crate) fn bearer(text: &str) -> Option<&str> {
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

pub(crate) fn ticket_of(uri: &Uri) -> Option<&str> {
    let pairs = uri.query()?.split('&');
    let mut pairs = pairs.filter_map(|pair| pair.split_once('='));
    pairs.find_map(|(name, value)| (name == "ticket").then_some(value))
}

/// The secret in the cookie.
pub(crate) fn session_cookie(app: &App, headers: &HeaderMap) -> Option<Secret> {
    cookie_of(headers, cookie_name(app))
}

/// The secret in a cookie of this name.
pub(crate) fn cookie_of(headers: &HeaderMap, name: &str) -> Option<Secret> {
    let jar = CookieJar::from_headers(headers);
    Some(Secret::given(jar.get(name)?.value()))
}

fn cookie_name(app: &App) -> &'static str {
    match app.is_encrypted() {
        true => COOKIE_TLS,
        false => COOKIE,
    }
}

/// The cookie of a session, or one that takes it away.
pub(crate) fn cookie(app: &App, secret: Option<&Secret>) -> Cookie<'static> {
    let value = secret.map(|secret| secret.expose().to_owned());
    let mut cookie = Cookie::new(cookie_name(app), value.unwrap_or_default());
    cookie.set_path("/");
    cookie.set_http_only(true);
    cookie.set_same_site(SameSite::Strict);
    cookie.set_secure(app.is_encrypted());
    if secret.is_none() {
        cookie.make_removal();
    }
    cookie
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    headers
        .get(header::UPGRADE)
        .is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Refuses pages of other origins (RFC 6454), which browsers name.
pub(crate) fn check_origin(app: &App, headers: &HeaderMap) -> Result<()> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or_default();
    let own = host_of(headers).is_some_and(|host| {
        let name = origin.split_once("://").map(|(_, name)| name);
        name.is_some_and(|name| name.eq_ignore_ascii_case(host))
    });
    let named = || {
        app.config()
            .server
            .allowed_origins
            .iter()
            .any(|allowed| allowed == origin)
    };
    match own || named() {
        true => Ok(()),
        false => Err(ApiError::forbidden(
            "pages of this origin may not use the server",
        )),
    }
}

/// The host that the client means. A proxy is expected to hand it on.
fn host_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

pub(crate) fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let loopback = |address: IpAddr| address.to_canonical().is_loopback();
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_names_alone() {
        for good in [
            "localhost",
            "LOCALHOST:8000",
            "127.0.0.1:80",
            "127.9.9.9",
            "[::1]:8000",
        ] {
            assert!(is_this_machine(good), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "localhost.evil.example",
            "192.0.2.1",
            "[::2]",
            "127.0.0.1.nip.io",
        ] {
            assert!(!is_this_machine(bad), "{bad}");
        }
    }

    #[test]
    fn bearer_tokens_are_read_as_they_may_be_written() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("Bearer"), None);
    }
}
