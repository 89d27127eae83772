//! A look at a camera: what it sends, how, and what is wrong with it.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::Result;
use crate::packet::Codec;
use crate::settings::CameraSettings;
use crate::source::{self, Next};

/// Key frames further apart than this make clips begin early and events be seen late.
const LONG_GOP: Duration = Duration::from_secs(4);

/// What a camera sends.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Probe {
    /// The camera, without user and password.
    pub url: String,
    /// The codec.
    pub codec: Option<Codec>,
    /// The width of the picture in pixels.
    pub width: u32,
    /// Its height.
    pub height: u32,
    /// Frames a second, as counted.
    pub fps: Option<f64>,
    /// Frames a second, as the stream says.
    pub declared_fps: Option<f64>,
    /// Frames from one key frame to the next, the most that was seen.
    pub gop_frames: Option<u32>,
    /// The same in seconds.
    pub gop_seconds: Option<f64>,
    /// Bits a second.
    pub bits_per_second: Option<f64>,
    /// From the attempt to connect to the first frame, in seconds.
    pub first_frame_seconds: Option<f64>,
    /// From there to the first frame that can be shown.
    pub first_key_seconds: Option<f64>,
    /// Frames that came.
    pub frames: u64,
    /// What is wrong, or will be.
    pub problems: Vec<String>,
}

impl Probe {
    /// Whether pictures came that can be used.
    pub fn works(&self) -> bool {
        self.first_key_seconds.is_some()
    }
}

/// Looks at a camera for so long, or until it is clear that it does not work. Blocks so long.
///
/// # Errors
/// When it cannot be tried here at all: a plugin is missing, a setting cannot work. What is wrong
/// with the camera is in the result.
pub fn probe(settings: &CameraSettings, time: Duration) -> Result<Probe> {
    settings.validate()?;
    let mut source = source::of(settings);
    let began = Instant::now();
    let mut session = source.open()?;
    let mut look = Look::default();
    let mut result = Probe {
        url: settings.url.to_string(),
        ..Probe::default()
    };
    let mut last = Instant::now();
    let deadline = loop {
        // The time counts from the first frame: connecting may take long.
        let from = look.first.unwrap_or(last);
        if look.first.is_some() && from.elapsed() >= time {
            break None;
        }
        match session.next(Duration::from_millis(100)) {
            Next::Stream(info) => {
                if result.codec.is_some() {
                    result
                        .problems
                        .push("the stream changes while it runs".to_owned());
                }
                result.codec = Some(info.codec);
                (result.width, result.height) = (info.width, info.height);
                let declared = info.frame_rate.map(|(n, d)| f64::from(n) / f64::from(d));
                result.declared_fps = declared;
            }
            Next::Packet(packet) => {
                last = Instant::now();
                look.take(packet.pts, packet.key, packet.data.as_ref().len());
            }
            Next::Dropped(_) => {}
            Next::Nothing if last.elapsed() < settings.read_timeout => {}
            Next::Nothing => break Some("nothing comes any more".to_owned()),
            Next::Ended(source::Ending::Finished) => break None,
            Next::Ended(ending) => break Some(ending.to_string()),
        }
    };
    result.problems.extend(deadline);
    look.sum_up(began, &mut result);
    Ok(result)
}

/// What was seen so far.
#[derive(Default)]
struct Look {
    first: Option<Instant>,
    first_key: Option<Instant>,
    pts: Option<(Duration, Duration)>,
    frames: u64,
    bytes: u64,
    last_key: Option<(u64, Duration)>,
    gop: Option<(u64, Duration)>,
    backwards: bool,
}

impl Look {
    fn take(&mut self, pts: Duration, key: bool, len: usize) {
        let now = Instant::now();
        self.first.get_or_insert(now);
        if key {
            self.first_key.get_or_insert(now);
            if let Some((frame, at)) = self.last_key {
                let gop = (self.frames - frame, pts.saturating_sub(at));
                self.gop = self.gop.max(Some(gop));
            }
            self.last_key = Some((self.frames, pts));
        }
        let (first, last) = self.pts.unwrap_or((pts, pts));
        // Frames that are shown in another order than sent step back a little.
        self.backwards |= pts + Duration::from_secs(2) < last;
        self.pts = Some((first, pts.max(last)));
        self.frames += 1;
        self.bytes += len as u64;
    }

    fn sum_up(&self, began: Instant, result: &mut Probe) {
        let since = |from: Instant, to: Option<Instant>| Some((to? - from).as_secs_f64());
        result.frames = self.frames;
        result.first_frame_seconds = since(began, self.first);
        result.first_key_seconds = self.first.and_then(|first| since(first, self.first_key));
        if let Some((first, last)) = self.pts.filter(|_| self.frames > 1) {
            let span = (last.saturating_sub(first)).as_secs_f64().max(1e-3);
            result.fps = Some((self.frames - 1) as f64 / span);
            result.bits_per_second = Some(self.bytes as f64 * 8.0 / span);
        }
        if let Some((frames, span)) = self.gop {
            result.gop_frames = u32::try_from(frames).ok();
            result.gop_seconds = Some(span.as_secs_f64());
        }
        let mut problem = |text: &str| result.problems.push(text.to_owned());
        match (self.frames, self.first_key, self.gop) {
            (0, ..) => {}
            (_, None, _) => problem("no key frame came"),
            (_, _, Some((_, span))) if span > LONG_GOP => problem(
                "key frames are more than 4 s apart: set the key frame interval of the camera to 2 s",
            ),
            _ => {}
        }
        if self.backwards {
            problem("the camera's timestamps jump back");
        }
    }
}
