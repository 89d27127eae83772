//! What can go wrong with cameras, told so that a person can act on it.

use std::io;
use std::path::PathBuf;

pub(crate) use keepwatch_core::with_causes;

use crate::source::Ending;

/// The result of operations on cameras.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the cameras' side. None of them ever holds a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// GStreamer refuses.
    #[error("GStreamer: {problem}")]
    GStreamer {
        /// What it says.
        problem: String,
    },
    /// No plugin of GStreamer has an element.
    #[error("GStreamer has no element {name}")]
    MissingElement {
        /// Its name.
        name: &'static str,
    },
    /// The address of a camera cannot be used.
    #[error("the camera's address: {problem}")]
    Url {
        /// What is wrong with it, without repeating it.
        problem: &'static str,
    },
    /// A setting has a value that cannot work.
    #[error("{name}: {problem}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A camera or file gives no picture, or none any more.
    #[error("{camera}: {ending}")]
    Camera {
        /// Where it is, without credentials.
        camera: String,
        /// Why not.
        ending: Ending,
    },
    /// A camera of that name is watched already.
    #[error("a camera named {camera:?} is watched already")]
    SameName {
        /// The name.
        camera: String,
    },
    /// No camera of that name is watched.
    #[error("no camera named {camera:?} is watched")]
    UnknownCamera {
        /// The name.
        camera: String,
    },
    /// The video of a camera must not be shown as it comes.
    #[error("the video of {camera:?} is not shown as it comes: its privacy masks are not in it")]
    Masked {
        /// The camera.
        camera: String,
    },
    /// Watching was ended.
    #[error("watching was ended")]
    Stopped,
    /// No certificates could be read.
    #[error("no certificates can be read from {}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
    },
    /// A maker of cameras is not known.
    #[error("no maker {name:?} is known")]
    UnknownMaker {
        /// What was asked for.
        name: String,
        /// The nearest known names.
        similar: Vec<&'static str>,
    },
    /// A stream of JPEG pictures breaks its form.
    #[error("the stream of pictures: {problem}")]
    Mjpeg {
        /// How.
        problem: &'static str,
    },
    /// An answer to a search for cameras breaks its form.
    #[error("the answer of a camera: {problem}")]
    Onvif {
        /// How.
        problem: &'static str,
    },
    /// A recording cannot be made or read.
    #[error("MP4: {problem}")]
    Mp4 {
        /// Why.
        problem: &'static str,
    },
    /// A decoded picture has a form that is not understood.
    #[error("the decoded picture has an unknown form")]
    Picture,
    /// A picture cannot be compressed.
    #[error("cannot compress a picture")]
    Jpeg(#[source] jpeg_encoder::EncodingError),
    /// The event store fails.
    #[error(transparent)]
    Core(#[from] keepwatch_core::Error),
    /// Recognition fails.
    #[error(transparent)]
    Recognition(#[from] keepwatch_recognition::Error),
    /// The event store took some of what happened neither at once nor later; it is lost.
    #[error("the event store did not take {events} events and {segments} segments, which are lost")]
    Unstored {
        /// How many states of events.
        events: u64,
        /// How many complete stretches of continuous recording, whose files are there.
        segments: u64,
    },
    /// A file operation failed.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Something else of the system fails.
    #[error("cannot {operation}")]
    System {
        /// What was tried.
        operation: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// What to do about it, where it is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::MissingElement { name } => Some(format!(
                "on Debian it is in {}",
                match *name {
                    "avdec_h264" | "avdec_h265" | "openh264dec" => "gstreamer1.0-libav",
                    "h264parse" | "h265parse" | "jpegparse" => "gstreamer1.0-plugins-bad",
                    "parsebin" | "videoconvert" | "videotestsrc" => "gstreamer1.0-plugins-base",
                    _ => "gstreamer1.0-plugins-good",
                }
            )),
            Error::UnknownMaker { similar, .. } if !similar.is_empty() => {
                Some(format!("perhaps {}", similar.join(" or ")))
            }
            Error::Url { .. } => {
                Some("for example rtsp://user:password@192.168.1.20/stream1".to_owned())
            }
            Error::Masked { .. } => Some("look at its pictures, in which they are".to_owned()),
            Error::Core(error) => error.hint().map(str::to_owned),
            Error::Recognition(error) => error.hint().map(str::to_owned),
            Error::Unstored { .. } => Some(
                "the log says why; a full disk needs room, or a retention that keeps less"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    pub(crate) fn thread(source: io::Error) -> Self {
        Error::System {
            operation: "start a thread",
            source,
        }
    }
}
