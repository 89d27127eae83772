//! Finding cameras in the local network by WS-Discovery, as ONVIF has it.
//!
//! ONVIF Core, section 7.3, takes the WS-Discovery of April 2005, and devices of OASIS WS-DD 1.1
//! answer it. Anybody in the network can answer: replies are bounded and read as untrusted, and
//! what they say is a proposal for a person to look at.

mod addresses;
mod reply;
mod search;

use std::net::IpAddr;

use serde::Serialize;

pub use reply::{Reply, parse_reply};
pub use search::{discover, search};

/// Where probes go: the group and port of WS-Discovery, IPv4.
pub const MULTICAST: (std::net::Ipv4Addr, u16) =
    (std::net::Ipv4Addr::new(239, 255, 255, 250), 3702);

/// A device that answered. Texts are as the device sent them, without control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Discovered {
    /// What stays the same when its address changes, `urn:uuid:…` for most.
    pub address: String,
    /// Where its device service is: `http` or `https`.
    pub xaddrs: Vec<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its model.
    pub hardware: Option<String>,
    /// Where it says that it is.
    pub location: Option<String>,
    /// What it is, `dn:NetworkVideoTransmitter` for one.
    pub types: Vec<String>,
    /// All that it says of itself.
    pub scopes: Vec<String>,
    /// Where the answer came from, if it came over the network.
    pub from: Option<IpAddr>,
}

/// The message that asks devices of a type to answer, as SOAP 1.2.
///
/// `id` is a new UUID as text, which answers refer to.
pub fn probe(id: &str, device_type: DeviceType) -> String {
    let (namespace, name) = match device_type {
        DeviceType::VideoTransmitter => (
            "http://www.onvif.org/ver10/network/wsdl",
            "NetworkVideoTransmitter",
        ),
        DeviceType::Device => ("http://www.onvif.org/ver10/device/wsdl", "Device"),
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
         xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\">\
         <s:Header>\
         <a:Action s:mustUnderstand=\"1\">\
         http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action>\
         <a:MessageID>urn:uuid:{id}</a:MessageID>\
         <a:ReplyTo><a:Address>\
         http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>\
         <a:To s:mustUnderstand=\"1\">urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To>\
         </s:Header>\
         <s:Body><d:Probe><d:Types xmlns:t=\"{namespace}\">t:{name}</d:Types></d:Probe></s:Body>\
         </s:Envelope>"
    )
}

/// What a probe asks for. Some devices answer to one of them only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceType {
    /// A camera or encoder, of ONVIF's first years.
    VideoTransmitter,
    /// Anything with ONVIF's device service.
    Device,
}
