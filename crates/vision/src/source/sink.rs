//! The end of a source's pipeline: packets out of an appsink, and what the bus says.

use std::sync::{Arc, OnceLock};
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
    /// So many packets are missing here.
    Dropped(u64),
    /// Look whether it is over.
    Look,
}

/// A session made of a GStreamer pipeline that ends in [`GstSession::sink`].
pub(crate) struct GstSession {
    pipeline: Pipeline,
    said: Receiver<Said>,
    say: Sender<Said>,
    /// The first reason that was given for its end. It has a place of its own: the queue may be
    /// full, and the end must not be lost.
    ending: Arc<OnceLock<Ending>>,
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
            ending: Arc::default(),
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
            self.ender()(Ending::Failed {
                problem: error.to_string(),
            });
        }
        Ok(Box::new(self))
    }

    /// Says that it is over, from any thread.
    pub fn ender(&self) -> impl Fn(Ending) + Send + Sync + 'static {
        end_with(self.ending.clone(), self.say.clone())
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
        let (end, mut known) = (self.ender(), None::<(gst::Caps, StreamInfo)>);
        let mut out = Outlet {
            say: self.say.clone(),
            finite: self.finite,
            dropped: 0,
        };
        let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if let Some(caps) = sample.caps()
                && known.as_ref().is_none_or(|(known, _)| **known != *caps)
            {
                let Some(info) = caps::stream_info(caps) else {
                    end(Ending::Garbage);
                    return Err(gst::FlowError::Eos);
                };
                let is_known = known.as_ref().is_some_and(|(_, known)| info.is_like(known));
                if !is_known && !out.deliver(Said::Stream(info.clone()))? {
                    return Ok(gst::FlowSuccess::Ok);
                }
                known = Some((caps.to_owned(), info));
            }
            if let Some(packet) = sample.buffer_owned().and_then(packet) {
                out.deliver(Said::Packet(packet))?;
            }
            Ok(gst::FlowSuccess::Ok)
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
                gst::MessageView::Error(error) => say(ending_of(error)),
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
        next_of(&self.said, &self.ending, timeout)
    }
}

/// The way out of a pipeline.
struct Outlet {
    say: Sender<Said>,
    finite: bool,
    /// What was dropped since something was taken.
    dropped: u64,
}

impl Outlet {
    /// Gives whether it was taken. What is missing is said before what comes after it.
    fn deliver(&mut self, said: Said) -> Result<bool, gst::FlowError> {
        if self.finite {
            return self
                .say
                .send(said)
                .map(|()| true)
                .map_err(|_| gst::FlowError::Eos);
        }
        if self.dropped > 0 && self.try_say(Said::Dropped(self.dropped))? {
            self.dropped = 0;
        }
        let taken = self.dropped == 0 && self.try_say(said)?;
        self.dropped += u64::from(!taken);
        Ok(taken)
    }

    fn try_say(&self, said: Said) -> Result<bool, gst::FlowError> {
        match self.say.try_send(said) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(_)) => Ok(false),
            Err(TrySendError::Disconnected(_)) => Err(gst::FlowError::Eos),
        }
    }
}

/// Says that it is over, without ever waiting.
fn end_with(
    ending: Arc<OnceLock<Ending>>,
    say: Sender<Said>,
) -> impl Fn(Ending) + Send + Sync + 'static {
    move |reason| {
        let _ = ending.set(reason);
        // With a full queue, whoever takes from it will look by itself.
        let _ = say.try_send(Said::Look);
    }
}

/// What was said before the end comes before the end.
fn next_of(said: &Receiver<Said>, ending: &OnceLock<Ending>, timeout: Duration) -> Next {
    loop {
        let next = match (said.try_recv(), ending.get()) {
            (Ok(next), _) => next,
            (Err(_), Some(ending)) => return Next::Ended(ending.clone()),
            (Err(_), None) => match said.recv_timeout(timeout) {
                Ok(next) => next,
                Err(RecvTimeoutError::Timeout) => return Next::Nothing,
                Err(RecvTimeoutError::Disconnected) => return Next::Ended(Ending::Closed),
            },
        };
        match next {
            Said::Stream(info) => return Next::Stream(info),
            Said::Packet(packet) => return Next::Packet(packet),
            Said::Dropped(count) => return Next::Dropped(count),
            Said::Look => {}
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
fn ending_of(message: &gst::message::Error) -> Ending {
    match status(message) {
        Some(401 | 403) => return Ending::Unauthorized,
        Some(404) => return Ending::NotFound,
        // Those of 200 and 300 come with what is wrong besides.
        Some(status @ 400..) => return Ending::Refused { status },
        _ => {}
    }
    // How `gst_rtsp_strresult` calls it; there is no other sign.
    let unreadable = |text: glib::GString| text.contains("(Parse error)");
    if message.debug().is_some_and(unreadable) {
        return Ending::Garbage;
    }
    let error = message.error();
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

/// The status that a camera answered with.
fn status(error: &gst::message::Error) -> Option<u32> {
    let named = |name| error.details()?.get::<u32>(name).ok();
    // Some errors of `rtspsrc` have it in their text alone.
    let written = || {
        let debug = error.debug()?;
        let (_, text) = debug.rsplit_once("Error (")?;
        text.split_once(')')?.0.parse().ok()
    };
    named("rtsp-status-code")
        .or_else(|| named("http-status-code"))
        .or_else(written)
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
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(pts: u64) -> RawPacket {
        RawPacket {
            data: PacketData::new([0]),
            pts: Duration::from_secs(pts),
            dts: None,
            duration: None,
            key: true,
        }
    }

    #[test]
    fn what_was_dropped_is_said_where_it_is_missing() {
        let (say, said) = bounded(3);
        let ending = OnceLock::new();
        let mut out = Outlet {
            say,
            finite: false,
            dropped: 0,
        };
        let mut told = Vec::new();
        let mut take = |count| {
            for _ in 0..count {
                told.push(match next_of(&said, &ending, Duration::ZERO) {
                    Next::Packet(packet) => format!("{}", packet.pts.as_secs()),
                    Next::Dropped(count) => format!("dropped {count}"),
                    other => panic!("{other:?}"),
                });
            }
        };
        for pts in 0..6 {
            out.deliver(Said::Packet(packet(pts)))
                .expect("somebody is there");
        }
        take(1);
        // There is room for saying so, and for nothing else.
        assert_eq!(out.deliver(Said::Packet(packet(6))), Ok(false));
        take(3);
        assert_eq!(out.deliver(Said::Packet(packet(7))), Ok(true));
        take(2);
        assert_eq!(told, ["0", "1", "2", "dropped 3", "dropped 1", "7"]);
    }

    #[test]
    fn the_end_is_not_lost_in_a_full_queue_and_comes_last() {
        let (say, said) = bounded(3);
        let ending = Arc::new(OnceLock::new());
        for pts in 0..3 {
            assert!(say.try_send(Said::Packet(packet(pts))).is_ok());
        }
        let end = end_with(ending.clone(), say.clone());
        end(Ending::Finished);
        end(Ending::Garbage);
        for pts in 0..3 {
            let Next::Packet(packet) = next_of(&said, &ending, Duration::ZERO) else {
                panic!("packet {pts} is lost");
            };
            assert_eq!(packet.pts, Duration::from_secs(pts));
        }
        let Next::Ended(reason) = next_of(&said, &ending, Duration::ZERO) else {
            panic!("the end is lost");
        };
        assert_eq!(reason, Ending::Finished);
    }
}
