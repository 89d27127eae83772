//! A line with latency between programs of this machine, for benchmarks: `slow_line PORT MS`
//! listens on a free port of 127.0.0.1, prints it, and carries everything to and from PORT, each
//! byte so many milliseconds later in each direction.

#![allow(clippy::print_stdout, reason = "it says where it listens")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

/// As much is on its way in one direction of a connection, in pieces of [`PIECE`].
const PIECES: usize = 512;
const PIECE: usize = 256 * 1024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let server: u16 = args.next().ok_or("which port?")?.parse()?;
    let delay = Duration::from_millis(args.next().ok_or("how late?")?.parse()?);
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?.port());
    for client in listener.incoming() {
        let client = client?;
        let server = TcpStream::connect(("127.0.0.1", server))?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
        }
        carry(client.try_clone()?, server.try_clone()?, delay);
        carry(server, client, delay);
    }
    Ok(())
}

fn carry(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (late, due) = sync_channel::<(Instant, Vec<u8>)>(PIECES);
    thread::spawn(move || {
        let mut buffer = vec![0; PIECE];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let piece = buffer[..length].to_vec();
            if late.send((Instant::now() + delay, piece)).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (when, piece) in due {
            thread::sleep(when.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        // The other end may have gone.
        let _ = to.shutdown(Shutdown::Write);
    });
}
