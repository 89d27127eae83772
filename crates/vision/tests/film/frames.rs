//! Pictures of a film, one after the other.

use std::time::Duration;

use keepwatch_vision::source::{self, Ending, FrameSource, Next, Session};
use keepwatch_vision::{
    CameraSettings, Color, Error, FrameOptions, Frames, Image, Read, State, StreamInfo,
};

use crate::footage;

const PATIENCE: Duration = Duration::from_secs(30);

fn film(name: &str) -> CameraSettings {
    let path = keepwatch_testkit::testdata().join(format!("video/{name}.mp4"));
    CameraSettings::new(path.display().to_string().parse().expect("a path"))
}

fn open(name: &str, options: FrameOptions) -> Frames {
    Frames::open(&film(name), options).expect("it opens")
}

fn rgb() -> FrameOptions {
    FrameOptions {
        color: Color::Rgb,
        ..FrameOptions::default()
    }
}

fn next(frames: &Frames) -> Image {
    match frames.read(PATIENCE).expect("it is no error") {
        Read::Image(image) => image,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_frame_of_a_film_is_as_gstreamer_alone_decodes_it() {
    let mut frames = open("car-detection", FrameOptions::default());
    let mut count = 0;
    footage::decode("car-detection", false, |luma, pts| {
        let image = frames.next().expect("it is not over").expect("no error");
        let pixels = &image.pixels;
        assert_eq!(
            (pixels.width(), pixels.height()),
            (luma.width(), luma.height())
        );
        for y in 0..luma.height() {
            assert_eq!(pixels.row(y), luma.row(y), "frame {count}, row {y}");
        }
        let off = image.pts.abs_diff(pts);
        assert!(off < Duration::from_millis(1), "{pts:?} {:?}", image.pts);
        count += 1;
    });
    assert_eq!(count, 377);
    assert!(frames.next().is_none());
    let status = frames.status();
    assert_eq!((status.frames, status.dropped), (377, 0));
    assert_eq!(status.state, State::Ended { problem: None });
}

#[test]
fn pictures_stay_as_they_are_when_all_is_closed_and_many_are_kept() {
    for options in [FrameOptions::default(), rgb()] {
        let frames = open("one-by-one-person-detection", options);
        // More than any pool of buffers would have.
        let images: Vec<Image> = (0..100).map(|_| next(&frames)).collect();
        let sum =
            |image: &Image| -> u64 { image.pixels.row(100).iter().map(|p| u64::from(*p)).sum() };
        let before: Vec<u64> = images.iter().map(sum).collect();
        frames.close();
        drop(frames);
        let after: Vec<u64> = images.iter().map(sum).collect();
        assert_eq!(before, after);
        let times: Vec<_> = images.iter().map(|image| (image.pts, image.wall)).collect();
        assert!(times.is_sorted());
    }
}

#[test]
fn colours_are_those_of_the_picture() {
    for (pattern, wanted) in [
        ("red", [255, 0, 0]),
        ("green", [0, 255, 0]),
        ("blue", [0, 0, 255]),
    ] {
        let settings = CameraSettings::new(format!("test:{pattern}").parse().expect("a pattern"));
        let frames = Frames::open(&settings, rgb()).expect("it opens");
        let image = next(&frames);
        let row = image.pixels.row(image.pixels.height() / 2);
        assert_eq!(row.len(), 3 * image.pixels.width());
        for pixel in row.chunks(3) {
            let near = pixel
                .iter()
                .zip(wanted)
                .all(|(is, wanted)| is.abs_diff(wanted) < 32);
            assert!(near, "{pattern}: {pixel:?}");
        }
    }
}

#[test]
fn fewer_frames_a_second_are_spread_evenly() {
    let options = FrameOptions {
        max_fps: Some(5.0),
        ..FrameOptions::default()
    };
    // 30 seconds of 12.5 frames.
    let frames = open("car-detection", options);
    let times: Vec<_> = frames.map(|image| image.expect("no error").pts).collect();
    assert!((149..=152).contains(&times.len()), "{}", times.len());
    for pair in times.windows(2) {
        let apart = (pair[1] - pair[0]).as_millis();
        assert!((160..=240).contains(&apart), "{apart}");
    }
}

/// A film as a camera would send it, to somebody who comes after the first key frame.
struct Live(Box<dyn FrameSource>);

struct LiveSession(Box<dyn Session>, Option<StreamInfo>);

impl FrameSource for Live {
    fn open(&mut self) -> keepwatch_vision::Result<Box<dyn Session>> {
        let (mut session, mut stream) = (self.0.open()?, None);
        loop {
            match session.next(PATIENCE) {
                Next::Stream(info) => stream = Some(info),
                Next::Packet(_) => return Ok(Box::new(LiveSession(session, stream))),
                other => panic!("{other:?}"),
            }
        }
    }
}

impl Session for LiveSession {
    fn next(&mut self, timeout: Duration) -> Next {
        if let Some(stream) = self.1.take() {
            return Next::Stream(stream);
        }
        std::thread::sleep(Duration::from_millis(80));
        self.0.next(timeout)
    }
}

#[test]
fn a_key_frame_may_be_further_away_than_a_camera_may_be_silent() {
    let mut settings = film("car-detection");
    settings.read_timeout = Duration::from_secs(1);
    let source = Box::new(Live(source::of(&settings)));
    let frames = Frames::of(source, &settings, FrameOptions::default()).expect("it opens");
    let began = std::time::Instant::now();
    assert_eq!(next(&frames).pts, Duration::ZERO);
    assert!(began.elapsed() > 4 * settings.read_timeout);
}

#[test]
fn what_is_no_video_is_an_error() {
    let missing = CameraSettings::new("/no/such/film.mp4".parse().expect("a path"));
    let error = Frames::open(&missing, FrameOptions::default()).expect_err("it is not there");
    assert!(matches!(error, Error::Io { .. }), "{error:?}");

    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("text.mp4");
    std::fs::write(&path, "no video at all\n".repeat(1000)).expect("it is written");
    let settings = CameraSettings::new(path.display().to_string().parse().expect("a path"));
    let mut frames = Frames::open(&settings, FrameOptions::default()).expect("it is there");
    let error = frames
        .next()
        .expect("it is not over")
        .expect_err("it is no video");
    assert!(
        matches!(&error, Error::Camera { ending, .. } if *ending != Ending::Finished),
        "{error:?}"
    );
    assert!(frames.next().is_none());
}

#[test]
fn an_impossible_rate_is_refused() {
    for fps in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let options = FrameOptions {
            max_fps: Some(fps),
            ..FrameOptions::default()
        };
        let error = Frames::open(&film("car-detection"), options).expect_err("it is refused");
        assert!(error.to_string().starts_with("fps"), "{error}");
    }
}
