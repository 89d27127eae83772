//! Writing objects under an object lock, and renewing it.
//!
//! OpenDAL knows nothing of it. A lock is two headers of a PUT (Amazon S3 API reference, `PutObject`),
//! and headers are signed: what OpenDAL would send is signed anew with them. Locks that are there are
//! renewed by requests of our own (`PutObjectRetention`).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use jiff::{SignedDuration, Timestamp};
use md5::{Digest as _, Md5};
use opendal::{
    Buffer, Error, ErrorKind, HttpBody, HttpTransport, HttpTransporter, OperationContext, Operator,
};
use reqsign_aws_v4::{
    Credential, DefaultCredentialProvider, RequestSigner, StaticCredentialProvider,
};
use reqsign_core::{Context, OsEnv, ProvideCredentialChain, Signer};
use reqsign_file_read_tokio::TokioFileRead;
use serde::Deserialize;

use crate::object_lock::{LockMode, ObjectLock};
use crate::options::Credentials;
use crate::transport::Transport;

const MODE: HeaderName = HeaderName::from_static("x-amz-object-lock-mode");
const UNTIL: HeaderName = HeaderName::from_static("x-amz-object-lock-retain-until-date");
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
/// What a lock is tried with: more than clocks may differ, and in nobody's way for longer.
const TRIAL: SignedDuration = SignedDuration::from_hours(1);
/// An answer is read up to this size, in bytes.
const MAX_ANSWER: usize = 64 << 10;

/// The object lock of one storage.
#[derive(Clone)]
pub(crate) struct Locking {
    transport: Transport,
    signer: Arc<Signer<Credential>>,
    mode: LockMode,
    period: SignedDuration,
}

impl Locking {
    pub fn new(
        lock: ObjectLock,
        region: &str,
        credentials: &Credentials,
        transport: Transport,
    ) -> Self {
        let context = Context::new()
            .with_file_read(TokioFileRead)
            .with_env(OsEnv)
            .with_http_send(HttpTransporter::new(transport.clone()));
        let signer = Signer::new(
            context,
            provider(credentials),
            RequestSigner::new("s3", region),
        );
        Self {
            transport,
            signer: Arc::new(signer),
            mode: lock.mode(),
            period: lock.period(),
        }
    }

    /// How long what is written now cannot be removed.
    pub fn period(&self) -> SignedDuration {
        self.period
    }

    /// The same for a short time only.
    pub fn trial(&self) -> Self {
        Self {
            period: TRIAL,
            ..self.clone()
        }
    }

    /// An operator that writes under the lock.
    pub fn operator(&self, plain: &Operator) -> Operator {
        let transporter = HttpTransporter::new(self.clone());
        plain
            .clone()
            .with_context(OperationContext::new().with_http_transport(transporter))
    }

    /// Whether an object is held as it would be if it were written now, or longer.
    pub async fn holds(&self, plain: &Operator, path: &str) -> opendal::Result<bool> {
        let Some(held) = self.held(plain, path).await? else {
            return Ok(false);
        };
        // Whole seconds are written down.
        let wanted = Timestamp::now() + self.period - SignedDuration::from_secs(30);
        Ok(held.mode == mode(self.mode) && held.until >= wanted)
    }

    /// Holds an object that is there for as long as if it were written now.
    pub async fn renew(&self, plain: &Operator, path: &str) -> opendal::Result<()> {
        let body = format!(
            r#"<Retention xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Mode>{}</Mode><RetainUntilDate>{}</RetainUntilDate></Retention>"#,
            mode(self.mode),
            self.until()
        );
        let renewed = self.ask(plain, path, Method::PUT, "?retention", body).await;
        match renewed {
            Ok(_) => Ok(()),
            // It may be held for longer than is asked for now, which nobody can shorten.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                match self.holds(plain, path).await {
                    Ok(true) => Ok(()),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// What the bucket says of an object's lock.
    async fn held(&self, plain: &Operator, path: &str) -> opendal::Result<Option<Held>> {
        let (headers, _) = self
            .ask(plain, path, Method::HEAD, "", String::new())
            .await?;
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let held = text(MODE).zip(text(UNTIL)).and_then(|(mode, until)| {
            Some(Held {
                mode: mode.to_owned(),
                until: until.parse().ok()?,
            })
        });
        Ok(held)
    }

    /// Sends a request about an object that OpenDAL has none for.
    async fn ask(
        &self,
        plain: &Operator,
        path: &str,
        method: Method,
        query: &str,
        body: String,
    ) -> opendal::Result<(HeaderMap, Vec<u8>)> {
        // OpenDAL knows where the object is; what it would be read with is left out.
        let place = plain
            .presign_read(path, std::time::Duration::from_secs(60))
            .await?;
        let place = place.uri();
        let authority = place.authority().map_or("", |authority| authority.as_str());
        let uri = Uri::builder()
            .scheme(place.scheme_str().unwrap_or("https"))
            .authority(authority)
            .path_and_query(format!("{}{query}", place.path()))
            .build()
            .map_err(unsendable)?;
        let mut request = Request::builder().method(method).uri(uri);
        if !body.is_empty() {
            request = request
                .header(CONTENT_LENGTH, body.len())
                .header(CONTENT_MD5, BASE64.encode(Md5::digest(&body)));
        }
        let request = request.body(Buffer::from(body)).map_err(unsendable)?;
        let (mut parts, body) = request.into_parts();
        self.sign(&mut parts).await?;
        let response = self
            .transport
            .fetch(Request::from_parts(parts, body))
            .await?;
        let (parts, body) = response.into_parts();
        let answer = read(body).await?;
        match parts.status.is_success() {
            true => Ok((parts.headers, answer)),
            false => Err(refusal(parts.status, &answer)),
        }
    }

    fn until(&self) -> String {
        let until = (Timestamp::now() + self.period).as_second();
        // A lock lasts ten years at most.
        Timestamp::from_second(until).map_or_else(|_| String::new(), |until| until.to_string())
    }

    async fn sign(&self, parts: &mut Parts) -> opendal::Result<()> {
        for header in [AUTHORIZATION, DATE, TOKEN, HOST] {
            parts.headers.remove(header);
        }
        self.signer.sign(parts, None).await.map_err(|error| {
            let failed = Error::new(ErrorKind::PermissionDenied, "cannot sign a request");
            let failed = match error.is_retryable() {
                true => failed.set_temporary(),
                false => failed,
            };
            failed.set_source(error)
        })
    }
}

impl HttpTransport for Locking {
    async fn fetch(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let (mut parts, body) = request.into_parts();
        if parts.method == Method::PUT {
            let until = HeaderValue::try_from(self.until()).map_err(unsendable)?;
            parts
                .headers
                .insert(MODE, HeaderValue::from_static(mode(self.mode)));
            parts.headers.insert(UNTIL, until);
            self.sign(&mut parts).await?;
        }
        self.transport.fetch(Request::from_parts(parts, body)).await
    }
}

/// What a bucket says of an object.
struct Held {
    mode: String,
    until: Timestamp,
}

fn mode(mode: LockMode) -> &'static str {
    match mode {
        LockMode::Compliance => "COMPLIANCE",
        LockMode::Governance => "GOVERNANCE",
    }
}

/// Where credentials come from: the same as for all other requests.
fn provider(credentials: &Credentials) -> ProvideCredentialChain<Credential> {
    let chain = ProvideCredentialChain::new();
    if let (Some(id), Some(secret)) = (&credentials.user, &credentials.secret) {
        let given = StaticCredentialProvider::new(id, secret);
        return chain.push(match &credentials.token {
            Some(token) => given.with_session_token(token),
            None => given,
        });
    }
    match credentials.ambient {
        true => chain.push(DefaultCredentialProvider::new()),
        false => chain,
    }
}

async fn read(mut body: HttpBody) -> opendal::Result<Vec<u8>> {
    use opendal::raw::oio::ReadStream as _;
    let mut answer = Vec::new();
    loop {
        let piece = body.read().await?;
        if piece.is_empty() {
            return Ok(answer);
        }
        if answer.len() + piece.len() > MAX_ANSWER {
            return Err(Error::new(ErrorKind::Unexpected, "an answer is too long"));
        }
        answer.extend_from_slice(&piece.to_vec());
    }
}

/// An answer that is no success, as OpenDAL would tell of it.
fn refusal(status: StatusCode, answer: &[u8]) -> Error {
    #[derive(Deserialize)]
    struct Said {
        #[serde(rename = "Code", default)]
        code: String,
        #[serde(rename = "Message", default)]
        message: String,
    }
    let text = match quick_xml::de::from_reader::<_, Said>(answer) {
        Ok(Said { code, message }) => format!("{code}: {message}"),
        Err(_) => status.to_string(),
    };
    let kind = match status {
        StatusCode::FORBIDDEN => ErrorKind::PermissionDenied,
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::RateLimited,
        _ => ErrorKind::Unexpected,
    };
    let error = Error::new(kind, text);
    match status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
        true => error.set_temporary(),
        false => error,
    }
}

fn unsendable(error: impl Into<http::Error>) -> Error {
    Error::new(ErrorKind::Unexpected, "a request").set_source(error.into())
}
