//! The variables of SecureVision.

use std::path::Path;

use keepwatch_recognition::plate::ocr::PageMode;
use keepwatch_recognition::settings::ReaderKind;

use super::*;

/// Those of a file, and of an environment without the prefix.
fn of(text: &str, variables: &[(&str, &str)]) -> Result<Loaded> {
    let named = variables.iter().map(|(name, value)| {
        let name = format!("SECUREVISION__{name}");
        (name, (*value).to_owned())
    });
    Config::load(Some(text), &named.collect(), &|_| unreachable!())
}

fn notices(loaded: &Loaded, name: &str) -> String {
    let about = |notice: &&String| notice.starts_with(&format!("SECUREVISION__{name} "));
    let notice = loaded.notices.iter().find(about);
    notice
        .cloned()
        .unwrap_or_else(|| panic!("nothing is said of {name}"))
}

#[test]
fn variables_of_securevision_are_read_and_named() {
    let variables = [
        ("SECUREVISION__VIDEO__SOURCE__TYPE", "rtsp"),
        (
            "SECUREVISION__VIDEO__SOURCE__URL",
            "rtsp://u:p$w@10.0.0.5/stream",
        ),
        ("SECUREVISION__VIDEO__FPS_TARGET", "7"),
        ("SECUREVISION__VIDEO__READ_TIMEOUT_S", "4.5"),
        ("SECUREVISION__EVENTS__RETENTION_DAYS", "14"),
        ("SECUREVISION__TRACKING__ENABLED", "true"),
    ];
    let loaded = Config::load(None, &environment(&variables), &|_| unreachable!());
    let loaded = loaded.expect("it is read");
    let camera = &loaded.config.cameras["camera"];
    assert_eq!(
        camera.url.credentials().expect("they are there").password(),
        "p$w"
    );
    assert!((camera.fps_target - 7.0).abs() < 1e-6);
    assert_eq!(camera.read_timeout.as_millis(), 4500);
    assert_eq!(
        loaded.config.retention.events,
        Some(SignedDuration::from_hours(14 * 24))
    );
    assert_eq!(loaded.notices.len(), variables.len());
    let notices = loaded.notices.join("\n");
    assert!(
        notices.contains("FPS_TARGET is called cameras.camera.fps_target now"),
        "{notices}"
    );
    assert!(!notices.contains("p$w"));

    let device = [("SECUREVISION__VIDEO__SOURCE__TYPE", "device")];
    let loaded = Config::load(None, &environment(&device), &|_| unreachable!());
    let config = loaded.expect("it is read").config;
    assert_eq!(config.cameras["camera"].url.location(), "/dev/video0");
}

/// Every setting that SecureVision documents, each with another value than its default.
const ALL: &[(&str, &str)] = &[
    ("VIDEO__SOURCE__TYPE", "rtsp"),
    ("VIDEO__SOURCE__URL", "rtsp://u:pw@10.0.0.5/stream"),
    ("VIDEO__SOURCE__BACKEND", "FFMPEG"),
    ("VIDEO__SOURCE__DEVICE_INDEX", "1"),
    ("VIDEO__FPS_TARGET", "7"),
    ("VIDEO__FRAME_RESIZE", "1280,720"),
    ("VIDEO__ROTATE_180", "true"),
    ("VIDEO__ONVIF_DISCOVERY_ENABLED", "true"),
    ("VIDEO__READ_TIMEOUT_S", "4.5"),
    ("VIDEO__RECONNECT_INTERVAL_S", "2"),
    ("FACE__ENABLED", "yes"),
    ("FACE__GALLERY_PATH", "./data/faces/trusted"),
    ("FACE__GALLERY_CACHE", "./data/faces/gallery.npz"),
    ("FACE__SIMILARITY_THRESHOLD", "0.5"),
    ("FACE__MIN_FACE_SIZE", "64"),
    ("PLATES__ENABLED", "on"),
    ("PLATES__WHITELIST_PATH", "./data/plates/white$list.csv"),
    ("PLATES__BLACKLIST_PATH", "/srv/blacklist.csv"),
    ("PLATES__MIN_CONFIDENCE", "0.6"),
    ("PLATES__MIN_ASPECT_RATIO", "1.5"),
    ("PLATES__MAX_ASPECT_RATIO", "6"),
    ("PLATES__MIN_WIDTH_PX", "80"),
    ("PLATES__MIN_HEIGHT_PX", "20"),
    ("PLATES__DETECTOR__MODEL_PATH", "./weights/yolov8n_plate.pt"),
    ("PLATES__DETECTOR__CONF_THRESHOLD", "0.35"),
    ("PLATES__DETECTOR__IOU_THRESHOLD", "0.4"),
    ("PLATES__DETECTOR__MAX_DET", "5"),
    ("PLATES__DETECTOR__INPUT_SIZE", "320"),
    ("PLATES__OCR__TESSERACT_LANG", "eng+rus"),
    ("PLATES__OCR__PSM_MODE", "8"),
    ("PLATES__OCR__OEM_MODE", "1"),
    ("PLATES__OCR__CHAR_WHITELIST", "ABC0123- "),
    ("PLATES__OCR__CROP_MARGIN_PX", "4"),
    ("PLATES__OCR__ENABLE_GRAYSCALE", "true"),
    ("PLATES__OCR__ENABLE_BILATERAL", "true"),
    ("PLATES__OCR__BILATERAL_D", "5"),
    ("PLATES__OCR__BILATERAL_SIGMA_COLOR", "50"),
    ("PLATES__OCR__BILATERAL_SIGMA_SPACE", "60"),
    ("PLATES__OCR__ENABLE_ADAPTIVE_THRESHOLD", "false"),
    ("PLATES__OCR__ADAPTIVE_BLOCK_SIZE", "13"),
    ("PLATES__OCR__ADAPTIVE_C", "3"),
    ("PLATES__OCR__ENABLE_CLAHE", "1"),
    ("PLATES__OCR__CLAHE_CLIP_LIMIT", "3.0"),
    ("PLATES__OCR__CLAHE_TILE_SIZE", "4"),
    ("PLATES__OCR__TO_UPPERCASE", "true"),
    ("PLATES__OCR__STRIP_WHITESPACE", "true"),
    ("PLATES__OCR__MIN_TEXT_LENGTH", "5"),
    ("PLATES__OCR__SUBSTITUTE_O_TO_0", "true"),
    ("PLATES__OCR__SUBSTITUTE_I_TO_1", "false"),
    ("PLATES__POSTPROCESS__REGEX", "[A-Z]{2}[0-9]{4}$"),
    ("PLATES__POSTPROCESS__UPPERCASE", "true"),
    ("PLATES__POSTPROCESS__MIN_LENGTH", "5"),
    ("PLATES__POSTPROCESS__MAX_LENGTH", "8"),
    ("PLATES__ROI__ENABLED", "true"),
    ("PLATES__ROI__X1", "100"),
    ("PLATES__ROI__Y1", "50"),
    ("PLATES__ROI__X2", "0"),
    ("PLATES__ROI__Y2", "0"),
    ("EVENTS__DB_URL", "sqlite:///./data/events.db"),
    ("EVENTS__RETENTION_DAYS", "14"),
    ("TRACKING__ENABLED", "true"),
    ("TRACKING__FRAMES_REQUIRED", "4"),
    ("TRACKING__FRAMES_WINDOW", "8"),
    ("TRACKING__IOU_THRESHOLD", "0.3"),
    ("TRACKING__MAX_AGE_FRAMES", "20"),
    ("TRACKING__OCR_AGREEMENT_THRESHOLD", "0.7"),
    ("TRACKING__COOLDOWN_SECONDS", "45"),
    ("API__HOST", "127.0.0.1"),
    ("API__PORT", "8000"),
    ("API__WS_ENABLED", "true"),
    ("API__AUTH_TOKEN", "hunter2"),
    ("TESSERACT_CMD", "/usr/bin/tesseract"),
];

const WITH_TESSERACT: &str = "[plates]\nreader = \"tesseract\"";

#[test]
fn a_whole_environment_is_taken_over() {
    let mut loaded = of(WITH_TESSERACT, ALL).expect("it is read");
    for (name, _) in ALL {
        let notice = notices(&loaded, name);
        assert!(!notice.contains("there is no such setting"), "{notice}");
    }
    assert!(!loaded.notices.concat().contains("hunter2"));
    let config = &mut loaded.config;
    config.place(Path::new("/etc/keepwatch"));
    assert_eq!(
        (config.faces.threshold, config.faces.min_size),
        (Some(0.5), 64.0)
    );
    let server = &config.server;
    assert_eq!(
        server.listen,
        ["127.0.0.1:8000".parse().expect("an address")]
    );
    assert_eq!(
        server.auth_token.as_ref().map(SecretText::expose),
        Some("hunter2")
    );
    let recognition = &config.recognition;
    assert!(recognition.faces && recognition.plates);
    assert_eq!(
        (
            recognition.frames_required,
            recognition.frames_window,
            recognition.max_age_frames
        ),
        (4, 8, 20)
    );
    assert_eq!(
        (
            recognition.iou_threshold,
            recognition.ocr_agreement_threshold
        ),
        (0.3, 0.7)
    );
    assert!((recognition.cooldown_seconds - 45.0).abs() < 1e-9);
    let plates = config.plates.as_ref().expect("they are recognised");
    // From where the program runs, and not from where the file is.
    let here = std::env::current_dir().expect("there is one");
    let allow = plates.allow_list.as_ref().expect("it is set");
    assert_eq!(*allow, here.join("data/plates/white$list.csv"));
    assert_eq!(
        plates.deny_list.as_deref(),
        Some(Path::new("/srv/blacklist.csv"))
    );
    assert_eq!(
        (plates.region.as_str(), plates.patterns.len()),
        ("custom", 1)
    );
    assert_eq!(plates.patterns[0], "[A-Z]{2}[0-9]{4}$");
    assert_eq!(plates.min_confidence, 0.6);
    assert_eq!(plates.substitutions, BTreeMap::from([('O', '0')]));
    let tesseract = plates.tesseract.as_ref().expect("it is the reader");
    assert_eq!(
        (
            tesseract.language.as_str(),
            tesseract.page_mode,
            tesseract.whitelist.as_str()
        ),
        ("eng+rus", PageMode::Word, "ABC0123- ")
    );
    let preprocess = &tesseract.preprocess;
    let bilateral = preprocess.bilateral.expect("it is on");
    assert_eq!(
        (
            bilateral.diameter,
            bilateral.sigma_color,
            bilateral.sigma_space
        ),
        (5, 50.0, 60.0)
    );
    let clahe = preprocess.clahe.expect("it is on");
    assert_eq!((clahe.clip_limit, clahe.tiles), (3.0, 4));
    assert_eq!(
        (preprocess.adaptive_threshold, preprocess.crop_margin_px),
        (None, 4.0)
    );
    assert!(config.models.plate_detector.is_none());
    let notice = notices(&loaded, "PLATES__OCR__ADAPTIVE_C");
    assert!(notice.ends_with("its filter is off"), "{notice}");
    let notice = notices(&loaded, "FACE__GALLERY_CACHE");
    assert!(notice.contains("keepwatch face import"), "{notice}");
    let notice = notices(&loaded, "PLATES__ROI__X1");
    assert!(notice.contains("motion.zones"), "{notice}");
}

#[test]
fn settings_of_tesseract_do_not_make_it_the_reader() {
    let loaded = of("", ALL).expect("it is read");
    let plates = loaded.config.plates.as_ref().expect("they are recognised");
    assert_eq!(
        (plates.reader, &plates.tesseract),
        (ReaderKind::Network, &None)
    );
    assert_eq!(plates.substitutions, BTreeMap::from([('O', '0')]));
    let notice = notices(&loaded, "PLATES__OCR__CHAR_WHITELIST");
    assert!(notice.contains("plates.reader = \"tesseract\""), "{notice}");
    // A filter that has no numbers of its own.
    let filter = [("PLATES__OCR__ENABLE_CLAHE", "true")];
    let loaded = of(WITH_TESSERACT, &filter).expect("it is read");
    let tesseract = loaded
        .config
        .plates
        .expect("there")
        .tesseract
        .expect("there");
    assert_eq!(tesseract.preprocess.clahe, Some(Clahe::default()));
}

#[test]
fn the_file_goes_before_the_variables() {
    let file = "[plates]\nregion = \"de\"\nmin_confidence = 0.3\n[faces]\nthreshold = 0.6\n\
                [recognition]\nframes_window = 9";
    let loaded = of(file, ALL).expect("it is read");
    let plates = loaded.config.plates.as_ref().expect("they are recognised");
    assert_eq!((plates.region.as_str(), plates.min_confidence), ("de", 0.3));
    assert!(plates.patterns.is_empty());
    assert_eq!(loaded.config.faces.threshold, Some(0.6));
    assert_eq!(loaded.config.recognition.frames_window, 9);
    let notice = notices(&loaded, "PLATES__POSTPROCESS__REGEX");
    assert!(notice.contains("plates.region is set"), "{notice}");
}

#[test]
fn what_meant_nothing_there_stops_nothing_here() {
    for regex in [
        "[A-Z0-9-]{4,10}",
        r"[A-Z0-9\u0410-\u042F\u0401-]{4,10}",
        "[A-Z]{1,3}-[A-Z]{1,2} [0-9]{1,4}",
        "(",
    ] {
        let loaded = of("", &[("PLATES__POSTPROCESS__REGEX", regex)]).expect(regex);
        let plates = loaded.config.plates.expect("they are recognised");
        assert_eq!(plates.region, "eu", "{regex}");
    }
    let loaded = of("", &[("TRACKING__FRAMES_REQUIRED", "7")]).expect("it is read");
    let recognition = loaded.config.recognition;
    assert_eq!(
        (recognition.frames_required, recognition.frames_window),
        (7, 7)
    );
    let far = [
        ("TRACKING__FRAMES_WINDOW", "500"),
        ("TRACKING__COOLDOWN_SECONDS", "1e6"),
    ];
    let recognition = of("", &far).expect("it is read").config.recognition;
    assert_eq!(recognition.frames_window, 64);
    assert!((recognition.cooldown_seconds - 86_400.0).abs() < 1e-9);
    let loaded = of("", &[("PLATES__OCR__PSM_MODE", "6")]).expect("it is read");
    assert!(notices(&loaded, "PLATES__OCR__PSM_MODE").contains("is not read"));
    let faces = of("", &[("FACE__MIN_FACE_SIZE", "0")])
        .expect("it is read")
        .config
        .faces;
    assert_eq!(faces.min_size, 1.0);
}

#[test]
fn what_is_off_is_off() {
    let off = [
        ("FACE__ENABLED", "false"),
        ("PLATES__ENABLED", "0"),
        ("PLATES__MIN_CONFIDENCE", "0.6"),
        ("TRACKING__ENABLED", "no"),
        ("TRACKING__FRAMES_REQUIRED", "4"),
    ];
    let loaded = of("", &off).expect("it is read");
    let recognition = &loaded.config.recognition;
    assert!(!recognition.faces && !recognition.plates);
    assert_eq!(recognition.frames_required, 1);
    let notice = notices(&loaded, "TRACKING__FRAMES_REQUIRED");
    assert!(notice.contains("TRACKING__ENABLED is false"), "{notice}");
    // Who sets nothing of plates has none recognised, as before.
    let config = of("", &[("FACE__ENABLED", "true")])
        .expect("it is read")
        .config;
    assert!(config.plates.is_none());
    let config = of("", &[("PLATES__ENABLED", "true")])
        .expect("it is read")
        .config;
    assert!(config.plates.is_some());
}

#[test]
fn names_may_be_small_and_groups_json() {
    let variables = [
        ("securevision__face__min_face_size", "50"),
        (
            "SECUREVISION__FACE",
            r#"{"enabled": false, "min_face_size": 70, "gallery_path": null}"#,
        ),
        (
            "SECUREVISION__PLATES",
            r#"{"ocr": {"substitute_o_to_0": true}, "min_confidence": 0.4}"#,
        ),
        (
            "SECUREVISION__PLATES__OCR",
            r#"{"substitute_o_to_0": false}"#,
        ),
    ];
    let loaded = Config::load(None, &environment(&variables), &|_| unreachable!());
    let config = loaded.expect("it is read").config;
    assert_eq!(
        (config.faces.min_size, config.recognition.faces),
        (50.0, false)
    );
    let plates = config.plates.expect("they are recognised");
    assert_eq!(
        (plates.min_confidence, plates.substitutions.len()),
        (0.4, 0)
    );
}

#[test]
fn values_that_cannot_be_are_told_by_name_and_not_repeated() {
    for (name, value) in [
        ("FACE__ENABLED", "hunter2"),
        ("FACE__SIMILARITY_THRESHOLD", "0"),
        ("FACE__SIMILARITY_THRESHOLD", "1.5"),
        ("FACE__MIN_FACE_SIZE", "40.5"),
        ("FACE", "[]"),
        ("FACE", "hunter2"),
        ("PLATES__MIN_CONFIDENCE", "55"),
        ("PLATES__WHITELIST_PATH", " "),
        ("PLATES__OCR__SUBSTITUTE_O_TO_0", ""),
        ("PLATES__OCR__PSM_MODE", "14"),
        ("PLATES__OCR__ENABLE_CLAHE", "2"),
        ("TRACKING__ENABLED", "perhaps"),
        ("TRACKING__FRAMES_REQUIRED", "0"),
        ("TRACKING__FRAMES_REQUIRED", "11"),
        ("TRACKING__IOU_THRESHOLD", "nan"),
        ("TRACKING__COOLDOWN_SECONDS", "-1"),
    ] {
        let error = of(WITH_TESSERACT, &[(name, value)])
            .expect_err(name)
            .to_string();
        assert!(
            error.contains(&format!("SECUREVISION__{name} has no value")),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
    }
    let loaded = of("", &[("TRACKING__COOLDOWN", "3")]).expect("it is read");
    assert!(notices(&loaded, "TRACKING__COOLDOWN").contains("there is no such setting"));
}
