//! Pictures as networks take them.

use crate::infer::Port;
use crate::picture::{Channels, Picture, View};
use crate::resample::Shrinker;

/// The order of a network's colour planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planes {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// How pixel values become numbers: `(value - mean) * scale`, of each plane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    /// The order of the planes.
    pub planes: Planes,
    /// What is subtracted, of red, green and blue.
    pub mean: [f32; 3],
    /// What it is multiplied by, of red, green and blue.
    pub scale: [f32; 3],
}

/// The size that a network works at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Always this, width and height.
    Fixed(usize, usize),
    /// The picture's own, with sides rounded up to multiples of 32, and the longer one at most this.
    UpTo(usize),
}

/// Sides of networks without a fixed size are multiples of it.
const STEP: usize = 32;
/// The longest side that a network may work at.
const MAX_SIDE: usize = 4096;

impl Size {
    /// That of a network that takes `1 x 3 x height x width` numbers. `longest` is for one that
    /// takes any size.
    pub fn of(input: &Port, longest: usize) -> Option<Self> {
        let &[_, channels, height, width] = &input.shape[..] else {
            return None;
        };
        if channels.is_some_and(|channels| channels != 3) {
            return None;
        }
        let usable = |side: usize| (STEP..=MAX_SIDE).contains(&side);
        match (width, height) {
            (Some(width), Some(height)) if usable(width) && usable(height) => {
                Some(Self::Fixed(width, height))
            }
            (None, None) if usable(longest) => Some(Self::UpTo(longest / STEP * STEP)),
            _ => None,
        }
    }

    /// The network's width and height for a picture, those of the picture in it, and how many times
    /// larger it was. No picture is enlarged.
    fn fit(self, width: usize, height: usize) -> ([usize; 2], [usize; 2], f32) {
        let (most_wide, most_high) = match self {
            Self::Fixed(width, height) => (width, height),
            Self::UpTo(longest) => (longest, longest),
        };
        let scale = (most_wide as f64 / width as f64)
            .min(most_high as f64 / height as f64)
            .min(1.0);
        let side = |side: usize, most: usize| {
            ((side as f64 * scale).round_ties_even() as usize).clamp(1, most)
        };
        let picture = [side(width, most_wide), side(height, most_high)];
        let network = match self {
            Self::Fixed(width, height) => [width, height],
            Self::UpTo(_) => picture.map(|side| side.next_multiple_of(STEP)),
        };
        (network, picture, (1.0 / scale) as f32)
    }
}

/// Where a picture went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// How many pixels of the picture are one of the network's.
    pub factor: f32,
    /// Where it begins in the network's picture.
    pub x: usize,
    /// Where it begins in the network's picture.
    pub y: usize,
}

/// Where pictures stand in the network's, and what is around them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letterbox {
    /// At the top left, with black around.
    Corner,
    /// In the middle, with grey around.
    Middle,
}

/// Fills tensors with pictures, and keeps its memory.
#[derive(Debug, Default)]
pub struct Filler {
    shrinker: Shrinker,
    canvas: Picture,
    small: Picture,
}

impl Filler {
    /// The size that the network works at for a picture.
    pub fn size(size: Size, picture: View<'_>) -> [usize; 2] {
        size.fit(picture.width(), picture.height()).0
    }

    /// Puts a picture into one slot of a tensor: `3 x height x width` numbers.
    pub fn fill(
        &mut self,
        picture: View<'_>,
        size: Size,
        letterbox: Letterbox,
        normalization: &Normalization,
        slot: &mut [f32],
    ) -> Place {
        let ([width, height], [w, h], factor) = size.fit(picture.width(), picture.height());
        let (x, y, around) = match letterbox {
            Letterbox::Corner => (0, 0, 0),
            Letterbox::Middle => ((width - w) / 2, (height - h) / 2, 114),
        };
        self.small.reset(w, h, picture.channels());
        self.shrinker.shrink(picture, w, h, &mut self.small);
        self.canvas.reset(width, height, Channels::Rgb);
        if (w, h) != (width, height) {
            self.canvas.fill(around);
        }
        for row in 0..h {
            let small = self.small.row(row);
            let out = &mut self.canvas.row_mut(y + row)[x * 3..][..w * 3];
            match picture.channels() {
                Channels::Rgb => out.copy_from_slice(small),
                Channels::Gray => {
                    for (out, value) in out.chunks_exact_mut(3).zip(small) {
                        out.fill(*value);
                    }
                }
            }
        }
        to_planes(self.canvas.data(), normalization, slot);
        Place { factor, x, y }
    }
}

/// Takes interleaved red, green and blue apart.
pub fn to_planes(rgb: &[u8], normalization: &Normalization, slot: &mut [f32]) {
    let plane = rgb.len() / 3;
    let order = match normalization.planes {
        Planes::Rgb => [0, 1, 2],
        Planes::Bgr => [2, 1, 0],
    };
    for (out, channel) in slot.chunks_exact_mut(plane).zip(order) {
        let (mean, scale) = (normalization.mean[channel], normalization.scale[channel]);
        for (out, pixel) in out.iter_mut().zip(rgb.chunks_exact(3)) {
            *out = (f32::from(pixel[channel]) - mean) * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(shape: &[Option<usize>]) -> Port {
        Port {
            name: "input".to_owned(),
            shape: shape.to_vec(),
        }
    }

    #[test]
    fn sizes_come_from_the_network() {
        let size = |shape: &[Option<usize>]| Size::of(&port(shape), 650);
        let (one, three) = (Some(1), Some(3));
        assert_eq!(
            size(&[one, three, Some(320), Some(640)]),
            Some(Size::Fixed(640, 320))
        );
        assert_eq!(size(&[None, three, None, None]), Some(Size::UpTo(640)));
        assert_eq!(size(&[one, Some(1), Some(320), Some(320)]), None);
        assert_eq!(size(&[one, three, Some(1 << 20), Some(320)]), None);
        assert_eq!(size(&[one, three, Some(0), Some(320)]), None);
        assert_eq!(size(&[three, Some(320), Some(320)]), None);
    }

    #[test]
    fn pictures_are_shrunk_to_fit_and_never_enlarged() {
        assert_eq!(
            Size::Fixed(320, 320).fit(1920, 1080),
            ([320, 320], [320, 180], 6.0)
        );
        assert_eq!(
            Size::Fixed(320, 320).fit(100, 50),
            ([320, 320], [100, 50], 1.0)
        );
        assert_eq!(
            Size::UpTo(640).fit(1920, 1080),
            ([640, 384], [640, 360], 3.0)
        );
        assert_eq!(Size::UpTo(640).fit(33, 32), ([64, 32], [33, 32], 1.0));
        assert_eq!(Size::UpTo(640).fit(64_000, 1), ([640, 32], [640, 1], 100.0));
    }

    #[test]
    fn pictures_become_planes_in_the_networks_order() {
        let rgb = [1, 2, 3, 4, 5, 6];
        let picture = View::new(&rgb, 2, 1, 6, Channels::Rgb).expect("it fits");
        let normalization = Normalization {
            planes: Planes::Bgr,
            mean: [1.0, 0.0, 0.0],
            scale: [2.0, 1.0, 1.0],
        };
        let mut slot = vec![9.0; 3 * 32 * 32];
        let place = Filler::default().fill(
            picture,
            Size::Fixed(32, 32),
            Letterbox::Corner,
            &normalization,
            &mut slot,
        );
        assert_eq!((place.factor, place.x, place.y), (1.0, 0, 0));
        let plane = |index: usize| &slot[index * 32 * 32..][..3];
        assert_eq!(plane(0), [3.0, 6.0, 0.0]);
        assert_eq!(plane(1), [2.0, 5.0, 0.0]);
        assert_eq!(plane(2), [0.0, 6.0, -2.0]);
    }

    #[test]
    fn a_picture_in_the_middle_has_grey_around() {
        let gray = [200; 4];
        let picture = View::new(&gray, 2, 2, 2, Channels::Gray).expect("it fits");
        let normalization = Normalization {
            planes: Planes::Rgb,
            mean: [0.0; 3],
            scale: [1.0; 3],
        };
        let mut slot = vec![0.0; 3 * 32 * 32];
        let place = Filler::default().fill(
            picture,
            Size::Fixed(32, 32),
            Letterbox::Middle,
            &normalization,
            &mut slot,
        );
        assert_eq!((place.x, place.y), (15, 15));
        let at = |x: usize, y: usize| slot[y * 32 + x];
        assert_eq!([at(14, 15), at(15, 15), at(16, 16)], [114.0, 200.0, 200.0]);
    }
}
