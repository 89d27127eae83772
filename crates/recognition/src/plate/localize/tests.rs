use proptest::prelude::*;

use super::super::drawn::{Colors, DARK_ON_LIGHT, LIGHT_ON_DARK, plate, put, scene, upright};
use super::*;

fn find(settings: LocalizerSettings, picture: &Picture) -> Vec<Candidate> {
    let mut out = Vec::new();
    Localizer::new(settings)
        .expect("the settings are good")
        .find(picture.view(), &mut out);
    out
}

fn best(picture: &Picture) -> Quad {
    let candidates = find(LocalizerSettings::default(), picture);
    candidates.first().expect("there is a plate").quad
}

fn assert_near(found: &Quad, quad: &Quad) {
    let iou = found.bounds().iou(&quad.bounds());
    assert!(iou > 0.6, "{found:?} for {quad:?}: {iou}");
}

#[test]
fn plates_of_all_sizes_are_found() {
    for width in [70.0, 100.0, 150.0, 220.0, 330.0, 480.0] {
        for colors in [DARK_ON_LIGHT, LIGHT_ON_DARK] {
            let quad = upright(101.0, 63.0, width, width * 60.0 / 260.0);
            assert_near(&best(&scene(640, 400, colors, &quad)), &quad);
        }
    }
}

#[test]
fn faint_plates_are_found() {
    let faint = Colors {
        ground: 20,
        paper: 48,
        ink: 32,
    };
    let quad = upright(50.0, 80.0, 140.0, 32.0);
    assert_near(&best(&scene(320, 240, faint, &quad)), &quad);
}

#[test]
fn a_slanted_plate_gives_a_slanted_quadrangle() {
    let at = |x, y| Point { x, y };
    let quad = Quad([
        at(100.0, 100.0),
        at(300.0, 150.0),
        at(300.0, 198.0),
        at(100.0, 148.0),
    ]);
    let found = best(&scene(400, 300, DARK_ON_LIGHT, &quad));
    assert_near(&found, &quad);
    let [a, b, c, d] = found.0;
    for (left, right) in [(a, b), (d, c)] {
        let slope = (right.y - left.y) / (right.x - left.x);
        assert!((slope - 0.25).abs() < 0.04, "{slope}");
    }
    // In reading order.
    assert!(a.x < b.x && a.y < d.y && b.y < c.y && d.x < c.x);
}

#[test]
fn two_plates_are_two_candidates() {
    let (one, two) = (
        upright(30.0, 40.0, 180.0, 42.0),
        upright(260.0, 210.0, 120.0, 28.0),
    );
    let mut picture = scene(440, 300, DARK_ON_LIGHT, &one);
    put(&mut picture, &plate(DARK_ON_LIGHT), &two);
    let candidates = find(LocalizerSettings::default(), &picture);
    for quad in [one, two] {
        let hits = candidates
            .iter()
            .filter(|candidate| candidate.quad.bounds().iou(&quad.bounds()) > 0.3);
        assert_eq!(hits.count(), 1, "{candidates:?}");
    }
    assert!(candidates.is_sorted_by(|a, b| a.score >= b.score));
    let one_only = LocalizerSettings {
        most: 1,
        ..LocalizerSettings::default()
    };
    assert_eq!(find(one_only, &picture), candidates[..1]);
}

#[test]
fn only_the_region_is_looked_at() {
    let quad = upright(230.0, 150.0, 130.0, 30.0);
    let picture = scene(400, 200, DARK_ON_LIGHT, &quad);
    let region = |x, y, w, h| LocalizerSettings {
        region: Box2 { x, y, w, h },
        ..LocalizerSettings::default()
    };
    assert_eq!(find(region(0.0, 0.0, 0.5, 1.0), &picture), []);
    assert_eq!(find(region(0.0, 0.0, 1.0, 0.6), &picture), []);
    let found = find(region(0.5, 0.5, 0.5, 0.5), &picture);
    assert_near(&found[0].quad, &quad);
}

#[test]
fn places_in_large_pictures_are_places_in_them() {
    let quad = upright(900.0, 500.0, 260.0, 60.0);
    let picture = scene(1600, 900, DARK_ON_LIGHT, &quad);
    let smaller = LocalizerSettings {
        longest_side: 700,
        ..LocalizerSettings::default()
    };
    assert_near(&find(smaller, &picture)[0].quad, &quad);
    // The same in colour.
    let colors = picture.data().iter().flat_map(|v| [*v; 3]).collect();
    let colors = Picture::new(colors, 1600, 900, Channels::Rgb).expect("it fits");
    assert_eq!(find(smaller, &colors), find(smaller, &picture));
}

#[test]
fn what_is_too_small_or_has_another_shape_is_no_plate() {
    let quad = upright(40.0, 40.0, 200.0, 46.0);
    let picture = scene(320, 200, DARK_ON_LIGHT, &quad);
    let defaults = LocalizerSettings::default();
    let wide = LocalizerSettings {
        min_width: 280.0,
        ..defaults
    };
    let high = LocalizerSettings {
        min_height: 90.0,
        ..defaults
    };
    let flat = LocalizerSettings {
        min_aspect_ratio: 7.0,
        ..defaults
    };
    let many = LocalizerSettings {
        min_characters: 8,
        ..defaults
    };
    for settings in [wide, high, flat, many] {
        let hits = find(settings, &picture)
            .iter()
            .filter(|c| c.score > 0.5)
            .count();
        assert_eq!(hits, 0, "{settings:?}");
    }
}

#[test]
fn settings_that_cannot_be_are_refused_by_name() {
    let good = LocalizerSettings::default();
    let region = |x, w| LocalizerSettings {
        region: Box2 {
            x,
            w,
            ..good.region
        },
        ..good
    };
    let cases = [
        (region(-0.1, 1.0), "region"),
        (region(0.5, 0.6), "region"),
        (region(0.5, 0.0), "region"),
        (region(f32::NAN, 1.0), "region"),
        (
            LocalizerSettings {
                min_aspect_ratio: 9.0,
                ..good
            },
            "min_aspect_ratio",
        ),
        (
            LocalizerSettings {
                longest_side: 10,
                ..good
            },
            "longest_side",
        ),
        (
            LocalizerSettings {
                min_characters: 1,
                ..good
            },
            "min_characters",
        ),
    ];
    for (settings, name) in cases {
        let error = Localizer::new(settings).expect_err(name).to_string();
        assert!(error.starts_with(name), "{error}");
    }
}

#[test]
fn one_localizer_serves_pictures_of_several_sizes() {
    let mut localizer = Localizer::new(LocalizerSettings::default()).expect("good settings");
    let mut out = Vec::new();
    for (width, height) in [(640, 400), (320, 200), (640, 400)] {
        let quad = upright(20.0, 30.0, 200.0, 46.0);
        let picture = scene(width, height, DARK_ON_LIGHT, &quad);
        localizer.find(picture.view(), &mut out);
        assert_eq!(out, find(LocalizerSettings::default(), &picture));
    }
}

proptest! {
    #[test]
    fn noise_of_any_size_gives_sound_candidates(
        width in 1_usize..150,
        height in 1_usize..150,
        seed in any::<u64>(),
    ) {
        let mut state = seed | 1;
        let bytes = (0..width * height).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            if state & 0x300 == 0 { 30 } else { 200 }
        });
        let picture = Picture::new(bytes.collect(), width, height, Channels::Gray).expect("it fits");
        let settings = LocalizerSettings { min_width: 1.0, min_height: 1.0, ..LocalizerSettings::default() };
        for Candidate { quad, score } in find(settings, &picture) {
            prop_assert!((0.0..=1.0).contains(&score));
            let bounds = quad.bounds();
            prop_assert!(bounds.within(width, height).is_some());
        }
    }
}
