//! Ports of the loopback interface: kept while nobody listens, and such as nobody answers at.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket, sockopt};

/// A port that stays ours between two listeners: a socket that is bound and does not listen, so
/// that whoever connects meanwhile is refused.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _kept: OwnedFd,
}

impl Port {
    /// A free one.
    pub fn free() -> Self {
        let (kept, number) = bound();
        Self {
            number,
            _kept: kept,
        }
    }

    pub fn number(&self) -> u16 {
        self.number
    }

    /// Listens at it.
    pub fn listen(&self) -> TcpListener {
        let address = (Ipv4Addr::LOCALHOST, self.number);
        TcpListener::bind(address).expect("the port is ours")
    }
}

/// An address at which nobody answers: connecting to it takes until somebody loses patience.
#[derive(Debug)]
pub struct BlackHole {
    port: u16,
    _listening: OwnedFd,
    _waiting: Vec<TcpStream>,
}

impl Default for BlackHole {
    fn default() -> Self {
        Self::new()
    }
}

impl BlackHole {
    /// A new one.
    ///
    /// # Panics
    /// When the system does not allow it.
    pub fn new() -> Self {
        let (listening, port) = bound();
        listen(&listening, 0).expect("it listens");
        // What waits to be accepted fills the queue; after it the system drops what comes.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
        let waiting = std::iter::from_fn(connect).take(64).collect();
        Self {
            port,
            _listening: listening,
            _waiting: waiting,
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// A socket bound to a free port that others may be bound to as well, as long as none listens.
fn bound() -> (OwnedFd, u16) {
    let kept = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    sockopt::set_socket_reuseaddr(&kept, true).expect("it is set");
    bind(&kept, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = getsockname(&kept).expect("it has a name");
    let address = SocketAddrV4::try_from(address).expect("it is IPv4");
    (kept, address.port())
}
