//! Requests to other people's servers.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keepwatch_core::SecretText;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use super::address::{Reach, resolve};
use super::{NotifyError, RetryAfter};

/// Heads of answers are shorter; bodies are not read at all.
const MAX_HEAD: usize = 16 * 1024;
/// Longer waits are not kept to: the spool would expire.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Authorities whose certificates are trusted.
#[derive(Clone, Debug)]
pub struct Roots(Arc<[CertificateDer<'static>]>);

impl Roots {
    /// Those of the system. Reads its files.
    pub fn system() -> Self {
        Self(rustls_native_certs::load_native_certs().certs.into())
    }

    /// Those in a PEM text.
    ///
    /// # Errors
    /// [`NotifyError::Settings`] if it is none.
    pub fn from_pem(pem: &[u8]) -> Result<Self, NotifyError> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        match certificates {
            Ok(certificates) if !certificates.is_empty() => Ok(Self(certificates.into())),
            _ => Err(NotifyError::Settings {
                key: "roots",
                problem: "it holds no certificates in PEM",
            }),
        }
    }

    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.0
    }
}

/// How targets use the network.
#[derive(Clone, Debug)]
pub struct Network {
    /// Who is trusted.
    pub roots: Roots,
    /// The longest time for one message from name to answer.
    pub timeout: Duration,
}

impl Network {
    /// With the authorities of the system, and half a minute for a message. Reads files.
    pub fn system() -> Self {
        Self {
            roots: Roots::system(),
            timeout: Duration::from_secs(30),
        }
    }
}

/// An address of HTTP. It may hold a secret, so only its host is ever shown.
#[derive(Clone)]
pub(super) struct Endpoint {
    address: SecretText,
    host: String,
}

impl Endpoint {
    /// Checks an address.
    ///
    /// # Errors
    /// [`NotifyError::Settings`] if it is not of `http` or `https`, or has no host, or a user.
    pub(super) fn new(address: &SecretText) -> Result<Self, NotifyError> {
        let bad = |problem| NotifyError::Settings {
            key: "url",
            problem,
        };
        let text = address.expose().trim();
        let uri: Uri = text.parse().map_err(|_| bad("it is no address"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(bad("it is like https://example.org/path"));
        }
        let authority = uri.authority().ok_or_else(|| bad("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("a user and password in it would be sent to nobody"));
        }
        if authority.host().is_empty() {
            return Err(bad("it has no host"));
        }
        Ok(Self {
            host: authority.host().to_owned(),
            address: SecretText::new(text.to_owned()),
        })
    }

    /// The same with more of a path.
    pub(super) fn join(&self, path: &str) -> Self {
        let (before, query) = match self.address.expose().split_once('?') {
            Some((before, query)) => (before, format!("?{query}")),
            None => (self.address.expose(), String::new()),
        };
        let address = format!("{}/{path}{query}", before.trim_end_matches('/'));
        Self {
            address: SecretText::new(address),
            host: self.host.clone(),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({}/…)", self.host)
    }
}

/// Sends requests of one target.
#[derive(Debug)]
pub(super) struct Http {
    agent: ureq::Agent,
}

impl Http {
    pub(super) fn new(network: &Network, reach: Reach) -> Self {
        let roots: Vec<_> = network
            .roots
            .certificates()
            .iter()
            .map(|root| Certificate::from_der(root).to_owned())
            .collect();
        let provider = rustls::crypto::ring::default_provider();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&roots))
            .unversioned_rustls_crypto_provider(Arc::new(provider))
            .build();
        let config = Config::builder()
            .tls_config(tls)
            // That of the environment would be asked instead of the address that was checked.
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_response_header_size(MAX_HEAD)
            .max_idle_connections(0)
            .timeout_global(Some(network.timeout))
            .user_agent("keepwatch")
            .build();
        let resolver = Checked {
            reach,
            timeout: network.timeout,
        };
        Self {
            agent: ureq::Agent::with_parts(config, DefaultConnector::default(), resolver),
        }
    }

    /// Sends a body. It is told when the other side has answered with a status of success.
    pub(super) fn post(
        &self,
        to: &Endpoint,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(), NotifyError> {
        let mut request = self.agent.post(to.address.expose());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send(body).map_err(|error| explain(to, &error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let wait = answer.headers().get("retry-after");
        Err(NotifyError::Status {
            host: to.host.clone(),
            status: status.as_u16(),
            retry_after: wait.and_then(|text| retry_after(text.to_str().ok()?)),
        })
    }
}

/// RFC 9110, section 10.2.3: seconds, or a date.
pub(super) fn retry_after(text: &str) -> Option<RetryAfter> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        // Discord has fractions. Less than nothing, and what is no number, is nothing.
        let seconds = seconds.max(0.0).min(LONGEST_WAIT.as_secs_f64());
        return Some(RetryAfter::Span(Duration::from_secs_f64(seconds)));
    }
    let date: Timestamp = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()?;
    Some(RetryAfter::Moment(date))
}

/// An error without the address, which ureq's own may show.
fn explain(to: &Endpoint, error: &ureq::Error) -> NotifyError {
    let host = to.host.clone();
    match error {
        ureq::Error::Timeout(_) => NotifyError::Timeout { host },
        ureq::Error::HostNotFound => NotifyError::NotFound { host },
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => NotifyError::Tls { host },
        ureq::Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(Kept::Private) => NotifyError::Private { host },
            Some(Kept::NotFound) => NotifyError::NotFound { host },
            Some(Kept::Timeout) => NotifyError::Timeout { host },
            None => NotifyError::io(&host, error),
        },
        ureq::Error::ConnectionFailed => NotifyError::Connection {
            host,
            problem: io::ErrorKind::NotConnected,
        },
        _ => NotifyError::Protocol {
            host,
            protocol: "HTTP",
        },
    }
}

/// Resolves as [`resolve`] does.
#[derive(Debug)]
struct Checked {
    reach: Reach,
    timeout: Duration,
}

/// What ureq cannot say is carried through its errors.
#[derive(Debug, thiserror::Error)]
enum Kept {
    #[error("private")]
    Private,
    #[error("not found")]
    NotFound,
    #[error("timeout")]
    Timeout,
}

impl Resolver for Checked {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let kept = |kept: Kept| ureq::Error::Io(io::Error::other(kept));
        let host = uri.host().ok_or_else(|| kept(Kept::NotFound))?;
        let port = match (uri.port_u16(), uri.scheme_str()) {
            (Some(port), _) => port,
            (None, Some("https")) => 443,
            _ => 80,
        };
        let timeout = self.timeout.min(*timeout.after);
        let found = resolve(host, port, self.reach, timeout).map_err(|error| match error {
            NotifyError::Private { .. } => kept(Kept::Private),
            NotifyError::Timeout { .. } => kept(Kept::Timeout),
            _ => kept(Kept::NotFound),
        })?;
        let mut all = self.empty();
        for address in found {
            all.push(address);
        }
        Ok(all)
    }
}
