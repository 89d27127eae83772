//! Where the cameras of well-known makers have their streams.
//!
//! These are the usual paths of cameras as they leave the factory. Models and firmware differ, and
//! all of it can be changed in a camera's settings: the manual knows better.

use std::net::Ipv6Addr;

use crate::error::{Error, Result};
use crate::url::CameraUrl;

/// Names that are this near to what was asked for are worth a suggestion, from 0 to 1.
const SIMILAR: f64 = 0.7;

/// The most suggestions.
const MAX_SIMILAR: usize = 3;

/// Channels beyond this are a mistake.
const MAX_CHANNEL: u16 = 256;

/// Which of a camera's two usual streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The one of full size.
    Main,
    /// The small one. The main one, where a maker has no other.
    Sub,
}

/// A maker of cameras, and where its cameras have their streams.
///
/// In paths, `{c}` is the channel from 1, `{c02}` the same with two digits. A path with neither is
/// that of a camera with one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maker {
    /// Its name, in small letters and digits.
    pub name: &'static str,
    /// Brands whose cameras do the same.
    pub aliases: &'static [&'static str],
    /// The usual port.
    pub port: u16,
    /// The path of the main stream.
    pub main: &'static str,
    /// The path of the small stream.
    pub sub: &'static str,
}

/// A line of the table.
const fn maker(
    name: &'static str,
    aliases: &'static [&'static str],
    port: u16,
    main: &'static str,
    sub: &'static str,
) -> Maker {
    Maker {
        name,
        aliases,
        port,
        main,
        sub,
    }
}

/// All makers there are, by name.
#[rustfmt::skip]
pub const MAKERS: &[Maker] = &[
    maker("avigilon", &[], 554, "/defaultPrimary?streamType=u", "/defaultSecondary?streamType=u"),
    maker("axis", &[], 554, "/axis-media/media.amp?camera={c}", "/axis-media/media.amp?camera={c}&resolution=640x360"),
    maker("bosch", &[], 554, "/rtsp_tunnel?line={c}&inst=1", "/rtsp_tunnel?line={c}&inst=2"),
    maker("dahua", &["amcrest", "imou", "lorex"], 554, "/cam/realmonitor?channel={c}&subtype=0", "/cam/realmonitor?channel={c}&subtype=1"),
    maker("dlink", &[], 554, "/live1.sdp", "/live2.sdp"),
    maker("eufy", &["anker"], 554, "/live0", "/live1"),
    maker("foscam", &[], 88, "/videoMain", "/videoSub"),
    maker("geovision", &[], 8554, "/CH001.sdp", "/CH002.sdp"),
    maker("grandstream", &[], 554, "/0", "/4"),
    maker("hanwha", &["samsung", "wisenet"], 554, "/profile2/media.smp", "/profile3/media.smp"),
    maker("hikvision", &["annke", "ezviz", "hilook", "hiwatch"], 554, "/Streaming/Channels/{c}01", "/Streaming/Channels/{c}02"),
    maker("milesight", &[], 554, "/main", "/sub"),
    maker("mobotix", &[], 554, "/mobotix.h264", "/mobotix.h264"),
    // Cameras without a name often do this; where they do not, ONVIF tells the address.
    maker("onvif", &["generic", "yoosee"], 554, "/onvif1", "/onvif2"),
    maker("openipc", &[], 554, "/stream=0", "/stream=1"),
    maker("panasonic", &["ipro"], 554, "/MediaInput/h264/stream_1", "/MediaInput/h264/stream_2"),
    maker("pelco", &[], 554, "/stream1", "/stream2"),
    maker("reolink", &[], 554, "/h264Preview_{c02}_main", "/h264Preview_{c02}_sub"),
    maker("sony", &[], 554, "/media/video1", "/media/video2"),
    maker("tiandy", &[], 554, "/{c}/1", "/{c}/2"),
    maker("tplink", &["tapo", "vigi"], 554, "/stream1", "/stream2"),
    maker("trendnet", &[], 554, "/play1.sdp", "/play2.sdp"),
    // A camera by itself. One that a UniFi console manages has a secret path, which the console shows.
    maker("unifi", &["ubiquiti"], 554, "/s0", "/s1"),
    maker("uniview", &["unv"], 554, "/unicast/c{c}/s0/live", "/unicast/c{c}/s1/live"),
    maker("vivotek", &[], 554, "/live.sdp", "/live2.sdp"),
    // With the maker's firmware for RTSP.
    maker("wyze", &[], 554, "/live", "/live"),
];

/// A maker by its name or that of a brand; case, blanks and punctuation do not matter.
///
/// # Errors
/// [`Error::UnknownMaker`] with the nearest known names.
pub fn find(name: &str) -> Result<&'static Maker> {
    let wanted: String = name
        .chars()
        .take(64)
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    let found = MAKERS
        .iter()
        .find(|maker| names(maker).any(|known| known == wanted));
    found.ok_or_else(|| Error::UnknownMaker {
        name: name.chars().take(64).collect(),
        similar: similar(&wanted),
    })
}

/// The usual address of a stream, without user and password.
///
/// `host` is a name or an address; IPv6 with or without brackets. Channels are counted from 1.
///
/// # Errors
/// [`Error::UnknownMaker`], [`Error::Setting`] for a channel that such a camera cannot have,
/// [`Error::Url`] for what is no host.
pub fn stream_url(
    maker: &str,
    stream: Stream,
    channel: u16,
    host: &str,
    port: Option<u16>,
) -> Result<CameraUrl> {
    let maker = find(maker)?;
    let template = match stream {
        Stream::Main => maker.main,
        Stream::Sub => maker.sub,
    };
    let last = if template.contains("{c") {
        MAX_CHANNEL
    } else {
        1
    };
    if !(1..=last).contains(&channel) {
        return Err(Error::Setting {
            name: "channel",
            problem: format!("channels of {} are from 1 to {last}", maker.name),
        });
    }
    let path = template
        .replace("{c02}", &format!("{channel:02}"))
        .replace("{c}", &channel.to_string());
    let host = match host.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => host.to_owned(),
    };
    let address = format!("{host}:{}", port.unwrap_or(maker.port));
    // A user, a path or a second port have no place here.
    crate::url::check_host(&address)?;
    format!("rtsp://{address}{path}").parse()
}

fn names(maker: &Maker) -> impl Iterator<Item = &'static str> {
    std::iter::once(maker.name).chain(maker.aliases.iter().copied())
}

/// Known names that look like it, the nearest first.
fn similar(wanted: &str) -> Vec<&'static str> {
    let mut near: Vec<(f64, &'static str)> = MAKERS
        .iter()
        .flat_map(names)
        .map(|known| (strsim::jaro_winkler(wanted, known), known))
        .filter(|(likeness, _)| *likeness >= SIMILAR)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.truncate(MAX_SIMILAR);
    near.into_iter().map(|(_, known)| known).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn url(maker: &str, stream: Stream, channel: u16, host: &str) -> String {
        let url = stream_url(maker, stream, channel, host, None).expect("an address");
        url.location().to_owned()
    }

    #[test]
    fn every_maker_has_addresses_and_a_name_of_its_own() {
        let mut seen = HashSet::new();
        for maker in MAKERS {
            for name in names(maker) {
                assert!(seen.insert(name), "{name} stands there twice");
                assert_eq!(find(name).expect("it is known"), maker);
                for stream in [Stream::Main, Stream::Sub] {
                    let url = url(name, stream, 1, "cam");
                    assert!(!url.contains(['{', '}']), "{url}");
                }
            }
        }
        assert!(MAKERS.is_sorted_by_key(|maker| maker.name));
    }

    #[test]
    fn addresses_are_those_of_the_manuals() {
        for (maker, stream, channel, host, expected) in [
            (
                "Hikvision",
                Stream::Main,
                1,
                "10.0.0.2",
                "rtsp://10.0.0.2:554/Streaming/Channels/101",
            ),
            (
                "hikvision",
                Stream::Sub,
                12,
                "cam",
                "rtsp://cam:554/Streaming/Channels/1202",
            ),
            (
                "Amcrest",
                Stream::Sub,
                2,
                "::1",
                "rtsp://[::1]:554/cam/realmonitor?channel=2&subtype=1",
            ),
            (
                "reolink",
                Stream::Main,
                3,
                "[fe80::2]",
                "rtsp://[fe80::2]:554/h264Preview_03_main",
            ),
            ("TP-Link", Stream::Sub, 1, "cam", "rtsp://cam:554/stream2"),
        ] {
            assert_eq!(url(maker, stream, channel, host), expected);
        }
        let other = stream_url("tapo", Stream::Main, 1, "cam", Some(8554)).expect("an address");
        assert_eq!(other.location(), "rtsp://cam:8554/stream1");
    }

    #[test]
    fn an_unknown_maker_is_told_the_nearest_names() {
        let error = find("Hikvison").expect_err("a slip");
        assert_eq!(error.hint().as_deref(), Some("perhaps hikvision"));
        let Error::UnknownMaker { similar, .. } = find("zzz").expect_err("nobody") else {
            panic!("another error");
        };
        assert!(similar.is_empty());
    }

    #[test]
    fn what_is_no_host_or_channel_is_refused() {
        for host in ["", "u:p@cam", "cam/x", "cam:80", "a b", "cam?x", "[::1"] {
            assert!(
                stream_url("dahua", Stream::Main, 1, host, None).is_err(),
                "{host}"
            );
        }
        for (maker, channel) in [("dahua", 0), ("dahua", 257), ("tapo", 2)] {
            assert!(
                stream_url(maker, Stream::Main, channel, "cam", None).is_err(),
                "{maker} {channel}"
            );
        }
    }
}
