//! Values of requests, refused in the form that all errors have.

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type,
};
use utoipa::{PartialSchema, ToSchema};

use crate::error::{ApiError, Result};

/// The body, as JSON.
pub(crate) struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(JsonRejection::JsonDataError(error)) => {
                let text = error.body_text();
                // The first half says that it is a body and JSON.
                let said = text
                    .split_once("target type: ")
                    .map_or(&*text, |(_, said)| said);
                Err(ApiError::value("body", "", said))
            }
            Err(JsonRejection::JsonSyntaxError(_)) => {
                Err(ApiError::value("body", "", "it is no JSON"))
            }
            Err(error) => Err(ApiError::new(
                error.status(),
                match error.status() {
                    StatusCode::PAYLOAD_TOO_LARGE => "the body is too large",
                    StatusCode::UNSUPPORTED_MEDIA_TYPE => "the body is to be application/json",
                    _ => "the body cannot be read",
                },
            )),
        }
    }
}

/// The values after the question mark. A name that comes several times is a list.
pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Reads what stands after the question mark.
pub(crate) fn query<T: DeserializeOwned>(text: &str) -> Result<T> {
    let deserializer = serde_html_form::Deserializer::from_bytes(text.as_bytes());
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let field = error.path().to_string();
        let field = if field == "." { "" } else { &field };
        ApiError::value("query", field, error.inner().to_string())
    })
}

/// A part of the path.
pub(crate) struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Self(value))
            .map_err(|_| ApiError::value("path", "", "it is not what it has to be"))
    }
}

/// A time, as RFC 3339 or in milliseconds since 1970.
pub(crate) fn time<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Timestamp>, D::Error> {
    use serde::de::Error;
    let Some(text) = Option::<String>::deserialize(input)? else {
        return Ok(None);
    };
    let time = match text.parse::<i64>() {
        Ok(ms) => Timestamp::from_millisecond(ms).ok(),
        Err(_) => text.parse().ok(),
    };
    let bad = || D::Error::custom("it is no time: RFC 3339, or milliseconds since 1970");
    time.map(Some).ok_or_else(bad)
}

/// What [`time`] reads, for the description of the API.
pub(crate) struct TimeAsked;

impl PartialSchema for TimeAsked {
    fn schema() -> RefOr<Schema> {
        let text = SchemaFormat::KnownFormat(KnownFormat::DateTime);
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(text));
        let milliseconds = ObjectBuilder::new().schema_type(Type::Integer);
        let both = OneOfBuilder::new().item(text).item(milliseconds).build();
        Schema::OneOf(both).into()
    }
}

impl ToSchema for TimeAsked {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Asked {
        camera: Vec<String>,
        limit: Option<u8>,
        #[serde(deserialize_with = "time")]
        since: Option<Timestamp>,
    }

    async fn ask(query: &str) -> Result<Asked> {
        let uri = format!("/?{query}");
        let request = Request::builder().uri(uri).body(()).expect("a request");
        let (mut parts, ()) = request.into_parts();
        Query::from_request_parts(&mut parts, &())
            .await
            .map(|Query(asked)| asked)
    }

    #[tokio::test]
    async fn names_may_be_repeated_and_times_written_in_two_ways() {
        let asked = ask("camera=a&limit=3&camera=b%20c&since=1500")
            .await
            .expect("it is right");
        assert_eq!(asked.camera, ["a", "b c"]);
        assert_eq!(
            (asked.limit, asked.since.expect("given").as_millisecond()),
            (Some(3), 1500)
        );
        let asked = ask("since=2026-11-28T00:00:00Z")
            .await
            .expect("it is right");
        assert_eq!(asked.since.expect("given").as_second(), 1_795_824_000);
        assert!(ask("").await.expect("nothing is fine").since.is_none());
        for bad in [
            "limit=300",
            "limit=x",
            "since=yesterday",
            "since=99999999999999999",
        ] {
            ask(bad).await.expect_err(bad);
        }
    }
}
