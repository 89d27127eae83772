//! Addresses as people write them.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> CameraUrl {
    text.parse().expect("an address")
}

#[test]
fn user_and_password_are_kept_apart() {
    for (text, location, user, password, shown) in [
        (
            "rtsp://u:p@cam/live",
            "rtsp://cam/live",
            "u",
            "p",
            "rtsp://***@cam/live",
        ),
        (
            "RTSP://u:p%40x@cam:8554/a",
            "rtsp://cam:8554/a",
            "u",
            "p@x",
            "rtsp://***@cam:8554/a",
        ),
        (
            "rtsp://u:p@ss@cam/a",
            "rtsp://cam/a",
            "u",
            "p@ss",
            "rtsp://***@cam/a",
        ),
        (
            "rtsp://u:p/a#s:s@cam/a",
            "rtsp://cam/a",
            "u",
            "p/a#s:s",
            "rtsp://***@cam/a",
        ),
        (
            "rtsp://u:100%@[::1]:554/",
            "rtsp://[::1]:554/",
            "u",
            "100%",
            "rtsp://***@[::1]:554/",
        ),
        (
            "https://u@cam/x",
            "https://cam/x",
            "u",
            "",
            "https://***@cam/x",
        ),
    ] {
        let url = parse(text);
        let credentials = url.credentials().expect("they are there");
        assert_eq!(url.location(), location);
        assert_eq!(
            (credentials.user(), credentials.password()),
            (user, password)
        );
        assert_eq!(url.to_string(), shown);
    }
}

#[test]
fn addresses_without_a_password_are_what_they_are() {
    for (text, scheme, location) in [
        ("rtsp://cam/at@home", Scheme::Rtsp, "rtsp://cam/at@home"),
        ("/dev/video0", Scheme::Device, "/dev/video0"),
        ("device:/dev/video1", Scheme::Device, "/dev/video1"),
        ("film.mp4", Scheme::File, "film.mp4"),
        ("file:///a/film.mp4", Scheme::File, "/a/film.mp4"),
        ("test:", Scheme::Test, ""),
        ("test:snow", Scheme::Test, "snow"),
        ("rtsp://[::1]:554/a@b", Scheme::Rtsp, "rtsp://[::1]:554/a@b"),
        ("file:///a/b%20c.mp4", Scheme::File, "/a/b c.mp4"),
        ("./u:p@h.mp4", Scheme::File, "./u:p@h.mp4"),
    ] {
        let url = parse(text);
        assert_eq!((url.scheme(), url.location()), (scheme, location));
        assert_eq!(url.credentials(), None);
    }
}

#[test]
fn passwords_in_queries_and_paths_are_not_shown() {
    for text in [
        "http://cam/v.cgi?loginuse=x&loginpas=hunter2&resolution=32",
        "http://cam/v.cgi?resolution=32&Password=hunter2",
        "http://cam/v.cgi?channel=1;password=hunter2",
        "http://cam/v.cgi?a=1?pass%77ord=hunter2#x",
        "http://cam/v.cgi?a=password=hunter2",
        "rtsp://cam/live#token=hunter2",
        "rtsp://cam/passwd=hunter2/live",
        "rtsp://cam:554/user=admin_password=hunter2_channel=1_stream=0.sdp",
    ] {
        let url = parse(text);
        assert!(!format!("{url} {url:?}").contains("hunter2"), "{url}");
        assert!(url.location().contains("hunter2"));
    }
}

#[test]
fn what_is_no_address_is_refused_without_repeating_it() {
    for text in [
        "",
        "rtsp://",
        "rtsp://u:secret@",
        "ftp://u:secret@h/",
        "rtsp://u:secret@h:99999/",
        "rtsp://u:secret@h o/",
        "rtsp://u:sec\nret@h/",
        "rtsp://u:secret@[::1/",
        "device:",
        "file://",
        "rtsp://u:secret%00@h/",
        "rtsp://u:secret%0d%0a@h/",
        "rtsp://u:123/secret@h/live",
        "rtsp://u:123?secret@h/live",
        "rtsp://u:p@h/secret@h/live",
        "rtsp:u:secret@h/live",
        "u:secret@h/live",
        "file://u:secret@h/film.mp4",
        "device:u:secret@h",
        "test:u:secret@h",
    ] {
        let error = text.parse::<CameraUrl>().expect_err(text);
        assert!(!format!("{error} {error:?}").contains("sec"), "{text}");
    }
    assert!("a".repeat(5000).parse::<CameraUrl>().is_err());
}

proptest! {
    #[test]
    fn a_password_comes_back_and_is_never_shown(password in "[!-~]{6,20}") {
        let encoded: String = password.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let url = parse(&format!("rtsp://zqzq:{encoded}@camera.example/live"));
        prop_assert_eq!(url.credentials().expect("they are there").password(), &password);
        let json = serde_json::to_string(&url).expect("it is text");
        let shown = format!("{url} {url:?} {:?} {json}", url.credentials());
        let rest = shown.replace("camera.example", "").replace("rtsp://", "");
        prop_assert!(!rest.contains(&password) && !rest.contains("zqzq"));
    }

    #[test]
    fn any_text_is_an_address_or_an_error(text in "\\PC{0,60}") {
        let _ = text.parse::<CameraUrl>();
    }
}
