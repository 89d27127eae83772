//! From the finder's numbers to plates.

use crate::detect::reaches;
use crate::error::{Error, Result};
use crate::geometry::{Point, Quad};

/// So many cells are looked at, the surest first.
const MAX_CELLS: usize = 600;
/// Numbers of a cell: how sure, and four corners.
const CHANNELS: usize = 9;
/// A cell that overlaps a surer one by more than this is of the same plate …
const SAME_PLATE: f32 = 0.3;
/// … and if it does by more than this, its corners count.
const SAME_CORNERS: f32 = 0.6;

/// A plate, as far as the finder knows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FoundPlate {
    /// Its corners.
    pub quad: Quad,
    /// How sure, 0 to 1.
    pub score: f32,
}

/// A map of the finder: nine planes of `rows` x `columns` numbers.
///
/// The first is the logit that the middle of a plate lies in the cell; the others are the corners
/// (x and y of top left, top right, bottom right, bottom left) from the cell's middle, in cells.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    /// The planes, one after the other.
    pub numbers: &'a [f32],
    /// Cells down.
    pub rows: usize,
    /// Cells across.
    pub columns: usize,
    /// Pixels from one cell to the next.
    pub stride: f32,
}

/// A cell that says there is a plate.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    score: f32,
    /// Only corners of one map are averaged.
    map: usize,
    quad: Quad,
}

/// Adds the cells of a map with a score of at least `threshold`. Corners are multiplied by `scale`
/// on each axis, which makes the network's pixels those of the picture.
///
/// # Errors
/// [`Error::Inference`] when there are more or fewer numbers than a map has.
pub fn decode(
    map: &Map<'_>,
    which: usize,
    threshold: f32,
    scale: (f32, f32),
    cells: &mut Vec<Cell>,
) -> Result<()> {
    let plane = map.rows * map.columns;
    if plane == 0 || map.numbers.len() != plane * CHANNELS {
        return Err(Error::Inference {
            problem: format!(
                "{} numbers are no map of {} x {} cells",
                map.numbers.len(),
                map.columns,
                map.rows
            ),
        });
    }
    for cell in 0..plane {
        let score = 1.0 / (1.0 + (-map.numbers[cell]).exp());
        if !reaches(score, threshold) {
            continue;
        }
        let column = (cell % map.columns) as f32 + 0.5;
        let row = (cell / map.columns) as f32 + 0.5;
        let number = |channel: usize| map.numbers[channel * plane + cell];
        let corner = |index: usize| Point {
            x: (column + number(1 + 2 * index)) * map.stride * scale.0,
            y: (row + number(2 + 2 * index)) * map.stride * scale.1,
        };
        let quad = Quad([corner(0), corner(1), corner(2), corner(3)]);
        if quad.0.iter().all(|p| p.x.is_finite() && p.y.is_finite()) {
            cells.push(Cell {
                score,
                map: which,
                quad,
            });
        }
    }
    Ok(())
}

/// Makes plates of cells, in memory that it keeps.
#[derive(Clone, Debug, Default)]
pub struct Merger {
    groups: Vec<Group>,
}

/// The cells of one plate.
#[derive(Clone, Copy, Debug)]
struct Group {
    surest: Cell,
    weight: f32,
    /// The corners of cells that agree, by their weights.
    corners: [Point; 4],
}

impl Group {
    fn add(&mut self, cell: &Cell) {
        let weight = cell.score * cell.score;
        self.weight += weight;
        for (corner, p) in self.corners.iter_mut().zip(&cell.quad.0) {
            corner.x += p.x * weight;
            corner.y += p.y * weight;
        }
    }
}

impl Merger {
    /// Gives the surest plates first, and at most `most`: around each cell that is surer than its
    /// neighbours, the corners that agree are averaged.
    pub fn merge(&mut self, cells: &mut Vec<Cell>, most: usize, found: &mut Vec<FoundPlate>) {
        found.clear();
        self.groups.clear();
        // Equally sure ones by map and place, so that nothing depends on how sorting works.
        let place = |cell: &Cell| {
            let bounds = cell.quad.bounds();
            [bounds.y, bounds.x]
        };
        cells.sort_unstable_by(|a, b| {
            let by_score = b.score.total_cmp(&a.score).then(a.map.cmp(&b.map));
            let ([ay, ax], [by, bx]) = (place(a), place(b));
            by_score.then(ay.total_cmp(&by)).then(ax.total_cmp(&bx))
        });
        cells.truncate(MAX_CELLS);
        for cell in cells.iter() {
            let bounds = cell.quad.bounds();
            let overlap = |group: &Group| group.surest.quad.bounds().iou(&bounds);
            let near = |group: &Group| overlap(group) > SAME_PLATE;
            match self.groups.iter().position(near) {
                Some(index) => {
                    let group = &mut self.groups[index];
                    if overlap(group) > SAME_CORNERS && group.surest.map == cell.map {
                        group.add(cell);
                    }
                }
                None if self.groups.len() < most => {
                    let mut group = Group {
                        surest: *cell,
                        weight: 0.0,
                        corners: [Point { x: 0.0, y: 0.0 }; 4],
                    };
                    group.add(cell);
                    self.groups.push(group);
                }
                None => {}
            }
        }
        found.extend(self.groups.iter().map(|group| {
            let mean = |p: Point| Point {
                x: p.x / group.weight,
                y: p.y / group.weight,
            };
            FoundPlate {
                quad: Quad(group.corners.map(mean)),
                score: group.surest.score,
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A map of 4 x 3 cells without a plate.
    fn numbers() -> Vec<f32> {
        let mut numbers = vec![0.0; 12 * CHANNELS];
        numbers[..12].fill(-10.0);
        numbers
    }

    fn set(numbers: &mut [f32], cell: usize, logit: f32, reach: [f32; 2]) {
        numbers[cell] = logit;
        let [x, y] = reach;
        for (channel, value) in [-x, -y, x, -y, x, y, -x, y].into_iter().enumerate() {
            numbers[(1 + channel) * 12 + cell] = value;
        }
    }

    fn cells(numbers: &[f32]) -> Result<Vec<Cell>> {
        let map = Map {
            numbers,
            rows: 3,
            columns: 4,
            stride: 8.0,
        };
        let mut cells = Vec::new();
        decode(&map, 0, 0.2, (2.0, 3.0), &mut cells)?;
        Ok(cells)
    }

    #[test]
    fn corners_count_from_the_middle_of_their_cell() {
        let mut numbers = numbers();
        set(&mut numbers, 5, 0.0, [1.0, 0.25]);
        let found = cells(&numbers).expect("the numbers fit");
        assert_eq!((found.len(), found[0].score), (1, 0.5));
        let bounds = found[0].quad.bounds();
        // Column 1, row 1: its middle is (12, 12), scaled by 2 and 3.
        assert_eq!((bounds.x, bounds.y), (8.0, 30.0));
        assert_eq!((bounds.w, bounds.h), (32.0, 12.0));
    }

    #[test]
    fn neighbours_that_agree_are_averaged_and_others_dropped() {
        let mut numbers = numbers();
        set(&mut numbers, 5, 3.0, [1.5, 0.5]);
        // The same plate, half a cell further right.
        set(&mut numbers, 6, 3.0, [1.5, 0.5]);
        for channel in [1, 3, 5, 7] {
            numbers[channel * 12 + 6] -= 0.5;
        }
        // Overlaps by a third.
        set(&mut numbers, 4, 1.0, [1.5, 0.5]);
        let mut cells = cells(&numbers).expect("the numbers fit");
        let mut found = Vec::new();
        Merger::default().merge(&mut cells, 5, &mut found);
        assert_eq!(found.len(), 1);
        let bounds = found[0].quad.bounds();
        assert_eq!((bounds.x, bounds.w), (4.0, 48.0));
    }

    #[test]
    fn what_is_no_number_is_no_plate() {
        for (logit, reach) in [
            (f32::NAN, [1.0, 1.0]),
            (9.0, [f32::NAN, 1.0]),
            (9.0, [1.0, f32::INFINITY]),
        ] {
            let mut numbers = numbers();
            set(&mut numbers, 3, logit, reach);
            assert!(cells(&numbers).expect("the numbers fit").is_empty());
        }
        assert!(cells(&[0.0; 12]).is_err(), "planes are missing");
    }
}
