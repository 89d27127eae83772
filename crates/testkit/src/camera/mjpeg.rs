//! A camera that sends JPEG pictures over HTTP, one after the other.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::auth::Auth;
use super::footage::{Film, Footage, VideoCodec};
use super::port::Port;
use super::request::Request;
use super::stats::{Counter, Stats};

/// What an [`MjpegCamera`] does, and does wrong. The default does nothing wrong.
#[derive(Clone, Debug)]
pub struct MjpegBehaviour {
    /// What it shows.
    pub footage: Footage,
    /// Who may look; none for everybody.
    pub auth: Option<Auth>,
    /// The status that it answers with.
    pub status: u16,
    /// Whether it says how long each picture is, as most do.
    pub lengths: bool,
    /// After so many pictures it sends no more, and the connection stays.
    pub freezes_after: Option<u64>,
    /// After so many pictures it closes the connection.
    pub closes_after: Option<u64>,
    /// It sends these bytes for pictures.
    pub garbage: Option<Vec<u8>>,
}

impl Default for MjpegBehaviour {
    fn default() -> Self {
        Self {
            footage: Footage::encode(&Film {
                codec: VideoCodec::Jpeg,
                fps: 10,
                frames: 20,
                ..Film::default()
            }),
            auth: None,
            status: 200,
            lengths: true,
            freezes_after: None,
            closes_after: None,
            garbage: None,
        }
    }
}

/// A camera at a port of the loopback interface.
#[derive(Debug)]
pub struct MjpegCamera {
    port: Port,
    behaviour: Arc<Mutex<MjpegBehaviour>>,
    counter: Counter,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl MjpegCamera {
    /// A camera that is on.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn start(behaviour: MjpegBehaviour) -> Self {
        let port = Port::free();
        let socket = port.listen();
        let behaviour = Arc::new(Mutex::new(behaviour));
        let (counter, stop) = (Counter::default(), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (behaviour, counter, stop) = (behaviour.clone(), counter.clone(), stop.clone());
            std::thread::spawn(move || accept(&socket, &behaviour, &counter, &stop))
        };
        Self {
            port,
            behaviour,
            counter,
            stop,
            thread: Some(thread),
        }
    }

    /// Its address, with the user and password that it wants.
    pub fn url(&self) -> String {
        let behaviour = self
            .behaviour
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let who = match &behaviour.auth {
            Some(auth) => format!("{}:{}@", auth.user, auth.password),
            None => String::new(),
        };
        format!("http://{who}127.0.0.1:{}/video.mjpg", self.port.number())
    }

    /// Behaves so from the next connection on.
    pub fn set(&self, behaviour: MjpegBehaviour) {
        *self
            .behaviour
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = behaviour;
    }

    /// Waits until what it was asked and did is so.
    ///
    /// # Panics
    /// When it is not within `patience`.
    pub fn wait_for(&self, patience: Duration, is_so: impl Fn(&Stats) -> bool) -> Stats {
        self.counter.wait_for(patience, is_so)
    }
}

impl Drop for MjpegCamera {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port.number()));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(
    socket: &TcpListener,
    behaviour: &Mutex<MjpegBehaviour>,
    counter: &Counter,
    stop: &Arc<AtomicBool>,
) {
    for client in socket.incoming() {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let Ok(client) = client else {
            continue;
        };
        let behaviour = behaviour
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (counter, stop) = (counter.clone(), stop.clone());
        std::thread::spawn(move || {
            counter.count(|stats| {
                stats.connections += 1;
                stats.open += 1;
            });
            // A client that goes away is no fault of the camera.
            let _ = serve(client, &behaviour, &counter, &stop);
            counter.count(|stats| stats.open -= 1);
        });
    }
}

fn serve(
    mut tcp: TcpStream,
    behaviour: &MjpegBehaviour,
    counter: &Counter,
    stop: &AtomicBool,
) -> io::Result<()> {
    tcp.set_write_timeout(Some(Duration::from_secs(5)))?;
    loop {
        let request = receive(&mut tcp)?;
        counter.count(|stats| stats.requests.push(request.method.clone()));
        match &behaviour.auth {
            Some(auth) if !auth.admits(&request) => {
                counter.count(|stats| stats.refused += 1);
                let head = auth.challenge();
                write!(
                    tcp,
                    "HTTP/1.1 401 Unauthorized\r\n{head}Content-Length: 0\r\n\r\n"
                )?;
            }
            _ if behaviour.status != 200 => {
                let status = behaviour.status;
                return write!(
                    tcp,
                    "HTTP/1.1 {status} As Scripted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
            }
            _ => return stream(&mut tcp, behaviour, counter, stop),
        }
    }
}

fn receive(tcp: &mut TcpStream) -> io::Result<Request> {
    let mut received = Vec::new();
    loop {
        let mut bytes = [0; 4096];
        match tcp.read(&mut bytes)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => received.extend(&bytes[..count]),
        }
        if let Some(request) = Request::take(&mut received) {
            return Ok(request);
        }
    }
}

fn stream(
    tcp: &mut TcpStream,
    behaviour: &MjpegBehaviour,
    counter: &Counter,
    stop: &AtomicBool,
) -> io::Result<()> {
    write!(
        tcp,
        "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\
         Connection: close\r\n\r\n"
    )?;
    counter.count(|stats| stats.sessions += 1);
    let interval = Duration::from_secs(1) / behaviour.footage.film.fps;
    let start = Instant::now();
    for number in 0_u32.. {
        let due = start + interval * number;
        wait(tcp, due.saturating_duration_since(Instant::now()), stop)?;
        let at = Some(u64::from(number));
        if behaviour.closes_after == at {
            return Ok(());
        }
        if behaviour.freezes_after == at {
            return wait(tcp, Duration::MAX, stop);
        }
        let picture = match &behaviour.garbage {
            Some(garbage) => garbage,
            None => &behaviour.footage.unit(u64::from(number)).bytes,
        };
        write!(tcp, "--frame\r\nContent-Type: image/jpeg\r\n")?;
        if behaviour.lengths {
            write!(tcp, "Content-Length: {}\r\n", picture.len())?;
        }
        write!(tcp, "\r\n")?;
        tcp.write_all(picture)?;
        write!(tcp, "\r\n")?;
        counter.count(|stats| stats.frames += 1);
    }
    Ok(())
}

/// Waits so long, as long as the client is there and the camera is on.
fn wait(tcp: &mut TcpStream, time: Duration, stop: &AtomicBool) -> io::Result<()> {
    let start = Instant::now();
    loop {
        let left = time.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        if stop.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        tcp.set_read_timeout(Some(
            left.clamp(Duration::from_millis(1), Duration::from_millis(20)),
        ))?;
        match tcp.read(&mut [0; 512]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) => {}
            Err(error) => return Err(error),
        }
    }
}
