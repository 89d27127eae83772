//! Where a repository is, as people write it.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::Timestamp;
use url::Url;

use crate::error::{Error, Result};
use crate::object_lock::ObjectLock;

/// A path, or an address of one of [`Location::SCHEMES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A directory of this machine.
    Local(PathBuf),
    /// Somewhere else.
    Remote(Remote),
}

/// A place that is not a directory of this machine. `Display` writes it as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    /// `s3://BUCKET/PREFIX?endpoint=URL&region=NAME`: Amazon S3 and what speaks its protocol. With
    /// `&object_lock=30d` what is written cannot be removed for so long; with `&at=TIME` the
    /// repository is read as it was at that time, whatever was removed or written over since.
    S3 {
        /// The bucket.
        bucket: String,
        /// What the names of all objects begin with; may be empty.
        prefix: String,
        /// The server, when it is not Amazon's.
        endpoint: Option<Url>,
        /// The region.
        region: Option<String>,
        /// For how long the bucket holds on to what is written.
        object_lock: Option<ObjectLock>,
        /// The time whose objects are read.
        at: Option<Timestamp>,
    },
    /// `sftp://USER@HOST:PORT/PATH`, or `/~/PATH` for one in the home directory.
    Sftp(Sftp),
    /// `rclone://REMOTE/PATH`: whatever rclone reaches by that name of its configuration.
    Rclone {
        /// The name.
        name: String,
        /// The directory there; may be empty.
        path: String,
    },
    /// `webdavs://HOST/PATH`, and `webdav://` without TLS.
    WebDav {
        /// The address, as `https` or `http`.
        url: Url,
    },
    /// `azblob://CONTAINER/PREFIX?account=NAME` or `?endpoint=URL`.
    AzBlob {
        /// The container.
        container: String,
        /// What the names of all objects begin with; may be empty.
        prefix: String,
        /// The storage account.
        account: Option<String>,
        /// The server, when it is not Azure's own for the account.
        endpoint: Option<Url>,
    },
    /// `gs://BUCKET/PREFIX`: Google Cloud Storage.
    Gcs {
        /// The bucket.
        bucket: String,
        /// What the names of all objects begin with; may be empty.
        prefix: String,
        /// The server, when it is not Google's.
        endpoint: Option<Url>,
    },
}

/// A directory on a host that is reached by SSH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sftp {
    /// The user; otherwise the one that SSH's configuration says.
    pub user: Option<String>,
    /// The host, or an alias of SSH's configuration.
    pub host: String,
    /// The port; otherwise the one that SSH's configuration says.
    pub port: Option<u16>,
    /// The directory. One that is not absolute is in the home directory.
    pub path: String,
}

impl Location {
    /// The schemes of addresses.
    pub const SCHEMES: [&'static str; 7] =
        ["azblob", "gs", "rclone", "s3", "sftp", "webdav", "webdavs"];

    /// Reads a path or an address. What holds no `://` is a path.
    ///
    /// # Errors
    /// [`Error::Address`] when it looks like an address and is none that is known, or holds a
    /// password.
    pub fn parse(text: &OsStr) -> Result<Self> {
        let name = text.to_str().unwrap_or_default();
        if name.contains("://") {
            return Remote::parse(name).map(Location::Remote);
        }
        // Others write it so. A directory of that name would be what nobody means, on this machine.
        match name.split_once(':') {
            Some((scheme, _)) if Self::SCHEMES.contains(&scheme) => Err(bad(format!(
                "an address begins with {scheme}://, and a directory of that name with ./"
            ))),
            _ => Ok(Location::Local(PathBuf::from(text))),
        }
    }

    /// The directory, if it is one.
    pub fn as_path(&self) -> Option<&Path> {
        match self {
            Location::Local(path) => Some(path),
            Location::Remote(_) => None,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Local(path) => path.display().fmt(f),
            Location::Remote(remote) => remote.fmt(f),
        }
    }
}

impl Remote {
    fn parse(address: &str) -> Result<Self> {
        let url = Url::parse(address).map_err(|error| bad(error.to_string()))?;
        if url.password().is_some() {
            // Command lines are seen by everybody on the machine.
            return Err(bad(
                "it holds a password, which belongs elsewhere".to_owned()
            ));
        }
        if url.fragment().is_some() {
            return Err(bad(
                "# begins what no address of a repository has".to_owned()
            ));
        }
        let mut query = Query::read(&url)?;
        let remote = match url.scheme() {
            "s3" => Remote::S3 {
                bucket: host(&url, "bucket")?,
                prefix: prefix(&url)?,
                endpoint: query.url("endpoint")?,
                region: query.take("region"),
                object_lock: query.parse("object_lock")?,
                at: query.parse("at")?,
            },
            "gs" => Remote::Gcs {
                bucket: host(&url, "bucket")?,
                prefix: prefix(&url)?,
                endpoint: query.url("endpoint")?,
            },
            "azblob" => Remote::AzBlob {
                container: host(&url, "container")?,
                prefix: prefix(&url)?,
                account: query.take("account"),
                endpoint: query.url("endpoint")?,
            },
            "rclone" => Remote::Rclone {
                name: rclone_name(&url)?,
                path: prefix(&url)?,
            },
            "sftp" => Remote::Sftp(Sftp::read(&url)?),
            scheme @ ("webdav" | "webdavs") => {
                let (_, rest) = address.split_once("://").unwrap_or(("", ""));
                let http = match scheme {
                    "webdavs" => "https",
                    _ => "http",
                };
                let url = Url::parse(&format!("{http}://{rest}"))
                    .map_err(|error| bad(error.to_string()))?;
                host(&url, "host")?;
                Remote::WebDav { url }
            }
            scheme => {
                return Err(bad(format!(
                    "{scheme} is none of {}",
                    Location::SCHEMES.join(", ")
                )));
            }
        };
        let has_user = !matches!(remote, Remote::Sftp(_) | Remote::WebDav { .. });
        if has_user && (!url.username().is_empty() || url.port().is_some()) {
            return Err(bad(format!("{} has no user and no port", url.scheme())));
        }
        query.finish()?;
        Ok(remote)
    }
}

impl Sftp {
    fn read(url: &Url) -> Result<Self> {
        let text = |part: &str| {
            let bytes = percent_encoding::percent_decode_str(part);
            let text = bytes
                .decode_utf8()
                .map_err(|error| bad(error.to_string()))?;
            match text.contains(['\0', '\n']) {
                true => Err(bad("a control character is in it".to_owned())),
                false => Ok(text.into_owned()),
            }
        };
        let path = text(url.path())?;
        let path = match path.strip_prefix("/~/") {
            Some(relative) => relative.to_owned(),
            None => path,
        };
        if path.trim_matches('/').is_empty() {
            return Err(bad("it names no directory".to_owned()));
        }
        let host = text(&host(url, "host")?)?;
        let user = (!url.username().is_empty())
            .then(|| text(url.username()))
            .transpose()?;
        // They become arguments of a program, which must not take them for options.
        if host.starts_with('-') || user.as_ref().is_some_and(|user| user.starts_with('-')) {
            return Err(bad("a host or user does not begin with -".to_owned()));
        }
        Ok(Self {
            user,
            host,
            port: url.port(),
            path,
        })
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let mut add = |name, value: Option<&str>| {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        };
        match self {
            Remote::S3 {
                bucket,
                prefix,
                endpoint,
                region,
                object_lock,
                at,
            } => {
                add("endpoint", endpoint.as_ref().map(Url::as_str));
                add("region", region.as_deref());
                add(
                    "object_lock",
                    object_lock.map(|lock| lock.to_string()).as_deref(),
                );
                add("at", at.map(|at| at.to_string()).as_deref());
                write!(f, "s3://{bucket}/{prefix}")?;
            }
            Remote::Gcs {
                bucket,
                prefix,
                endpoint,
            } => {
                add("endpoint", endpoint.as_ref().map(Url::as_str));
                write!(f, "gs://{bucket}/{prefix}")?;
            }
            Remote::AzBlob {
                container,
                prefix,
                account,
                endpoint,
            } => {
                add("account", account.as_deref());
                add("endpoint", endpoint.as_ref().map(Url::as_str));
                write!(f, "azblob://{container}/{prefix}")?;
            }
            Remote::Rclone { name, path } => write!(f, "rclone://{name}/{path}")?,
            Remote::WebDav { url } => {
                let rest = url.as_str().trim_start_matches(url.scheme());
                match url.scheme() {
                    "https" => write!(f, "webdavs{rest}")?,
                    _ => write!(f, "webdav{rest}")?,
                }
            }
            Remote::Sftp(sftp) => {
                f.write_str("sftp://")?;
                if let Some(user) = &sftp.user {
                    write!(f, "{user}@")?;
                }
                f.write_str(&sftp.host)?;
                if let Some(port) = sftp.port {
                    write!(f, ":{port}")?;
                }
                match sftp.path.starts_with('/') {
                    true => f.write_str(&sftp.path)?,
                    false => write!(f, "/~/{}", sftp.path)?,
                }
            }
        }
        let query = query.finish();
        match query.is_empty() {
            true => Ok(()),
            false => write!(f, "?{query}"),
        }
    }
}

/// The part of an address after `?`.
struct Query(Vec<(String, String)>);

impl Query {
    fn read(url: &Url) -> Result<Self> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in url.query_pairs() {
            if pairs.iter().any(|(other, _)| *other == name) {
                return Err(bad(format!("{name} is in it twice")));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.swap_remove(at).1)
    }

    fn url(&mut self, name: &str) -> Result<Option<Url>> {
        let Some(text) = self.take(name) else {
            return Ok(None);
        };
        let url = Url::parse(&text).map_err(|error| bad(format!("{name}: {error}")))?;
        let plain = url.username().is_empty() && url.password().is_none();
        match matches!(url.scheme(), "http" | "https") && url.has_host() && plain {
            true => Ok(Some(url)),
            false => Err(bad(format!("{name} is no address of http or https"))),
        }
    }

    fn parse<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Result<Option<T>> {
        let read = |text: String| {
            text.parse()
                .map_err(|error| bad(format!("{name}: {error}")))
        };
        self.take(name).map(read).transpose()
    }

    fn finish(self) -> Result<()> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(bad(format!("{name} says nothing here"))),
        }
    }
}

fn host(url: &Url, what: &str) -> Result<String> {
    match url.host_str() {
        Some(host) if !host.is_empty() => Ok(host.to_owned()),
        _ => Err(bad(format!("it names no {what}"))),
    }
}

/// A name of rclone's configuration. What else rclone takes in its place can hold a password.
fn rclone_name(url: &Url) -> Result<String> {
    let name = host(url, "remote of rclone")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+');
    match name.starts_with('-') || !name.chars().all(plain) {
        true => Err(bad(
            "a remote of rclone is a name of its configuration".to_owned()
        )),
        false => Ok(name),
    }
}

/// A path without slashes at its ends, all of whose parts are names.
fn prefix(url: &Url) -> Result<String> {
    let path = percent_encoding::percent_decode_str(url.path());
    let path = path.decode_utf8().map_err(|error| bad(error.to_string()))?;
    let path = path.trim_matches('/');
    if path.chars().any(char::is_control) {
        return Err(bad("a control character is in it".to_owned()));
    }
    if !path.is_empty() && path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(bad("each part of its path is a name".to_owned()));
    }
    Ok(path.to_owned())
}

fn bad(problem: String) -> Error {
    Error::Address { problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Location> {
        Location::parse(OsStr::new(text))
    }

    #[test]
    fn addresses_read_as_they_are_written() {
        for text in [
            "s3://bucket/",
            "s3://bucket/a/b",
            "s3://bucket/a?endpoint=http%3A%2F%2F127.0.0.1%3A3900%2F&region=garage",
            "s3://bucket/a?object_lock=30d",
            "s3://bucket/a?region=eu&object_lock=7d-governance",
            "s3://bucket/a?at=2026-11-01T12%3A00%3A00Z",
            "gs://bucket/prefix",
            "azblob://container/a?account=mine",
            "gs://bucket/dots/are..names",
            "sftp://host/srv/backup",
            "sftp://user@host:2222/~/backup",
            "rclone://My-Drive/backups/laptop",
            "rclone://drive/",
            "webdavs://host/dav/backup",
            "webdav://127.0.0.1:8080/backup",
        ] {
            let location = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(location.to_string(), text);
            assert_eq!(location.as_path(), None);
        }
    }

    #[test]
    fn what_is_no_address_is_a_path() {
        for text in ["/srv/backup", "backup", "./s3:/x", "C:/x", "a b"] {
            let location = parse(text).expect("a path");
            assert_eq!(location.as_path(), Some(Path::new(text)));
        }
    }

    #[test]
    fn bad_addresses_say_why() {
        for (text, why) in [
            ("ftp://host/a", "ftp is none of"),
            ("sftp://user:secret@host/a", "holds a password"),
            ("webdavs://user:secret@host/a", "holds a password"),
            ("s3://bucket/a?endpoint=file:///etc", "no address of http"),
            ("s3://bucket/a?regoin=x", "regoin says nothing here"),
            ("s3://bucket/a?region=x&region=y", "twice"),
            ("s3://bucket/a?object_lock=forever", "no object lock"),
            ("s3://bucket/a?at=yesterday", "at: "),
            ("gs://bucket/a?object_lock=1d", "object_lock says nothing"),
            ("s3:///a", "bucket"),
            ("s3://user@bucket/a", "no user"),
            ("sftp://host", "no directory"),
            ("sftp://host/", "no directory"),
            ("sftp://-oProxyCommand=x/a", "does not begin with -"),
            ("sftp://-l@host/a", "does not begin with -"),
            ("gs://bucket/a//b", "a name"),
            ("s3://bucket/a%0ab", "control character"),
            ("rclone:drive:backup", "begins with rclone://"),
            ("sftp:user@host:/srv", "begins with sftp://"),
            ("rclone:///a", "remote of rclone"),
            ("rclone://-v/a", "a name of its configuration"),
            ("rclone://:s3,secret_access_key=x:/a", "empty host"),
            ("://", "relative URL"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.contains("secret"), "{text}: {error}");
        }
    }
}
