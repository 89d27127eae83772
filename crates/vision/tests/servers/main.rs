//! Cameras by other authors: GStreamer's RTSP server, VLC, Python's HTTPS.

mod certificate;
mod gstreamer;
mod https;
mod place;
mod rtsp;
mod rtsps;
mod vlc;
