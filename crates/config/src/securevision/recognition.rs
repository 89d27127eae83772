//! Faces, plates, and how often something must be seen.

use keepwatch_recognition::plate::grammar::Grammar;
use toml::{Table, Value};

use super::values::{
    age, boolean, float, integer, margin, page_mode, path, required, seconds, share, similarity,
    size, some_text, truth, window,
};
use super::{Made, Now, Variables};

/// The regular expressions that SecureVision has by default, which any text matches.
const ANY_TEXT: [&str; 2] = ["[A-Z0-9-]{4,10}", r"[A-Z0-9\u0410-\u042F\u0401-]{4,10}"];

const ALWAYS: &str = "it is always done";
const BY_STORE: &str = "people are in the event store: keepwatch face enroll adds somebody, keepwatch face import a \
     gallery of SecureVision";
const BY_CONFIDENCE: &str =
    "what may be a plate is read, and what reads badly is left out by plates.min_confidence";
const BY_REGION: &str = "plates.region and plates.patterns say what a plate looks like";
const BY_ZONES: &str = "cameras.camera.motion.zones say where something counts, in shares of the picture; keepwatch \
     plate read --within looks at a part of photographs";
const BY_NETWORK: &str =
    "plates are read by the network that is built in; it counts with plates.reader = \"tesseract\"";
const FILTER_OFF: &str = "its filter is off";

/// A value that cannot be.
const UNUSABLE: Now = Now::Key("plates", |_| None);

/// What has become of a setting, by the others, and by what goes before the variables.
pub(super) fn rule(name: &str, ours: &Variables, given: &Table) -> Option<Now> {
    Some(match name {
        "FACE__ENABLED" => Now::Key("recognition.faces", boolean),
        "FACE__GALLERY_PATH" | "FACE__GALLERY_CACHE" => Now::NotRead(BY_STORE),
        "FACE__SIMILARITY_THRESHOLD" => Now::Key("faces.threshold", similarity),
        "FACE__MIN_FACE_SIZE" => Now::Key("faces.min_size", size),
        "TRACKING__ENABLED" => match is_on(ours, name) {
            Some(true) => Now::NotRead(ALWAYS),
            // What is seen once is told.
            Some(false) => Now::Key("recognition.frames_required", |_| Some(Value::Integer(1))),
            None => UNUSABLE,
        },
        "TRACKING__FRAMES_REQUIRED" if is_on(ours, "TRACKING__ENABLED") == Some(false) => {
            Now::NotRead("TRACKING__ENABLED is false")
        }
        "TRACKING__FRAMES_REQUIRED" => Now::Key("recognition.frames_required", required),
        "TRACKING__FRAMES_WINDOW" => Now::Key("recognition.frames_window", window),
        "TRACKING__IOU_THRESHOLD" => Now::Key("recognition.iou_threshold", share),
        "TRACKING__MAX_AGE_FRAMES" => Now::Key("recognition.max_age_frames", age),
        "TRACKING__OCR_AGREEMENT_THRESHOLD" => {
            Now::Key("recognition.ocr_agreement_threshold", share)
        }
        "TRACKING__COOLDOWN_SECONDS" => Now::Key("recognition.cooldown_seconds", seconds),
        _ => {
            let name = name.strip_prefix("PLATES__")?;
            return match name.strip_prefix("OCR__") {
                Some(name) => of_tesseract(name, ours, given),
                None => of_plates(name, ours, given),
            };
        }
    })
}

fn of_plates(name: &str, ours: &Variables, given: &Table) -> Option<Now> {
    Some(match name {
        "ENABLED" => Now::Key("recognition.plates", boolean),
        "WHITELIST_PATH" => Now::Key("plates.allow_list", path),
        "BLACKLIST_PATH" => Now::Key("plates.deny_list", path),
        "MIN_CONFIDENCE" => Now::Key("plates.min_confidence", share),
        "MIN_ASPECT_RATIO"
        | "MAX_ASPECT_RATIO"
        | "MIN_WIDTH_PX"
        | "MIN_HEIGHT_PX"
        | "DETECTOR__CONF_THRESHOLD"
        | "DETECTOR__MAX_DET" => Now::NotRead(BY_CONFIDENCE),
        "DETECTOR__MODEL_PATH" => match ours["PLATES__DETECTOR__MODEL_PATH"].ends_with(".onnx") {
            true => Now::Key("models.plate_detector.path", path),
            false => Now::NotRead(
                "it is no network in ONNX; one is built in, and keepwatch model add names another",
            ),
        },
        "DETECTOR__IOU_THRESHOLD" => Now::NotRead("of two that overlap, one is told"),
        "DETECTOR__INPUT_SIZE" => Now::NotRead("the network says how large its input is"),
        "POSTPROCESS__UPPERCASE" => Now::NotRead(ALWAYS),
        "POSTPROCESS__MIN_LENGTH" | "POSTPROCESS__MAX_LENGTH" => Now::NotRead(BY_REGION),
        "POSTPROCESS__REGEX" => of_regex(&ours["PLATES__POSTPROCESS__REGEX"], given),
        _ if name.starts_with("ROI__") => Now::NotRead(BY_ZONES),
        _ => return None,
    })
}

/// SecureVision had it, and went by it nowhere: what cannot be a pattern here is no error.
fn of_regex(pattern: &str, given: &Table) -> Now {
    let plates = given.get("plates").and_then(Value::as_table);
    if plates.is_some_and(|plates| plates.contains_key("region") || plates.contains_key("patterns"))
    {
        return Now::NotRead("plates.region is set");
    }
    if ANY_TEXT.contains(&pattern) {
        return Now::NotRead("any text matches it; plates.region says what a plate looks like");
    }
    match Grammar::custom(&[pattern]) {
        Ok(_) => Now::Key("plates.patterns", |pattern| {
            Some(Value::Array(vec![some_text(pattern)?]))
        }),
        Err(_) => Now::NotRead(
            "it is no pattern of capitals and digits, without blanks and hyphens: see \
             plates.patterns",
        ),
    }
}

fn of_tesseract(name: &str, ours: &Variables, given: &Table) -> Option<Now> {
    let replaced = |key, by: fn(&str) -> Option<Value>| match is_on(ours, &full(name)) {
        Some(true) => Now::Key(key, by),
        Some(false) => Now::NotRead("nothing is replaced that plates.substitutions does not name"),
        None => UNUSABLE,
    };
    let known = match name {
        "ENABLE_GRAYSCALE" | "TO_UPPERCASE" | "STRIP_WHITESPACE" => {
            return Some(Now::NotRead(ALWAYS));
        }
        "MIN_TEXT_LENGTH" => return Some(Now::NotRead(BY_REGION)),
        "OEM_MODE" => {
            let reason = "the network for lines (1) is the only engine of Tesseract that is used";
            return Some(Now::NotRead(reason));
        }
        "SUBSTITUTE_O_TO_0" => {
            return Some(replaced("plates.substitutions.O", |_| some_text("0")));
        }
        "SUBSTITUTE_I_TO_1" => {
            return Some(replaced("plates.substitutions.I", |_| some_text("1")));
        }
        "TESSERACT_LANG" => Now::Key("plates.tesseract.language", some_text),
        "CHAR_WHITELIST" => Now::Key("plates.tesseract.whitelist", some_text),
        "PSM_MODE" => match integer(&ours[&full(name)]) {
            Some(7 | 8 | 13) => Now::Key("plates.tesseract.page_mode", page_mode),
            Some(0..=13) => Now::NotRead("a plate is a line or a word: 7, 8 or 13"),
            _ => UNUSABLE,
        },
        "CROP_MARGIN_PX" => Now::Key("plates.tesseract.preprocess.crop_margin_px", margin),
        _ => of_filter(name, ours)?,
    };
    Some(match reads_with_tesseract(given) {
        true => known,
        false => Now::NotRead(BY_NETWORK),
    })
}

/// The filters: the variable that has each, and its table here.
const FILTERS: [(&str, &str); 3] = [
    ("ENABLE_BILATERAL", "bilateral"),
    ("ENABLE_ADAPTIVE_THRESHOLD", "adaptive_threshold"),
    ("ENABLE_CLAHE", "clahe"),
];

fn of_filter(name: &str, ours: &Variables) -> Option<Now> {
    let [bilateral, threshold, clahe] = FILTERS.map(|(switch, _)| switch);
    let of = |switch: &str, key, read: fn(&str) -> Option<Value>| match is_on(ours, &full(switch)) {
        Some(true) => Now::Key(key, read),
        _ => Now::NotRead(FILTER_OFF),
    };
    let whole = |text: &str| integer(text).filter(|n| *n >= 0).map(Value::Integer);
    let any = |text: &str| float(text).map(Value::Float);
    Some(match name {
        "BILATERAL_D" => of(
            bilateral,
            "plates.tesseract.preprocess.bilateral.diameter",
            whole,
        ),
        "BILATERAL_SIGMA_COLOR" => of(
            bilateral,
            "plates.tesseract.preprocess.bilateral.sigma_color",
            any,
        ),
        "BILATERAL_SIGMA_SPACE" => of(
            bilateral,
            "plates.tesseract.preprocess.bilateral.sigma_space",
            any,
        ),
        "ADAPTIVE_BLOCK_SIZE" => of(
            threshold,
            "plates.tesseract.preprocess.adaptive_threshold.block_size",
            whole,
        ),
        "ADAPTIVE_C" => of(
            threshold,
            "plates.tesseract.preprocess.adaptive_threshold.c",
            any,
        ),
        "CLAHE_CLIP_LIMIT" => of(clahe, "plates.tesseract.preprocess.clahe.clip_limit", any),
        "CLAHE_TILE_SIZE" => of(clahe, "plates.tesseract.preprocess.clahe.tiles", whole),
        _ => {
            FILTERS.iter().find(|(switch, _)| *switch == name)?;
            match is_on(ours, &full(name)) {
                Some(true) => Now::Part("plates.tesseract.preprocess"),
                Some(false) => Now::NotRead("filters that are not named are off"),
                None => UNUSABLE,
            }
        }
    })
}

fn full(name: &str) -> String {
    format!("PLATES__OCR__{name}")
}

/// Whether a setting is true; none if it is not there, or neither.
fn is_on(ours: &Variables, name: &str) -> Option<bool> {
    truth(ours.get(name)?)
}

/// Whether somebody said so: that there are settings of Tesseract is not enough to leave the better
/// reader for.
fn reads_with_tesseract(given: &Table) -> bool {
    let plates = given.get("plates").and_then(Value::as_table);
    let reader = plates.and_then(|plates| plates.get("reader"));
    reader.and_then(Value::as_str) == Some("tesseract")
}

/// What follows from several settings.
pub(super) fn finish(ours: &Variables, given: &Table, made: &mut Made) {
    let has = |made: &Made, keys: &[&str]| {
        let mut at = Some(&made.table);
        for key in keys {
            at = at.and_then(|table| table.get(*key)?.as_table());
        }
        at.is_some()
    };
    if reads_with_tesseract(given) {
        for (switch, table) in FILTERS {
            let keys = ["plates", "tesseract", "preprocess", table];
            if is_on(ours, &full(switch)) == Some(true) && !has(made, &keys) {
                made.put(&keys.join("."), Value::Table(Table::new()));
            }
        }
    }
    let mut plates = ours.keys().filter(|name| name.starts_with("PLATES__"));
    // Who sets how plates are recognised has them recognised.
    if plates.next().is_some()
        && is_on(ours, "PLATES__ENABLED") != Some(false)
        && !has(made, &["plates"])
    {
        made.put("plates", Value::Table(Table::new()));
    }
    if made
        .table
        .get("plates")
        .is_some_and(|plates| plates.get("patterns").is_some())
    {
        made.put("plates.region", Value::String("custom".to_owned()));
    }
    let number = |made: &Made, key: &str| {
        let recognition = made.table.get("recognition")?;
        recognition.get(key)?.as_integer()
    };
    // Its frames were in a row, and its window counted for nothing.
    let window = number(made, "frames_window").unwrap_or(5);
    if let Some(required) = number(made, "frames_required").filter(|required| *required > window) {
        made.put("recognition.frames_window", Value::Integer(required));
    }
    if ours.contains_key("FACE__SIMILARITY_THRESHOLD") {
        let told = "faces.threshold is right for the model that it was chosen with: leave it out \
                    with another";
        made.notices.push(told.to_owned());
    }
}
