//! Telling systemd how the service is: sd_notify(3) and its watchdog.
//!
//! systemd gives the address and the interval of the watchdog in variables. Whoever starts up reads
//! them and hands them over here; for a process that is no service there is nothing to hand over.
//!
//! ```no_run
//! use keepwatch_ops::service::notify::{Notifier, watchdog_interval};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let variable = |name| std::env::var_os(name);
//! if let Some(address) = variable("NOTIFY_SOCKET") {
//!     let systemd = Notifier::new(&address)?;
//!     systemd.ready()?;
//!     let (usec, pid) = (variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"));
//!     let interval = watchdog_interval(usec.as_deref(), pid.as_deref(), std::process::id())?;
//!     // Every `interval`, as long as all is well:
//!     systemd.watchdog()?;
//!     systemd.stopping()?;
//! }
//! # Ok(())
//! # }
//! ```

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// So much of a text is shown by `systemctl status`; more is for nobody.
const MAX_STATUS: usize = 512;
/// systemd reads at once; one that does not must not hold up what the service is for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way to the service manager.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    address: SocketAddr,
    name: OsString,
}

/// Why it could not be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// The address in `NOTIFY_SOCKET` is neither a path nor an abstract name.
    #[error("NOTIFY_SOCKET: {address:?} is no address of a socket")]
    Address {
        /// What was given.
        address: OsString,
    },
    /// The socket does not take it.
    #[error("cannot tell the service manager at {address:?}")]
    Send {
        /// Where it is.
        address: OsString,
        /// What the system says.
        source: io::Error,
    },
    /// The variables of the watchdog are not numbers.
    #[error("{variable}: {value:?} is no number that systemd gives")]
    Watchdog {
        /// Which variable.
        variable: &'static str,
        /// What was given.
        value: OsString,
    },
}

impl NotifyError {
    /// How to put it right.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Address { .. } | Self::Watchdog { .. } => {
                "systemd sets these variables; without it they are not to be set"
            }
            Self::Send { .. } => "look whether systemd runs and the unit has NotifyAccess=main",
        }
    }
}

impl Notifier {
    /// For the address in `NOTIFY_SOCKET`: a path, or `@` and an abstract name.
    ///
    /// # Errors
    /// [`NotifyError::Address`]; [`NotifyError::Send`] if there are no sockets to be had.
    pub fn new(address: &OsStr) -> Result<Self, NotifyError> {
        let bad = || NotifyError::Address {
            address: address.to_owned(),
        };
        let of = match address.as_bytes() {
            [b'/', ..] => SocketAddr::from_pathname(address),
            [b'@', name @ ..] if !name.is_empty() => SocketAddr::from_abstract_name(name),
            // An address of another kind: `vsock:`, for a manager outside of a virtual machine.
            _ => return Err(bad()),
        };
        let of = of.map_err(|_| bad())?;
        let socket = UnixDatagram::unbound().and_then(|socket| {
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(socket)
        });
        Ok(Self {
            socket: socket.map_err(failed(address))?,
            address: of,
            name: address.to_owned(),
        })
    }

    /// It has started: what waits for it goes on.
    ///
    /// # Errors
    /// [`NotifyError::Send`], as those below.
    pub fn ready(&self) -> Result<(), NotifyError> {
        self.send("READY=1")
    }

    /// A line on what it is doing. What would be another line or a control character is a blank.
    ///
    /// # Errors
    /// [`NotifyError::Send`]
    pub fn status(&self, text: &str) -> Result<(), NotifyError> {
        let mut line = String::from("STATUS=");
        for c in text.chars() {
            if line.len() + c.len_utf8() > MAX_STATUS {
                break;
            }
            // A line of its own would be another message.
            line.push(if c.is_control() { ' ' } else { c });
        }
        self.send(&line)
    }

    /// It lives, and does what it is there for.
    ///
    /// # Errors
    /// [`NotifyError::Send`]
    pub fn watchdog(&self) -> Result<(), NotifyError> {
        self.send("WATCHDOG=1")
    }

    /// It reads its configuration again, until it is [`ready`](Self::ready) again. The time of the
    /// message is that of the monotonic clock, for systemd to tell whether it answers the last
    /// request.
    ///
    /// # Errors
    /// [`NotifyError::Send`]
    pub fn reloading(&self) -> Result<(), NotifyError> {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"))
    }

    /// It is about to end.
    ///
    /// # Errors
    /// [`NotifyError::Send`]
    pub fn stopping(&self) -> Result<(), NotifyError> {
        self.send("STOPPING=1")
    }

    fn send(&self, message: &str) -> Result<(), NotifyError> {
        loop {
            // Not connected for good: the manager may have been replaced by a newer one.
            match self.socket.send_to_addr(message.as_bytes(), &self.address) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(&self.name)(error)),
            }
        }
    }
}

fn failed(address: &OsStr) -> impl Fn(io::Error) -> NotifyError {
    move |source| NotifyError::Send {
        address: address.to_owned(),
        source,
    }
}

/// How often [`Notifier::watchdog`] is to be called, by `WATCHDOG_USEC` and `WATCHDOG_PID`: in half
/// the time after which systemd ends the service. None if there is no watchdog, or it watches
/// another process than `own`.
///
/// # Errors
/// [`NotifyError::Watchdog`] if they are no such numbers.
pub fn watchdog_interval(
    usec: Option<&OsStr>,
    pid: Option<&OsStr>,
    own: u32,
) -> Result<Option<Duration>, NotifyError> {
    let Some(usec) = usec else { return Ok(None) };
    if let Some(pid) = pid
        && number("WATCHDOG_PID", pid)? != u64::from(own)
    {
        return Ok(None);
    }
    match number("WATCHDOG_USEC", usec)? {
        // What systemd itself takes for no watchdog, and what halves to nothing.
        0 | 1 | u64::MAX => Ok(None),
        usec => Ok(Some(Duration::from_micros(usec / 2))),
    }
}

fn number(variable: &'static str, value: &OsStr) -> Result<u64, NotifyError> {
    let bad = || NotifyError::Watchdog {
        variable,
        value: value.to_owned(),
    };
    let digits = value.to_str().ok_or_else(bad)?;
    match digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => digits.parse().map_err(|_| bad()),
        false => Err(bad()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    fn told(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// A manager that waits no longer than a test may.
    fn listening(socket: UnixDatagram) -> UnixDatagram {
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        socket
    }

    fn everything(systemd: &Notifier, manager: &UnixDatagram) {
        systemd.ready().unwrap();
        assert_eq!(told(manager), "READY=1");
        systemd.status("backing up\nREADY=1\u{7}").unwrap();
        assert_eq!(told(manager), "STATUS=backing up READY=1 ");
        systemd.status(&"ä".repeat(1000)).unwrap();
        let long = told(manager);
        assert!(long.len() <= MAX_STATUS && long.ends_with('ä'), "{long}");
        systemd.watchdog().unwrap();
        assert_eq!(told(manager), "WATCHDOG=1");
        systemd.reloading().unwrap();
        let reloading = told(manager);
        let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        assert!(micros.unwrap().parse::<u64>().unwrap() > 0);
        systemd.stopping().unwrap();
        assert_eq!(told(manager), "STOPPING=1");
    }

    #[test]
    fn a_socket_with_a_path_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = listening(UnixDatagram::bind(&path).unwrap());
        let systemd = Notifier::new(path.as_os_str()).unwrap();
        everything(&systemd, &manager);

        // A manager that was replaced is told as well, one that is gone is an error.
        drop(manager);
        assert!(matches!(systemd.ready(), Err(NotifyError::Send { .. })));
        std::fs::remove_file(&path).unwrap();
        let manager = listening(UnixDatagram::bind(&path).unwrap());
        everything(&systemd, &manager);
    }

    #[test]
    fn a_socket_with_an_abstract_name_is_told() {
        let mut name = [0; 8];
        getrandom::fill(&mut name).unwrap();
        let name = format!("keepwatch-test-{}", hex::encode(name));
        let address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let manager = listening(UnixDatagram::bind_addr(&address).unwrap());
        let systemd = Notifier::new(OsStr::new(&format!("@{name}"))).unwrap();
        everything(&systemd, &manager);
    }

    #[test]
    fn a_manager_that_does_not_read_holds_nobody_up_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let _deaf = UnixDatagram::bind(&path).unwrap();
        let systemd = Notifier::new(path.as_os_str()).unwrap();
        systemd
            .socket
            .set_write_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let failed = (0..100_000).find_map(|_| systemd.watchdog().err());
        assert!(
            matches!(failed, Some(NotifyError::Send { .. })),
            "{failed:?}"
        );
    }

    #[test]
    fn other_addresses_are_refused() {
        let long = format!("/{}", "x".repeat(200));
        for address in ["", "@", "notify", "vsock:2:1", &long, &format!("@{long}")] {
            let refused = Notifier::new(OsStr::new(address));
            assert!(
                matches!(refused, Err(NotifyError::Address { .. })),
                "{address}"
            );
        }
        let with_nul = Notifier::new(OsStr::from_bytes(b"/run/\0"));
        assert!(matches!(with_nul, Err(NotifyError::Address { .. })));
    }

    #[test]
    fn the_watchdog_is_fed_twice_as_often_as_it_asks() {
        let interval = |usec, pid: Option<&'static str>| {
            watchdog_interval(Some(OsStr::new(usec)), pid.map(OsStr::new), 42)
        };
        let half_minute = Some(Duration::from_secs(30));
        assert_eq!(interval("60000000", None).unwrap(), half_minute);
        assert_eq!(interval("60000000", Some("42")).unwrap(), half_minute);
        assert_eq!(interval("60000000", Some("43")).unwrap(), None);
        assert_eq!(interval("0", None).unwrap(), None);
        assert_eq!(watchdog_interval(None, None, 42).unwrap(), None);
        for (usec, pid) in [
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1s", None),
            ("99999999999999999999", None),
            ("60000000", Some("me")),
        ] {
            let wrong = interval(usec, pid);
            assert!(
                matches!(wrong, Err(NotifyError::Watchdog { .. })),
                "{usec} {pid:?}"
            );
        }
    }
}
