//! An HTTP client that shows what came over the wire.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// No answer of a test takes longer.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// It must be this.
    #[track_caller]
    pub fn status(self, expected: u16) -> Self {
        let said = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, expected, "{said}");
        self
    }
}

/// A connection to an address.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The head of a request that closes its connection.
pub fn head(method: &str, path: &str, headers: &[(&str, &str)], length: usize) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if length > 0 {
        head.push_str(&format!(
            "Content-Type: application/json\r\nContent-Length: {length}\r\n"
        ));
    }
    head.push_str("\r\n");
    head
}

/// Status and headers of an answer.
pub fn read_head(reader: &mut impl BufRead) -> (u16, Vec<(String, String)>) {
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let first = line();
    let status = first.split(' ').nth(1).and_then(|text| text.parse().ok());
    let status = status.unwrap_or_else(|| panic!("it is no answer: {first:?}"));
    let lines = std::iter::from_fn(|| Some(line()).filter(|line| !line.is_empty()));
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    });
    (status, headers.collect())
}

/// A body in pieces (RFC 9112, section 7.1), one at a time; none at its end.
pub fn read_piece(reader: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut size = String::new();
    reader.read_line(&mut size)?;
    let size = usize::from_str_radix(size.trim_end(), 16)
        .map_err(|_| std::io::Error::other(format!("it breaks off at {size:?}")))?;
    let mut piece = vec![0; size + 2];
    reader.read_exact(&mut piece)?;
    piece.truncate(size);
    Ok((size > 0).then_some(piece))
}

/// What comes after the request is sent.
pub fn read_answer(stream: impl Read) -> Answer {
    let mut reader = BufReader::new(stream);
    let (status, headers) = read_head(&mut reader);
    let has = |name: &str| headers.iter().find(|(own, _)| own == name);
    let mut body = Vec::new();
    if has("transfer-encoding").is_some() {
        while let Some(piece) = read_piece(&mut reader).unwrap() {
            body.extend(piece);
        }
    } else if let Some((_, length)) = has("content-length") {
        body.resize(length.parse().unwrap(), 0);
        reader.read_exact(&mut body).unwrap();
    }
    Answer {
        status,
        headers,
        body,
    }
}

/// Asks over any connection.
pub fn exchange(
    mut stream: impl Read + Write,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let request = head(method, path, headers, body.len());
    stream.write_all(request.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    read_answer(stream)
}

/// Server-Sent Events, as they come.
pub struct Stream {
    reader: BufReader<TcpStream>,
    pending: Vec<u8>,
}

impl Stream {
    pub fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut stream = connect(address);
        let request = head("GET", path, headers, 0);
        stream.write_all(request.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let (status, _) = read_head(&mut reader);
        assert_eq!(status, 200);
        Self {
            reader,
            pending: Vec::new(),
        }
    }

    /// The next event; none when the stream has ended in order, and an error when it broke.
    pub fn next(&mut self) -> std::io::Result<Option<Value>> {
        loop {
            let end = self.pending.windows(2).position(|two| two == b"\n\n");
            if let Some(end) = end {
                let block: Vec<u8> = self.pending.drain(..end + 2).collect();
                let text = String::from_utf8(block).unwrap();
                let data = text.lines().find_map(|line| line.strip_prefix("data: "));
                // Lines without data keep the connection alive.
                if let Some(data) = data {
                    return Ok(Some(serde_json::from_str(data).unwrap()));
                }
                continue;
            }
            match read_piece(&mut self.reader)? {
                Some(piece) => self.pending.extend(piece),
                None => return Ok(None),
            }
        }
    }

    /// The first event that is looked for.
    pub fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.next().unwrap().expect("the stream goes on");
            if wanted(&event) {
                return event;
            }
        }
    }
}
