//! Cameras to frames, observations, tracks, events and sealed clips.
//!
//! Start with [`Watch`]: it watches cameras as [`CameraSettings`] say, and leaves events in an
//! [`EventStore`](keepwatch_core::events::EventStore) and clips in a
//! [`MediaStore`](keepwatch_core::events::MediaStore). [`Frames`] gives a camera's pictures, and
//! nothing else. Their parts can be used alone: [`motion`] and [`tracking`] are functions of
//! pictures and regions, [`recognition`] is the seam to what recognises faces and plates, [`live`] is for those who look on, [`mp4`] writes recordings, [`mjpeg`] takes streams of pictures apart,
//! [`source`] delivers packets, [`Decoder`] makes pictures of them.

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod geometry;
pub mod live;
pub mod makers;
pub mod mjpeg;
pub mod motion;
pub mod mp4;
pub mod onvif;
pub mod recognition;
pub mod settings;
pub mod snapshot;
pub mod source;
pub mod tracking;

mod analysis;
mod analyzer;
mod backoff;
mod camera;
mod decoder;
mod error;
mod frames;
mod gate;
mod gauges;
mod gst;
mod ledger;
mod objects;
mod packet;
mod pixels;
mod probe;
mod recorder;
mod recordings;
mod ring;
mod status;
mod timeline;
mod url;
mod watch;

pub use analyzer::{Analyzer, Found, Seen};
pub use decoder::{Decoder, Frame, Threads};
pub use error::{Error, Result};
pub use frames::{FrameOptions, Frames, Image, Read};
pub use gauges::{CameraGauges, Histogram, LedgerGauges, RecognitionGauges};
pub use gst::version;
pub use packet::{Codec, Packet, PacketData, StreamInfo};
pub use pixels::{Color, Pixels};
pub use probe::{Probe, probe};
pub use settings::{CameraSettings, Decode, Record, Tls, Transport};
pub use status::{CameraStatus, LastEvent, State};
pub use url::{CameraUrl, Credentials, Scheme};
pub use watch::Watch;
