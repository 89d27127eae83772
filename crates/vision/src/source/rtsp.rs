//! RTSP cameras, through `rtspsrc`.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_rtsp::rtsp_message::RTSPMessage;

use super::{Ending, Explained, FrameSource, GstSession, Session, tls};
use crate::error::{Error, Result};
use crate::gst::{add_chain, element};
use crate::settings::{CameraSettings, Tls, Transport};
use crate::url::{CameraUrl, Scheme};

/// How long packets wait for ones that were overtaken; over TCP none is.
const UDP_LATENCY: Duration = Duration::from_millis(200);

/// How long a camera may take to say goodbye: some never do.
const TEARDOWN: Duration = Duration::from_millis(100);

pub(super) struct Rtsp {
    url: CameraUrl,
    transport: Transport,
    tls: Tls,
    read_timeout: Duration,
}

impl Rtsp {
    pub fn new(settings: &CameraSettings) -> Self {
        Self {
            url: settings.url.clone(),
            transport: settings.transport,
            tls: settings.tls.clone(),
            read_timeout: settings.read_timeout,
        }
    }

    fn source(&self) -> Result<gst::Element> {
        let source = element("rtspsrc")?;
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        // Never with the credentials in it: GStreamer shows the location in messages and logs.
        source.set_property("location", self.url.location());
        if let Some(credentials) = self.url.credentials() {
            source.set_property("user-id", credentials.user());
            source.set_property("user-pw", credentials.password());
        }
        let (protocols, latency) = match self.transport {
            Transport::Tcp => ("tcp", Duration::ZERO),
            Transport::Udp => ("udp", UDP_LATENCY),
        };
        source.set_property_from_str("protocols", protocols);
        source.set_property("latency", latency.as_millis() as u32);
        source.set_property("drop-on-latency", true);
        source.set_property("timeout", 0_u64);
        // Our own clock is to run out first: what this one says looks like a closed connection.
        source.set_property("tcp-timeout", micros(self.read_timeout * 2));
        source.set_property("teardown-timeout", TEARDOWN.as_nanos() as u64);
        source.set_property("user-agent", "keepwatch");
        Ok(source)
    }
}

impl FrameSource for Rtsp {
    fn open(&mut self) -> Result<Box<dyn Session>> {
        let session = GstSession::new(false)?;
        let source = self.source()?;
        if self.url.scheme() == Scheme::Rtsps {
            let end = session.ender();
            tls::judge(&source, &self.tls, move || end(Ending::Untrusted))?;
        }
        session.pipeline().add_chain(&[&source])?;

        guard_password(&source, session.ender());

        // One video stream is taken; sound, metadata and back channels would only cost.
        let chosen = Arc::new(Mutex::new(Choice::default()));
        let choice = chosen.clone();
        source.connect("select-stream", false, move |values| {
            let caps = values.get(2).and_then(|caps| caps.get::<gst::Caps>().ok());
            let mut choice = choice.lock().unwrap_or_else(PoisonError::into_inner);
            Some(choice.take(caps.as_ref()).to_value())
        });

        let (sink, pipeline) = (session.sink(false), session.pipeline().inner().downgrade());
        let end = session.ender();
        let entry = Mutex::new(None);
        source.connect_pad_added(move |_, pad| {
            let Some(pipeline) = pipeline.upgrade() else {
                return;
            };
            let mut entry = entry.lock().unwrap_or_else(PoisonError::into_inner);
            let attached = match entry.take() {
                None => attach(&pipeline, pad, &sink),
                // The sender calls itself by another number from here on.
                Some(entry) => relink(pad, entry),
            };
            match attached {
                Ok(now) => *entry = now,
                Err(error) => end(Ending::Failed {
                    problem: error.to_string(),
                }),
            }
        });
        let end = session.ender();
        let choice = chosen.clone();
        source.connect_no_more_pads(move |_| {
            let choice = choice.lock().unwrap_or_else(PoisonError::into_inner);
            if !choice.taken {
                end(choice.ending());
            }
        });
        // What GStreamer says is the same for each of these.
        let explain = move |ending| match ending {
            Ending::NoVideo { .. } => {
                let choice = chosen.lock().unwrap_or_else(PoisonError::into_inner);
                choice.ending()
            }
            ending => ending,
        };
        let session = session.start()?;
        Ok(Box::new(Explained { session, explain }))
    }
}

/// Lets a wrong password be tried once in a session.
///
/// `rtspsrc` tries it eight times, and many cameras lock a user out after five. A request that goes
/// out again with an answer to a challenge in it was refused with that answer.
fn guard_password(source: &gst::Element, end: impl Fn(Ending) + Send + Sync + 'static) {
    let described = Arc::new(AtomicBool::new(false));
    let is_described = described.clone();
    source.connect("on-sdp", false, move |_| {
        described.store(true, Ordering::Relaxed);
        None
    });
    let repeated = AtomicU32::new(0);
    source.connect("before-send", false, move |values| {
        let message = values.get(1)?.get::<RTSPMessage>().ok()?;
        if message.parse_auth_credentials().is_empty() {
            repeated.store(0, Ordering::Relaxed);
            return Some(true.to_value());
        }
        // A password that was right before meets a challenge that has grown old.
        let allowed = u32::from(is_described.load(Ordering::Relaxed));
        let goes = repeated.fetch_add(1, Ordering::Relaxed) < allowed;
        if !goes {
            end(Ending::Unauthorized);
        }
        Some(goes.to_value())
    });
}

/// Which of the offered streams is taken.
#[derive(Default)]
struct Choice {
    taken: bool,
    refused: Vec<String>,
}

impl Choice {
    fn take(&mut self, caps: Option<&gst::Caps>) -> bool {
        let structure = caps.and_then(|caps| caps.structure(0));
        let text = |name| structure.and_then(|s| s.get::<String>(name).ok());
        let media = text("media").unwrap_or_default();
        let encoding = text("encoding-name").unwrap_or_default();
        if !self.taken && media == "video" && depayloader(&encoding).is_some() {
            self.taken = true;
            return true;
        }
        // Both come from the camera: nothing of any length, or that a terminal would obey.
        let printable = |text: &str| -> String {
            let text = text.chars().filter(char::is_ascii_graphic);
            text.take(32).collect()
        };
        if self.refused.len() < 8 {
            let (media, encoding) = (printable(&media), printable(&encoding));
            self.refused.push(format!("{media} {encoding}"));
        }
        false
    }

    /// Why there is no video. What was taken and does not come is not sent in this way.
    fn ending(&self) -> Ending {
        let offered = match self.refused.is_empty() {
            true => "nothing".to_owned(),
            false => self.refused.join(", "),
        };
        match self.taken {
            true => Ending::Transport,
            false => Ending::NoVideo { offered },
        }
    }
}

fn depayloader(encoding: &str) -> Option<(&'static str, &'static str)> {
    match encoding {
        "H264" => Some(("rtph264depay", "h264parse")),
        "H265" => Some(("rtph265depay", "h265parse")),
        "JPEG" => Some(("rtpjpegdepay", "jpegparse")),
        _ => None,
    }
}

/// Builds what takes packets apart. Gives where they go in; none if they are not understood.
fn attach(
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    sink: &gst::Element,
) -> Result<Option<gst::Pad>> {
    let caps = pad.current_caps();
    let structure = caps.as_ref().and_then(|caps| caps.structure(0));
    let encoding = structure.and_then(|s| s.get::<String>("encoding-name").ok());
    let Some((depay, parse)) = depayloader(&encoding.unwrap_or_default()) else {
        return Ok(None);
    };
    let (depay, parse) = (element(depay)?, element(parse)?);
    if depay.has_property("wait-for-keyframe") {
        depay.set_property("wait-for-keyframe", true);
    }
    add_chain(pipeline.upcast_ref(), &[&depay, &parse, sink])?;
    let failed = |_: glib::BoolError| Error::GStreamer {
        problem: "an element does not start".to_owned(),
    };
    for element in [sink, &parse, &depay] {
        element.sync_state_with_parent().map_err(failed)?;
    }
    relink(
        pad,
        depay.static_pad("sink").expect("a depayloader has a sink"),
    )
}

/// Lets packets come from `pad`, and from nowhere else.
fn relink(pad: &gst::Pad, entry: gst::Pad) -> Result<Option<gst::Pad>> {
    if let Some(before) = entry.peer() {
        // It fails when the other side is gone already.
        let _ = before.unlink(&entry);
    }
    pad.link(&entry).map_err(|_| Error::GStreamer {
        problem: "the stream cannot be linked".to_owned(),
    })?;
    Ok(Some(entry))
}
