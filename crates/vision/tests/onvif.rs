//! Finding cameras: what devices answer, and what they should not be able to do.

use std::net::{SocketAddr, UdpSocket};
use std::ops::ControlFlow;
use std::time::Duration;

use keepwatch_vision::onvif::{DeviceType, Discovered, parse_reply, probe, search};
use proptest::prelude::*;

/// As cameras answer: prefixes, indentation and scopes vary.
fn answer(id: &str, address: &str, scopes: &str, xaddrs: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://www.w3.org/2003/05/soap-envelope"
    xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing"
    xmlns:wsdd="http://schemas.xmlsoap.org/ws/2005/04/discovery">
  <SOAP-ENV:Header>
    <wsa:RelatesTo>urn:uuid:{id}</wsa:RelatesTo>
    <wsdd:AppSequence MessageNumber="1" InstanceId="7"/>
  </SOAP-ENV:Header>
  <SOAP-ENV:Body><wsdd:ProbeMatches><wsdd:ProbeMatch>
    <wsa:EndpointReference><wsa:Address>{address}</wsa:Address></wsa:EndpointReference>
    <wsdd:Types>dn:NetworkVideoTransmitter tds:Device</wsdd:Types>
    <wsdd:Scopes>{scopes}</wsdd:Scopes>
    <wsdd:XAddrs>{xaddrs}</wsdd:XAddrs>
    <wsdd:MetadataVersion>1</wsdd:MetadataVersion>
  </wsdd:ProbeMatch></wsdd:ProbeMatches></SOAP-ENV:Body>
</SOAP-ENV:Envelope>"#
    )
}

const SCOPES: &str = "onvif://www.onvif.org/type/video_encoder \
    onvif://www.onvif.org/name/Front%20door onvif://www.onvif.org/hardware/DS-2CD2032 \
    onvif://www.onvif.org/location/hall";

fn billion_laughs() -> String {
    let mut text = "<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY a0 \"lol\">".to_owned();
    for level in 1..10 {
        let inner = format!("&a{};", level - 1).repeat(10);
        text.push_str(&format!("<!ENTITY a{level} \"{inner}\">"));
    }
    text + "]><Envelope><ProbeMatch>&a9;</ProbeMatch></Envelope>"
}

fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let good = answer("x", "urn:uuid:evil", "", "");
    vec![
        ("entities", billion_laughs().into_bytes()),
        (
            "an entity",
            good.replace("urn:uuid:evil", "&evil;").into_bytes(),
        ),
        ("depth", "<a>".repeat(10_000).into_bytes()),
        (
            "size",
            answer("x", "urn:uuid:evil", &"s ".repeat(30_000), "").into_bytes(),
        ),
        ("a cut", good.as_bytes()[..good.len() - 30].to_vec()),
        ("no XML", b"HTTP/1.1 200 OK\r\n\r\n".to_vec()),
        ("no UTF-8", vec![0xff; 100]),
        ("nothing", Vec::new()),
        (
            "a null character",
            good.replace("evil", "&#0;").into_bytes(),
        ),
    ]
}

#[test]
fn what_a_camera_says_of_itself_is_read() {
    let xaddrs = "http://10.0.0.7/onvif/device_service http://[fe80::7]/onvif/device_service";
    let reply = parse_reply(answer("id", "urn:uuid:1-2", SCOPES, xaddrs).as_bytes())
        .expect("it is an answer");
    assert_eq!(reply.relates_to.as_deref(), Some("urn:uuid:id"));
    let [device] = reply.devices.as_slice() else {
        panic!("one device");
    };
    assert_eq!(device.address, "urn:uuid:1-2");
    assert_eq!(device.name.as_deref(), Some("Front door"));
    assert_eq!(device.hardware.as_deref(), Some("DS-2CD2032"));
    assert_eq!(device.location.as_deref(), Some("hall"));
    assert_eq!(device.xaddrs.join(" "), xaddrs);
    assert_eq!(device.types, ["dn:NetworkVideoTransmitter", "tds:Device"]);
    assert_eq!(device.scopes.len(), 4);
}

#[test]
fn hostile_answers_are_refused() {
    for (what, bytes) in hostile() {
        assert!(parse_reply(&bytes).is_err(), "{what}");
    }
}

#[test]
fn no_text_of_a_device_moves_a_cursor_or_smuggles_an_address() {
    let scopes = "onvif://www.onvif.org/name/%1b%5b2Jdoor%E2%80%AE";
    let xaddrs = "file:///etc/passwd http://u:p@10.0.0.1/ javascript:x https://10.0.0.1/";
    let reply = parse_reply(answer("id", "urn:uuid:1&#x9b;", scopes, xaddrs).as_bytes())
        .expect("it is an answer");
    let device = &reply.devices[0];
    assert_eq!(device.address, "urn:uuid:1");
    assert_eq!(device.name.as_deref(), Some("[2Jdoor"));
    assert_eq!(device.xaddrs, ["https://10.0.0.1/"]);
}

#[test]
fn an_answer_fills_bounded_lists_only() {
    let scopes = "x ".repeat(5000) + &"y".repeat(2000);
    let reply =
        parse_reply(answer("id", "urn:uuid:1", &scopes, "").as_bytes()).expect("it is an answer");
    assert_eq!(reply.devices[0].scopes.len(), 64);
    let one =
        "<ProbeMatch><EndpointReference><Address>a</Address></EndpointReference></ProbeMatch>";
    let many = format!("<Envelope>{}</Envelope>", one.repeat(300));
    let reply = parse_reply(many.as_bytes()).expect("it is an answer");
    assert_eq!(reply.devices.len(), 64);
}

/// The id that a probe carries.
fn id_of(probe: &str) -> &str {
    let (_, rest) = probe.split_once("urn:uuid:").expect("a probe has an id");
    rest.split_once('<').expect("it ends").0
}

#[test]
fn a_probe_is_understood_by_the_reader_and_names_its_id() {
    for device_type in [DeviceType::VideoTransmitter, DeviceType::Device] {
        let probe = probe("some-id", device_type);
        assert_eq!(id_of(&probe), "some-id");
        // It is well-formed, and no answer.
        assert_eq!(
            parse_reply(probe.as_bytes()).expect("it is XML").devices,
            []
        );
    }
}

/// Answers the first probe with all of these, and the last of them with the device `last`.
fn responder(answers: impl FnOnce(&str) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = socket.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        let mut buf = [0; 4096];
        let (len, from) = socket.recv_from(&mut buf).expect("a probe comes");
        let probe = std::str::from_utf8(&buf[..len]).expect("it is text");
        let id = id_of(probe).to_owned();
        let mut answers = answers(&id);
        answers.push(answer(&id, "urn:uuid:last", "", "").into_bytes());
        for answer in answers {
            socket.send_to(&answer, from).expect("it is sent");
        }
    });
    address
}

#[test]
fn each_device_is_found_once_whatever_else_answers() {
    let target = responder(|id| {
        let good = answer(
            id,
            "urn:uuid:good",
            SCOPES,
            "http://10.0.0.7/onvif/device_service",
        );
        let mut answers: Vec<Vec<u8>> = hostile().into_iter().map(|(_, bytes)| bytes).collect();
        answers.push(good.clone().into_bytes());
        answers.push(good.into_bytes());
        // An answer to somebody else's question.
        answers.push(answer("other", "urn:uuid:other", "", "").into_bytes());
        answers
    });
    let mut found: Vec<Discovered> = Vec::new();
    search(Duration::from_secs(60), &[target], |device| {
        let last = device.address == "urn:uuid:last";
        found.push(device);
        match last {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })
    .expect("it can ask");
    let addresses: Vec<&str> = found.iter().map(|device| device.address.as_str()).collect();
    assert_eq!(addresses, ["urn:uuid:good", "urn:uuid:last"]);
    assert_eq!(found[0].from, Some(target.ip()));
    assert_eq!(found[0].name.as_deref(), Some("Front door"));
}

proptest! {
    #[test]
    fn any_change_to_an_answer_leaves_an_answer_or_an_error(
        at in 0_usize..1000, byte: u8, cut in 0_usize..1200,
    ) {
        let mut bytes = answer("id", "urn:uuid:1", SCOPES, "http://h/").into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(cut.max(1));
        if let Ok(reply) = parse_reply(&bytes) {
            for device in reply.devices {
                prop_assert!(!device.address.is_empty());
                let name = device.name.unwrap_or_default();
                let hidden = (device.address + &name).contains(char::is_control);
                prop_assert!(!hidden);
            }
        }
    }
}
