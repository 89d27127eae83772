//! Cells that differ, joined to regions.

use keepwatch_core::events::Region;

use super::settings::MotionSettings;
use crate::geometry::spans;

/// The side of a cell in pixels of the model.
pub(super) const CELL: usize = 8;

/// The cells of a picture, and which of them count.
pub(super) struct Grid {
    pub columns: usize,
    pub rows: usize,
    width: usize,
    height: usize,
    /// Whether a cell is watched at all.
    pub watched: Vec<bool>,
    /// Bit z: the cell is in zone z.
    zones: Vec<u32>,
    stack: Vec<usize>,
    seen: Vec<bool>,
}

/// A region of joined cells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joined {
    pub region: Region,
    /// Pixels that differ.
    pub pixels: u32,
    /// Cells, and those of them that show an outline.
    pub cells: u32,
    pub outlined: u32,
    /// Bit z: it reaches into zone z.
    pub zones: u32,
}

impl Grid {
    pub fn new(settings: &MotionSettings, width: usize, height: usize) -> Self {
        let (columns, rows) = (width.div_ceil(CELL), height.div_ceil(CELL));
        let mut watched = vec![true; columns * rows];
        let mut zones = vec![0; columns * rows];
        for mask in &settings.masks {
            for (cell, _) in covered(mask, columns, rows) {
                watched[cell] = false;
            }
        }
        for (z, zone) in settings.zones.iter().enumerate() {
            for (cell, _) in covered(&zone.points, columns, rows) {
                zones[cell] |= 1 << z;
            }
        }
        if !settings.zones.is_empty() {
            for (watched, zones) in watched.iter_mut().zip(&zones) {
                *watched &= *zones != 0;
            }
        }
        Self {
            columns,
            rows,
            width,
            height,
            watched,
            zones,
            stack: Vec::new(),
            seen: vec![false; columns * rows],
        }
    }

    /// The pixels of a cell: x and y, each from and to.
    pub fn pixels(&self, cell: usize) -> ([usize; 2], [usize; 2]) {
        let (x, y) = (cell % self.columns * CELL, cell / self.columns * CELL);
        (
            [x, (x + CELL).min(self.width)],
            [y, (y + CELL).min(self.height)],
        )
    }

    /// Joins active cells that touch, at corners too. `counts` are the differing pixels of each.
    pub fn join(
        &mut self,
        active: &[bool],
        counts: &[u16],
        outlined: &[bool],
        found: &mut Vec<Joined>,
    ) {
        found.clear();
        self.seen.copy_from_slice(active);
        for start in 0..active.len() {
            if !self.seen[start] {
                continue;
            }
            self.seen[start] = false;
            self.stack.push(start);
            let (mut pixels, mut zones, mut cells, mut outlines) = (0, 0, 0, 0);
            let mut bounds = [self.columns, self.rows, 0, 0];
            while let Some(cell) = self.stack.pop() {
                let (x, y) = (cell % self.columns, cell / self.columns);
                pixels += u32::from(counts[cell]);
                zones |= self.zones[cell];
                cells += 1;
                outlines += u32::from(outlined[cell]);
                bounds = [
                    bounds[0].min(x),
                    bounds[1].min(y),
                    bounds[2].max(x + 1),
                    bounds[3].max(y + 1),
                ];
                for ny in y.saturating_sub(1)..(y + 2).min(self.rows) {
                    for nx in x.saturating_sub(1)..(x + 2).min(self.columns) {
                        let next = ny * self.columns + nx;
                        if std::mem::take(&mut self.seen[next]) {
                            self.stack.push(next);
                        }
                    }
                }
            }
            found.push(Joined {
                region: self.region(bounds),
                pixels,
                cells,
                outlined: outlines,
                zones,
            });
        }
    }

    fn region(&self, [left, top, right, bottom]: [usize; 4]) -> Region {
        let x = |column: usize| (column * CELL).min(self.width) as f32 / self.width as f32;
        let y = |row: usize| (row * CELL).min(self.height) as f32 / self.height as f32;
        Region {
            x: x(left),
            y: y(top),
            w: x(right) - x(left),
            h: y(bottom) - y(top),
        }
    }
}

/// The cells whose centre a polygon holds.
fn covered(
    points: &[[f32; 2]],
    columns: usize,
    rows: usize,
) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).flat_map(move |row| {
        let spans = spans(points, row, columns, rows);
        let cells = spans.into_iter().flat_map(|(from, to)| from..to);
        cells.map(move |column| (row * columns + column, row))
    })
}
