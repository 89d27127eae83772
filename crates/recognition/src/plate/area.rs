//! The part of a picture that plates are looked for in.

use std::str::FromStr;

use crate::error::{Error, Result};
use crate::geometry::{Point, Quad};
use crate::picture::View;

/// A part of pictures, in pixels from the top left: SecureVision's region of interest. Written as
/// `X1,Y1,X2,Y2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// The first column and row.
    pub from: [usize; 2],
    /// The column and row behind the last; 0 is the far edge of the picture, and so is what lies
    /// beyond it.
    pub to: [usize; 2],
}

impl FromStr for Area {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::Setting {
            name: "area",
            problem: format!("{text:?} is not X1,Y1,X2,Y2, in pixels; 0 is the far edge"),
        };
        let numbers = text.split(',').map(|part| part.trim().parse());
        let numbers: Vec<usize> = numbers.collect::<Result<_, _>>().map_err(|_| bad())?;
        let [x1, y1, x2, y2] = numbers[..] else {
            return Err(bad());
        };
        if (x2 != 0 && x2 <= x1) || (y2 != 0 && y2 <= y1) {
            return Err(bad());
        }
        Ok(Self {
            from: [x1, y1],
            to: [x2, y2],
        })
    }
}

impl Area {
    /// That part of a picture; none if nothing of it is within.
    pub fn of<'a>(&self, picture: &View<'a>) -> Option<View<'a>> {
        let [x, y] = self.from;
        let end = |to: usize, edge: usize| if to == 0 { edge } else { to.min(edge) };
        let right = end(self.to[0], picture.width());
        let bottom = end(self.to[1], picture.height());
        (x < right && y < bottom).then(|| picture.part(x, y, right - x, bottom - y))
    }

    /// Where something in that part is in the whole picture.
    pub fn placed(&self, quad: &Quad) -> Quad {
        let [x, y] = self.from.map(|pixels| pixels as f32);
        let moved = |corner: Point| Point {
            x: corner.x + x,
            y: corner.y + y,
        };
        Quad(quad.0.map(moved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Box2;
    use crate::picture::{Channels, Picture};

    #[test]
    fn a_part_ends_at_the_edge_of_the_picture() {
        let data: Vec<u8> = (0..200).collect();
        let picture = Picture::new(data, 20, 10, Channels::Gray).expect("it fits");
        for (text, expected) in [
            ("0,0,0,0", Some((0, 20, 10))),
            ("5, 2, 8, 4", Some((45, 3, 2))),
            ("5,2,99,0", Some((45, 15, 8))),
            ("19,9,0,0", Some((199, 1, 1))),
            ("20,0,0,0", None),
            ("0,10,5,20", None),
        ] {
            let area: Area = text.parse().expect(text);
            let part = area.of(&picture.view());
            let seen = part.map(|part| (part.row(0)[0], part.width(), part.height()));
            assert_eq!(seen, expected, "{text}");
        }
        let found = Box2 {
            x: 1.0,
            y: 2.0,
            w: 3.0,
            h: 4.0,
        }
        .quad();
        let area: Area = "5,2,8,4".parse().expect("an area");
        let bounds = area.placed(&found).bounds();
        assert_eq!(
            (bounds.x, bounds.y, bounds.w, bounds.h),
            (6.0, 4.0, 3.0, 4.0)
        );
    }

    #[test]
    fn what_is_no_part_is_refused() {
        for text in [
            "",
            "1,2,3",
            "1,2,3,4,5",
            "-1,0,0,0",
            "5,0,5,0",
            "0,5,0,4",
            "a,b,c,d",
        ] {
            let error = text.parse::<Area>().expect_err(text).to_string();
            assert!(error.starts_with("area: "), "{error}");
        }
    }
}
