//! Points, boxes and quadrangles in pixels of a picture, from its top left corner.

/// A point. The centre of the first pixel is at (0.5, 0.5).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// Pixels to the right.
    pub x: f32,
    /// Pixels down.
    pub y: f32,
}

/// An upright box.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Box2 {
    /// Its left edge.
    pub x: f32,
    /// Its upper edge.
    pub y: f32,
    /// Its width.
    pub w: f32,
    /// Its height.
    pub h: f32,
}

/// Four corners: top left, top right, bottom right, bottom left, as one reads what is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quad(pub [Point; 4]);

impl Box2 {
    /// Its area.
    pub fn area(&self) -> f32 {
        self.w * self.h
    }

    /// Its centre.
    pub fn center(&self) -> Point {
        Point {
            x: self.x + self.w / 2.0,
            y: self.y + self.h / 2.0,
        }
    }

    /// The share of both boxes' union that is in both: 0 if they do not touch, 1 if they are equal.
    pub fn iou(&self, other: &Self) -> f32 {
        let overlap = |a: f32, a_len: f32, b: f32, b_len: f32| {
            ((a + a_len).min(b + b_len) - a.max(b)).max(0.0)
        };
        let both =
            overlap(self.x, self.w, other.x, other.w) * overlap(self.y, self.h, other.y, other.h);
        let union = self.area() + other.area() - both;
        if union > 0.0 { both / union } else { 0.0 }
    }

    /// The part of it that lies in a picture of this size; none if nothing does or a number of it
    /// is none.
    pub fn within(&self, width: usize, height: usize) -> Option<Self> {
        let cut = |from: f32, len: f32, max: usize| {
            let end = (from + len).clamp(0.0, max as f32);
            let from = from.clamp(0.0, max as f32);
            (from, end - from)
        };
        let ((x, w), (y, h)) = (cut(self.x, self.w, width), cut(self.y, self.h, height));
        // Neither is true of what is no number.
        (w > 0.0 && h > 0.0).then_some(Self { x, y, w, h })
    }

    /// Its corners.
    pub fn quad(&self) -> Quad {
        let (right, bottom) = (self.x + self.w, self.y + self.h);
        let at = |x, y| Point { x, y };
        Quad([
            at(self.x, self.y),
            at(right, self.y),
            at(right, bottom),
            at(self.x, bottom),
        ])
    }
}

impl Quad {
    /// The smallest upright box around it.
    pub fn bounds(&self) -> Box2 {
        let range = |value: fn(&Point) -> f32| {
            let values = self.0.iter().map(value);
            let (low, high) = values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| {
                (low.min(v), high.max(v))
            });
            (low, high - low)
        };
        let ((x, w), (y, h)) = (range(|p| p.x), range(|p| p.y));
        Box2 { x, y, w, h }
    }

    /// All corners moved away from the centre by these factors of the distance, across and down as
    /// the quadrangle lies: 1 keeps it.
    #[must_use]
    pub fn grown(&self, across: f32, down: f32) -> Self {
        let [a, b, c, d] = self.0;
        let between = |p: Point, q: Point, t: f32| Point {
            x: p.x + (q.x - p.x) * t,
            y: p.y + (q.y - p.y) * t,
        };
        let (left, right) = ((1.0 - across) / 2.0, (1.0 + across) / 2.0);
        let (top, bottom) = ((1.0 - down) / 2.0, (1.0 + down) / 2.0);
        let at = |u: f32, v: f32| between(between(a, b, u), between(d, c, u), v);
        Self([
            at(left, top),
            at(right, top),
            at(right, bottom),
            at(left, bottom),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(x: f32, y: f32, side: f32) -> Box2 {
        Box2 {
            x,
            y,
            w: side,
            h: side,
        }
    }

    #[test]
    fn overlap_is_shared_area_over_all_area() {
        assert_eq!(square(0.0, 0.0, 2.0).iou(&square(0.0, 0.0, 2.0)), 1.0);
        assert_eq!(square(0.0, 0.0, 2.0).iou(&square(2.0, 0.0, 2.0)), 0.0);
        assert_eq!(square(0.0, 0.0, 2.0).iou(&square(1.0, 0.0, 2.0)), 2.0 / 6.0);
        assert_eq!(square(0.0, 0.0, 0.0).iou(&square(0.0, 0.0, 0.0)), 0.0);
    }

    #[test]
    fn what_is_outside_of_the_picture_or_no_number_is_cut_off() {
        let cut = square(-1.0, 8.0, 4.0).within(10, 10).expect("it overlaps");
        assert_eq!((cut.x, cut.y, cut.w, cut.h), (0.0, 8.0, 3.0, 2.0));
        for bad in [10.0, -4.0, f32::NAN, f32::INFINITY] {
            assert_eq!(square(bad, 0.0, 4.0).within(10, 10), None, "{bad}");
        }
        assert_eq!(square(0.0, 0.0, f32::NAN).within(10, 10), None);
    }

    #[test]
    fn a_quadrangle_grows_around_its_centre() {
        let quad = square(10.0, 10.0, 10.0).quad();
        assert_eq!(quad.bounds(), square(10.0, 10.0, 10.0));
        let grown = quad.grown(1.2, 2.0).bounds();
        let close = |a: f32, b: f32| (a - b).abs() < 1e-4;
        assert!(close(grown.x, 9.0) && close(grown.w, 12.0));
        assert!(close(grown.y, 5.0) && close(grown.h, 20.0));
    }
}
