//! Requests as RTSP (RFC 2326) and HTTP have them.

/// The longest head of a request that is waited for.
const LONGEST: usize = 64 * 1024;

/// A request without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub method: String,
    pub target: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// Takes the first whole request from the bytes that came, and what lies before it: packets of
    /// RTCP that the client sends on the same connection.
    pub fn take(bytes: &mut Vec<u8>) -> Option<Self> {
        while bytes.first() == Some(&b'$') {
            let length = bytes.get(2..4)?;
            let whole = 4 + usize::from(u16::from_be_bytes([length[0], length[1]]));
            if bytes.len() < whole {
                return None;
            }
            bytes.drain(..whole);
        }
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let Some(end) = end else {
            bytes.truncate(LONGEST);
            return None;
        };
        let head: Vec<u8> = bytes.drain(..end + 4).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.lines();
        let mut first = lines.next()?.split(' ');
        let request = Self {
            method: first.next()?.to_owned(),
            target: first.next()?.to_owned(),
            headers: lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect(),
        };
        let body = request.header("content-length").map(str::parse::<usize>);
        let body = body.and_then(Result::ok).unwrap_or(0).min(bytes.len());
        bytes.drain(..body);
        Some(request)
    }

    /// A header by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(other, _)| other == name);
        header.map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_before_a_request_are_passed_over_and_half_a_request_waits() {
        let mut bytes = b"$\x01\x00\x03abcPLAY rtsp://h/s RTSP/1.0\r\nCSeq: 4\r\n\r\nTEAR".to_vec();
        let request = Request::take(&mut bytes).expect("it is whole");
        assert_eq!(
            (request.method.as_str(), request.header("cseq")),
            ("PLAY", Some("4"))
        );
        assert_eq!(Request::take(&mut bytes), None);
        assert_eq!(bytes, b"TEAR");
    }
}
