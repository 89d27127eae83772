//! What is answered when something cannot be done: one place that says which status an error has,
//! and that nothing of the inside gets out.

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use keepwatch_core::{Error as CoreError, with_causes};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::accounts::AccountError;

/// The result of a handler.
pub type Result<T, E = ApiError> = std::result::Result<T, E>;

/// An answer that says why not. Boxed, since it is rare and large.
#[derive(Debug)]
pub struct ApiError(Box<Answer>);

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    detail: Detail,
    hint: Option<&'static str>,
    extra: Option<(&'static str, Value)>,
    headers: HeaderMap,
}

/// The body of such an answer.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub struct ErrorBody {
    /// What failed; of a request with wrong values, a list of what is wrong with it.
    pub detail: Detail,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What failed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Detail {
    /// In words.
    Words(String),
    /// What is wrong with the values of a request.
    Values(Vec<WrongValue>),
}

/// What is wrong with a value.
#[derive(Debug, Serialize, ToSchema)]
pub struct WrongValue {
    /// Of what kind it is.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Where the value is: in `body`, `query` or `path`, and its name there.
    pub loc: Vec<String>,
    /// What is wrong.
    pub msg: String,
}

impl ApiError {
    /// With a status and what failed, in words that are for anybody.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self(Box::new(Answer {
            status,
            detail: Detail::Words(detail.into()),
            hint: None,
            extra: None,
            headers: HeaderMap::new(),
        }))
    }

    /// It is not there, or not for the one who asks.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("{what} not found"))
    }

    /// Nobody is logged in.
    pub fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// Somebody is, and it is not allowed.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// It is in the way of something else.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// Too often; again after so many seconds.
    pub fn too_many(detail: &str, seconds: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(seconds)
    }

    /// Something that is needed cannot be reached now.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(2)
    }

    /// A value of the request cannot be right. `place` is `body`, `query` or `path`.
    pub fn value(place: &str, field: &str, message: impl Into<String>) -> Self {
        let wrong = WrongValue {
            kind: "value_error",
            loc: vec![place.to_owned(), field.to_owned()],
            msg: message.into(),
        };
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "");
        error.0.detail = Detail::Values(vec![wrong]);
        error
    }

    /// Something failed that the caller can do nothing about; the log says what.
    pub fn internal(context: &str, error: &dyn std::error::Error) -> Self {
        tracing::error!(error = with_causes(error), "{context}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error")
            .with_hint("the log of the server says more, under the X-Request-Id of this answer")
    }

    /// With what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: &'static str) -> Self {
        self.0.hint = Some(hint);
        self
    }

    /// With another field of the body.
    #[must_use]
    pub fn with_field(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.extra = Some((name, value.into()));
        self
    }

    /// With a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    fn retry_after(self, seconds: u64) -> Self {
        self.with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Its status.
    #[cfg(test)]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Answer {
            status,
            detail,
            hint,
            extra,
            headers,
        } = *self.0;
        let mut body = json!({ "detail": detail });
        if let Some(hint) = hint {
            body["hint"] = hint.into();
        }
        if let Some((name, value)) = extra {
            body[name] = value;
        }
        (status, headers, Json(body)).into_response()
    }
}

/// Whether the disk is full.
fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>()
            && matches!(
                error.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            )
        {
            return true;
        }
        cause = error.source();
    }
    false
}

impl From<CoreError> for ApiError {
    fn from(error: CoreError) -> Self {
        match &error {
            _ if is_full(&error) => {
                tracing::error!(error = with_causes(&error), "the disk is full");
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "the disk is full")
            }
            CoreError::NoSuchEvent { .. } => Self::not_found("Event"),
            CoreError::NoRepository { .. } => Self::not_found("Repository")
                .with_hint("it is in the configuration, and not yet made: `keepwatch init`"),
            CoreError::NoSuchSnapshot { .. } => Self::not_found("Snapshot"),
            CoreError::AmbiguousSnapshot { .. } => {
                Self::conflict("several snapshots have an id that begins like this")
            }
            CoreError::NoSuchPath { .. } => Self::not_found("Path"),
            CoreError::Missing { .. } => {
                tracing::warn!(error = with_causes(&error), "a file is missing");
                Self::not_found("File")
            }
            CoreError::Invalid { what, problem } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                format!("{what}: {problem}"),
            ),
            CoreError::Busy { .. } => Self::conflict("it is running already"),
            CoreError::NeedsFullKey { .. } | CoreError::WrongKey { .. } => {
                Self::conflict("the server has no key for it")
                    .with_hint("what is sealed to others opens with their keys only")
            }
            CoreError::Interrupted => Self::unavailable("it was stopped"),
            CoreError::Unavailable { .. } => {
                tracing::error!(error = with_causes(&error), "the store cannot be reached");
                Self::unavailable("the event store cannot be reached")
            }
            CoreError::Damaged { .. } => {
                tracing::error!(error = with_causes(&error), "damaged data");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "it is damaged")
                    .with_hint("`keepwatch events verify` and `keepwatch check` say what is")
            }
            _ => Self::internal("a request failed", &error),
        }
    }
}

impl From<keepwatch_vision::Error> for ApiError {
    fn from(error: keepwatch_vision::Error) -> Self {
        match error {
            keepwatch_vision::Error::Core(error) => error.into(),
            keepwatch_vision::Error::Recognition(error) => error.into(),
            keepwatch_vision::Error::UnknownCamera { .. } => Self::not_found("Camera"),
            keepwatch_vision::Error::Setting { name, problem } => {
                Self::value("body", name, problem)
            }
            keepwatch_vision::Error::Url { problem } => Self::value("body", "url", problem),
            error => Self::internal("cameras failed", &error),
        }
    }
}

impl From<keepwatch_recognition::Error> for ApiError {
    fn from(error: keepwatch_recognition::Error) -> Self {
        match error {
            keepwatch_recognition::Error::Store(error) => error.into(),
            error => Self::internal("recognition failed", &error),
        }
    }
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        let code = |detail| Self::unauthorized(detail).with_field("totp_required", true);
        match error {
            AccountError::Wrong => Self::unauthorized("Wrong user or password"),
            AccountError::CodeNeeded => code("A code of the second factor is needed"),
            AccountError::WrongCode => code("Wrong code"),
            AccountError::Wait(wait) => Self::too_many("Too many attempts", wait.seconds),
            AccountError::NotThere { what } => Self::not_found(what),
            AccountError::Conflict(problem) => Self::conflict(problem),
            AccountError::Value { field, problem } => Self::value("body", field, problem),
            AccountError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_away_is_no_fault_of_the_server() {
        let error = ApiError::from(CoreError::Unavailable {
            what: "postgres://host/db".to_owned(),
            source: None,
        });
        let answer = error.into_response();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key(header::RETRY_AFTER));
    }
}
