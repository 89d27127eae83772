//! Which pictures are made, and for whom.

use std::time::Instant;

use super::*;
use crate::live::Handed;

const PATIENCE: Duration = Duration::from_secs(20);

fn frame(number: u64) -> Frame {
    Frame::gray(64, 36, 100, Duration::from_millis(1000 + 40 * number))
}

fn pictures() -> Arc<Pictures> {
    Arc::new(Pictures::new("yard", Vec::new()))
}

/// Somebody who looks on, and where what they are handed comes out.
fn eye(
    pictures: &Arc<Pictures>,
    max_width: u16,
    fps: f32,
) -> crossbeam_channel::Receiver<LiveItem> {
    let (say, told) = crossbeam_channel::unbounded();
    let options = PictureOptions { max_width, fps };
    let sink = Sink::new(move |item| match say.send(item) {
        Ok(()) => Handed::Taken,
        Err(_) => Handed::Gone,
    });
    pictures.add(options, sink).expect("it is added");
    told
}

fn next(told: &crossbeam_channel::Receiver<LiveItem>) -> Picture {
    match told.recv_timeout(PATIENCE).expect("something comes") {
        LiveItem::Picture(picture) => picture,
        other => panic!("no picture: {other:?}"),
    }
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not {what}");
        std::thread::yield_now();
    }
}

#[test]
fn there_is_none_before_the_first() {
    let pictures = pictures();
    assert!(pictures.latest(640).expect("it works").is_none());
    pictures.show(&frame(0), Timestamp::UNIX_EPOCH);
    let picture = pictures.latest(640).expect("it works").expect("one");
    assert_eq!((picture.width, picture.height), (64, 36));
    assert_eq!(picture.at, Timestamp::UNIX_EPOCH);
    let small = pictures.latest(16).expect("it works").expect("one");
    assert_eq!((small.width, small.height), (16, 9));
}

#[test]
fn what_was_seen_before_is_not_the_latest() {
    let pictures = pictures();
    pictures.show(&frame(5), Timestamp::UNIX_EPOCH);
    pictures.show(&frame(3), Timestamp::UNIX_EPOCH);
    let picture = pictures.latest(640).expect("it works").expect("one");
    assert_eq!(picture.pts, frame(5).pts);
}

#[test]
fn one_is_encoded_once_for_all_of_the_same_width() {
    let pictures = pictures();
    pictures.show(&frame(0), Timestamp::UNIX_EPOCH);
    // More than there is counts as all.
    let eyes = [64, 640, 16].map(|width| eye(&pictures, width, 60.0));
    eyes.iter().for_each(|told| drop(next(told)));
    assert_eq!(pictures.viewers(), 3);
    pictures.show(&frame(1), Timestamp::UNIX_EPOCH);
    let [full, more, small] = eyes.each_ref().map(next);
    assert_eq!(full.pts, frame(1).pts);
    assert_eq!(full.jpeg.as_ptr(), more.jpeg.as_ptr());
    assert_eq!((small.width, full.width), (16, 64));
    pictures.end();
    let ended = eyes.map(|told| told.recv_timeout(PATIENCE));
    assert!(ended.iter().all(|item| matches!(item, Ok(LiveItem::Ended))));
}

#[test]
fn no_more_come_than_were_asked_for() {
    for (fps, expected) in [(1.0, 10), (5.0, 50), (7.0, 70), (25.0, 250), (60.0, 250)] {
        let mut viewer = Viewer {
            id: 0,
            sink: Sink::new(|_| Handed::Taken),
            max_width: 64,
            interval: Duration::from_secs_f32(1.0 / fps),
            due: Duration::ZERO,
        };
        // Ten seconds at 25 a second, a pause, and ten seconds again: it is not made up for.
        let mut taken = |numbers: std::ops::Range<u64>| -> usize {
            let times = numbers.map(|number| frame(number).pts);
            times.filter(|pts| viewer.take(*pts).is_some()).count()
        };
        for numbers in [0..250, 1000..1250] {
            let count = taken(numbers);
            assert!(count.abs_diff(expected) <= 1, "{fps}: {count}");
        }
    }
}

#[test]
fn nobody_works_once_nobody_looks() {
    let pictures = pictures();
    let told = eye(&pictures, 64, 60.0);
    pictures.show(&frame(0), Timestamp::UNIX_EPOCH);
    next(&told);
    assert!(pictures.are_wanted());
    drop(told);
    pictures.show(&frame(1), Timestamp::UNIX_EPOCH);
    until("idle", || !pictures.lock().working);
    assert!(!pictures.are_wanted());
    // And somebody does again for the next one.
    let told = eye(&pictures, 64, 60.0);
    assert_eq!(next(&told).pts, frame(1).pts);
    // Who leaves while the camera is away is noticed as well.
    drop(told);
    pictures.offline(&LiveItem::Offline {
        reason: "gone".into(),
    });
    assert!(!pictures.are_wanted());
    until("idle", || !pictures.lock().working);
    pictures.end();
}

#[test]
fn rates_that_cannot_be_are_refused() {
    let pictures = pictures();
    for fps in [0.0, -1.0, 61.0, f32::NAN, f32::INFINITY] {
        let options = PictureOptions { max_width: 64, fps };
        let sink = Sink::new(|_| panic!("nothing is handed over"));
        let refused = pictures.add(options, sink);
        assert!(matches!(refused, Err(Error::Setting { name: "fps", .. })));
    }
    assert!(!pictures.are_wanted());
}
