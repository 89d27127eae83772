//! Values out of the texts of variables, in the ranges that SecureVision has, brought into ours.

use toml::Value;

/// Any text. A dollar sign was nothing special there.
pub(super) fn text(text: &str) -> Value {
    Value::String(text.replace('$', "$$"))
}

/// Any text; whether it can be used is for others to say.
pub(super) fn any_text(value: &str) -> Option<Value> {
    Some(text(value))
}

/// A text that says something.
pub(super) fn some_text(value: &str) -> Option<Value> {
    (!value.trim().is_empty()).then(|| text(value))
}

/// A path. It begins where the program was started, and not where the configuration is.
pub(super) fn path(value: &str) -> Option<Value> {
    let path = std::path::absolute(value.trim()).ok()?;
    some_text(value)?;
    path.to_str().map(text)
}

pub(super) fn number(value: &str) -> Option<Value> {
    float(value).map(Value::Float)
}

pub(super) fn float(value: &str) -> Option<f64> {
    let number: f64 = value.trim().parse().ok()?;
    number.is_finite().then_some(number)
}

/// From 0 to 1.
pub(super) fn share(value: &str) -> Option<Value> {
    let share = float(value)?;
    (0.0..=1.0).contains(&share).then_some(Value::Float(share))
}

/// Above 0, and 1 at most: at 0 every stranger is somebody.
pub(super) fn similarity(value: &str) -> Option<Value> {
    share(value).filter(|_| float(value) > Some(0.0))
}

/// Seconds, up to the day that is the longest here.
pub(super) fn seconds(value: &str) -> Option<Value> {
    let seconds = float(value)?;
    (seconds >= 0.0).then(|| Value::Float(seconds.min(86_400.0)))
}

pub(super) fn days(value: &str) -> Option<Value> {
    let days: u32 = value.trim().parse().ok()?;
    Some(Value::String(format!("{days}d")))
}

/// As pydantic reads it.
pub(super) fn truth(value: &str) -> Option<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
        _ => None,
    }
}

pub(super) fn boolean(value: &str) -> Option<Value> {
    truth(value).map(Value::Boolean)
}

pub(super) fn integer(value: &str) -> Option<i64> {
    value.trim().parse().ok()
}

/// A whole number that is `from` at least; what is above `to` is `to`.
fn up_to(value: &str, from: i64, to: i64) -> Option<Value> {
    let number = integer(value)?;
    (number >= from).then(|| Value::Integer(number.min(to)))
}

/// A size in pixels. Below 1 there is no least one.
pub(super) fn size(value: &str) -> Option<Value> {
    let pixels = integer(value)?.clamp(1, 10_000);
    Some(Value::Integer(pixels))
}

pub(super) fn margin(value: &str) -> Option<Value> {
    up_to(value, 0, 1000)
}

/// Frames that must agree.
pub(super) fn required(value: &str) -> Option<Value> {
    let frames = integer(value)?;
    (1..=10).contains(&frames).then_some(Value::Integer(frames))
}

/// Frames that are looked back.
pub(super) fn window(value: &str) -> Option<Value> {
    up_to(value, 1, 64)
}

pub(super) fn age(value: &str) -> Option<Value> {
    up_to(value, 1, 10_000)
}

/// The page segmentation modes that a plate can have.
pub(super) fn page_mode(value: &str) -> Option<Value> {
    let name = match integer(value)? {
        7 => "line",
        8 => "word",
        13 => "raw_line",
        _ => return None,
    };
    Some(Value::String(name.to_owned()))
}
