//! The end of a source's pipeline: packets out of an appsink, and what the bus says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::{Ending, Next, RawPacket, Session, caps};
use crate::error::Result;
use crate::gst::Pipeline;
use crate::packet::{PacketData, StreamInfo};

/// How many packets may wait: some seconds of video, after which the oldest knowledge is gone
/// anyway.
const QUEUE: usize = 256;

/// What a pipeline says.
enum Said {
    Stream(StreamInfo),
    Packet(RawPacket),
    Ended(Ending),
}

/// A session made of a GStreamer pipeline that ends in [`GstSession::sink`].
pub(crate) struct GstSession {
    pipeline: Pipeline,
    said: Receiver<Said>,
    say: Sender<Said>,
    dropped: Arc<AtomicU64>,
    /// A finite source waits for its reader; a live one drops what nobody takes.
    finite: bool,
}

impl GstSession {
    /// Around an empty pipeline.
    pub fn new(finite: bool) -> Result<Self> {
        let pipeline = Pipeline::new()?;
        let (say, said) = bounded(QUEUE);
        let session = Self {
            pipeline,
            said,
            say,
            dropped: Arc::new(AtomicU64::new(0)),
            finite,
        };
        session.listen();
        Ok(session)
    }

    /// The pipeline, to build the source in.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Starts it.
    pub fn start(self) -> Result<Box<dyn Session>> {
        // When it does not start, the bus knows better why.
        if let Err(error) = self.pipeline.play() {
            let ending = Ending::Failed {
                problem: error.to_string(),
            };
            let _ = self.say.try_send(Said::Ended(ending));
        }
        Ok(Box::new(self))
    }

    /// Says that it is over, from any thread.
    pub fn ender(&self) -> impl Fn(Ending) + Send + Sync + 'static {
        let say = self.say.clone();
        move |ending| {
            let _ = say.send_timeout(Said::Ended(ending), Duration::from_millis(100));
        }
    }

    /// The sink that a source links its encoded video to.
    pub fn sink(&self, realtime: bool) -> gst::Element {
        let sink = gst_app::AppSink::builder()
            .caps(&caps::wanted())
            .sync(realtime)
            .max_buffers(8)
            .enable_last_sample(false)
            .wait_on_eos(false)
            .build();
        let (say, dropped, finite) = (self.say.clone(), self.dropped.clone(), self.finite);
        let mut known: Option<gst::Caps> = None;
        let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let deliver = |said: Said| -> bool {
                if finite {
                    return say.send(said).is_ok();
                }
                match say.try_send(said) {
                    Ok(()) => true,
                    Err(TrySendError::Full(_)) => {
                        dropped.fetch_add(1, Ordering::Relaxed);
                        true
                    }
                    Err(TrySendError::Disconnected(_)) => false,
                }
            };
            if let Some(caps) = sample.caps()
                && known.as_deref() != Some(caps)
            {
                known = Some(caps.to_owned());
                let said = match caps::stream_info(caps) {
                    Some(info) => Said::Stream(info),
                    None => Said::Ended(Ending::Garbage),
                };
                if !deliver(said) {
                    return Err(gst::FlowError::Eos);
                }
            }
            let Some(packet) = sample.buffer_owned().and_then(packet) else {
                return Ok(gst::FlowSuccess::Ok);
            };
            match deliver(Said::Packet(packet)) {
                true => Ok(gst::FlowSuccess::Ok),
                false => Err(gst::FlowError::Eos),
            }
        });
        sink.set_callbacks(callbacks.build());
        sink.upcast()
    }

    /// Turns messages on the bus into endings, on whatever thread posts them.
    fn listen(&self) {
        let say = self.ender();
        let finite = self.finite;
        self.pipeline.bus().set_sync_handler(move |_, message| {
            match message.view() {
                gst::MessageView::Eos(_) => say(match finite {
                    true => Ending::Finished,
                    false => Ending::Closed,
                }),
                gst::MessageView::Error(error) => say(ending_of(&error.error())),
                gst::MessageView::Element(element) => {
                    let timed_out = element
                        .structure()
                        .is_some_and(|s| s.name() == "GstRTSPSrcTimeout");
                    if timed_out {
                        say(Ending::Silent { streaming: true });
                    }
                }
                _ => {}
            }
            gst::BusSyncReply::Drop
        });
    }
}

impl Session for GstSession {
    fn next(&mut self, timeout: Duration) -> Next {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            return Next::Dropped(dropped);
        }
        match self.said.recv_timeout(timeout) {
            Ok(Said::Stream(info)) => Next::Stream(info),
            Ok(Said::Packet(packet)) => Next::Packet(packet),
            Ok(Said::Ended(ending)) => Next::Ended(ending),
            Err(RecvTimeoutError::Timeout) => Next::Nothing,
            Err(RecvTimeoutError::Disconnected) => Next::Ended(Ending::Closed),
        }
    }
}

impl Drop for GstSession {
    fn drop(&mut self) {
        // Whoever waits for room is let go, so that the pipeline can stop.
        let (_, nobody) = bounded(0);
        self.said = nobody;
    }
}

/// What an error of GStreamer means. Its debug text is never shown: it may hold the password.
fn ending_of(error: &glib::Error) -> Ending {
    if let Some(kind) = error.kind::<gst::ResourceError>() {
        return match kind {
            gst::ResourceError::NotAuthorized => Ending::Unauthorized,
            gst::ResourceError::NotFound => Ending::NotFound,
            gst::ResourceError::OpenRead
            | gst::ResourceError::OpenReadWrite
            | gst::ResourceError::OpenWrite
            | gst::ResourceError::Busy => Ending::Unreachable,
            gst::ResourceError::Read | gst::ResourceError::Write => Ending::Closed,
            gst::ResourceError::Settings => Ending::Garbage,
            other => Ending::Failed {
                problem: format!("the connection fails: {other:?}"),
            },
        };
    }
    if let Some(kind) = error.kind::<gst::StreamError>() {
        return match kind {
            gst::StreamError::CodecNotFound | gst::StreamError::WrongType => Ending::NoVideo {
                offered: "something else".to_owned(),
            },
            _ => Ending::Garbage,
        };
    }
    Ending::Failed {
        problem: "the pipeline fails".to_owned(),
    }
}

fn packet(buffer: gst::Buffer) -> Option<RawPacket> {
    let flags = buffer.flags();
    if flags.contains(gst::BufferFlags::HEADER) && buffer.pts().is_none() {
        return None;
    }
    let time = |time: gst::ClockTime| Duration::from_nanos(time.nseconds());
    let pts = buffer.pts().or(buffer.dts()).map(time)?;
    let (dts, duration) = (buffer.dts().map(time), buffer.duration().map(time));
    let key = !flags.contains(gst::BufferFlags::DELTA_UNIT);
    let mapped = buffer.into_mapped_buffer_readable().ok()?;
    Some(RawPacket {
        data: PacketData::new(mapped),
        pts,
        dts,
        duration: duration.filter(|duration| !duration.is_zero()),
        key,
    })
}

/// Time since the process began to look at it.
pub(crate) fn monotonic() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
