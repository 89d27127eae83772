//! Where a database server is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use postgres::Config;
use postgres::config::{Host, SslMode};

use crate::error::{Error, Result};

/// No address is longer.
const MAX_LEN: usize = 4096;
/// How long an answer to a connection is waited for, unless the address says otherwise.
const CONNECT: Duration = Duration::from_secs(10);
/// After so long a host that does not confirm what was sent to it is gone.
const SILENCE: Duration = Duration::from_secs(30);
/// How often who is silent is asked whether it is there, and how often before it is not.
const PROBE: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;

/// How the certificate of a server is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Any will do: it keeps out who only listens.
    Anybody,
    /// An authority has signed it.
    Authority,
    /// And it is that of the host.
    Host,
}

/// The address of a PostgreSQL database, `postgres://user:password@host/database`.
///
/// It is read as `libpq` reads it, parameters among it, with `sslmode` (disable, prefer, require,
/// verify-ca, verify-full) and `sslrootcert` (a file of certificates in PEM; without it the
/// system's). Without `sslmode` TLS is used where the server offers it on this machine (a loopback
/// address or a socket), and required elsewhere. `require` accepts any certificate unless
/// `sslrootcert` is given, as with `libpq`; `verify-full` is what keeps everybody else out.
///
/// Shown in any way, it has neither user nor password.
#[derive(Clone)]
pub struct PostgresUrl(Arc<Inner>);

struct Inner {
    config: Config,
    trust: Trust,
    roots: Option<PathBuf>,
}

impl PostgresUrl {
    pub(super) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(super) fn trust(&self) -> Trust {
        self.0.trust
    }

    /// The file with the authorities that are trusted.
    pub(super) fn roots(&self) -> Option<&PathBuf> {
        self.0.roots.as_ref()
    }

    /// Whether it is one at all, by its beginning.
    pub fn is_one(text: &str) -> bool {
        text.starts_with("postgres://") || text.starts_with("postgresql://")
    }
}

fn bad(problem: &str) -> Error {
    Error::Invalid {
        what: "address of the database",
        problem: problem.to_owned(),
    }
}

impl FromStr for PostgresUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.len() > MAX_LEN || !Self::is_one(text) {
            return Err(bad("it is not postgres://USER:PASSWORD@HOST/DATABASE"));
        }
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut mode, mut roots, mut others) = (None, None, Vec::new());
        for part in query.split('&').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value.to_owned()),
                Some(("sslrootcert", value)) => roots = Some(PathBuf::from(decode(value)?)),
                _ => others.push(part),
            }
        }
        let address = match &others[..] {
            [] => base.to_owned(),
            others => format!("{base}?{}", others.join("&")),
        };
        // What the parser says of it may hold a part of the password.
        let mut config: Config = address
            .parse()
            .map_err(|_| bad("it is not readable; special characters are written as %XX"))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(bad("it names no host"));
        }
        let any = match roots {
            Some(_) => Trust::Authority,
            None => Trust::Anybody,
        };
        let (ssl, trust) = match mode.as_deref() {
            None if is_local(&config) => (SslMode::Prefer, any),
            None | Some("require") => (SslMode::Require, any),
            Some("disable") => (SslMode::Disable, any),
            Some("allow" | "prefer") => (SslMode::Prefer, any),
            Some("verify-ca") => (SslMode::Require, Trust::Authority),
            Some("verify-full") => (SslMode::Require, Trust::Host),
            Some(_) => {
                return Err(bad(
                    "sslmode is none of disable, prefer, require, verify-ca and verify-full",
                ));
            }
        };
        config.ssl_mode(ssl);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE);
        }
        config.keepalives_idle(SILENCE);
        // The system's own settings take eleven minutes more to find that nobody is there.
        if config.get_keepalives_interval().is_none() {
            config.keepalives_interval(PROBE);
        }
        if config.get_keepalives_retries().is_none() {
            config.keepalives_retries(PROBES);
        }
        if config.get_application_name().is_none() {
            config.application_name("keepwatch");
        }
        Ok(Self(Arc::new(Inner {
            config,
            trust,
            roots,
        })))
    }
}

/// Whether nothing leaves this machine.
fn is_local(config: &Config) -> bool {
    let host = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse()
                    .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        }
    };
    match config.get_hostaddrs() {
        [] => config.get_hosts().iter().all(host),
        addresses => addresses.iter().all(|address| address.is_loopback()),
    }
}

/// What `%XX` stands for.
fn decode(text: &str) -> Result<String> {
    let wrong = || bad("a % in it is not followed by two hexadecimal digits");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).ok_or_else(wrong)?;
        bytes.extend(hex::decode(digits).map_err(|_| wrong())?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.0.config;
        f.write_str("postgres://")?;
        if config.get_user().is_some() || config.get_password().is_some() {
            f.write_str("***@")?;
        }
        let names: Vec<String> = match config.get_hosts() {
            [] => config
                .get_hostaddrs()
                .iter()
                .map(ToString::to_string)
                .collect(),
            hosts => hosts
                .iter()
                .map(|host| match host {
                    Host::Tcp(name) if name.contains(':') => format!("[{name}]"),
                    Host::Tcp(name) => name.clone(),
                    Host::Unix(path) => path.display().to_string().replace('/', "%2F"),
                })
                .collect(),
        };
        let ports = config.get_ports();
        for (index, name) in names.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{name}")?;
            // One port is that of all hosts.
            match ports.get(index).or(ports.first()) {
                None | Some(5432) => {}
                Some(port) => write!(f, ":{port}")?,
            }
        }
        match config.get_dbname() {
            Some(name) => write!(f, "/{name}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(text: &str) -> PostgresUrl {
        text.parse().unwrap()
    }

    #[test]
    fn neither_user_nor_password_is_shown() {
        for (text, shown) in [
            (
                "postgres://ann:s3cret@db.example/events",
                "postgres://***@db.example/events",
            ),
            (
                "postgresql://db.example:5433/e?password=s3cret&user=ann",
                "postgres://***@db.example:5433/e",
            ),
            (
                "postgres://ann:s3%2Fcret@%2Frun%2Fpg/e",
                "postgres://***@%2Frun%2Fpg/e",
            ),
            (
                "postgres://[::1]:5433,b/e?sslmode=disable",
                "postgres://[::1]:5433,b/e",
            ),
            ("postgres://db.example", "postgres://db.example"),
        ] {
            let url = read(text);
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("cret"));
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_what_was_given() {
        for text in [
            "",
            "mysql://ann:s3cret@db/e",
            "postgres://ann:s3cret/x@db?e",
            "postgres://ann:s3cret@db/e?s3cret=1",
            "postgres://ann:s3cret@db:s3cret/e",
            "postgres://ann:s3cret@db/e?sslmode=s3cret",
            "postgres://ann:s3cret@db/e?sslrootcert=%s3cret",
            "postgres:///e?password=s3cret",
        ] {
            let error = text.parse::<PostgresUrl>().unwrap_err();
            let all = format!("{error} {error:?}");
            assert!(!all.contains("cret"), "{all}");
        }
    }

    #[test]
    fn a_host_that_is_gone_is_missed_within_a_minute_unless_the_address_says_otherwise() {
        let url = read("postgres://db/e");
        let config = url.config();
        let (interval, retries) = (
            config.get_keepalives_interval().unwrap(),
            config.get_keepalives_retries().unwrap(),
        );
        assert!(config.get_keepalives());
        let longest = config.get_keepalives_idle() + interval * retries;
        assert!(longest <= Duration::from_secs(60), "{longest:?}");
        let url = read("postgres://db/e?keepalives_interval=7&keepalives_retries=9");
        let config = url.config();
        assert_eq!(
            config.get_keepalives_interval(),
            Some(Duration::from_secs(7))
        );
        assert_eq!(config.get_keepalives_retries(), Some(9));
    }

    #[test]
    fn tls_is_required_unless_nothing_leaves_the_machine() {
        use SslMode::{Disable, Prefer, Require};
        for (text, mode, trust) in [
            ("postgres://db/e", Require, Trust::Anybody),
            ("postgres://10.0.0.1/e", Require, Trust::Anybody),
            ("postgres://localhost,db/e", Require, Trust::Anybody),
            (
                "postgres://localhost/e?hostaddr=10.0.0.1",
                Require,
                Trust::Anybody,
            ),
            ("postgres://localhost/e", Prefer, Trust::Anybody),
            ("postgres://127.0.0.1/e", Prefer, Trust::Anybody),
            ("postgres://%2Frun%2Fpg/e", Prefer, Trust::Anybody),
            ("postgres://db/e?sslmode=disable", Disable, Trust::Anybody),
            (
                "postgres://localhost/e?sslmode=require",
                Require,
                Trust::Anybody,
            ),
            (
                "postgres://db/e?sslmode=require&sslrootcert=%2Fca.pem",
                Require,
                Trust::Authority,
            ),
            (
                "postgres://db/e?sslmode=verify-ca",
                Require,
                Trust::Authority,
            ),
            (
                "postgres://db/e?connect_timeout=3&sslmode=verify-full",
                Require,
                Trust::Host,
            ),
        ] {
            let url = read(text);
            assert_eq!(
                (url.config().get_ssl_mode(), url.trust()),
                (mode, trust),
                "{text}"
            );
        }
    }
}
