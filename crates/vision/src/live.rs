//! What cameras show now, for those who look on.
//!
//! Whoever looks on gives a sink, which is handed items as they come: on the thread of the camera, or
//! on that of its pictures. It must not wait for anybody, and must not call the [`Watch`] that it was
//! given to: a queue with bounds is what belongs behind it. One that has no room says so and misses
//! something; nobody else does.
//!
//! ```no_run
//! use keepwatch_vision::live::{Handed, LiveItem};
//! # fn look(watch: &keepwatch_vision::Watch, send: impl Fn(&[u8])) -> keepwatch_vision::Result<()> {
//! let (say, told) = std::sync::mpsc::sync_channel(32);
//! watch.live("door", move |item| match say.try_send(item) {
//!     Ok(()) => Handed::Taken,
//!     Err(std::sync::mpsc::TrySendError::Full(_)) => Handed::Full,
//!     Err(std::sync::mpsc::TrySendError::Disconnected(_)) => Handed::Gone,
//! })?;
//! for item in told {
//!     match item {
//!         LiveItem::Stream { mime, init, .. } => send(&init),
//!         LiveItem::Fragment(fragment) => send(&fragment.bytes),
//!         LiveItem::Ended => break,
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A player shows frames when their time has come, which goes on from when the program began: it has to
//! begin near the end of what it has, which is buffered from the first fragment on. Where a camera
//! shows frames in another order than it sends them, it has to keep a second or more behind that end.
//!
//! [`Watch`]: crate::Watch

mod overlay;
mod pictures;
mod sink;
mod video;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use keepwatch_core::jiff::Timestamp;

pub use overlay::{Overlay, OverlayTrack, TrackKind};
pub use pictures::{Picture, PictureOptions};

pub(crate) use overlay::Overlays;
pub(crate) use pictures::Pictures;
pub(crate) use sink::Sink;
pub(crate) use video::Video;

/// Something for those who look on. Cheap to clone: bytes are shared.
#[derive(Clone, Debug)]
pub enum LiveItem {
    /// What the fragments after it are; comes first, and again when the camera's stream changes.
    Stream {
        /// The media type: `video/mp4` with codecs as Media Source Extensions want it, or
        /// `image/jpeg`.
        mime: Arc<str>,
        /// The initialisation segment; empty for JPEG.
        init: Bytes,
        /// The width of the picture in pixels.
        width: u32,
        /// Its height.
        height: u32,
    },
    /// Encoded video: the next frame, in decoding order.
    Fragment(Fragment),
    /// A decoded picture, encoded as JPEG.
    Picture(Picture),
    /// What is seen in a picture.
    Overlay(Arc<Overlay>),
    /// The sink had no room, or packets were lost before: so many frames are left out, and the next
    /// fragment begins with a key frame.
    Dropped {
        /// How many.
        frames: u64,
    },
    /// The camera sends nothing that can be used. Said again with each attempt to reach it that fails.
    Offline {
        /// Why, in words that hold no secret.
        reason: Arc<str>,
    },
    /// The camera is not watched any more; the last item.
    Ended,
}

/// A piece of encoded video.
#[derive(Clone, Debug)]
pub struct Fragment {
    /// `moof` and `mdat`, or a JPEG picture.
    pub bytes: Bytes,
    /// Whether it begins with a frame that can be decoded without any other.
    pub key: bool,
    /// How many frames it holds: one, but for the first fragment of who comes in the middle of a
    /// group of pictures, which is what there is of the group by then.
    pub frames: u32,
    /// When its first frame is shown, on the camera's timeline: the time that the fragment itself
    /// carries. It only goes forward, over reconnects as well.
    pub pts: Duration,
    /// The same by the wall clock.
    pub wall: Timestamp,
}

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// It is taken.
    Taken,
    /// There is no room for it now.
    Full,
    /// Nobody looks any more: the sink is dropped.
    Gone,
}

/// Those who look on at one camera.
pub(crate) struct Live {
    pub video: Video,
    pub pictures: Arc<Pictures>,
    pub overlays: Overlays,
}

impl Live {
    pub fn new(camera: &str, masks: Vec<Vec<[f32; 2]>>) -> Self {
        Self {
            video: Video::new(camera),
            pictures: Arc::new(Pictures::new(camera, masks)),
            overlays: Overlays::default(),
        }
    }

    /// The camera sends nothing that can be used.
    pub fn offline(&self, reason: &str) {
        let item = LiveItem::Offline {
            reason: reason.into(),
        };
        self.video.offline(&item);
        self.pictures.offline(&item);
        self.overlays.tell(&item);
    }

    /// Nothing comes any more.
    pub fn end(&self) {
        self.video.end();
        self.pictures.end();
        self.overlays.end();
    }
}

/// Held by the camera's thread: however that ends, whoever looks on is told.
pub(crate) struct OnAir(pub Arc<Live>);

impl Deref for OnAir {
    type Target = Live;

    fn deref(&self) -> &Live {
        &self.0
    }
}

impl Drop for OnAir {
    fn drop(&mut self) {
        self.0.end();
    }
}
