//! Cuts what lies in a quadrangle out of a picture, as it would look from straight ahead.

use crate::geometry::Quad;
use crate::picture::{Picture, View};
use crate::resample::{Homography, Outside, Shrinker, warp};

/// The most pixels that are sampled for a cut-out, in each direction. Plates that are larger in the
/// picture lose detail that no reader needs.
const MAX_SIDE: f32 = 2048.0;
/// The widest a cut-out may become, in heights of it.
const MAX_ASPECT: f32 = 16.0;

/// Cuts quadrangles out of pictures. It keeps its memory for the next.
#[derive(Clone, Debug, Default)]
pub struct Rectifier {
    shrinker: Shrinker,
    fine: Picture,
    colors: Picture,
}

impl Rectifier {
    /// Fills `out` with the brightness of what lies in `quad`, `height` pixels high and as wide as
    /// the longer of its upper and lower side asks for. Where it lies outside of the picture, the
    /// nearest pixel is repeated. Gives the map from pixels of `out` to those of the picture.
    ///
    /// What becomes smaller is averaged, so that strokes do not get lost between samples.
    ///
    /// None for a quadrangle without an inside, with numbers that are none, or more than 16 times
    /// as wide as high.
    pub fn cut(
        &mut self,
        picture: View<'_>,
        quad: &Quad,
        height: usize,
        out: &mut Picture,
    ) -> Option<Homography> {
        let [a, b, c, d] = quad.0;
        let length = |p: crate::Point, q: crate::Point| (q.x - p.x).hypot(q.y - p.y);
        let (across, down) = (
            length(a, b).max(length(d, c)),
            length(a, d).max(length(b, c)),
        );
        let aspect = across / down;
        if height == 0 || !(aspect > 0.0 && aspect <= MAX_ASPECT) {
            return None;
        }
        let width = ((aspect * height as f32).round() as usize).max(1);
        let map = Homography::from_rectangle(width as f64, height as f64, quad)?;
        let largest = MAX_SIDE / width.max(height) as f32;
        let times = (down / height as f32).min(largest).ceil().max(1.0) as usize;
        let (fine_width, fine_height) = (width * times, height * times);
        let fine_map = Homography::from_rectangle(fine_width as f64, fine_height as f64, quad)?;
        let channels = picture.channels();
        self.fine.reset(fine_width, fine_height, channels);
        warp(picture, &fine_map, Outside::Edge, &mut self.fine);
        self.colors.reset(width, height, channels);
        self.shrinker
            .shrink(self.fine.view(), width, height, &mut self.colors);
        self.colors.view().gray_into(out);
        Some(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{Box2, Point};
    use crate::picture::Channels;

    fn gray(width: usize, height: usize, value: impl Fn(usize, usize) -> u8) -> Picture {
        let bytes = (0..width * height).map(|i| value(i % width, i / width));
        Picture::new(bytes.collect(), width, height, Channels::Gray).expect("it fits")
    }

    #[test]
    fn an_upright_box_is_copied() {
        let source = gray(20, 20, |x, y| (x * 10 + y) as u8);
        let box2 = Box2 {
            x: 3.0,
            y: 4.0,
            w: 8.0,
            h: 5.0,
        };
        let mut out = Picture::default();
        let map = Rectifier::default().cut(source.view(), &box2.quad(), 5, &mut out);
        assert_eq!(out, source.view().part(3, 4, 8, 5).to_picture());
        assert_eq!(map.expect("it has an inside").apply(1.0, 2.0), (4.0, 6.0));
    }

    #[test]
    fn fine_stripes_become_their_mean() {
        let source = gray(160, 80, |x, _| if x % 2 == 0 { 200 } else { 100 });
        let box2 = Box2 {
            x: 0.0,
            y: 0.0,
            w: 160.0,
            h: 80.0,
        };
        let mut out = Picture::default();
        Rectifier::default()
            .cut(source.view(), &box2.quad(), 10, &mut out)
            .expect("it has an inside");
        assert_eq!((out.width(), out.height()), (20, 10));
        assert!(out.data().iter().all(|value| *value == 150));
    }

    #[test]
    fn a_slanted_quadrangle_becomes_upright() {
        // Everything to the right of a slanted line is light.
        let source = gray(60, 40, |x, y| if x > 20 + y / 2 { 255 } else { 0 });
        let at = |x, y| Point { x, y };
        let quad = Quad([at(10.5, 0.0), at(30.5, 0.0), at(50.5, 40.0), at(30.5, 40.0)]);
        let mut out = Picture::default();
        Rectifier::default()
            .cut(source.view(), &quad, 40, &mut out)
            .expect("it has an inside");
        assert_eq!(out.width(), 18);
        for y in 0..40 {
            assert!(out.row(y)[7] < 32 && out.row(y)[11] > 223, "{y}");
        }
    }

    #[test]
    fn what_is_no_quadrangle_is_refused() {
        let source = gray(20, 20, |_, _| 0);
        let mut out = Picture::default();
        let at = |x, y| Point { x, y };
        for quad in [
            Quad([at(1.0, 1.0); 4]),
            Quad([at(f32::NAN, 1.0), at(5.0, 1.0), at(5.0, 3.0), at(1.0, 3.0)]),
            Box2 {
                x: 0.0,
                y: 0.0,
                w: 20.0,
                h: 1.0,
            }
            .quad(),
            Box2 {
                x: 0.0,
                y: 0.0,
                w: f32::INFINITY,
                h: 1.0,
            }
            .quad(),
        ] {
            let map = Rectifier::default().cut(source.view(), &quad, 10, &mut out);
            assert!(map.is_none(), "{quad:?}");
        }
    }
}
