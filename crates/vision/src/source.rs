//! Where encoded video comes from.

mod caps;
mod device;
mod file;
mod http;
mod rtsp;
mod sink;
mod synthetic;
mod tls;

use std::fmt;
use std::time::Duration;

use crate::error::Result;
use crate::packet::{PacketData, StreamInfo};
use crate::settings::CameraSettings;
use crate::url::Scheme;

pub(crate) use caps::of as caps_of;
pub(crate) use sink::{GstSession, monotonic};

/// A packet as a source delivers it, with the times that the source gives it.
#[derive(Clone)]
pub struct RawPacket {
    /// One access unit or picture.
    pub data: PacketData,
    /// When it is shown, by the source's clock.
    pub pts: Duration,
    /// When it is decoded, if that is not the same.
    pub dts: Option<Duration>,
    /// How long it is shown, if the source says so.
    pub duration: Option<Duration>,
    /// Whether it can be decoded without any other.
    pub key: bool,
}

impl fmt::Debug for RawPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawPacket")
            .field("pts", &self.pts)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// What a session with a source has to say next.
#[derive(Debug)]
pub enum Next {
    /// What the following packets are; comes first, and again when it changes.
    Stream(StreamInfo),
    /// A packet.
    Packet(RawPacket),
    /// Packets were dropped here, because nobody took them in time.
    Dropped(u64),
    /// Nothing, in the time that was given.
    Nothing,
    /// It is over.
    Ended(Ending),
}

/// Why a session is over, in words that hold no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// A file came to its end.
    Finished,
    /// Nothing came in the time given.
    Silent {
        /// Whether there had been pictures before.
        streaming: bool,
    },
    /// The camera closed the connection.
    Closed,
    /// There is no connection.
    Unreachable,
    /// The camera wants other credentials.
    Unauthorized,
    /// The camera knows no such stream.
    NotFound,
    /// The camera answers that it cannot or will not.
    Refused {
        /// The status that it gives, of RTSP or HTTP.
        status: u32,
    },
    /// Its certificate is not one that was to be trusted.
    Untrusted,
    /// It offers no video that is understood.
    NoVideo {
        /// What it offers instead.
        offered: String,
    },
    /// It sends what cannot be understood.
    Garbage,
    /// It does not send by the transport that the settings name.
    Transport,
    /// It stays without a key frame for too long.
    NoKeyFrame,
    /// Something else.
    Failed {
        /// What GStreamer says, without addresses and secrets.
        problem: String,
    },
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ending::Finished => "the end of the file",
            Ending::Silent { streaming: true } => "no picture any more",
            Ending::Silent { streaming: false } => "no picture came",
            Ending::Closed => "the camera closed the connection",
            Ending::Unreachable => "the camera cannot be reached",
            Ending::Unauthorized => "the camera refuses user or password",
            Ending::NotFound => "the camera knows no such stream",
            Ending::Untrusted => "the camera's certificate is not trusted",
            Ending::Garbage => "the camera sends what cannot be understood",
            Ending::Transport => "the camera does not send by this transport",
            Ending::NoKeyFrame => "no key frame came",
            Ending::Refused { status } => {
                return write!(f, "the camera answers with the error {status}");
            }
            Ending::NoVideo { offered } => {
                return write!(f, "no H.264, H.265 or JPEG video; offered: {offered}");
            }
            Ending::Failed { problem } => return f.write_str(problem),
        })
    }
}

/// Something that video can be had from, again and again.
pub trait FrameSource: Send {
    /// Begins a session. Does not wait for the other side.
    ///
    /// # Errors
    /// When it cannot work here: a plugin is missing, a certificate file cannot be read.
    fn open(&mut self) -> Result<Box<dyn Session>>;

    /// Whether a session that ends is over for good, as a file is, and no fault.
    fn ends(&self) -> bool {
        false
    }
}

/// A connection to a source; dropping it ends it.
pub trait Session: Send {
    /// What comes next; waits up to `timeout` for it.
    fn next(&mut self, timeout: Duration) -> Next;
}

/// A session whose source knows better why it ended.
struct Explained<F> {
    session: Box<dyn Session>,
    explain: F,
}

impl<F: Fn(Ending) -> Ending + Send> Session for Explained<F> {
    fn next(&mut self, timeout: Duration) -> Next {
        match self.session.next(timeout) {
            Next::Ended(ending) => Next::Ended((self.explain)(ending)),
            next => next,
        }
    }
}

/// The source that the settings name.
pub fn of(settings: &CameraSettings) -> Box<dyn FrameSource> {
    match settings.url.scheme() {
        Scheme::Rtsp | Scheme::Rtsps => Box::new(rtsp::Rtsp::new(settings)),
        Scheme::Http | Scheme::Https => Box::new(http::Http::new(settings)),
        Scheme::File => Box::new(file::File::new(settings)),
        Scheme::Device => Box::new(device::Device::new(settings)),
        Scheme::Test => Box::new(synthetic::Synthetic::new(settings)),
    }
}
