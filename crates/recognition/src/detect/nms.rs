//! Non-maximum suppression: of things that overlap, the surest is kept.

use super::Detection;
use crate::geometry::Box2;

/// How the overlap of two boxes is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// Exactly.
    Exact,
    /// With corners and sides cut off to whole pixels, as OpenCV does for faces.
    WholePixels,
}

/// Drops what overlaps a surer thing of the same class by more than `most` (IoU), and sorts the rest
/// by falling score.
pub fn suppress(found: &mut Vec<Detection>, most: f32, overlap: Overlap) {
    // Equally sure ones by place, so that nothing depends on how sorting works.
    let place = |detection: &Detection| {
        let Box2 { x, y, w, h } = detection.bounds;
        [y, x, h, w]
    };
    found.sort_unstable_by(|a, b| {
        let ties = place(a).into_iter().zip(place(b));
        ties.fold(b.score.total_cmp(&a.score), |so_far, (a, b)| {
            so_far.then(a.total_cmp(&b))
        })
    });
    let measured = |detection: &Detection| match overlap {
        Overlap::Exact => detection.bounds,
        Overlap::WholePixels => {
            let Box2 { x, y, w, h } = detection.bounds;
            Box2 {
                x: x.trunc(),
                y: y.trunc(),
                w: w.trunc(),
                h: h.trunc(),
            }
        }
    };
    let mut kept = 0;
    for index in 0..found.len() {
        let candidate = measured(&found[index]);
        let class = found[index].class;
        let covered = found[..kept]
            .iter()
            .any(|other| other.class == class && measured(other).iou(&candidate) > most);
        if !covered {
            found.swap(kept, index);
            kept += 1;
        }
    }
    found.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f32, score: f32, class: u32) -> Detection {
        Detection {
            bounds: Box2 {
                x,
                y: 0.0,
                w: 10.0,
                h: 10.0,
            },
            score,
            class,
            landmarks: None,
        }
    }

    #[test]
    fn the_surest_of_what_overlaps_is_kept() {
        let mut found = vec![
            at(1.0, 0.7, 0),
            at(0.0, 0.9, 0),
            at(30.0, 0.5, 0),
            at(0.5, 0.6, 1),
            at(9.0, 0.8, 0),
        ];
        suppress(&mut found, 0.3, Overlap::Exact);
        let kept: Vec<(f32, u32)> = found.iter().map(|d| (d.score, d.class)).collect();
        assert_eq!(kept, [(0.9, 0), (0.8, 0), (0.6, 1), (0.5, 0)]);
    }

    #[test]
    fn whole_pixels_change_the_verdict_where_it_is_near() {
        // 10 wide, shifted by 5.2: exactly 4.8 / 15.2 = 0.316; in whole pixels 5 / 15 = 0.333.
        let pair = || vec![at(0.0, 0.9, 0), at(5.2, 0.8, 0)];
        let (mut exact, mut whole) = (pair(), pair());
        suppress(&mut exact, 0.32, Overlap::Exact);
        suppress(&mut whole, 0.32, Overlap::WholePixels);
        assert_eq!((exact.len(), whole.len()), (2, 1));
    }

    #[test]
    fn order_of_the_input_does_not_matter_and_nothing_is_lost() {
        let mut found: Vec<Detection> = (0..50)
            .map(|i| at(i as f32 * 20.0, 0.01 * i as f32, 0))
            .collect();
        suppress(&mut found, 0.3, Overlap::Exact);
        assert_eq!(found.len(), 50);
        assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
    }
}
