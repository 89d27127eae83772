//! Faces turned upright, all of one size.

use crate::geometry::Point;
use crate::picture::{Picture, View};
use crate::resample::{Outside, similarity, warp};

/// The side of an aligned face in pixels.
pub const ALIGNED: usize = 112;

/// Where the landmarks go: right eye, left eye, nose tip, right and left corner of the mouth (J. Deng
/// et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019). In units of
/// pixels whose centres are at whole numbers.
const TEMPLATE: [Point; 5] = [
    Point {
        x: 38.2946,
        y: 51.6963,
    },
    Point {
        x: 73.5318,
        y: 51.5014,
    },
    Point {
        x: 56.0252,
        y: 71.7366,
    },
    Point {
        x: 41.5493,
        y: 92.3655,
    },
    Point {
        x: 70.7299,
        y: 92.2041,
    },
];

/// Cuts a face out of a picture, so that its landmarks come as near as they can to the same places
/// by turning, scaling and shifting. What is beyond the picture is black.
///
/// Gives false, and nothing, for landmarks that are all in one place or no numbers.
pub fn align(picture: View<'_>, landmarks: &[Point; 5], out: &mut Picture) -> bool {
    // Landmarks count from the centre of the first pixel, maps from its corner.
    let corner = |p: &Point| Point {
        x: p.x + 0.5,
        y: p.y + 0.5,
    };
    let (from, to) = (
        TEMPLATE.each_ref().map(corner),
        landmarks.each_ref().map(corner),
    );
    // The nearest in the aligned picture, as is usual, and then the way back: not the nearest in the
    // picture.
    let Some(map) = similarity(&to, &from).and_then(|map| map.inverse()) else {
        return false;
    };
    out.reset(ALIGNED, ALIGNED, picture.channels());
    warp(picture, &map, Outside::Black, out);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Channels;

    #[test]
    fn a_face_that_is_aligned_stays_as_it_is() {
        let pixels: Vec<u8> = (0..ALIGNED * ALIGNED)
            .map(|i| ((i % ALIGNED) * 2) as u8)
            .collect();
        let face = Picture::new(pixels, ALIGNED, ALIGNED, Channels::Gray).expect("it fits");
        let mut out = Picture::default();
        assert!(align(face.view(), &TEMPLATE, &mut out));
        assert_eq!(out, face);
    }

    #[test]
    fn a_face_that_stands_on_its_head_is_turned() {
        let last = (ALIGNED - 1) as f32;
        let pixels: Vec<u8> = (0..ALIGNED * ALIGNED)
            .map(|i| ((i % ALIGNED) + (i / ALIGNED)) as u8)
            .collect();
        let face = Picture::new(pixels, ALIGNED, ALIGNED, Channels::Gray).expect("it fits");
        let turned = TEMPLATE.map(|p| Point {
            x: last - p.x,
            y: last - p.y,
        });
        let mut out = Picture::default();
        assert!(align(face.view(), &turned, &mut out));
        let mut expected = face.data().to_vec();
        expected.reverse();
        let differ = out.data().iter().zip(&expected);
        let most = differ.map(|(a, b)| a.abs_diff(*b)).max();
        assert!(most <= Some(1), "rounding alone: {most:?}");
    }

    #[test]
    fn landmarks_that_are_none_give_nothing() {
        let face = Picture::new(vec![0; 4], 2, 2, Channels::Gray).expect("it fits");
        let mut out = Picture::default();
        let one = [Point { x: 1.0, y: 1.0 }; 5];
        assert!(!align(face.view(), &one, &mut out));
        let mut none = TEMPLATE;
        none[2].x = f32::NAN;
        assert!(!align(face.view(), &none, &mut out));
    }
}
