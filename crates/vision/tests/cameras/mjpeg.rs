//! Cameras that send pictures over HTTP.

use keepwatch_core::events::EventKind::{self, CameraOffline, CameraOnline};
use keepwatch_testkit::camera::{Auth, MjpegBehaviour, MjpegCamera, Scheme};
use keepwatch_vision::Codec;

use crate::scene::{PATIENCE, Watched, kinds, settings, told};

/// The camera is offline for that reason.
fn is_refused(behaviour: MjpegBehaviour, why: &str) {
    let camera = MjpegCamera::start(behaviour);
    let watched = Watched::new(settings(&camera.url()));
    watched.offline(why);
    assert_eq!(told(&watched.stop()), [(CameraOffline, why)]);
    camera.wait_for(PATIENCE, |stats| stats.open == 0);
}

#[test]
fn pictures_come_with_and_without_their_length() {
    for lengths in [true, false] {
        let camera = MjpegCamera::start(MjpegBehaviour {
            lengths,
            ..MjpegBehaviour::default()
        });
        let watched = Watched::new(settings(&camera.url()));
        let status = watched.frames(10);
        let size = (status.codec, status.width, status.height);
        assert_eq!(size, (Some(Codec::Mjpeg), 320, 180));
        assert_eq!(told(&watched.stop()), []);
        camera.wait_for(PATIENCE, |stats| stats.open == 0);
    }
}

#[test]
fn the_right_password_opens_it() {
    for scheme in [Scheme::Basic, Scheme::Digest] {
        let camera = MjpegCamera::start(MjpegBehaviour {
            auth: Some(Auth::new(scheme, "admin", "the-secret")),
            ..MjpegBehaviour::default()
        });
        let watched = Watched::new(settings(&camera.url()));
        watched.frames(5);
        assert_eq!(told(&watched.stop()), [], "{scheme:?}");
    }
}

#[test]
fn it_wants_another_password() {
    for scheme in [Scheme::Basic, Scheme::Digest] {
        let camera = MjpegCamera::start(MjpegBehaviour {
            auth: Some(Auth::new(scheme, "admin", "the-secret")),
            ..MjpegBehaviour::default()
        });
        let mut settings = settings(&camera.url());
        settings.url = settings.url.with_credentials("admin", "secret-too");
        let watched = Watched::new(settings);
        let why = "the camera refuses user or password";
        watched.offline(why);
        assert_eq!(told(&watched.stop()), [(CameraOffline, why)], "{scheme:?}");
    }
}

#[test]
fn it_knows_no_such_stream() {
    let behaviour = MjpegBehaviour {
        status: 404,
        ..MjpegBehaviour::default()
    };
    is_refused(behaviour, "the camera knows no such stream");
}

#[test]
fn its_pictures_are_none() {
    let behaviour = MjpegBehaviour {
        garbage: Some(b"<html>no camera here</html>".to_vec()),
        ..MjpegBehaviour::default()
    };
    is_refused(behaviour, "no picture came");
}

/// Whoever asked again before the camera was mended has lost it once more.
fn assert_comes_back(kinds: &[EventKind]) {
    let pairs: Vec<_> = kinds.chunks(2).collect();
    assert!(!pairs.is_empty(), "it was never lost");
    for pair in pairs {
        assert_eq!(pair, [CameraOffline, CameraOnline], "{kinds:?}");
    }
}

#[test]
fn it_freezes_and_comes_back() {
    let camera = MjpegCamera::start(MjpegBehaviour {
        freezes_after: Some(10),
        ..MjpegBehaviour::default()
    });
    let watched = Watched::new(settings(&camera.url()));
    watched.offline("no picture any more");
    camera.set(MjpegBehaviour::default());
    watched.live();
    assert_comes_back(&kinds(&watched.stop()));
}

#[test]
fn it_closes_and_comes_back() {
    let camera = MjpegCamera::start(MjpegBehaviour {
        closes_after: Some(10),
        ..MjpegBehaviour::default()
    });
    let watched = Watched::new(settings(&camera.url()));
    watched.offline("the camera closed the connection");
    camera.set(MjpegBehaviour::default());
    watched.live();
    assert_comes_back(&kinds(&watched.stop()));
}
