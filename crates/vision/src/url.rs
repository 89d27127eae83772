//! Where a camera is, with its password kept apart.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// Longer addresses are a mistake.
const MAX_LEN: usize = 4096;

/// What follows a name with one of these in it is never shown: some cameras take the password in
/// the query or in the path.
const SECRET_NAMES: [&str; 12] = [
    "user", "usr", "loginuse", "pass", "pwd", "psw", "loginpas", "secret", "token", "auth", "key",
    "sess",
];

/// What shows where something secret was left out.
const HIDDEN: &str = "***";

/// How a camera is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RTSP.
    Rtsp,
    /// RTSP over TLS.
    Rtsps,
    /// JPEG pictures over HTTP.
    Http,
    /// JPEG pictures over HTTPS.
    Https,
    /// A video file.
    File,
    /// A V4L2 device.
    Device,
    /// A test pattern.
    Test,
}

/// User and password, wiped when dropped and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: Zeroizing<String>,
    password: Zeroizing<String>,
}

impl Credentials {
    /// The user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password.
    pub fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// The address of a camera, `rtsp://user:password@host/path` for one.
///
/// User and password are taken out when it is read. Shown in any way, it is
/// `rtsp://***@host/path`, and query values that look like secrets are `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct CameraUrl {
    scheme: Scheme,
    /// Without user and password; for files and devices the path, for patterns the name.
    location: Zeroizing<String>,
    credentials: Option<Credentials>,
}

impl CameraUrl {
    /// How the camera is reached.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Where it is, without user and password. May hold secrets in its query: not to be shown.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// User and password, decoded.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The same address with these credentials, which come from elsewhere.
    pub fn with_credentials(mut self, user: &str, password: &str) -> Self {
        self.credentials = Some(Credentials {
            user: Zeroizing::new(user.to_owned()),
            password: Zeroizing::new(password.to_owned()),
        });
        self
    }
}

impl FromStr for CameraUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.len() > MAX_LEN {
            return Err(bad("it is too long"));
        }
        if text.chars().any(char::is_control) {
            return Err(bad("it holds control characters"));
        }
        if text.is_empty() {
            return Err(bad("it is empty"));
        }
        if let Some(name) = text.strip_prefix("test:") {
            return Self::pattern(name.trim_start_matches('/'));
        }
        if let Some(path) = text.strip_prefix("device:") {
            return Self::device(path.trim_start_matches("//"));
        }
        if text.starts_with("/dev/video") {
            return Self::device(text);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Self::path(text);
        };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "rtsp" => Scheme::Rtsp,
            "rtsps" => Scheme::Rtsps,
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "file" => return Self::file(rest),
            _ => {
                return Err(bad(
                    "it is none of rtsp, rtsps, http, https, file, device or test",
                ));
            }
        };
        Self::network(scheme, rest)
    }
}

impl CameraUrl {
    fn local(scheme: Scheme, location: &str) -> Self {
        Self {
            scheme,
            location: Zeroizing::new(location.to_owned()),
            credentials: None,
        }
    }

    /// The path of a file as it is. `user:password@host` is an address without its beginning, and
    /// would be shown.
    fn path(path: &str) -> Result<Self> {
        let relative = !path.starts_with(['/', '.', '~']);
        let user = path.rsplit_once('@').map(|(user, _)| user);
        match relative && user.is_some_and(|user| user.contains(':')) {
            true => Err(bad("it does not begin with a protocol, as rtsp:// is one")),
            false => Ok(Self::local(Scheme::File, path)),
        }
    }

    /// What comes after `file://` (RFC 8089).
    fn file(rest: &str) -> Result<Self> {
        let path = rest.strip_prefix("localhost").unwrap_or(rest);
        match path.starts_with('/') {
            true => Ok(Self::local(Scheme::File, &decode(path)?)),
            false => Err(bad("file:// is followed by a path from the root")),
        }
    }

    fn device(path: &str) -> Result<Self> {
        match path.starts_with("/dev/") {
            true => Ok(Self::local(Scheme::Device, path)),
            false => Err(bad("a device is in /dev")),
        }
    }

    fn pattern(name: &str) -> Result<Self> {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '-';
        match name.chars().all(good) {
            true => Ok(Self::local(Scheme::Test, name)),
            false => Err(bad("the name of a pattern is letters, digits and dashes")),
        }
    }

    fn network(scheme: Scheme, rest: &str) -> Result<Self> {
        let (userinfo, address) = split_userinfo(rest)?;
        let (host, _) = split_host(address);
        if host.is_empty() {
            return Err(bad("it names no host"));
        }
        check_host(host)?;
        if address.contains(char::is_whitespace) {
            return Err(bad("it holds blanks"));
        }
        let credentials = match userinfo {
            None | Some("") => None,
            Some(info) => {
                let (user, password) = info.split_once(':').unwrap_or((info, ""));
                Some(Credentials {
                    user: decode(user)?,
                    password: decode(password)?,
                })
            }
        };
        let name = scheme_name(scheme);
        Ok(Self {
            scheme,
            location: Zeroizing::new(format!("{name}://{address}")),
            credentials,
        })
    }
}

/// Splits user and password off.
///
/// People paste passwords as they are, with `@`, `/` or `#` in them: everything to the last `@`
/// that is followed by something like a host is taken for them. A path may hold an `@` as well, if
/// what stands before it is a host already.
///
/// `admin:123/45@cam` can be read both ways. To take it wrongly would show half a password.
fn split_userinfo(rest: &str) -> Result<(Option<&str>, &str)> {
    let (authority, path) = split_host(rest);
    let (split, host) = match path.contains('@') {
        false => (authority.rfind('@'), false),
        true => (rest.rfind('@'), check_host(authority).is_ok()),
    };
    let plain = !authority.contains(':') || authority.starts_with('[');
    match split {
        None => Ok((None, rest)),
        Some(_) if host && plain => Ok((None, rest)),
        Some(_) if path.contains('@') && (host || authority.contains('@')) => Err(bad(
            "an @ after a / can be read in two ways: write %2F for a / in a password, %40 for an @ \
             in a path",
        )),
        Some(at) => Ok((Some(&rest[..at]), &rest[at + 1..])),
    }
}

/// Host and port, and what comes after them.
fn split_host(address: &str) -> (&str, &str) {
    let end = address.find(['/', '?', '#']).unwrap_or(address.len());
    address.split_at(end)
}

/// Host, or `[IPv6]`, and a port.
pub(crate) fn check_host(text: &str) -> Result<()> {
    let problem = || bad("host or port is not understood");
    let (host, port) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, port) = inner.split_once(']').ok_or_else(problem)?;
            let address: std::net::Ipv6Addr = host.parse().map_err(|_| problem())?;
            (
                address.to_string(),
                port.strip_prefix(':').or((port.is_empty()).then_some("")),
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host.to_owned(), Some(port)),
            None => (text.to_owned(), Some("")),
        },
    };
    let port = port.ok_or_else(problem)?;
    let good = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(good) {
        return Err(problem());
    }
    match port.is_empty() || port.parse::<u16>().is_ok_and(|port| port > 0) {
        true => Ok(()),
        false => Err(problem()),
    }
}

/// Undoes percent-encoding; a `%` that begins none stands for itself, in a pasted password.
pub(crate) fn percent_decoded(text: &str) -> Zeroizing<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.len()));
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3);
        let mut byte = [0];
        match digits.map(|digits| hex::decode_to_slice(digits, &mut byte)) {
            Some(Ok(())) if bytes[at] == b'%' => {
                out.push(byte[0]);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

/// The same for text. Control characters would end a line of a protocol.
fn decode(text: &str) -> Result<Zeroizing<String>> {
    let bytes = percent_decoded(text);
    let text = std::str::from_utf8(&bytes).map_err(|_| bad("what it encodes is not UTF-8"))?;
    match text.contains(char::is_control) {
        true => Err(bad("it encodes control characters")),
        false => Ok(Zeroizing::new(text.to_owned())),
    }
}

fn scheme_name(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Rtsp => "rtsp",
        Scheme::Rtsps => "rtsps",
        Scheme::Http => "http",
        Scheme::Https => "https",
        Scheme::File => "file",
        Scheme::Device => "device",
        Scheme::Test => "test",
    }
}

fn bad(problem: &'static str) -> Error {
    Error::Url { problem }
}

impl fmt::Display for CameraUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Scheme::File => return f.write_str(&self.location),
            Scheme::Device | Scheme::Test => {
                return write!(f, "{}:{}", scheme_name(self.scheme), &*self.location);
            }
            _ => {}
        }
        let (scheme, address) = self.location.split_once("://").unwrap_or(("", ""));
        write!(f, "{scheme}://")?;
        if self.credentials.is_some() {
            write!(f, "{HIDDEN}@")?;
        }
        let (host, rest) = split_host(address);
        f.write_str(host)?;
        rest.split_inclusive(['?', '&', ';', '#'])
            .try_for_each(|piece| write_piece(f, piece))
    }
}

/// The path, or a parameter, with the separator after it; what a secret's name stands before is
/// hidden. In the path, some cameras take `user=…_password=…`.
fn write_piece(f: &mut fmt::Formatter<'_>, piece: &str) -> fmt::Result {
    let (text, separator) = match piece.strip_suffix(['?', '&', ';', '#']) {
        Some(text) => (text, &piece[text.len()..]),
        None => (piece, ""),
    };
    let mut values = text.match_indices('=').map(|(at, _)| at);
    match values.find(|at| is_secret(&text[..*at])) {
        Some(at) => write!(f, "{}={HIDDEN}{separator}", &text[..at]),
        None => f.write_str(piece),
    }
}

fn is_secret(name: &str) -> bool {
    let name = percent_decoded(name).to_ascii_lowercase();
    let holds = |secret: &str| {
        name.windows(secret.len())
            .any(|part| part == secret.as_bytes())
    };
    SECRET_NAMES.into_iter().any(holds)
}

impl fmt::Debug for CameraUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CameraUrl({self})")
    }
}

/// As it is shown, without secrets: what was read cannot be written back.
impl Serialize for CameraUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CameraUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
