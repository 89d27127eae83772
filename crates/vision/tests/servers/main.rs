//! Cameras by other authors: GStreamer's RTSP server.

mod certificate;
mod gstreamer;
mod place;
mod rtsp;
mod rtsps;
