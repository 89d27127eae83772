//! Cameras whose stream is not as it should be.

use std::time::Duration;

use keepwatch_core::events::EventFilter;
use keepwatch_core::events::EventKind::{CameraOffline, CameraOnline};
use keepwatch_testkit::camera::{Act, Behaviour, Film, Footage, VideoCodec};
use keepwatch_vision::{Codec, Decode, Record, State, Transport};

use crate::scene::{Scene, kinds, told};

const SILENT: &str = "no picture any more";
const CLOSED: &str = "the camera closed the connection";

fn film() -> Film {
    Film::default()
}

/// What happens to the stream ends the session for that reason; the next one works again.
fn goes_and_comes_back(act: Act, why: &str) {
    let scene = Scene::of(Behaviour::default());
    scene.watched.frames(20);
    scene.camera.inject(act);
    scene.watched.offline(why);
    scene.watched.live();
    scene.watched.frames(5);
    let events = scene.stop();
    assert_eq!(kinds(&events), [CameraOffline, CameraOnline]);
    assert_eq!(events[0].reason.as_deref(), Some(why));
}

/// What happens to the stream does not end it.
fn goes_on(behaviour: Behaviour, act: Act) -> keepwatch_vision::CameraStatus {
    let scene = Scene::of(behaviour);
    scene.watched.frames(20);
    scene.camera.inject(act);
    let status = scene.watched.frames(50);
    assert_eq!((&status.state, status.reconnects), (&State::Live, 0));
    assert_eq!(told(&scene.stop()), []);
    status
}

#[test]
fn it_freezes() {
    goes_and_comes_back(Act::Freeze, SILENT);
}

#[test]
fn it_is_half_open() {
    goes_and_comes_back(Act::Deaf, SILENT);
}

#[test]
fn it_closes_the_connection() {
    goes_and_comes_back(Act::Close, CLOSED);
}

#[test]
fn it_resets_the_connection() {
    goes_and_comes_back(Act::Reset, CLOSED);
}

#[test]
fn it_becomes_too_slow() {
    goes_and_comes_back(Act::Slow(Duration::from_secs(3)), SILENT);
}

#[test]
fn it_becomes_slow_but_not_too_slow() {
    let scene = Scene::of(Behaviour::default());
    scene.watched.frames(10);
    scene.camera.inject(Act::Slow(Duration::from_millis(500)));
    let status = scene.watched.frames(5);
    assert_eq!((status.state, status.reconnects), (State::Live, 0));
    assert_eq!(told(&scene.stop()), []);
}

#[test]
fn it_sends_noise_between_packets() {
    let scene = Scene::of(Behaviour::default());
    scene.watched.frames(20);
    scene.camera.inject(Act::Noise);
    // Sooner or later: it may find its way back into the packets.
    scene.watched.frames(20);
    let status = scene.watched.live();
    assert!(status.frames >= 40);
    scene.stop();
}

#[test]
fn its_packets_hold_something_else() {
    let scene = Scene::of(Behaviour::default());
    scene.watched.frames(20);
    scene.camera.inject(Act::Scramble);
    scene
        .watched
        .until("offline", |status| status.reconnects == 1);
    scene.watched.live();
    assert_eq!(kinds(&scene.stop()), [CameraOffline, CameraOnline]);
}

#[test]
fn one_packet_in_twenty_is_lost() {
    for transport in [Transport::Tcp, Transport::Udp] {
        // After a loss nothing is shown until a key frame is whole. With few of them that takes
        // almost as long as a camera may be silent.
        let often = Film { gop: 4, ..film() };
        let behaviour = Behaviour::showing(&often).doing(0, Act::Lose(0.05));
        let scene = Scene::with(behaviour, |settings| settings.transport = transport);
        let status = scene.watched.frames(100);
        assert_eq!(
            (status.state, status.reconnects),
            (State::Live, 0),
            "{transport:?}"
        );
        let stats = scene.camera.stats();
        assert!(stats.lost > 0, "{stats:?}");
        assert_eq!(told(&scene.stop()), []);
    }
}

#[test]
fn its_picture_changes_size() {
    let small = Film {
        width: 160,
        height: 120,
        ..film()
    };
    let status = goes_on(Behaviour::default(), Act::Show(Footage::encode(&small)));
    assert_eq!((status.width, status.height), (160, 120));
}

#[test]
fn it_changes_the_codec_while_it_sends() {
    let other = Behaviour::showing(&Film {
        codec: VideoCodec::H265,
        ..film()
    });
    let scene = Scene::of(Behaviour::default());
    let status = scene.watched.frames(20);
    assert_eq!(status.codec, Some(Codec::H264));
    scene.camera.set(other.clone());
    scene.camera.inject(Act::Show(other.footage));
    scene.watched.until("the other codec", |status| {
        status.codec == Some(Codec::H265)
    });
    scene.watched.live();
    assert_eq!(kinds(&scene.stop()), [CameraOffline, CameraOnline]);
}

/// What is recorded lasts as long as it took, whatever the camera's clock does.
fn keeps_time(jump: i32) {
    let scene = Scene::with(Behaviour::default(), |settings| {
        settings.record = Record::Continuous;
    });
    scene.watched.frames(20);
    scene.camera.inject(Act::ClockJump(jump));
    let status = scene.watched.frames(50);
    assert_eq!((status.state, status.reconnects), (State::Live, 0));
    let (store, frames) = (scene.watched.store.clone(), status.frames);
    assert_eq!(told(&scene.stop()), []);
    let segments = store.list_segments(&EventFilter::default());
    let segments = segments.expect("they are listed");
    let recorded: u64 = segments
        .iter()
        .map(|segment| segment.media.duration_ms)
        .sum();
    let took = frames * 1000 / u64::from(film().fps);
    assert!(recorded.abs_diff(took) < 1000, "{recorded} ms of {took} ms");
}

#[test]
fn its_clock_jumps_ahead() {
    keeps_time(3600);
}

#[test]
fn its_clock_jumps_back() {
    keeps_time(-3600);
}

#[test]
fn its_sender_begins_anew() {
    goes_on(Behaviour::default(), Act::NewSender);
}

#[test]
fn its_key_frames_are_far_apart() {
    let film = Film {
        gop: 200,
        frames: 200,
        ..film()
    };
    let scene = Scene::of(Behaviour::showing(&film));
    let status = scene.watched.frames(150);
    assert_eq!((status.state, status.reconnects), (State::Live, 0));
    // Clips begin with a key frame: what is kept for them reaches back to it.
    assert!(status.pre_roll_bytes > 0);
    assert_eq!(told(&scene.stop()), []);
}

#[test]
fn it_has_sound_as_well() {
    let scene = Scene::of(Behaviour::default().with_sound());
    scene.watched.frames(20);
    let stats = scene.camera.stats();
    let setups = stats.requests.iter().filter(|method| *method == "SETUP");
    assert_eq!(setups.count(), 1, "sound is not asked for: {stats:?}");
    assert_eq!(told(&scene.stop()), []);
}

#[test]
fn it_is_recorded_and_not_looked_at() {
    let scene = Scene::with(Behaviour::default(), |settings| {
        settings.record = Record::Continuous;
        settings.decode = Decode::None;
    });
    let status = scene.watched.frames(50);
    assert_eq!((status.decoded, status.analysed), (0, 0));
    let store = scene.watched.store.clone();
    assert_eq!(told(&scene.stop()), []);
    let segments = store.list_segments(&EventFilter::default());
    let segments = segments.expect("they are listed");
    assert!(segments[0].media.duration_ms >= 1900, "{segments:?}");
}
