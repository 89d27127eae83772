use super::*;

const DIRECTORY: &CStr = c"/usr/share/tesseract-ocr/5/tessdata";

#[test]
fn a_library_that_is_not_there_is_told_with_where_it_was_looked_for() {
    let Err(error) = library::find(&["libnowhere.so.5", "/nowhere/libtesseract.so"]) else {
        panic!("it was found");
    };
    let told = error.to_string();
    for part in ["Tesseract 5", "libnowhere.so.5", "/nowhere/libtesseract.so"] {
        assert!(told.contains(part), "{told}");
    }
    // Another library has none of its functions.
    let Err(error) = library::find(&["libc.so.6"]) else {
        panic!("it is no Tesseract");
    };
    assert!(error.to_string().contains("TessVersion"), "{error}");
}

#[test]
fn it_says_which_it_is() {
    assert!(version().unwrap().starts_with("5."));
}

/// What stands between the tags.
fn text(hocr: &str) -> String {
    let parts = hocr.split('<').filter_map(|part| part.split_once('>'));
    let text: String = parts.map(|(_, text)| text).collect();
    text.trim().to_owned()
}

#[test]
fn strokes_are_letters_and_a_blank_line_has_none() {
    let (width, height) = (160, 48);
    let mut engine = Engine::new().unwrap();
    engine.load_from(DIRECTORY, c"eng").unwrap();
    engine.set_page_mode(PageMode::Line);
    engine.set(c"tessedit_char_whitelist", c"HI").unwrap();
    let mut picture = vec![255; width * height];
    assert_eq!(text(&engine.read(&picture, width, height).unwrap()), "");
    // An H: two strokes, and one between them.
    for (y, row) in picture.chunks_exact_mut(width).enumerate().take(40).skip(8) {
        row[60..66].fill(0);
        row[80..86].fill(0);
        if (21..27).contains(&y) {
            row[60..86].fill(0);
        }
    }
    assert_eq!(text(&engine.read(&picture, width, height).unwrap()), "H");
}

#[test]
fn what_is_no_language_is_refused() {
    let mut engine = Engine::new().unwrap();
    engine.set(c"debug_file", c"/dev/null").unwrap();
    assert_eq!(engine.load(b"no language", c"eng"), Err(Error::Language));
    assert_eq!(engine.load(b"", c"eng"), Err(Error::Language));
    assert_eq!(engine.load_from(c"/nowhere", c"eng"), Err(Error::Language));
}

#[test]
fn a_variable_that_is_none_is_refused_by_name() {
    let mut engine = Engine::new().unwrap();
    let unknown = Error::Variable("no_such_thing".to_owned());
    assert_eq!(engine.set(c"no_such_thing", c"1"), Err(unknown));
}

#[test]
fn a_picture_has_the_size_that_it_is_said_to_have() {
    let mut engine = Engine::new().unwrap();
    engine.load_from(DIRECTORY, c"eng").unwrap();
    for (len, width, height) in [
        (0, 0, 0),
        (11, 3, 4),
        (13, 3, 4),
        (0, 1 << 40, 0),
        (8, 1 << 62, 8),
    ] {
        let refused = engine.read(&vec![0; len], width, height);
        assert_eq!(refused, Err(Error::Picture { width, height, len }));
    }
}

/// Nothing that it is asked for is dangerous before there is a language, or a second time.
#[test]
fn it_may_be_asked_in_any_order() {
    let mut engine = Engine::new().unwrap();
    engine.set_page_mode(PageMode::Word);
    assert_eq!(engine.read(&[0; 12], 3, 4), Err(Error::Language));
    engine.load_from(DIRECTORY, c"eng").unwrap();
    assert_eq!(engine.load(b"", c"eng"), Err(Error::Language));
    assert_eq!(engine.read(&[0; 12], 3, 4), Err(Error::Language));
    engine.load_from(DIRECTORY, c"eng").unwrap();
    let engine = std::thread::spawn(move || {
        engine.read(&[128; 64 * 32], 64, 32).unwrap();
        engine
    });
    drop(engine.join().unwrap());
}
