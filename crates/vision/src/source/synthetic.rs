//! A test pattern, for trying things out without a camera.

use gstreamer as gst;
use gstreamer::prelude::*;

use super::{FrameSource, GstSession, Session};
use crate::error::Result;
use crate::gst::element;
use crate::settings::CameraSettings;
use crate::url::CameraUrl;

pub(super) struct Synthetic {
    url: CameraUrl,
}

impl Synthetic {
    pub fn new(settings: &CameraSettings) -> Self {
        Self {
            url: settings.url.clone(),
        }
    }
}

impl FrameSource for Synthetic {
    fn open(&mut self) -> Result<Box<dyn Session>> {
        let session = GstSession::new(false)?;
        let source = element("videotestsrc")?;
        source.set_property("is-live", true);
        let pattern = match self.url.location() {
            "" => "ball",
            name => name,
        };
        let known = source
            .property_type("pattern")
            .and_then(gst::glib::EnumClass::with_type);
        if known.is_none_or(|class| class.value_by_nick(pattern).is_none()) {
            return Err(crate::Error::Setting {
                name: "url",
                problem: format!("there is no test pattern {pattern:?}"),
            });
        }
        source.set_property_from_str("pattern", pattern);
        let filter = element("capsfilter")?;
        let caps = gst::Caps::builder("video/x-raw")
            .field("format", "I420")
            .field("width", 640)
            .field("height", 360)
            .field("framerate", gst::Fraction::new(15, 1))
            .build();
        filter.set_property("caps", caps);
        let (encode, sink) = (element("jpegenc")?, session.sink(false));
        session
            .pipeline()
            .add_chain(&[&source, &filter, &encode, &sink])?;
        session.start()
    }
}
