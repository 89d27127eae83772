//! Which parts of a picture are looked at.

use keepwatch_core::events::Region;

/// The most parts of one picture.
pub(crate) const MAX_PARTS: usize = 8;

/// The least side of a part in pixels, where the picture has so many: networks need some room around
/// what they find.
const LEAST_SIDE: f32 = 96.0;

/// Part of a picture in pixels. Its left and upper edges are even, as its colours are of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub x: usize,
    pub y: usize,
    pub w: usize,
    pub h: usize,
}

impl Part {
    fn overlaps(&self, other: &Self) -> bool {
        self.x < other.x + other.w
            && other.x < self.x + self.w
            && self.y < other.y + other.h
            && other.y < self.y + self.h
    }

    fn joined(&self, other: &Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        Self {
            x,
            y,
            w: (self.x + self.w).max(other.x + other.w) - x,
            h: (self.y + self.h).max(other.y + other.h) - y,
        }
    }

    fn area(&self) -> usize {
        self.w * self.h
    }

    /// The part of a picture of this size that holds the region, grown by `margin` of its longer
    /// side. None if the region is none.
    fn around(region: &Region, margin: f32, [width, height]: [usize; 2]) -> Option<Self> {
        let (pw, ph) = (width as f32, height as f32);
        let (w, h) = (region.w * pw, region.h * ph);
        // Neither is true of what is no number.
        if !(w > 0.0 && h > 0.0) {
            return None;
        }
        let grow = margin * w.max(h);
        let side = |from: f32, len: f32, all: usize| {
            let wanted = (len + 2.0 * grow).max(LEAST_SIDE);
            let middle = from + len / 2.0;
            let low = (middle - wanted / 2.0).clamp(0.0, all as f32);
            let high = (middle + wanted / 2.0).clamp(0.0, all as f32);
            let low = low as usize / 2 * 2;
            // Pairs are whole, but for the last one of an odd picture.
            let high = (high.ceil() as usize).next_multiple_of(2).min(all);
            (high > low).then(|| (low, high - low))
        };
        let (x, w) = side(region.x * pw, w, width)?;
        let (y, h) = side(region.y * ph, h, height)?;
        Some(Self { x, y, w, h })
    }
}

/// The parts of a picture of `[width, height]` pixels that hold the regions, each grown by so much
/// of its longer side, into the memory of `parts`: no two of them overlap, and there are at most [`MAX_PARTS`].
pub(crate) fn parts(
    regions: impl Iterator<Item = (Region, f32)>,
    size: [usize; 2],
    parts: &mut Vec<Part>,
) {
    parts.clear();
    for (region, margin) in regions {
        if let Some(part) = Part::around(&region, margin, size) {
            add(parts, part);
        }
    }
    while parts.len() > MAX_PARTS {
        let (a, b) = nearest(parts);
        // The later one first: the place of the other stays.
        let (b, a) = (parts.swap_remove(b), parts.swap_remove(a));
        add(parts, a.joined(&b));
    }
}

/// Adds a part, joined with all that it overlaps.
fn add(parts: &mut Vec<Part>, mut part: Part) {
    while let Some(index) = parts.iter().position(|other| other.overlaps(&part)) {
        part = part.joined(&parts.swap_remove(index));
    }
    parts.push(part);
}

/// The two parts, in their order, that need the least more room when they are one.
fn nearest(parts: &[Part]) -> (usize, usize) {
    let cost = |(a, b): (usize, usize)| {
        let joined = parts[a].joined(&parts[b]).area();
        joined.saturating_sub(parts[a].area() + parts[b].area())
    };
    let pairs = (0..parts.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
    pairs.min_by_key(|pair| cost(*pair)).unwrap_or((0, 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn region(x: f32, y: f32, w: f32, h: f32) -> Region {
        Region { x, y, w, h }
    }

    fn of(regions: &[Region], size: [usize; 2]) -> Vec<Part> {
        let mut found = Vec::new();
        parts(
            regions.iter().map(|region| (*region, 0.25)),
            size,
            &mut found,
        );
        found
    }

    #[test]
    fn regions_grow_and_join() {
        let size = [1920, 1080];
        // 192 by 108 pixels, and 48 more on each side.
        let one = of(&[region(0.5, 0.5, 0.1, 0.1)], size);
        let wanted = Part {
            x: 912,
            y: 492,
            w: 288,
            h: 204,
        };
        assert_eq!(one, [wanted]);
        let apart = [region(0.1, 0.1, 0.1, 0.1), region(0.8, 0.8, 0.1, 0.1)];
        assert_eq!(of(&apart, size).len(), 2);
        let near = [region(0.1, 0.1, 0.1, 0.1), region(0.21, 0.1, 0.1, 0.1)];
        assert_eq!(of(&near, size).len(), 1);
        // One that joins two others.
        let bridge = [apart[0], apart[1], region(0.1, 0.1, 0.8, 0.8)];
        assert_eq!(of(&bridge, size).len(), 1);
    }

    #[test]
    fn small_regions_have_room_around_them_as_far_as_there_is_any() {
        let [part] = of(&[region(0.0, 0.0, 0.001, 0.001)], [1920, 1080])[..] else {
            panic!("there is one");
        };
        assert!(part.w >= 48 && part.h >= 48);
        let all = of(&[region(0.4, 0.4, 0.1, 0.1)], [31, 17]);
        assert_eq!(
            all,
            [Part {
                x: 0,
                y: 0,
                w: 31,
                h: 17
            }]
        );
        assert!(of(&[region(0.0, 0.0, 0.0, 0.1)], [64, 64]).is_empty());
        assert!(of(&[region(0.0, f32::NAN, 0.1, f32::NAN)], [64, 64]).is_empty());
        assert!(of(&[region(3.0, 3.0, 0.1, 0.1)], [640, 360]).is_empty());
    }

    proptest! {
        #[test]
        fn parts_lie_in_the_picture_apart_from_each_other_and_hold_the_regions(
            places in prop::collection::vec(
                (0.0..1.0_f32, 0.0..1.0_f32, 0.001..0.2_f32, 0.001..0.2_f32), 0..40),
            width in 1..2000_usize,
            height in 1..1200_usize,
        ) {
            let regions: Vec<Region> = places
                .iter()
                .map(|&(x, y, w, h)| region(x, y, w.min(1.0 - x), h.min(1.0 - y)))
                .filter(|region| region.w > 0.0 && region.h > 0.0)
                .collect();
            let found = of(&regions, [width, height]);
            prop_assert!(found.len() <= MAX_PARTS);
            prop_assert_eq!(found.is_empty(), regions.is_empty());
            for (n, part) in found.iter().enumerate() {
                prop_assert!(part.w > 0 && part.h > 0 && part.x % 2 == 0 && part.y % 2 == 0);
                prop_assert!(part.x + part.w <= width && part.y + part.h <= height);
                prop_assert!(found[..n].iter().all(|other| !other.overlaps(part)));
            }
            for region in &regions {
                let (x, y) = (region.x * width as f32, region.y * height as f32);
                let (right, below) = (x + region.w * width as f32, y + region.h * height as f32);
                let is_held = found.iter().any(|part| {
                    part.x as f32 <= x + 0.01
                        && part.y as f32 <= y + 0.01
                        && (part.x + part.w) as f32 >= right - 0.01
                        && (part.y + part.h) as f32 >= below - 0.01
                });
                prop_assert!(is_held);
            }
        }
    }
}
