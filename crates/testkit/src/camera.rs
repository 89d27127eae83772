//! Cameras that serve video over the network, as well or as badly as a test asks.
//!
//! They are real servers on the loopback interface with real video, and written apart from
//! everything that they test: [`RtspCamera`] speaks RTSP 1.0 (RFC 2326) and sends RTP (RFC 3550)
//! over TCP or UDP, [`MjpegCamera`] sends JPEG pictures over HTTP. A [`Behaviour`] says what they do
//! wrong: how each request is answered, and what happens to the stream at which frame. [`write_film`] makes a
//! file of pictures, for cameras that are files.

mod auth;
mod behaviour;
mod connection;
mod film_file;
mod footage;
mod mjpeg;
mod port;
mod request;
mod rtp;
mod rtsp;
mod sdp;
mod stats;
mod stream;

pub use auth::{Auth, Scheme};
pub use behaviour::{Act, Answer, Behaviour, Stage};
pub use film_file::write_film;
pub use footage::{AccessUnit, Film, Footage, VideoCodec};
pub use mjpeg::{MjpegBehaviour, MjpegCamera};
pub use port::BlackHole;
pub use rtsp::RtspCamera;
pub use stats::Stats;
