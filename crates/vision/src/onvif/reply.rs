//! Reading the answer of a device.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

use super::Discovered;
use crate::error::{Error, Result};
use crate::url::percent_decoded;

/// Larger answers are refused. Those of cameras have a few KiB.
pub(super) const MAX_REPLY: usize = 32 << 10;

/// Deeper XML is refused; an answer has six levels.
const MAX_DEPTH: usize = 16;

/// More devices in one answer are left out.
const MAX_MATCHES: usize = 64;

/// More types, addresses or scopes of a device are left out.
const MAX_LIST: usize = 64;

/// Longer items are left out.
const MAX_ITEM: usize = 512;

/// What scopes of ONVIF begin with.
const SCOPE: &str = "onvif://www.onvif.org/";

/// An answer to a probe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The id of the message that it answers.
    pub relates_to: Option<String>,
    /// The devices in it; those without an address of their own are left out.
    pub devices: Vec<Discovered>,
}

/// The elements that matter. Devices choose prefixes, and some the wrong namespace: the local name
/// is what they agree on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    RelatesTo,
    Match,
    Endpoint,
    Address,
    Types,
    Scopes,
    XAddrs,
    Other,
}

impl Element {
    fn named(name: &str) -> Self {
        match name {
            "RelatesTo" => Element::RelatesTo,
            "ProbeMatch" => Element::Match,
            "EndpointReference" => Element::Endpoint,
            "Address" => Element::Address,
            "Types" => Element::Types,
            "Scopes" => Element::Scopes,
            "XAddrs" => Element::XAddrs,
            _ => Element::Other,
        }
    }
}

/// Reads an answer.
///
/// # Errors
/// [`Error::Onvif`] for what is too large, too deep, cut off or no XML, and for document types and
/// entities other than the five of XML itself.
pub fn parse_reply(bytes: &[u8]) -> Result<Reply> {
    if bytes.len() > MAX_REPLY {
        return Err(bad("it is too large"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| bad("it is not UTF-8"))?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    reader.config_mut().expand_empty_elements = true;
    let mut state = State::default();
    loop {
        match reader.read_event().map_err(|_| bad("it is not XML"))? {
            Event::Start(start) => state.open(Element::named(start.local_name().into_inner()))?,
            Event::End(_) => state.close(),
            Event::Text(text) => state.text.push_str(&text.xml10_content()),
            Event::CData(text) => state.text.push_str(&text.xml10_content()),
            Event::GeneralRef(entity) => state.text.push(character(&entity)?),
            Event::DocType(_) => return Err(bad("it has a document type")),
            Event::Eof => break,
            _ => {}
        }
    }
    match state.open.is_empty() {
        true if state.seen => Ok(state.reply),
        true => Err(bad("it is not XML")),
        false => Err(bad("it is cut off")),
    }
}

#[derive(Default)]
struct State {
    open: Vec<Element>,
    /// What stands in the innermost element so far.
    text: String,
    device: Discovered,
    reply: Reply,
    seen: bool,
}

impl State {
    fn open(&mut self, element: Element) -> Result<()> {
        if self.open.len() == MAX_DEPTH {
            return Err(bad("it is too deep"));
        }
        if element == Element::Match {
            self.device = Discovered::default();
        }
        self.seen = true;
        self.open.push(element);
        self.text.clear();
        Ok(())
    }

    fn close(&mut self) {
        let element = self.open.pop();
        let text = std::mem::take(&mut self.text);
        let within = |element| self.open.contains(&element);
        match element {
            Some(Element::RelatesTo) if !within(Element::Match) => {
                self.reply.relates_to = item(text.trim());
            }
            Some(Element::Address) if self.open.ends_with(&[Element::Match, Element::Endpoint]) => {
                self.device.address = item(text.trim()).unwrap_or_default();
            }
            Some(Element::Types) if within(Element::Match) => self.device.types = list(&text),
            Some(Element::Scopes) if within(Element::Match) => self.device.scopes = list(&text),
            Some(Element::XAddrs) if within(Element::Match) => {
                self.device.xaddrs = list(&text);
                self.device.xaddrs.retain(|address| is_service(address));
            }
            Some(Element::Match) => self.keep(),
            _ => {}
        }
    }

    fn keep(&mut self) {
        let mut device = std::mem::take(&mut self.device);
        if device.address.is_empty() || self.reply.devices.len() == MAX_MATCHES {
            return;
        }
        let scope = |kind: &str| {
            device.scopes.iter().find_map(|scope| {
                let rest = scope.strip_prefix(SCOPE)?.strip_prefix(kind)?;
                let text = percent_decoded(rest.strip_prefix('/')?);
                item(String::from_utf8_lossy(&text).trim())
            })
        };
        (device.name, device.hardware) = (scope("name"), scope("hardware"));
        device.location = scope("location");
        self.reply.devices.push(device);
    }
}

/// The character that a reference stands for.
fn character(entity: &BytesRef<'_>) -> Result<char> {
    let numbered = entity.resolve_char_ref();
    let numbered = numbered.map_err(|_| bad("a character is none"))?;
    let named = match &*entity.xml10_content() {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => None,
    };
    numbered
        .or(named)
        .ok_or_else(|| bad("it has entities of its own"))
}

/// The items of a list that blanks separate.
fn list(text: &str) -> Vec<String> {
    text.split_whitespace()
        .take(MAX_LIST)
        .filter_map(item)
        .collect()
}

/// A text of bounded length, without what would move a terminal's cursor.
fn item(text: &str) -> Option<String> {
    if text.is_empty() || text.len() > MAX_ITEM {
        return None;
    }
    let text = text.chars().filter(|letter| !is_hidden(*letter)).collect();
    Some(text)
}

/// Control characters, and those that turn the direction of text around.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// An address that a client may be offered: no other protocol, no user and password in it.
fn is_service(address: &str) -> bool {
    let rest = address
        .strip_prefix("http://")
        .or_else(|| address.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains('@'))
}

fn bad(problem: &'static str) -> Error {
    Error::Onvif { problem }
}
