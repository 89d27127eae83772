//! Sealed files as bodies of answers, opened as they are read.

use std::io::{Read, Seek, SeekFrom};
use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use keepwatch_core::events::MediaReader;

use crate::app::App;
use crate::error::{ApiError, Result};

/// So much is opened at once: two chunks of a sealed file.
const PIECE: usize = 128 << 10;

/// What is asked for of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    All,
    Part(RangeInclusive<u64>),
    /// Nothing that is there.
    Beyond,
}

/// The range of a request, of a file of so many bytes (RFC 9110, section 14). One range is served;
/// for what is none, or several, there is all, which a server may do.
pub(crate) fn asked(headers: &HeaderMap, len: u64) -> Asked {
    let parse = || -> Option<Asked> {
        let text = headers.get(header::RANGE)?.to_str().ok()?;
        let (first, last) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
        if last.contains(',') {
            return None;
        }
        let (first, last) = (first.trim(), last.trim());
        let number = |text: &str| -> Option<u64> {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            // More digits than fit are beyond every file.
            (digits && !text.is_empty()).then(|| text.parse().unwrap_or(u64::MAX))
        };
        if first.is_empty() {
            let tail = number(last)?;
            if tail == 0 || len == 0 {
                return Some(Asked::Beyond);
            }
            return Some(Asked::Part(len.saturating_sub(tail)..=len - 1));
        }
        let first = number(first)?;
        let last = match last {
            "" => u64::MAX,
            text => number(text)?,
        };
        if first > last {
            return None;
        }
        if first >= len {
            return Some(Asked::Beyond);
        }
        Some(Asked::Part(first..=last.min(len - 1)))
    };
    parse().unwrap_or(Asked::All)
}

/// Answers with a file, or the part of it that was asked for.
pub(crate) async fn serve(
    app: &Arc<App>,
    mut reader: MediaReader,
    headers: &HeaderMap,
    content_type: &'static str,
) -> Result<Response> {
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    // What a crash cut off has no length before it is read, and is given as it comes.
    let Some(len) = reader.len() else {
        let body = body(app.clone(), reader, u64::MAX);
        return Ok(([content_type], body).into_response());
    };
    let (status, range) = match asked(headers, len) {
        Asked::Beyond => {
            let value = HeaderValue::from_str(&format!("bytes */{len}"));
            let error = ApiError::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "the range is beyond the end",
            );
            return Err(error.with_header(
                header::CONTENT_RANGE,
                value.expect("a number is a good value"),
            ));
        }
        Asked::All => (StatusCode::OK, None),
        Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, Some(range)),
    };
    let length = range
        .as_ref()
        .map_or(len, |range| range.end() - range.start() + 1);
    if let Some(range) = &range {
        let start = *range.start();
        reader = app
            .blocking(move |_| {
                let sought = reader.seek(SeekFrom::Start(start));
                sought.map_err(|error| ApiError::internal("a file cannot be read", &error))?;
                Ok(reader)
            })
            .await?;
    }
    let mut answer = (status, [content_type], body(app.clone(), reader, length)).into_response();
    let headers = answer.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if let Some(range) = range {
        let value = format!("bytes {}-{}/{len}", range.start(), range.end());
        let value = HeaderValue::from_str(&value).expect("numbers are a good value");
        headers.insert(header::CONTENT_RANGE, value);
    }
    Ok(answer)
}

/// At most so many bytes from where the reader is, read as they are taken.
pub(crate) fn body(app: Arc<App>, reader: impl Read + Send + 'static, left: u64) -> Body {
    let pieces = futures_util::stream::try_unfold((reader, left), move |(mut reader, left)| {
        let app = app.clone();
        async move {
            if left == 0 {
                return Ok::<_, std::io::Error>(None);
            }
            let read = app.blocking(move |_| {
                let want = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
                let mut piece = Vec::with_capacity(want);
                let read = (&mut reader).take(want as u64).read_to_end(&mut piece);
                match read {
                    Ok(_) => Ok((reader, piece)),
                    Err(error) => Err(ApiError::internal("a file cannot be read", &error)),
                }
            });
            // The connection breaks, which is how a body says that it is not whole.
            let (reader, piece) = read
                .await
                .map_err(|_| std::io::Error::other("the file cannot be read"))?;
            if piece.is_empty() {
                return Ok(None);
            }
            let left = left - piece.len() as u64;
            Ok(Some((Bytes::from(piece), (reader, left))))
        }
    });
    Body::from_stream(pieces)
}

/// A small file in memory.
pub(crate) fn read_all(reader: &mut impl Read, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader
        .take(most)
        .read_to_end(&mut bytes)
        .map_err(|error| ApiError::internal("a file cannot be read", &error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(range: &str, len: u64) -> Asked {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_str(range).expect("a value");
        headers.insert(header::RANGE, value);
        asked(&headers, len)
    }

    #[test]
    fn ranges_are_those_of_rfc_9110() {
        assert_eq!(ask("bytes=0-499", 10_000), Asked::Part(0..=499));
        assert_eq!(ask("bytes=9500-", 10_000), Asked::Part(9500..=9999));
        assert_eq!(ask("bytes=-500", 10_000), Asked::Part(9500..=9999));
        assert_eq!(ask("bytes=-20000", 10_000), Asked::Part(0..=9999));
        assert_eq!(ask("bytes=9999-20000", 10_000), Asked::Part(9999..=9999));
        assert_eq!(ask("bytes=0-", 1), Asked::Part(0..=0));
        assert_eq!(
            ask("bytes=0-99999999999999999999999", 10),
            Asked::Part(0..=9)
        );
    }

    #[test]
    fn what_is_not_there_is_said_and_what_is_no_range_is_all() {
        for beyond in ["bytes=10000-", "bytes=99999999999999999999999-", "bytes=-0"] {
            assert_eq!(ask(beyond, 10_000), Asked::Beyond, "{beyond}");
        }
        assert_eq!(ask("bytes=0-0", 0), Asked::Beyond);
        assert_eq!(ask("bytes=-1", 0), Asked::Beyond);
        for none in [
            "bytes=5-4",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "lines=1-2",
            "bytes=0-1,3-4",
            "bytes=+1-2",
            "0-1",
        ] {
            assert_eq!(ask(none, 10_000), Asked::All, "{none}");
        }
        assert_eq!(asked(&HeaderMap::new(), 10), Asked::All);
    }
}
