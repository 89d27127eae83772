//! A line that goes bad: a proxy between a client and a server on this machine.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

/// What the line does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// It carries everything.
    Good,
    /// Nothing comes through, in neither direction; connections stay.
    Stalled,
    /// Connections are made and answered in place of the server by this status of HTTP.
    Answers(u16),
    /// Every connection breaks off.
    Cut,
}

#[derive(Debug)]
struct State {
    line: Line,
    /// After so many bytes from clients the line is cut, and good again.
    until_cut: Option<u64>,
    cuts: u32,
    sent: u64,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A proxy on a port of its own. It serves until the process ends.
#[derive(Clone, Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    port: u16,
}

impl Proxy {
    /// One before a port of 127.0.0.1.
    ///
    /// # Panics
    /// When there is no port for it.
    pub fn start(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                line: Line::Good,
                until_cut: None,
                cuts: 0,
                sent: 0,
            }),
            changed: Condvar::new(),
        });
        let this = Self {
            shared: shared.clone(),
            port,
        };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = shared.clone();
                // A connection that fails is what this is for.
                thread::spawn(move || shared.carry(client, server).ok());
            }
        });
        this
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes the line, also for connections that are there.
    pub fn set(&self, line: Line) {
        self.shared.lock().line = line;
        self.shared.changed.notify_all();
    }

    /// Cuts the line once, after so many more bytes from clients.
    pub fn cut_after(&self, bytes: u64) {
        self.shared.lock().until_cut = Some(bytes);
    }

    /// How many bytes have come from clients.
    pub fn sent(&self) -> u64 {
        self.shared.lock().sent
    }

    /// How often [`Proxy::cut_after`] has cut it.
    pub fn cuts(&self) -> u32 {
        self.shared.lock().cuts
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry(self: Arc<Self>, client: TcpStream, server: u16) -> io::Result<()> {
        let line = self.lock().line;
        match line {
            Line::Cut => return Ok(()),
            Line::Answers(status) => return answer(client, status),
            Line::Good | Line::Stalled => {}
        }
        let server = TcpStream::connect(("127.0.0.1", server))?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (back, forth) = ((server.try_clone()?, client.try_clone()?), (client, server));
        let shared = self.clone();
        let returning = thread::spawn(move || shared.pump(back.0, back.1, false));
        self.pump(forth.0, forth.1, true);
        returning.join().ok();
        Ok(())
    }

    /// Carries bytes one way until one end closes or the line is cut.
    fn pump(&self, mut from: TcpStream, mut to: TcpStream, from_client: bool) {
        let mut buffer = [0; 16 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if !self.may_pass(read as u64, from_client) || to.write_all(&buffer[..read]).is_err() {
                from.shutdown(Shutdown::Both).ok();
                break;
            }
        }
        to.shutdown(Shutdown::Both).ok();
    }

    /// Waits while the line is stalled; false when it is cut.
    fn may_pass(&self, bytes: u64, from_client: bool) -> bool {
        let mut state = self.lock();
        if from_client {
            state.sent += bytes;
        }
        if from_client && let Some(left) = state.until_cut {
            state.until_cut = left.checked_sub(bytes).filter(|left| *left > 0);
            if state.until_cut.is_none() {
                state.cuts += 1;
                return false;
            }
        }
        while state.line == Line::Stalled {
            let waited = self.changed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.line == Line::Good
    }
}

/// Reads the head of a request and answers it.
fn answer(mut client: TcpStream, status: u16) -> io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte)? == 1 {
        head.push(byte[0]);
    }
    let text = format!("HTTP/1.1 {status} Bad\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    client.write_all(text.as_bytes())?;
    client.shutdown(Shutdown::Write)?;
    // What is still coming is read, or the answer would be lost with the connection.
    io::copy(&mut client, &mut io::sink())?;
    Ok(())
}
