//! Real video, looked at while it is watched.

use std::io::Write as _;

use crossbeam_channel::{Receiver, bounded, unbounded};
use keepwatch_vision::live::{Handed, LiveItem};
use keepwatch_vision::mp4::scan;
use keepwatch_vision::source::{self, FrameSource, Session};
use keepwatch_vision::{CameraSettings, Decode, Record, Result, Watch};

use crate::footage::play;
use crate::watch::Place;

/// A file that begins when it may.
struct Held(Box<dyn FrameSource>, Receiver<()>);

impl FrameSource for Held {
    fn open(&mut self) -> Result<Box<dyn Session>> {
        let _ = self.1.recv();
        self.0.open()
    }

    fn ends(&self) -> bool {
        true
    }
}

/// Each frame of a film goes to who looks on, and what they have is the film.
fn is_handed_on(name: &str, frames: u64, fps: f64) {
    let place = Place::new();
    let watch = Watch::new(place.store.clone(), place.store.media()).expect("it starts");
    let path = keepwatch_testkit::testdata().join(format!("video/{name}.mp4"));
    let url = format!("file://{}", path.display());
    let mut settings = CameraSettings::new(url.parse().expect("an address"));
    settings.record = Record::Continuous;
    settings.decode = Decode::None;
    let (go, held) = bounded(0);
    let source = Held(source::of(&settings), held);
    let added = watch.add("film".to_owned(), settings, Box::new(source));
    added.expect("it is added");
    let (say, told) = unbounded();
    let sink = move |item| match say.send(item) {
        Ok(()) => Handed::Taken,
        Err(_) => Handed::Gone,
    };
    watch.live("film", sink).expect("it may be seen");
    drop(go);
    let mut file = tempfile::NamedTempFile::new().expect("there is room");
    let (mut streams, mut first, mut last) = (0, None, None);
    for item in told {
        match item {
            LiveItem::Stream { init, mime, .. } => {
                assert!(mime.starts_with("video/mp4; codecs=\"avc1."), "{mime}");
                streams += 1;
                file.write_all(&init).expect("it is written");
            }
            LiveItem::Fragment(fragment) => {
                assert_eq!(fragment.frames, 1);
                let scanned = scan(&*fragment.bytes).expect("it is read");
                assert_eq!((scanned.frames, scanned.cut), (1, false));
                first.get_or_insert(fragment.pts);
                last = Some(scanned.duration);
                file.write_all(&fragment.bytes).expect("it is written");
            }
            LiveItem::Ended => break,
            other => panic!("{other:?}"),
        }
    }
    watch.stop().expect("all is stored");
    assert_eq!(streams, 1);
    let length = last.expect("it has frames") - first.expect("it has frames");
    let expected = frames as f64 / fps;
    // Where frames are reordered the first is shown somewhat after it is decoded.
    assert!((length.as_secs_f64() - expected).abs() < 0.15, "{length:?}");
    assert_eq!(play(file.path()) as u64, frames);
}

#[test]
fn cars_are_handed_on() {
    is_handed_on("car-detection", 377, 12.5);
}

#[test]
fn people_are_handed_on() {
    is_handed_on("one-by-one-person-detection", 1394, 10.0);
}
