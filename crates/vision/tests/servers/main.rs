//! Cameras by other authors: GStreamer's RTSP server, Python's HTTPS.

mod certificate;
mod gstreamer;
mod https;
mod place;
mod rtsp;
mod rtsps;
