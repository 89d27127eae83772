//! Cameras of this machine, through V4L2.

use gstreamer as gst;
use gstreamer::prelude::*;

use super::{FrameSource, GstSession, Session};
use crate::error::Result;
use crate::gst::element;
use crate::settings::CameraSettings;
use crate::url::CameraUrl;

pub(super) struct Device {
    url: CameraUrl,
}

impl Device {
    pub fn new(settings: &CameraSettings) -> Self {
        Self {
            url: settings.url.clone(),
        }
    }
}

impl FrameSource for Device {
    /// What the device encodes is taken as it is; raw pictures are compressed to JPEG here.
    fn open(&mut self) -> Result<Box<dyn Session>> {
        let session = GstSession::new(false)?;
        let source = element("v4l2src")?;
        source.set_property("device", self.url.location());
        // Only an opened device tells what it can do.
        let opened = source.set_state(gst::State::Ready);
        let offered = source.static_pad("src").map(|pad| pad.query_caps(None));
        let offers = |name: &str| {
            let caps = opened.ok().and(offered.as_ref());
            caps.is_some_and(|caps| caps.iter().any(|structure| structure.name() == name))
        };
        let (form, chain) = if offers("video/x-h264") {
            ("video/x-h264", vec![element("h264parse")?])
        } else if offers("image/jpeg") {
            ("image/jpeg", vec![element("jpegparse")?])
        } else {
            let convert = element("videoconvert")?;
            ("video/x-raw", vec![convert, element("jpegenc")?])
        };
        let filter = element("capsfilter")?;
        filter.set_property("caps", gst::Caps::new_empty_simple(form));
        let sink = session.sink(false);
        let mut all = vec![&source, &filter];
        all.extend(&chain);
        all.push(&sink);
        session.pipeline().add_chain(&all)?;
        session.start()
    }
}
