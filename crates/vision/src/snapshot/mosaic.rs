//! Parts of a picture made unrecognisable: each is a few cells of one colour, and nothing of what
//! was there before can be had back from these.

use std::cmp::Ordering;

use jpeg_encoder::ImageBuffer;
use keepwatch_core::events::Region;

/// Cells across and down. The region is grown, so that what is left of a face are some four by four
/// values.
const CELLS: usize = 5;

/// By how much of its size a region is grown on each side: boxes of faces end at the chin and below
/// the hair.
const MARGIN: f32 = 0.2;

/// A region in cells.
pub(super) struct Mosaic {
    /// Edges of the columns and rows of cells in pixels.
    columns: [usize; CELLS + 1],
    rows: [usize; CELLS + 1],
    /// Three values of each cell, row by row.
    values: Vec<[u8; 3]>,
}

impl Mosaic {
    /// That of a region of a picture. None if it is none.
    pub fn of(image: &impl ImageBuffer, region: &Region) -> Option<Self> {
        let columns = edges(region.x, region.w, image.width().into())?;
        let rows = edges(region.y, region.h, image.height().into())?;
        let mut sums = vec![([0_u64; 3], 0_u64); CELLS * CELLS];
        let mut line: [Vec<u8>; 4] = Default::default();
        for y in rows[0]..rows[CELLS] {
            line.iter_mut().for_each(Vec::clear);
            image.fill_buffers(y as u16, &mut line);
            let row = cell(&rows, y);
            for x in columns[0]..columns[CELLS] {
                let (sum, count) = &mut sums[row * CELLS + cell(&columns, x)];
                for (sum, values) in sum.iter_mut().zip(&line) {
                    *sum += u64::from(values[x]);
                }
                *count += 1;
            }
        }
        let mean = |(sum, count): ([u64; 3], u64)| sum.map(|sum| (sum / count.max(1)) as u8);
        Some(Self {
            columns,
            rows,
            values: sums.into_iter().map(mean).collect(),
        })
    }

    /// Covers its part of a row, of which the buffers hold the pixels from `starts` on.
    pub fn cover(&self, row: usize, starts: [usize; 3], buffers: &mut [Vec<u8>; 4]) {
        if !(self.rows[0]..self.rows[CELLS]).contains(&row) {
            return;
        }
        let row = cell(&self.rows, row);
        for (n, edges) in self.columns.windows(2).enumerate() {
            let values = self.values[row * CELLS + n];
            for ((buffer, start), value) in buffers.iter_mut().zip(starts).zip(values) {
                buffer[start + edges[0]..start + edges[1]].fill(value);
            }
        }
    }
}

/// In which cell a pixel is.
fn cell(edges: &[usize; CELLS + 1], at: usize) -> usize {
    let inner = &edges[1..CELLS];
    inner.partition_point(|edge| *edge <= at)
}

/// The edges of the cells along one side, of `len` pixels.
fn edges(from: f32, share: f32, len: usize) -> Option<[usize; CELLS + 1]> {
    let all = len as f32;
    let low = ((from - MARGIN * share) * all).floor().clamp(0.0, all);
    let high = ((from + share + MARGIN * share) * all)
        .ceil()
        .clamp(0.0, all);
    // Neither is more than the other if one is no number.
    if low.partial_cmp(&high) != Some(Ordering::Less) {
        return None;
    }
    let (low, high) = (low as usize, high as usize);
    Some(std::array::from_fn(|n| low + (high - low) * n / CELLS))
}
