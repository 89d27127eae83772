//! Session descriptions (RFC 8866) of what a camera sends.

use gstreamer::glib;

use super::footage::{Footage, VideoCodec};
use super::rtp::PAYLOAD_TYPE;

/// The description of `footage`.
pub(crate) fn of(footage: &Footage) -> String {
    format!("{}{}", session(), video(footage))
}

/// With a sound track before the picture, as many cameras have it.
pub(crate) fn with_sound(footage: &Footage) -> String {
    format!("{}{}{}", session(), sound(), video(footage))
}

/// Sound, and nothing else.
pub(crate) fn only_sound() -> String {
    format!("{}{}", session(), sound())
}

fn session() -> String {
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\n"
        .to_owned()
}

fn sound() -> String {
    "m=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=control:sound\r\n".to_owned()
}

fn video(footage: &Footage) -> String {
    let base64 = |nal: Option<&[u8]>| glib::base64_encode(nal.unwrap_or_default()).to_string();
    let nals = || footage.units[0].nals();
    let (name, format) = match footage.film.codec {
        VideoCodec::H264 => {
            let of_kind = |kind| base64(nals().find(|nal| nal[0] & 0x1f == kind));
            let sets = format!("{},{}", of_kind(7), of_kind(8));
            (
                "H264",
                format!("packetization-mode=1;sprop-parameter-sets={sets}"),
            )
        }
        VideoCodec::H265 => {
            let of_kind = |kind| base64(nals().find(|nal| nal[0] >> 1 & 0x3f == kind));
            let [vps, sps, pps] = [32, 33, 34].map(of_kind);
            (
                "H265",
                format!("sprop-vps={vps};sprop-sps={sps};sprop-pps={pps}"),
            )
        }
        VideoCodec::Jpeg => ("JPEG", String::new()),
    };
    format!(
        "m=video 0 RTP/AVP {PAYLOAD_TYPE}\r\na=rtpmap:{PAYLOAD_TYPE} {name}/90000\r\n\
         a=fmtp:{PAYLOAD_TYPE} {format}\r\na=framerate:{}\r\na=control:video\r\n",
        footage.film.fps
    )
}
