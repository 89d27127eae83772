//! Plates drawn for tests.

use crate::geometry::{Box2, Quad};
use crate::picture::{Channels, Picture};
use crate::resample::{Homography, Outside, warp};

/// What a plate is drawn with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Colors {
    pub ground: u8,
    pub paper: u8,
    pub ink: u8,
}

pub(super) const DARK_ON_LIGHT: Colors = Colors {
    ground: 60,
    paper: 220,
    ink: 30,
};

pub(super) const LIGHT_ON_DARK: Colors = Colors {
    ground: 160,
    paper: 40,
    ink: 230,
};

/// How many characters a drawn plate has.
pub(super) const CHARACTERS: usize = 7;

/// A plate of 260 x 60 pixels: letters H, U and others made of bars, 36 high.
pub(super) fn plate(colors: Colors) -> Picture {
    let mut picture = Picture::default();
    picture.reset(260, 60, Channels::Gray);
    picture.fill(colors.paper);
    for character in 0..CHARACTERS {
        let left = 14 + character * 34;
        let mut bar = |x: usize, y: usize, width: usize, height: usize| {
            for y in y..y + height {
                picture.row_mut(12 + y)[left + x..][..width].fill(colors.ink);
            }
        };
        bar(0, 0, 6, 36);
        match character % 3 {
            0 => {
                bar(18, 0, 6, 36);
                bar(6, 15, 12, 6);
            }
            1 => {
                bar(18, 0, 6, 36);
                bar(6, 30, 12, 6);
            }
            _ => {
                bar(6, 0, 16, 6);
                bar(6, 15, 12, 6);
                bar(6, 30, 16, 6);
            }
        }
    }
    picture
}

/// A picture with a plate at `quad`.
pub(super) fn scene(width: usize, height: usize, colors: Colors, quad: &Quad) -> Picture {
    let mut scene = Picture::default();
    scene.reset(width, height, Channels::Gray);
    scene.fill(colors.ground);
    put(&mut scene, &plate(colors), quad);
    scene
}

/// Puts a plate into a picture.
pub(super) fn put(scene: &mut Picture, plate: &Picture, quad: &Quad) {
    let (width, height) = (plate.width() as f64, plate.height() as f64);
    let map = Homography::from_rectangle(width, height, quad).expect("it has an inside");
    let back = map.inverse().expect("it has a way back");
    let mut warped = Picture::default();
    warped.reset(scene.width(), scene.height(), Channels::Gray);
    warp(plate.view(), &back, Outside::Edge, &mut warped);
    for y in 0..scene.height() {
        for x in 0..scene.width() {
            let (px, py) = back.apply(x as f64 + 0.5, y as f64 + 0.5);
            if (0.0..width).contains(&px) && (0.0..height).contains(&py) {
                scene.row_mut(y)[x] = warped.row(y)[x];
            }
        }
    }
}

/// An upright place.
pub(super) fn upright(x: f32, y: f32, w: f32, h: f32) -> Quad {
    Box2 { x, y, w, h }.quad()
}
