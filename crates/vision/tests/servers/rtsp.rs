//! RTSP without TLS.

use keepwatch_vision::{Codec, Transport};

use crate::gstreamer::{H264, H265, HEIGHT, JPEG, Login, PASSWORD, Server, USER, VP8, WIDTH};
use crate::place::{REFUSED, Watched, camera, look};

#[test]
fn each_codec_comes_by_each_transport() {
    for (codec, encoder) in [
        (Codec::H264, H264),
        (Codec::H265, H265),
        (Codec::Mjpeg, JPEG),
    ] {
        let server = Server::default().start(encoder);
        for transport in [Transport::Tcp, Transport::Udp] {
            let mut settings = camera(&server.url(""));
            settings.transport = transport;
            let seen = look(&settings);
            let what = format!("{codec:?} by {transport:?}: {seen:?}");
            assert_eq!(seen.codec, Some(codec), "{what}");
            assert_eq!((seen.width, seen.height), (WIDTH, HEIGHT), "{what}");
            assert!(seen.works() && seen.problems.is_empty(), "{what}");
            let fps = seen.fps.expect("several frames came");
            assert!((10.0..=20.0).contains(&fps), "{what}");
            let status = Watched::new(settings).pictures();
            assert_eq!(status.codec, Some(codec));
        }
    }
}

#[test]
fn a_codec_that_is_not_understood_is_named() {
    let server = Server::default().start(VP8);
    let watched = Watched::new(camera(&server.url("")));
    assert_eq!(
        watched.offline(),
        "no H.264, H.265 or JPEG video; offered: video VP8"
    );
}

#[test]
fn another_path_is_not_found() {
    let server = Server::default().start(H264);
    let url = server.url("").replace("/stream", "/other");
    assert_eq!(
        Watched::new(camera(&url)).offline(),
        "the camera knows no such stream"
    );
}

#[test]
fn a_camera_that_does_not_send_inside_the_connection_says_so() {
    let udp_only = true;
    let server = Server {
        udp_only,
        ..Server::default()
    };
    let server = server.start(H264);
    let mut settings = camera(&server.url(""));
    assert_eq!(
        Watched::new(settings.clone()).offline(),
        "the camera does not send by this transport"
    );
    settings.transport = Transport::Udp;
    Watched::new(settings).pictures();
}

#[test]
fn basic_and_digest_let_in_whoever_knows_the_password() {
    for login in [Login::Basic, Login::Digest] {
        let server = Server {
            login: Some(login),
            ..Server::default()
        };
        let server = server.start(H264);
        let with = |user: &str, password: &str| {
            let mut settings = camera(&server.url(""));
            settings.url = settings.url.with_credentials(user, password);
            settings
        };
        let right = with(USER, PASSWORD);
        assert!(look(&right).works());
        Watched::new(right).pictures();
        for wrong in [
            with(USER, "wrong"),
            with("nobody", PASSWORD),
            with(USER, ""),
            camera(&server.url("")),
        ] {
            let seen = look(&wrong);
            assert!(!seen.works());
            assert_eq!(seen.problems, [REFUSED]);
            assert_eq!(Watched::new(wrong).offline(), REFUSED);
        }
    }
}
