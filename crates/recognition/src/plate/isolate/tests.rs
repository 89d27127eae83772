use super::super::drawn::{
    CHARACTERS, Colors, DARK_ON_LIGHT, LIGHT_ON_DARK, plate, scene, upright,
};
use super::super::preprocess::PreprocessSettings;
use super::*;

const SHAPE: Shape = Shape {
    height: 40.0,
    width: 0.6,
};

fn isolate(picture: &Picture, quad: &Quad, by: By) -> (Option<usize>, Picture) {
    let mut isolator = Isolator::default();
    let mut preprocessor = Preprocessor::new(PreprocessSettings::default()).expect("good settings");
    let count = isolator.isolate(picture.view(), quad, by, &mut preprocessor);
    let mut out = Picture::default();
    if count.is_some() {
        isolator.draw(SHAPE, &mut out);
    }
    (count, out)
}

/// How many there are, from left to right, with white between them.
fn columns_of_ink(picture: &Picture) -> usize {
    let ink = |x: usize| (0..picture.height()).any(|y| picture.row(y)[x] < 100);
    (1..picture.width())
        .filter(|&x| ink(x) && !ink(x - 1))
        .count()
}

#[test]
fn characters_are_dark_on_white_in_their_order() {
    for colors in [DARK_ON_LIGHT, LIGHT_ON_DARK] {
        let quad = upright(40.0, 50.0, 130.0, 30.0);
        let picture = scene(240, 140, colors, &quad);
        let (count, drawn) = isolate(&picture, &quad, By::Components);
        assert_eq!(count, Some(CHARACTERS));
        assert_eq!(columns_of_ink(&drawn), CHARACTERS);
        assert!(drawn.row(0).iter().all(|value| *value == 255));
        assert!((0..drawn.height()).all(|y| drawn.row(y)[0] == 255));
    }
}

#[test]
fn frames_and_stickers_are_left_out() {
    let Colors { paper, ink, .. } = DARK_ON_LIGHT;
    let mut framed = plate(DARK_ON_LIGHT);
    for y in 0..60 {
        if !(4..56).contains(&y) {
            framed.row_mut(y).fill(ink);
        }
        framed.row_mut(y)[..4].fill(ink);
        framed.row_mut(y)[256..].fill(ink);
    }
    // Between two characters.
    for y in 24..34 {
        framed.row_mut(y)[40..46].fill(paper / 2);
    }
    let all = upright(0.0, 0.0, 260.0, 60.0);
    let (count, drawn) = isolate(&framed, &all, By::Components);
    assert_eq!(count, Some(CHARACTERS));
    assert_eq!(columns_of_ink(&drawn), CHARACTERS);
}

#[test]
fn characters_come_off_a_frame_that_they_touch() {
    // It reaches up to their feet, so that all is one component.
    let mut framed = plate(DARK_ON_LIGHT);
    for y in 48..60 {
        framed.row_mut(y).fill(DARK_ON_LIGHT.ink);
    }
    let all = upright(0.0, 0.0, 260.0, 60.0);
    assert_ne!(isolate(&framed, &all, By::Components).0, Some(CHARACTERS));
    let (count, drawn) = isolate(&framed, &all, By::Band);
    assert_eq!(count, Some(CHARACTERS));
    assert_eq!(columns_of_ink(&drawn), CHARACTERS);
}

#[test]
fn slanted_and_leaning_plates_are_straightened() {
    let at = |x, y| Point { x, y };
    // It rises to the right, and its sides lean.
    let quad = Quad([
        at(60.0, 90.0),
        at(250.0, 60.0),
        at(240.0, 104.0),
        at(50.0, 134.0),
    ]);
    let picture = scene(320, 200, DARK_ON_LIGHT, &quad);
    let seen = quad.bounds().quad();
    let (count, drawn) = isolate(&picture, &seen, By::Components);
    assert_eq!(count, Some(CHARACTERS));
    // The first is an H: its left bar is upright.
    let first = |y: usize| drawn.row(y).iter().position(|value| *value < 100);
    let (top, bottom) = (
        first(BORDER as usize + 6),
        first(drawn.height() - BORDER as usize - 6),
    );
    let (top, bottom) = (top.expect("ink"), bottom.expect("ink"));
    assert!(top.abs_diff(bottom) <= 2, "{top} {bottom}");
}

#[test]
fn nothing_is_isolated_where_nothing_is() {
    let mut blank = Picture::default();
    blank.reset(100, 40, Channels::Gray);
    blank.fill(90);
    for quad in [
        upright(10.0, 10.0, 80.0, 20.0),
        upright(-500.0, 10.0, 80.0, 20.0),
        upright(0.0, 0.0, 0.0, 0.0),
    ] {
        for by in [By::Components, By::Band] {
            assert_eq!(isolate(&blank, &quad, by).0, None);
        }
    }
}

#[test]
fn characters_are_drawn_in_the_shape_asked_for() {
    let quad = upright(20.0, 20.0, 260.0, 60.0);
    let picture = scene(300, 100, DARK_ON_LIGHT, &quad);
    let mut isolator = Isolator::default();
    let mut preprocessor = Preprocessor::new(PreprocessSettings::default()).expect("good settings");
    isolator
        .isolate(picture.view(), &quad, By::Components, &mut preprocessor)
        .expect("there are characters");
    let mut out = Picture::default();
    isolator.draw(SHAPE, &mut out);
    let (width, height) = (out.width(), out.height());
    isolator.draw(
        Shape {
            height: 20.0,
            ..SHAPE
        },
        &mut out,
    );
    assert_eq!(
        (out.width(), out.height()),
        (width.div_ceil(2), height.div_ceil(2))
    );
    isolator.draw(
        Shape {
            width: 0.9,
            ..SHAPE
        },
        &mut out,
    );
    assert!(out.width() > width && out.height() == height);
}
