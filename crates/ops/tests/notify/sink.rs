//! A server of HTTP that answers as badly as a test asks.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::PATIENCE;

/// What it does with a request.
#[derive(Clone)]
pub enum Answer {
    /// A status and headers.
    Status(u16, &'static str),
    /// A redirect.
    Redirect(String),
    /// Nothing, until the other side gives up.
    Silence,
    /// The beginning of a head and no more, until the other side gives up.
    Half,
    /// It breaks the connection off.
    Reset,
    /// Something else.
    Garbage,
    /// A head without end.
    Endless,
}

pub struct Request {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

pub struct Sink {
    port: u16,
    scheme: &'static str,
    requests: Receiver<Request>,
}

trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

impl Sink {
    /// One answer for each connection; the last for all further ones.
    pub fn start(answers: Vec<Answer>) -> Self {
        Self::serve(answers, None)
    }

    /// The same with TLS, and the certificate in PEM.
    pub fn start_with_tls(answers: Vec<Answer>) -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        (
            Self::serve(answers, Some(Arc::new(config))),
            made.cert.pem(),
        )
    }

    fn serve(answers: Vec<Answer>, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, requests) = channel();
        let scheme = if tls.is_some() { "https" } else { "http" };
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let answer = &answers[number.min(answers.len() - 1)];
                let stream = stream.unwrap();
                let mut wire: Box<dyn Wire> = match &tls {
                    None => Box::new(stream),
                    Some(config) => {
                        let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                        Box::new(StreamOwned::new(connection, stream))
                    }
                };
                if matches!(answer, Answer::Reset) {
                    // What was sent and not read makes a reset of the end.
                    let mut byte = [0];
                    let _ = wire.read(&mut byte);
                    continue;
                }
                let Ok(request) = read(&mut wire) else {
                    continue;
                };
                if sender.send(request).is_err() {
                    return;
                }
                // The other side may have gone.
                let _ = write(&mut wire, answer);
            }
        });
        Self {
            port,
            scheme,
            requests,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.port)
    }

    pub fn next(&self) -> Request {
        self.requests
            .recv_timeout(PATIENCE)
            .expect("a request comes")
    }

    pub fn has_none(&self) -> bool {
        self.requests.try_recv().is_err()
    }

    /// The port of a server that is gone.
    pub fn closed() -> u16 {
        crate::port::free_port()
    }
}

fn read(wire: &mut dyn Wire) -> std::io::Result<Request> {
    let mut reader = BufReader::new(wire);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let headers: Vec<_> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap())];
    reader.read_exact(&mut body)?;
    Ok(Request {
        line: lines[0].clone(),
        headers,
        body,
    })
}

fn write(wire: &mut dyn Wire, answer: &Answer) -> std::io::Result<()> {
    match answer {
        Answer::Status(status, headers) => {
            write!(
                wire,
                "HTTP/1.1 {status} X\r\ncontent-length: 0\r\n{headers}\r\n"
            )?;
        }
        Answer::Redirect(to) => {
            write!(
                wire,
                "HTTP/1.1 307 X\r\ncontent-length: 0\r\nlocation: {to}\r\n\r\n"
            )?;
        }
        Answer::Silence => until_gone(wire),
        Answer::Half => {
            wire.write_all(b"HTTP/1.1 200 X\r\ncontent-le")?;
            wire.flush()?;
            until_gone(wire);
        }
        Answer::Reset => {}
        Answer::Garbage => wire.write_all(b"220 mail.example.org ESMTP\r\n\r\n")?,
        Answer::Endless => {
            wire.write_all(b"HTTP/1.1 200 X\r\n")?;
            loop {
                wire.write_all(b"x: 0123456789abcdef0123456789abcdef\r\n")?;
            }
        }
    }
    wire.flush()
}

fn until_gone(wire: &mut dyn Wire) {
    let mut bytes = [0; 64];
    while matches!(wire.read(&mut bytes), Ok(1..)) {}
}
