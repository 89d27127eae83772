//! How events are shown.

use std::fmt::Write as _;

use keepwatch_core::events::Event;

/// An event in a line.
pub fn describe(event: &Event) -> String {
    let mut text = format!(
        "{}  {}  {}  {}",
        event.started_at.strftime("%Y-%m-%d %H:%M:%S"),
        event.camera,
        event.kind,
        event.id
    );
    let _ = match event.ended_at {
        None => write!(text, "  lasts"),
        Some(ended) => {
            let seconds = ended.duration_since(event.started_at).as_secs_f64();
            write!(text, "  {seconds:.1} s")
        }
    };
    if let Some(clip) = &event.clip {
        let cut = if clip.complete { "" } else { ", cut off" };
        let _ = write!(
            text,
            "  clip {:.1} s{cut}",
            clip.duration_ms as f64 / 1000.0
        );
    }
    if event.snapshot.is_some() {
        text.push_str("  picture");
    }
    if let Some(reason) = &event.reason {
        let _ = write!(text, "  ({reason})");
    }
    text
}
