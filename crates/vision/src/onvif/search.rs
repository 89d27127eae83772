//! Asking a network for cameras.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};

use super::addresses::local_addresses;
use super::reply::{MAX_REPLY, parse_reply};
use super::{DeviceType, Discovered, MULTICAST, probe};
use crate::error::{Error, Result};

/// A datagram may be lost: probes are sent again after this, once (SOAP-over-UDP, section 4).
const REPEAT_AFTER: Duration = Duration::from_millis(250);

/// How long a socket is waited for before a look at the clock.
const PATIENCE: Duration = Duration::from_millis(100);

/// More devices are not reported: somebody plays games.
const MAX_DEVICES: usize = 1024;

/// Searches for `timeout` and gives all devices that answered. [`search`] tells them as they come.
///
/// # Errors
/// Those of [`search`].
pub fn discover(timeout: Duration, targets: &[SocketAddr]) -> Result<Vec<Discovered>> {
    let mut found = Vec::new();
    search(timeout, targets, |device| {
        found.push(device);
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Sends probes and calls for each device that answers, once, until `timeout` is over or the
/// function breaks. Blocks so long.
///
/// Without targets, the multicast group is asked on each IPv4 network of this machine; targets are
/// asked one by one. Answers that break the form are passed over.
///
/// # Errors
/// [`Error::System`] when there is no way to send anything.
pub fn search(
    timeout: Duration,
    targets: &[SocketAddr],
    mut each: impl FnMut(Discovered) -> ControlFlow<()>,
) -> Result<()> {
    let failed = |source| Error::System {
        operation: "search the network for cameras",
        source,
    };
    let asked = sockets(targets).map_err(failed)?;
    let ids = [new_id()?, new_id()?];
    let probes = [
        probe(&ids[0], DeviceType::VideoTransmitter),
        probe(&ids[1], DeviceType::Device),
    ];
    let stop = AtomicBool::new(false);
    let started = Instant::now();
    let mut known = HashSet::new();
    std::thread::scope(|scope| -> Result<()> {
        // Within the scope: threads that wait for room go on when it ends for whatever reason.
        let (found, devices) = bounded::<Discovered>(64);
        let mut threads = Vec::new();
        for (socket, targets) in &asked {
            let (found, ids, probes, stop) = (found.clone(), &ids, &probes, &stop);
            let listen = Listener {
                socket,
                targets,
                probes,
                ids,
                stop,
                until: started + timeout,
            };
            let thread = std::thread::Builder::new().name("discovery".to_owned());
            let thread = thread
                .spawn_scoped(scope, move || listen.run(&found))
                .inspect_err(|_| stop.store(true, Ordering::Relaxed))
                .map_err(Error::thread)?;
            threads.push(thread);
        }
        drop(found);
        for device in &devices {
            if known.len() == MAX_DEVICES || !known.insert(device.address.clone()) {
                continue;
            }
            if each(device).is_break() {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        drop(devices);
        // One network may be down; when all are, that is to be told.
        let ends = threads.into_iter().map(|thread| match thread.join() {
            Ok(end) => end,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        let ends: Vec<io::Result<()>> = ends.collect();
        match ends.iter().any(Result::is_ok) {
            true => Ok(()),
            false => ends.into_iter().collect::<io::Result<()>>().map_err(failed),
        }
    })
}

/// Sockets, and whom each of them asks.
fn sockets(targets: &[SocketAddr]) -> io::Result<Vec<(UdpSocket, Vec<SocketAddr>)>> {
    let mut sockets = Vec::new();
    if targets.is_empty() {
        // A socket bound to an address sends to groups from that address's network.
        let mut own = local_addresses();
        if own.is_empty() {
            own.push(Ipv4Addr::UNSPECIFIED);
        }
        for address in own {
            // Addresses come and go; the others are asked all the same.
            if let Ok(socket) = UdpSocket::bind((address, 0)) {
                sockets.push((socket, vec![MULTICAST.into()]));
            }
        }
        return match sockets.is_empty() {
            true => Err(io::ErrorKind::AddrNotAvailable.into()),
            false => Ok(sockets),
        };
    }
    let (v4, v6): (Vec<_>, Vec<_>) = targets
        .iter()
        .copied()
        .partition(|target: &SocketAddr| target.is_ipv4());
    for (any, targets) in [
        (IpAddr::from(Ipv4Addr::UNSPECIFIED), v4),
        (IpAddr::from(Ipv6Addr::UNSPECIFIED), v6),
    ] {
        if !targets.is_empty() {
            sockets.push((UdpSocket::bind((any, 0))?, targets));
        }
    }
    Ok(sockets)
}

/// What one socket's thread does.
struct Listener<'a> {
    socket: &'a UdpSocket,
    targets: &'a [SocketAddr],
    probes: &'a [String; 2],
    ids: &'a [String; 2],
    stop: &'a AtomicBool,
    until: Instant,
}

impl Listener<'_> {
    /// Fails when no target could be asked.
    fn run(&self, found: &Sender<Discovered>) -> io::Result<()> {
        self.socket.set_read_timeout(Some(PATIENCE))?;
        self.ask()?;
        let mut again = Some(Instant::now() + REPEAT_AFTER);
        // One byte more tells what is too large from what just fits.
        let mut buf = vec![0; MAX_REPLY + 1];
        while Instant::now() < self.until && !self.stop.load(Ordering::Relaxed) {
            if again.is_some_and(|at| Instant::now() >= at) {
                again = None;
                // The first time worked; what fails now may be found out by waiting.
                let _ = self.ask();
            }
            // A timeout, or the message of a router that nobody is there: others may be.
            let Ok((len, from)) = self.socket.recv_from(&mut buf) else {
                continue;
            };
            self.take(&buf[..len], from.ip(), found);
        }
        Ok(())
    }

    fn ask(&self) -> io::Result<()> {
        let mut outcome = Err(io::ErrorKind::AddrNotAvailable.into());
        for target in self.targets {
            for probe in self.probes {
                match self.socket.send_to(probe.as_bytes(), target) {
                    Ok(_) => outcome = Ok(()),
                    Err(error) if outcome.is_err() => outcome = Err(error),
                    Err(_) => {}
                }
            }
        }
        outcome
    }

    fn take(&self, bytes: &[u8], from: IpAddr, found: &Sender<Discovered>) {
        let reply = match parse_reply(bytes) {
            Ok(reply) => reply,
            Err(error) => return tracing::debug!(%from, %error, "no answer to a probe"),
        };
        // Some devices leave it out; those that name another message answer somebody else.
        let ours = |id: &str| self.ids.iter().any(|ours| id.ends_with(ours.as_str()));
        if reply
            .relates_to
            .is_some_and(|id| !ours(&id.to_ascii_lowercase()))
        {
            return;
        }
        for mut device in reply.devices {
            device.from = Some(from);
            // Nobody listens any more only when the search is over.
            let _ = found.send(device);
        }
    }
}

/// A random UUID (RFC 9562, section 5.4).
fn new_id() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::System {
        operation: "get random bytes",
        source: io::Error::other(error),
    })?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex::encode(bytes);
    Ok([
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..],
    ]
    .join("-"))
}
