//! Cameras that never come to sending.

use std::time::Duration;

use keepwatch_core::events::EventKind::CameraOffline;
use keepwatch_testkit::camera::{Act, Answer, Auth, Behaviour, BlackHole, Scheme, Stage};
use keepwatch_vision::Transport;

use crate::scene::{Scene, Watched, settings, told};

const UNREACHABLE: &str = "the camera cannot be reached";
const SILENT: &str = "no picture came";
const CLOSED: &str = "the camera closed the connection";
const UNAUTHORIZED: &str = "the camera refuses user or password";
const NOT_FOUND: &str = "the camera knows no such stream";
const GARBAGE: &str = "the camera sends what cannot be understood";

/// The camera is offline for that reason, which is one event however often it is tried again.
fn is_refused(behaviour: Behaviour, why: &str) {
    let scene = Scene::of(behaviour);
    scene.watched.offline(why);
    let tries = "tried again";
    let status = scene.watched.until(tries, |status| status.reconnects >= 2);
    assert_eq!(status.frames, 0);
    assert_eq!(told(&scene.stop()), [(CameraOffline, why)]);
}

fn answering(stage: Stage, answer: Answer) -> Behaviour {
    Behaviour::default().answering(stage, answer)
}

#[test]
fn nobody_listens() {
    let mut scene = Scene::of(Behaviour::default());
    scene.watched.live();
    scene.camera.switch_off();
    scene.watched.offline(UNREACHABLE);
    scene.stop();
}

#[test]
fn nobody_answers_at_the_address() {
    let hole = BlackHole::new();
    let watched = Watched::new(settings(&format!("rtsp://127.0.0.1:{}/", hole.port())));
    watched.offline(SILENT);
    assert_eq!(told(&watched.stop()), [(CameraOffline, SILENT)]);
}

#[test]
fn it_closes_each_connection() {
    is_refused(answering(Stage::Connect, Answer::Close), CLOSED);
}

#[test]
fn it_resets_each_connection() {
    let scene = Scene::of(answering(Stage::Connect, Answer::Reset));
    let tries = "tried again";
    let status = scene.watched.until(tries, |status| status.reconnects >= 2);
    assert_eq!(status.frames, 0);
    let events = scene.stop();
    let told = told(&events);
    let [(CameraOffline, why)] = told[..] else {
        panic!("{told:?}");
    };
    // A reset that comes before the connection is looked at cannot be told from a refusal.
    assert!([CLOSED, UNREACHABLE].contains(&why), "{why}");
}

#[test]
fn it_hangs_once_connected() {
    is_refused(answering(Stage::Connect, Answer::Nothing), SILENT);
}

#[test]
fn it_hangs_at_options() {
    is_refused(answering(Stage::Options, Answer::Nothing), SILENT);
}

#[test]
fn it_hangs_at_describe() {
    is_refused(answering(Stage::Describe, Answer::Nothing), SILENT);
}

#[test]
fn it_hangs_at_setup() {
    is_refused(answering(Stage::Setup, Answer::Nothing), SILENT);
}

#[test]
fn it_hangs_at_play() {
    is_refused(answering(Stage::Play, Answer::Nothing), SILENT);
}

#[test]
fn it_plays_and_sends_nothing() {
    is_refused(Behaviour::default().doing(0, Act::Freeze), SILENT);
}

#[test]
fn it_says_that_it_sends_datagrams_and_none_arrives() {
    let silent = Behaviour::default().doing(0, Act::Freeze);
    let scene = Scene::with(silent, |settings| settings.transport = Transport::Udp);
    scene.watched.offline(SILENT);
    assert_eq!(told(&scene.stop()), [(CameraOffline, SILENT)]);
}

#[test]
fn it_answers_so_slowly_that_it_might_as_well_not() {
    let slowly = Answer::Trickle(Duration::from_millis(50));
    is_refused(answering(Stage::Describe, slowly), SILENT);
}

#[test]
fn it_wants_a_password_and_none_is_given() {
    for scheme in [Scheme::Basic, Scheme::Digest] {
        let scene = Scene::with(
            Behaviour::default().for_user(Auth::new(scheme, "admin", "the-secret")),
            |settings| {
                let location = settings.url.location().to_owned();
                settings.url = location.parse().expect("an address");
            },
        );
        scene.watched.offline(UNAUTHORIZED);
        assert_eq!(told(&scene.stop()), [(CameraOffline, UNAUTHORIZED)]);
    }
}

#[test]
fn it_wants_another_password_and_is_not_pestered() {
    for scheme in [Scheme::Basic, Scheme::Digest] {
        let behaviour = Behaviour::default().for_user(Auth::new(scheme, "admin", "the-secret"));
        let scene = Scene::with(behaviour, |settings| {
            settings.url = settings.url.clone().with_credentials("admin", "secret-too");
            // With ten times that for a wrong password, the second attempt is far away.
            settings.retry_first = Duration::from_secs(60);
            settings.retry_longest = Duration::from_secs(60);
        });
        scene.watched.offline(UNAUTHORIZED);
        // One attempt without, and one with the wrong one: cameras lock out those who go on.
        let stats = scene.camera.stats();
        assert_eq!(stats.refused, 2, "{stats:?}");
        assert_eq!(told(&scene.stop()), [(CameraOffline, UNAUTHORIZED)]);
    }
}

#[test]
fn it_forbids_the_stream() {
    is_refused(
        answering(Stage::Describe, Answer::Status(403)),
        UNAUTHORIZED,
    );
}

#[test]
fn it_knows_no_such_stream() {
    is_refused(answering(Stage::Describe, Answer::Status(404)), NOT_FOUND);
}

#[test]
fn it_has_no_place_for_another_client() {
    for (stage, status) in [
        (Stage::Describe, 500),
        (Stage::Setup, 453),
        (Stage::Play, 503),
    ] {
        let why = format!("the camera answers with the error {status}");
        is_refused(answering(stage, Answer::Status(status)), &why);
    }
}

#[test]
fn its_session_description_is_garbage() {
    let nothing = "no H.264, H.265 or JPEG video; offered: nothing";
    for (sdp, why) in [
        ("", GARBAGE),
        ("\u{1}\u{2}\u{3}", GARBAGE),
        ("v=0", GARBAGE),
        ("<html></html>", GARBAGE),
        ("v=0\r\nm=m=m=\r\n\r\n", nothing),
    ] {
        is_refused(Behaviour::default().describing(sdp), why);
    }
}

#[test]
fn it_sends_by_datagrams_alone() {
    let why = "the camera does not send by this transport";
    is_refused(answering(Stage::Setup, Answer::Status(461)), why);
}

#[test]
fn it_offers_sound_alone() {
    is_refused(
        Behaviour::default().with_sound_alone(),
        "no H.264, H.265 or JPEG video; offered: audio PCMU",
    );
}

#[test]
fn it_offers_a_codec_that_nobody_knows() {
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n\
               m=video 0 RTP/AVP 98\r\na=rtpmap:98 \x1b[31mX-MYSTERY/90000\r\na=control:v\r\n";
    is_refused(
        Behaviour::default().describing(sdp),
        "no H.264, H.265 or JPEG video; offered: video [31MX-MYSTERY",
    );
}

#[test]
fn it_speaks_something_else() {
    let page = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec();
    is_refused(answering(Stage::Options, Answer::Bytes(page)), GARBAGE);
}

#[test]
fn it_answers_without_an_end() {
    let endless = b"RTSP/1.0 200 OK\r\n".iter().copied();
    let endless = endless.chain(b"X-Padding: yes\r\n".iter().copied().cycle());
    let endless = endless.take(1 << 22).collect();
    let scene = Scene::of(answering(Stage::Describe, Answer::Bytes(endless)));
    scene
        .watched
        .until("offline", |status| status.reconnects >= 1);
    assert_eq!(scene.stop().len(), 1);
}

#[test]
fn its_pictures_never_begin_with_a_key_frame() {
    is_refused(Behaviour::default().doing(0, Act::NoKeyFrames), SILENT);
}
