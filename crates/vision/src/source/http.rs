//! Cameras that send JPEG pictures over HTTP, one after the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gio::prelude::*;
use gstreamer as gst;
use gstreamer_app as gst_app;

use super::sink::monotonic;
use super::{Ending, Explained, FrameSource, GstSession, Session, tls};
use crate::error::Result;
use crate::gst::element;
use crate::mjpeg::MjpegParser;
use crate::settings::{CameraSettings, Tls};
use crate::url::{CameraUrl, Scheme};

/// How long it may take to find out why there is no connection: nobody else is heard meanwhile.
const TRY: Duration = Duration::from_secs(5);

pub(super) struct Http {
    url: CameraUrl,
    tls: Tls,
    read_timeout: Duration,
}

impl Http {
    pub fn new(settings: &CameraSettings) -> Self {
        Self {
            url: settings.url.clone(),
            tls: settings.tls.clone(),
            read_timeout: settings.read_timeout,
        }
    }

    fn source(&self) -> Result<gst::Element> {
        let source = element("souphttpsrc")?;
        source.set_property("location", self.url.location());
        if let Some(credentials) = self.url.credentials() {
            source.set_property("user-id", credentials.user());
            source.set_property("user-pw", credentials.password());
        }
        source.set_property("is-live", true);
        source.set_property("retries", 0_i32);
        source.set_property("keep-alive", false);
        source.set_property("iradio-mode", false);
        source.set_property("user-agent", "keepwatch");
        source.set_property("timeout", seconds(self.read_timeout));
        if self.url.scheme() == Scheme::Https {
            source.set_property("tls-database", tls::database(&self.tls)?);
        }
        Ok(source)
    }
}

impl FrameSource for Http {
    fn open(&mut self) -> Result<Box<dyn Session>> {
        let session = GstSession::new(false)?;
        let source = self.source()?;
        // The stream is taken apart in Rust and goes on as pictures with the time they came.
        let pictures = gst_app::AppSrc::builder()
            .caps(&gst::Caps::builder("image/jpeg").build())
            .is_live(true)
            .format(gst::Format::Time)
            .max_bytes(64 << 20)
            .build();
        let parse = element("jpegparse")?;
        let sink = session.sink(false);
        let answered = Arc::new(AtomicBool::new(false));
        let has_answered = answered.clone();
        let parser = Arc::new(Mutex::new(MjpegParser::new(None)));
        let end = session.ender();
        let out = pictures.clone();
        let start = monotonic();
        let closed = session.ender();
        let callbacks = gst_app::AppSinkCallbacks::builder().eos(move |_| closed(Ending::Closed));
        let callbacks = callbacks.new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            has_answered.store(true, Ordering::Relaxed);
            let buffer = sample.buffer().ok_or(gst::FlowError::Error)?;
            let bytes = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
            let mut parser = parser.lock().unwrap_or_else(PoisonError::into_inner);
            let Ok(frames) = parser.push(&bytes) else {
                end(Ending::Garbage);
                return Err(gst::FlowError::Eos);
            };
            for frame in frames {
                let at = monotonic().saturating_sub(start);
                let mut picture = gst::Buffer::from_slice(frame);
                let time = gst::ClockTime::from_nseconds(at.as_nanos() as u64);
                if let Some(picture) = picture.get_mut() {
                    picture.set_pts(time);
                }
                out.push_buffer(picture)?;
            }
            Ok(gst::FlowSuccess::Ok)
        });
        // It may not wait for the other sink, which gets its first picture through this one.
        let bytes = gst_app::AppSink::builder()
            .sync(false)
            .async_(false)
            .build();
        bytes.set_callbacks(callbacks.build());
        session
            .pipeline()
            .add_chain(&[&source, bytes.upcast_ref()])?;
        session
            .pipeline()
            .add_chain(&[pictures.upcast_ref(), &parse, &sink])?;
        let (url, tls) = (self.url.clone(), self.tls.clone());
        // When there is no connection, GStreamer says no more than that something fails.
        let explain = move |ending| match ending {
            Ending::Garbage if !answered.load(Ordering::Relaxed) => {
                why(&url, &tls).unwrap_or(ending)
            }
            ending => ending,
        };
        let session = session.start()?;
        Ok(Box::new(Explained { session, explain }))
    }
}

/// Why there is no connection, by trying it once more. None if there is one.
fn why(url: &CameraUrl, tls: &Tls) -> Option<Ending> {
    let client = gio::SocketClient::new();
    client.set_timeout(seconds(TRY));
    let none = gio::Cancellable::NONE;
    let port = match url.scheme() {
        Scheme::Https => 443,
        _ => 80,
    };
    let Ok(connection) = client.connect_to_uri(url.location(), port, none) else {
        return Some(Ending::Unreachable);
    };
    if url.scheme() != Scheme::Https {
        return None;
    }
    let host = gio::NetworkAddress::parse_uri(url.location(), port).ok()?;
    let connection = gio::TlsClientConnection::new(&connection, Some(&host)).ok()?;
    connection.set_database(Some(&tls::database(tls).ok()?));
    let failure = connection.handshake(none).err()?;
    let untrusted = failure.matches(gio::TlsError::BadCertificate);
    untrusted.then_some(Ending::Untrusted)
}

/// Whole ones, and one at least.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX).max(1)
}
