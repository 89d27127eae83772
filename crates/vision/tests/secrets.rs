//! Passwords of cameras come out nowhere.

use keepwatch_vision::CameraUrl;
use proptest::prelude::*;

/// What stands in no address by itself, so that finding it means that it leaked.
const MARK: &str = "Zq7wX";

/// All that can be shown of an address, or of why it is none.
fn shown(text: &str) -> String {
    let json = serde_json::to_string(text).expect("it is text");
    let from_json = serde_json::from_str::<CameraUrl>(&json);
    let mut shown = match from_json {
        Ok(url) => serde_json::to_string(&url).expect("it is written"),
        Err(error) => format!("{error} {error:?}"),
    };
    shown += &match text.parse::<CameraUrl>() {
        Ok(url) => format!("{url} {url:?} {url:#?} {:?}", url.credentials()),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            format!("{error} {error:?} {cause:?} {:?}", error.hint())
        }
    };
    shown
}

/// A password as people have them, with all that means something in an address.
fn password() -> impl Strategy<Value = String> {
    ("[!-~]{0,6}", "[!-~]{0,6}").prop_map(|(before, after)| format!("{before}{MARK}{after}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_pasted_password_is_not_shown(
        password in password(),
        scheme in prop_oneof![
            Just("rtsp://"), Just("rtsps://"), Just("http://"), Just("https://"), Just("ftp://"),
            Just("RTSP://"), Just("rtsp:/"), Just("rtsp:"), Just(""), Just("file://"),
        ],
        host in prop_oneof![
            Just("cam"), Just("10.0.0.7:8554"), Just("[fe80::1]:554"), Just("cam:99999"), Just(""),
        ],
        path in prop_oneof![Just(""), Just("/"), Just("/live"), Just("/live?channel=1")],
    ) {
        let text = format!("{scheme}admin:{password}@{host}{path}");
        let shown = shown(&text);
        prop_assert!(!shown.contains(MARK), "{}: {}", text, shown);
    }

    #[test]
    fn an_encoded_password_comes_back_whole_and_is_not_shown(password in password()) {
        let encoded: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let text = format!("rtsp://admin:{encoded}@cam:554/live");
        let url: CameraUrl = text.parse().expect("it is an address");
        let credentials = url.credentials().expect("they are there");
        prop_assert_eq!((credentials.user(), credentials.password()), ("admin", password.as_str()));
        prop_assert_eq!(url.location(), "rtsp://cam:554/live");
        let shown = shown(&text);
        prop_assert!(!shown.contains(MARK) && !shown.contains(&encoded), "{}", shown);
    }

    #[test]
    fn a_password_in_the_query_is_not_shown(
        value in "[!-\"$%'-:<>@-~]{0,6}".prop_map(|text| format!("{text}{MARK}")),
        name in prop_oneof![
            Just("pwd"), Just("password"), Just("PASSWORD"), Just("loginpas"), Just("auth_token"),
            Just("p%61ssword"), Just("user"), Just("apiKey"), Just("usr"), Just("session"),
        ],
        before in prop_oneof![Just("?"), Just("?channel=1&"), Just("?a;"), Just("/x?a=1#")],
        after in prop_oneof![Just(""), Just("&b=2")],
    ) {
        let text = format!("http://cam/video.cgi{before}{name}={value}{after}");
        let shown = shown(&text);
        prop_assert!(!shown.contains(MARK), "{}: {}", text, shown);
    }
}

#[test]
fn credentials_given_apart_are_not_shown() {
    let url: CameraUrl = "rtsp://cam/live".parse().expect("it is an address");
    let url = url.with_credentials(&format!("u{MARK}"), &format!("p{MARK}"));
    let json = serde_json::to_string(&url).expect("it is written");
    assert_eq!(json, "\"rtsp://***@cam/live\"");
    assert!(!format!("{url:?} {:?}", url.credentials()).contains(MARK));
}
