//! Cameras that send JPEG pictures over HTTP, one after the other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::sink::monotonic;
use super::{Ending, FrameSource, GstSession, Session};
use crate::error::{Error, Result};
use crate::gst::element;
use crate::mjpeg::MjpegParser;
use crate::settings::{CameraSettings, Tls};
use crate::url::CameraUrl;

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
        source.set_property("timeout", self.read_timeout.as_secs().max(1) as u32);
        match &self.tls {
            Tls::System => {}
            Tls::CaFile(path) => {
                super::tls::database(&self.tls)?;
                source.set_property("ssl-ca-file", path.display().to_string());
            }
            Tls::Sha256(_) => {
                return Err(Error::Setting {
                    name: "tls",
                    problem: "a pin by SHA-256 works for rtsps only; use ca_file with the \
                              camera's own certificate"
                        .to_owned(),
                });
            }
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
        let parser = Arc::new(Mutex::new(MjpegParser::new(None)));
        let end = session.ender();
        let out = pictures.clone();
        let start = monotonic();
        let closed = session.ender();
        let callbacks = gst_app::AppSinkCallbacks::builder().eos(move |_| closed(Ending::Closed));
        let callbacks = callbacks.new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
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
        let bytes = gst_app::AppSink::builder().sync(false).build();
        bytes.set_callbacks(callbacks.build());
        session
            .pipeline()
            .add_chain(&[&source, bytes.upcast_ref()])?;
        session
            .pipeline()
            .add_chain(&[pictures.upcast_ref(), &parse, &sink])?;
        session.start()
    }
}
