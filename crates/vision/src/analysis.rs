//! From packets to motion events, on a thread of its own for each camera.

mod analyst;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use keepwatch_core::events::{EventId, Region};
use keepwatch_core::jiff::Timestamp;

use crate::camera::{Common, Panel};
use crate::decoder::Frame;
use crate::error::{Error, Result};
use crate::packet::{Packet, StreamInfo};
use crate::settings::CameraSettings;
use analyst::Analyst;

/// Packets that may wait for the analysis.
const QUEUE: usize = 64;

/// A camera may send for so many times its read timeout what gives no picture.
pub(crate) const BLIND_FACTOR: u32 = 3;

/// What the analysis is told.
pub(crate) enum Input {
    /// What the following packets are.
    Stream(StreamInfo),
    /// A packet.
    Packet(Packet),
    /// Packets are missing here.
    Lost,
    /// The session with the camera is over: whatever happens ends here.
    Over { reason: &'static str },
    /// Answer when everything before is done.
    Flush(Sender<()>),
}

/// What the analysis wants recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    /// A clip for the event, of what is shown from here on and the pre-roll before it.
    Begin {
        id: EventId,
        from: Duration,
        pre_roll: bool,
    },
    /// The event ended here; the post-roll follows.
    End { id: EventId, at: Duration },
}

/// The best picture of an event so far.
pub(crate) struct Best {
    pub id: EventId,
    pub frame: Frame,
    pub at: Timestamp,
    pub score: f32,
    /// Parts of it that are made unrecognisable.
    pub blur: Vec<Region>,
}

/// What the analysis says.
pub(crate) enum Output {
    Wish(Wish),
    Snapshot(Best),
    /// Packets come and come, and no picture comes out of them.
    Undecodable,
}

/// Takes packets, and never blocks the camera unless it is a file.
pub(crate) struct Analysis {
    input: Option<Sender<Input>>,
    pub output: Receiver<Output>,
    thread: Option<JoinHandle<()>>,
    patient: bool,
    /// A packet was not taken: the next one is preceded by [`Input::Lost`].
    lost: AtomicBool,
}

impl Analysis {
    pub fn start(
        camera: String,
        settings: CameraSettings,
        common: &Common<'_>,
        panel: &Panel,
        patient: bool,
    ) -> Result<Self> {
        let (input, taken) = bounded(QUEUE);
        let (say, output) = crossbeam_channel::unbounded();
        let mut analyst = Analyst::new(camera, settings, common, panel, say);
        if let Some(recognition) = common.recognition {
            analyst.recognize(recognition, patient)?;
        }
        let thread = std::thread::Builder::new()
            .name("analysis".to_owned())
            .spawn(move || analyst.run(&taken))
            .map_err(Error::thread)?;
        Ok(Self {
            input: Some(input),
            output,
            thread: Some(thread),
            patient,
            lost: AtomicBool::new(false),
        })
    }

    /// How many packets wait.
    pub fn waiting(&self) -> usize {
        self.input.as_ref().map_or(0, Sender::len)
    }

    /// Hands a packet over; gives the number of packets that were dropped instead.
    pub fn packet(&self, packet: Packet) -> u64 {
        if self.patient {
            self.send(Input::Packet(packet));
            return 0;
        }
        let input = self.input.as_ref().expect("it is open until dropped");
        if self.lost.load(Ordering::Relaxed) {
            match input.try_send(Input::Lost) {
                Ok(()) => self.lost.store(false, Ordering::Relaxed),
                Err(_) => return 1,
            }
        }
        match input.try_send(Input::Packet(packet)) {
            Ok(()) => 0,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.lost.store(true, Ordering::Relaxed);
                1
            }
        }
    }

    /// Hands over what must not be dropped.
    pub fn send(&self, input: Input) {
        let sender = self.input.as_ref().expect("it is open until dropped");
        if sender.send(input).is_err() {
            tracing::error!("the analysis is gone");
        }
    }
}

impl Drop for Analysis {
    fn drop(&mut self) {
        self.input = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the analysis has panicked");
        }
    }
}
