//! A client's connection with an RTSP camera, on a thread of its own.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt;

use super::behaviour::{Act, Answer, Behaviour, Stage};
use super::request::Request;
use super::rtsp::Shared;
use super::stream::{Stream, Way};

/// How long a thread waits for bytes before it looks up.
const LOOK_UP: Duration = Duration::from_millis(10);

/// How long a client may take nothing.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With a FIN.
    Close,
    /// With a RST.
    Reset,
}

/// Serves one client until either has enough.
pub(crate) fn serve(tcp: TcpStream, shared: &Shared) {
    let session = shared.counter.get().connections;
    let mut connection = Connection {
        generation: shared.generation.load(Ordering::SeqCst),
        behaviour: shared.behaviour(),
        injected: shared.injected().len(),
        tcp,
        shared,
        session,
        received: Vec::new(),
        way: None,
        stream: None,
    };
    // A client that goes away is no fault of the camera.
    let end = connection.run().unwrap_or(End::Close);
    connection.end(end);
}

struct Connection<'a> {
    tcp: TcpStream,
    shared: &'a Shared,
    behaviour: Behaviour,
    /// The connection is over when the camera has another.
    generation: u64,
    session: u64,
    received: Vec<u8>,
    /// How the client wants its packets.
    way: Option<Way>,
    stream: Option<Stream>,
    /// How many of the acts that were called for are done.
    injected: usize,
}

impl Connection<'_> {
    fn run(&mut self) -> io::Result<End> {
        self.tcp.set_nodelay(true)?;
        self.tcp.set_write_timeout(Some(WRITE_TIMEOUT))?;
        if let Some(answer) = self.behaviour.answers.get(&Stage::Connect).cloned()
            && let Some(end) = self.misbehave(&answer, "")?
        {
            return Ok(end);
        }
        while !self.is_over() {
            if !self.receive()? {
                return Ok(End::Close);
            }
            while let Some(request) = Request::take(&mut self.received) {
                if let Some(end) = self.answer(&request)? {
                    return Ok(end);
                }
            }
            if let Some(end) = self.play()? {
                return Ok(end);
            }
        }
        Ok(End::Reset)
    }

    fn is_over(&self) -> bool {
        self.shared.generation.load(Ordering::SeqCst) != self.generation
    }

    /// Takes what has come; gives whether the client is still there.
    fn receive(&mut self) -> io::Result<bool> {
        let idle = self.stream.as_ref().map_or(LOOK_UP, Stream::idle);
        let wait = idle.clamp(Duration::from_millis(1), LOOK_UP);
        self.tcp.set_read_timeout(Some(wait))?;
        let mut bytes = [0; 4096];
        match self.tcp.read(&mut bytes) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.received.extend(&bytes[..count]);
                Ok(true)
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(true),
                _ => Err(error),
            },
        }
    }

    fn answer(&mut self, request: &Request) -> io::Result<Option<End>> {
        let method = request.method.clone();
        self.shared
            .counter
            .count(|stats| stats.requests.push(method));
        let stage = match request.method.as_str() {
            _ if self.stream.is_some() => Stage::KeepAlive,
            "OPTIONS" => Stage::Options,
            "DESCRIBE" => Stage::Describe,
            "SETUP" => Stage::Setup,
            "PLAY" => Stage::Play,
            _ => Stage::KeepAlive,
        };
        let text = match &self.behaviour.auth {
            Some(auth) if stage != Stage::Options && !auth.admits(request) => {
                self.shared.counter.count(|stats| stats.refused += 1);
                reply(request, 401, &auth.challenge(), "")
            }
            _ => self.proper_answer(request)?,
        };
        match self.behaviour.answers.get(&stage).cloned() {
            Some(Answer::Status(status)) => {
                let text = reply(request, status, "", "");
                self.tcp.write_all(text.as_bytes())?;
            }
            Some(answer) => return self.misbehave(&answer, &text),
            None => self.tcp.write_all(text.as_bytes())?,
        }
        let accepted = text.starts_with("RTSP/1.0 200");
        match request.method.as_str() {
            "TEARDOWN" => return Ok(Some(End::Close)),
            "PLAY" if accepted && self.stream.is_none() => self.start(),
            _ => {}
        }
        Ok(None)
    }

    /// Does what is wrong at a stage. Gives how the connection ends, if it does.
    fn misbehave(&mut self, answer: &Answer, proper: &str) -> io::Result<Option<End>> {
        match answer {
            Answer::Nothing => {
                self.be_deaf();
                return Ok(Some(End::Reset));
            }
            Answer::Status(_) => {}
            Answer::Bytes(bytes) => self.tcp.write_all(bytes)?,
            Answer::Close => return Ok(Some(End::Close)),
            Answer::Reset => return Ok(Some(End::Reset)),
            Answer::Trickle(pause) => {
                for byte in proper.bytes() {
                    if self.shared.sleep(self.generation, *pause) {
                        return Ok(Some(End::Reset));
                    }
                    self.tcp.write_all(&[byte])?;
                }
            }
        }
        Ok(None)
    }

    /// Neither reads nor sends until one of the two ends the connection.
    fn be_deaf(&self) {
        let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        while !self.is_over() {
            let mut polled = [PollFd::new(&self.tcp, PollFlags::RDHUP)];
            let wait = Timespec::try_from(LOOK_UP).ok();
            let looked = poll(&mut polled, wait.as_ref());
            if looked.is_err() || polled[0].revents().intersects(gone) {
                return;
            }
        }
    }

    fn proper_answer(&mut self, request: &Request) -> io::Result<String> {
        let session = format!("Session: {:08};timeout=60\r\n", self.session);
        Ok(match request.method.as_str() {
            "OPTIONS" => {
                let methods = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN\r\n";
                reply(request, 200, methods, "")
            }
            "DESCRIBE" => {
                let head = "Content-Type: application/sdp\r\n";
                reply(request, 200, head, &self.behaviour.description())
            }
            "SETUP" => match self.set_up(request)? {
                Some(transport) => {
                    let head = format!("{session}Transport: {transport}\r\n");
                    reply(request, 200, &head, "")
                }
                None => reply(request, 461, "", ""),
            },
            "PLAY" if self.way.is_none() => reply(request, 455, "", ""),
            _ => reply(request, 200, &session, ""),
        })
    }

    /// Agrees on how packets travel (RFC 2326, section 12.39).
    fn set_up(&mut self, request: &Request) -> io::Result<Option<String>> {
        let wanted = request.header("transport").unwrap_or_default();
        let of = |name: &str| {
            let mut fields = wanted.split(';');
            let value = fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))?;
            let (first, _) = value.split_once('-')?;
            first.parse::<u16>().ok()
        };
        if let Some(channel) = of("interleaved") {
            let channel = channel as u8;
            self.way = Some(Way::Interleaved(channel));
            let both = format!("interleaved={channel}-{}", channel + 1);
            return Ok(Some(format!("RTP/AVP/TCP;unicast;{both}")));
        }
        let Some(port) = of("client_port") else {
            return Ok(None);
        };
        let socket = UdpSocket::bind((self.tcp.local_addr()?.ip(), 0))?;
        let from = socket.local_addr()?.port();
        let to = SocketAddr::new(self.tcp.peer_addr()?.ip(), port);
        self.way = Some(Way::Udp(socket, to));
        let (client, server) = (port + 1, from.wrapping_add(1));
        Ok(Some(format!(
            "RTP/AVP;unicast;client_port={port}-{client};server_port={from}-{server}"
        )))
    }

    fn start(&mut self) {
        let Some(way) = self.way.take() else {
            return;
        };
        self.shared.counter.count(|stats| stats.sessions += 1);
        self.stream = Some(Stream::new(&self.behaviour, way, self.session));
    }

    /// Sends what is due, and does what was called for.
    fn play(&mut self) -> io::Result<Option<End>> {
        let Some(stream) = &mut self.stream else {
            return Ok(None);
        };
        let mut act = None;
        let called_for = self.shared.injected();
        while act.is_none() && self.injected < called_for.len() {
            act = stream.act(called_for[self.injected].clone(), &mut self.tcp)?;
            self.injected += 1;
        }
        if act.is_none() {
            act = stream.send(&mut self.tcp, &self.shared.counter)?;
        }
        Ok(match act {
            Some(Act::Close) => Some(End::Close),
            Some(Act::Reset) => Some(End::Reset),
            Some(Act::Deaf) => {
                self.be_deaf();
                Some(End::Reset)
            }
            _ => None,
        })
    }

    fn end(mut self, end: End) {
        match end {
            End::Reset => {
                // Whatever lingers is thrown away, which the other side is told by a reset.
                let _ = sockopt::set_socket_linger(&self.tcp, Some(Duration::ZERO));
            }
            End::Close => {
                let _ = self.tcp.shutdown(Shutdown::Write);
                // Closing with bytes unread would be a reset.
                while !self.is_over() && matches!(self.receive(), Ok(true)) {
                    self.received.clear();
                }
            }
        }
    }
}

fn reply(request: &Request, status: u16, head: &str, body: &str) -> String {
    let meaning = match status {
        200 => "OK",
        401 => "Unauthorized",
        404 => "Not Found",
        461 => "Unsupported Transport",
        _ => "As Scripted",
    };
    let count = request.header("cseq").unwrap_or("0");
    let length = match body.len() {
        0 => String::new(),
        length => format!("Content-Length: {length}\r\n"),
    };
    format!("RTSP/1.0 {status} {meaning}\r\nCSeq: {count}\r\n{head}{length}\r\n{body}")
}
