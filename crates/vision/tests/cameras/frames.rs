//! Pictures of cameras that come and go.

use std::time::{Duration, Instant};

use keepwatch_testkit::camera::{
    Act, Auth, Behaviour, MjpegBehaviour, MjpegCamera, RtspCamera, Scheme,
};
use keepwatch_vision::source::Ending;
use keepwatch_vision::{Error, FrameOptions, Frames, Image, Read};

use crate::scene::{PATIENCE, settings};

fn open(url: &str, reconnect: Duration) -> Frames {
    let options = FrameOptions {
        reconnect: Some(reconnect),
        ..FrameOptions::default()
    };
    Frames::open(&settings(url), options).expect("it opens")
}

fn next(frames: &Frames) -> Image {
    match frames.read(PATIENCE).expect("it is no error") {
        Read::Image(image) => image,
        other => panic!("{other:?}"),
    }
}

/// Reads to the end, which is an error.
fn failure(frames: &Frames) -> Error {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match frames.read(PATIENCE) {
            Ok(Read::Image(_)) => assert!(Instant::now() < deadline, "it goes on"),
            Ok(other) => panic!("{other:?}"),
            Err(error) => return error,
        }
    }
}

fn ending(error: &Error) -> &Ending {
    match error {
        Error::Camera { ending, .. } => ending,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_camera_that_comes_back_goes_on() {
    let camera = RtspCamera::start(Behaviour::default());
    let frames = open(&camera.url(), PATIENCE);
    let mut times: Vec<_> = (0..10).map(|_| next(&frames).pts).collect();
    camera.kill_connections();
    while frames.status().reconnects == 0 {
        times.push(next(&frames).pts);
    }
    times.extend((0..10).map(|_| next(&frames).pts));
    assert_eq!(times[0], Duration::ZERO);
    assert!(times.is_sorted(), "{times:?}");
    frames.close();
    camera.wait_for(PATIENCE, |stats| stats.open == 0);
}

#[test]
fn a_camera_that_stays_away_is_given_up_after_the_time_given() {
    let mut camera = RtspCamera::start(Behaviour::default());
    let frames = open(&camera.url(), Duration::from_secs(1));
    next(&frames);
    camera.switch_off();
    let began = Instant::now();
    let error = failure(&frames);
    assert_eq!(*ending(&error), Ending::Unreachable, "{error}");
    assert!(began.elapsed() >= Duration::from_millis(900));
    // Not only once.
    assert_eq!(*ending(&failure(&frames)), Ending::Unreachable);
    assert!(frames.status().reconnects >= 2);
}

#[test]
fn without_reconnecting_the_first_loss_is_the_end() {
    let camera = RtspCamera::start(Behaviour::default());
    let frames = open(&camera.url(), Duration::ZERO);
    next(&frames);
    camera.inject(Act::Close);
    assert_eq!(*ending(&failure(&frames)), Ending::Closed);
    assert_eq!(frames.status().reconnects, 0);
}

#[test]
fn what_was_never_there_fails_at_once_and_tells_no_secret() {
    let auth = Auth::new(Scheme::Digest, "admin", "the-secret");
    let camera = RtspCamera::start(Behaviour::default().for_user(auth));
    let address = camera.url();
    let (_, place) = address.rsplit_once('@').expect("it has credentials");
    let frames = open(&format!("rtsp://admin:another-secret@{place}"), PATIENCE);
    let error = failure(&frames);
    assert_eq!(*ending(&error), Ending::Unauthorized);
    let shown = format!("{error} {error:?} {frames:?}");
    assert!(shown.contains("rtsp://***@127.0.0.1"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn a_camera_that_falls_silent_or_shows_nothing_is_noticed() {
    let camera = RtspCamera::start(Behaviour::default());
    let frames = open(&camera.url(), Duration::ZERO);
    next(&frames);
    camera.inject(Act::Freeze);
    let silent = Ending::Silent { streaming: true };
    assert_eq!(*ending(&failure(&frames)), silent);

    let camera = RtspCamera::start(Behaviour::default());
    let frames = open(&camera.url(), Duration::ZERO);
    next(&frames);
    camera.inject(Act::Scramble);
    let error = failure(&frames);
    assert!(
        matches!(ending(&error), Ending::Garbage | Ending::NoKeyFrame),
        "{error}"
    );
}

#[test]
fn of_pictures_that_nobody_takes_the_oldest_are_dropped() {
    let camera = MjpegCamera::start(MjpegBehaviour::default());
    let frames = open(&camera.url(), Duration::ZERO);
    let first = next(&frames);
    let deadline = Instant::now() + PATIENCE;
    while frames.status().dropped < 10 {
        assert!(Instant::now() < deadline, "{:?}", frames.status());
        std::thread::yield_now();
    }
    let second = next(&frames);
    // As many are missing between them.
    let missing = (second.pts - first.pts).as_secs_f64();
    let status = frames.status();
    assert!(missing > 0.2, "{missing} {status:?}");
}
