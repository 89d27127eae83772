//! Who may look: basic (RFC 7617) and digest (RFC 2617, MD5) authentication.

use std::fmt;

use gstreamer::glib;

use super::request::Request;

/// How a camera asks for user and password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// As they are.
    Basic,
    /// As a digest with what the camera gave.
    Digest,
}

/// Who may look.
#[derive(Clone, PartialEq, Eq)]
pub struct Auth {
    /// How it is asked for.
    pub scheme: Scheme,
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

const REALM: &str = "camera";
const NONCE: &str = "4b9f0f6b2c1d4e8a";

impl Auth {
    /// Somebody.
    pub fn new(scheme: Scheme, user: &str, password: &str) -> Self {
        Self {
            scheme,
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    /// What the camera answers to those that it does not know.
    pub(crate) fn challenge(&self) -> String {
        match self.scheme {
            Scheme::Basic => format!("WWW-Authenticate: Basic realm=\"{REALM}\"\r\n"),
            Scheme::Digest => {
                format!("WWW-Authenticate: Digest realm=\"{REALM}\", nonce=\"{NONCE}\"\r\n")
            }
        }
    }

    /// Whether the request comes from who may look.
    pub(crate) fn admits(&self, request: &Request) -> bool {
        let Some((scheme, value)) = request
            .header("authorization")
            .and_then(|header| header.split_once(' '))
        else {
            return false;
        };
        match self.scheme {
            Scheme::Basic => {
                let both = format!("{}:{}", self.user, self.password);
                scheme.eq_ignore_ascii_case("basic")
                    && value.trim() == glib::base64_encode(both.as_bytes())
            }
            Scheme::Digest => {
                scheme.eq_ignore_ascii_case("digest") && self.is_answered(request, value)
            }
        }
    }

    /// RFC 2617, section 3.2.2, without and with `qop`.
    fn is_answered(&self, request: &Request, value: &str) -> bool {
        let field = |name: &str| {
            value.split(',').find_map(|pair| {
                let (key, value) = pair.trim().split_once('=')?;
                (key == name).then(|| value.trim_matches('"'))
            })
        };
        let (user, password) = (&self.user, &self.password);
        let who = md5(&format!("{user}:{REALM}:{password}"));
        let uri = field("uri").unwrap_or_default();
        let what = md5(&format!("{}:{uri}", request.method));
        let middle = match (field("nc"), field("cnonce"), field("qop")) {
            (Some(count), Some(client), Some(quality)) => {
                format!("{NONCE}:{count}:{client}:{quality}")
            }
            _ => NONCE.to_owned(),
        };
        field("username") == Some(user)
            && field("nonce") == Some(NONCE)
            && field("response") == Some(&md5(&format!("{who}:{middle}:{what}")))
    }
}

fn md5(text: &str) -> String {
    let sum = glib::compute_checksum_for_data(glib::ChecksumType::Md5, text.as_bytes());
    sum.map(|sum| sum.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(header: &str) -> Request {
        let text = format!("DESCRIBE rtsp://h/s RTSP/1.0\r\nAuthorization: {header}\r\n\r\n");
        Request::take(&mut text.into_bytes()).expect("it is whole")
    }

    #[test]
    fn only_the_right_password_is_admitted() {
        let auth = Auth::new(Scheme::Basic, "Aladdin", "open sesame");
        // The example of RFC 7617, section 2.
        assert!(auth.admits(&request("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")));
        assert!(!auth.admits(&request("Basic QWxhZGRpbjpvcGVuIHNlc2FtZT==")));
        let auth = Auth::new(Scheme::Digest, "u", "p");
        let answer = |password: &str| {
            let who = md5(&format!("u:{REALM}:{password}"));
            let what = md5("DESCRIBE:rtsp://h/s");
            let response = md5(&format!("{who}:{NONCE}:{what}"));
            request(&format!(
                "Digest username=\"u\", realm=\"{REALM}\", nonce=\"{NONCE}\", \
                 uri=\"rtsp://h/s\", response=\"{response}\""
            ))
        };
        assert!(auth.admits(&answer("p")));
        assert!(!auth.admits(&answer("q")));
    }
}
