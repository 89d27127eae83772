//! Video files.

use gstreamer as gst;
use gstreamer::prelude::*;

use super::{Ending, FrameSource, GstSession, Session};
use crate::error::{Error, Result};
use crate::gst::{add_chain, element};
use crate::settings::CameraSettings;
use crate::url::CameraUrl;

pub(super) struct File {
    url: CameraUrl,
    realtime: bool,
}

impl File {
    pub fn new(settings: &CameraSettings) -> Self {
        Self {
            url: settings.url.clone(),
            realtime: settings.realtime,
        }
    }
}

impl FrameSource for File {
    fn open(&mut self) -> Result<Box<dyn Session>> {
        let path = self.url.location();
        std::fs::File::open(path).map_err(|source| Error::Io {
            operation: "open",
            path: path.into(),
            source,
        })?;
        let session = GstSession::new(true)?;
        let (source, parsebin) = (element("filesrc")?, element("parsebin")?);
        source.set_property("location", path);
        session.pipeline().add_chain(&[&source, &parsebin])?;
        let (sink, pipeline) = (
            session.sink(self.realtime),
            session.pipeline().inner().downgrade(),
        );
        let end = session.ender();
        let video = sink.clone();
        parsebin.connect_pad_added(move |_, pad| {
            let Some(pipeline) = pipeline.upgrade() else {
                return;
            };
            if let Err(error) = attach(&pipeline, pad, &sink) {
                end(Ending::Failed {
                    problem: error.to_string(),
                });
            }
        });
        let end = session.ender();
        parsebin.connect_no_more_pads(move |_| {
            if video.parent().is_none() {
                end(Ending::NoVideo {
                    offered: "other streams".to_owned(),
                });
            }
        });
        session.start()
    }

    fn ends(&self) -> bool {
        true
    }
}

/// Links video to the sink, and anything else to nowhere.
fn attach(pipeline: &gst::Pipeline, pad: &gst::Pad, sink: &gst::Element) -> Result<()> {
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    let name = caps.structure(0).map(|structure| structure.name().as_str());
    let parser = match name {
        Some("video/x-h264") => Some("h264parse"),
        Some("video/x-h265") => Some("h265parse"),
        Some("image/jpeg") => Some("jpegparse"),
        _ => None,
    };
    let chain = match parser {
        Some(parser) if sink.parent().is_none() => vec![element(parser)?, sink.clone()],
        _ => {
            let nowhere = element("fakesink")?;
            nowhere.set_property("sync", false);
            nowhere.set_property("async", false);
            vec![nowhere]
        }
    };
    let all: Vec<&gst::Element> = chain.iter().collect();
    add_chain(pipeline.upcast_ref(), &all)?;
    for element in chain.iter().rev() {
        element
            .sync_state_with_parent()
            .map_err(|_| Error::GStreamer {
                problem: "an element does not start".to_owned(),
            })?;
    }
    let input = chain[0].static_pad("sink").expect("it has a sink");
    pad.link(&input).map_err(|_| Error::GStreamer {
        problem: "the stream cannot be linked".to_owned(),
    })?;
    Ok(())
}
