//! Frames in, regions that move out.

use std::time::Duration;

use keepwatch_core::events::Region;

use super::cells::{CELL, Grid, Joined};
use super::light::Light;
use super::luma::{Luma, downscale_into};
use super::model::{FRACTION, Pixel, Rates, fixed};
use super::settings::MotionSettings;
use super::shake::is_shaken;
use super::tamper::{Tamper, Watchman};

/// The length of the model's memory, in seconds. What shows for a tenth of it becomes background.
const MEMORY: f32 = 50.0;

/// How fast usual values follow slow changes, in seconds.
const MEAN_MEMORY: f32 = 4.0;

/// Nothing is said for this long after the beginning: the model knows too little.
const WARM_UP: Duration = Duration::from_secs(2);

/// Nor for this long after a change of light: cameras take that long to settle.
const SETTLING: Duration = Duration::from_millis(1500);

/// A frame in which this share of the picture changes at once is a change of light.
const LIGHT_SHARE: f32 = 0.5;

/// If so much had changed before, it is not at once.
const CALM_SHARE: f32 = 0.25;

/// A cell differs if this share of its pixels does.
const CELL_SHARE: f32 = 0.2;

/// A cell that looks the same but for its brightness correlates by this much with what is usual.
const SAME_TEXTURE: f32 = 0.85;

/// Cells whose values vary less than this, in standard deviation, have no texture to compare.
const TEXTURE: f32 = 4.0;

/// Differences of neighbouring pixels' changes beyond this, and so many of them in a cell, are the
/// outline of an object. Light has none.
const EDGE: i16 = 16;
const EDGES: u32 = 4;

/// A region is an object if this share of its cells shows an outline.
const OUTLINED: f32 = 0.1;

/// Why a frame's motion was suppressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suppressed {
    /// The model knows too little yet.
    WarmUp,
    /// The light has changed.
    Light,
    /// The camera shakes.
    Shake,
}

/// Something that moves.
#[derive(Clone, Debug, PartialEq)]
pub struct MovingRegion {
    /// Where.
    pub region: Region,
    /// How much of the picture differs there, from 0 to 1.
    pub area: f32,
    /// Bit z: it reaches into zone z of the settings.
    pub zones: u32,
}

/// What a frame showed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MotionFrame {
    /// What moves, the largest first.
    pub regions: Vec<MovingRegion>,
    /// How much of the picture it makes up, from 0 to 1.
    pub area_total: f32,
    /// Why nothing is said of this frame.
    pub suppressed: Option<Suppressed>,
    /// The noise of the picture: the mean distance to what is usual, of values from 0 to 255.
    pub noise: f32,
    /// The camera was covered or uncovered.
    pub tamper: Option<Tamper>,
}

impl MotionFrame {
    /// Whether something moves.
    pub fn is_moving(&self) -> bool {
        !self.regions.is_empty()
    }

    #[cfg(test)]
    pub(super) fn test(moving: bool) -> Self {
        let region = MovingRegion {
            region: Region::default(),
            area: 0.1,
            zones: 0,
        };
        Self {
            regions: vec![region; usize::from(moving)],
            ..Self::default()
        }
    }
}

/// Finds what moves in the frames of one camera.
pub struct MotionDetector {
    settings: MotionSettings,
    /// The size of the model, half of the analysis size.
    width: usize,
    height: usize,
    halved: Vec<u8>,
    pixels: Vec<Pixel>,
    light: Light,
    grid: Grid,
    /// Usual distance of a cell's pixels to their background, in fixed point.
    noise: Vec<i16>,
    counts: Vec<u16>,
    active: Vec<bool>,
    /// Active cells in which the outline of something shows.
    outlined: Vec<bool>,
    /// Brightness of each cell: usual and now.
    brightness: Vec<(f32, f32)>,
    joined: Vec<Joined>,
    watchman: Watchman,
    began: Option<Duration>,
    previous: Duration,
    settling_until: Duration,
    share: f32,
    frame: MotionFrame,
}

impl MotionDetector {
    /// A detector for frames of this size in pixels.
    pub fn new(settings: &MotionSettings, width: usize, height: usize) -> Self {
        // Small pictures have no pixels to spare.
        let factor = if width >= 320 { 2 } else { 1 };
        let (width, height) = ((width / factor).max(1), (height / factor).max(1));
        let grid = Grid::new(settings, width, height);
        let cells = grid.columns * grid.rows;
        Self {
            settings: settings.clone(),
            width,
            height,
            halved: Vec::new(),
            pixels: Vec::new(),
            light: Light::new(),
            grid,
            noise: vec![2 << FRACTION; cells],
            counts: vec![0; cells],
            active: vec![false; cells],
            outlined: vec![false; cells],
            brightness: vec![(0.0, 0.0); cells],
            joined: Vec::new(),
            watchman: Watchman::default(),
            began: None,
            previous: Duration::ZERO,
            settling_until: Duration::ZERO,
            share: 0.0,
            frame: MotionFrame::default(),
        }
    }

    /// Forgets what is usual: the camera was away.
    pub fn reset(&mut self) {
        self.began = None;
        self.watchman = Watchman::default();
    }

    /// Takes the next frame, shown at `pts`. It has to be of the detector's size.
    pub fn detect(&mut self, luma: Luma<'_>, pts: Duration) -> &MotionFrame {
        downscale_into(luma, &mut self.halved, self.width, self.height);
        self.frame.regions.clear();
        self.frame.suppressed = None;
        self.frame.tamper = None;
        self.frame.area_total = 0.0;
        let Some(began) = self.began else {
            self.begin(pts);
            return &self.frame;
        };
        let elapsed = pts.saturating_sub(self.previous);
        self.previous = pts;
        let structure = structure(&self.halved, self.width);
        self.frame.tamper = self.watchman.take(structure, pts, elapsed);

        self.compare_light();
        self.compare_pixels(self.rates(elapsed, pts.saturating_sub(began)));
        let share = self.mark_cells();
        let before = std::mem::replace(&mut self.share, share);
        if share >= LIGHT_SHARE && before < CALM_SHARE {
            self.settling_until = pts + SETTLING;
        }
        if pts < self.settling_until {
            if share > 0.05 {
                self.accept();
            }
            self.frame.suppressed = Some(Suppressed::Light);
        } else if pts.saturating_sub(began) < WARM_UP {
            self.frame.suppressed = Some(Suppressed::WarmUp);
        } else if share > 0.03 && is_shaken(&self.halved, &self.pixels, self.width) {
            self.frame.suppressed = Some(Suppressed::Shake);
        } else {
            self.find_regions();
        }
        &self.frame
    }

    fn begin(&mut self, pts: Duration) {
        self.pixels.clear();
        self.pixels
            .extend(self.halved.iter().map(|&value| Pixel::new(value)));
        self.began = Some(pts);
        self.previous = pts;
        self.settling_until = Duration::ZERO;
        self.share = 0.0;
        self.frame.suppressed = Some(Suppressed::WarmUp);
    }

    /// Everything is learnt faster at the beginning.
    fn rates(&self, elapsed: Duration, age: Duration) -> Rates {
        let elapsed = elapsed.as_secs_f32();
        let age = age.as_secs_f32().max(0.1);
        let memory = |memory: f32| (elapsed / memory).max(elapsed / (2.0 * age)).min(0.5);
        Rates::new(memory(MEMORY), memory(MEAN_MEMORY))
    }

    fn compare_light(&mut self) {
        for (cell, pair) in self.brightness.iter_mut().enumerate() {
            let ([left, right], [top, bottom]) = self.grid.pixels(cell);
            let (mut usual, mut now) = (0_i32, 0_i32);
            for y in top..bottom {
                let row = y * self.width;
                let pixels = &self.pixels[row + left..row + right];
                usual += pixels
                    .iter()
                    .map(|pixel| i32::from(pixel.usual()))
                    .sum::<i32>();
                let values = &self.halved[row + left..row + right];
                now += values.iter().map(|&value| i32::from(value)).sum::<i32>();
            }
            let count = ((right - left) * (bottom - top)) as f32;
            let one = (1 << FRACTION) as f32;
            *pair = (usual as f32 / one / count, now as f32 / count);
        }
        let watched = self.grid.watched.iter().zip(&self.brightness);
        // What is burnt out or black tells nothing of the light.
        let telling = |pair: &&(f32, f32)| (4.0..251.0).contains(&pair.1);
        let pairs = watched
            .filter(|(watched, _)| **watched)
            .map(|(_, pair)| pair);
        self.light.fit(pairs.filter(telling).copied());
    }

    fn compare_pixels(&mut self, rates: Rates) {
        let table = self.light.table();
        // From 30 for the strongest differences only to 5 for the faintest.
        let floor = 30.0 * (1.0_f32 / 6.0).powf(self.settings.sensitivity);
        let floor = (floor * (1 << FRACTION) as f32) as i16;
        let (mut noise_sum, mut noise_count) = (0_u64, 0_u64);
        for cell in 0..self.counts.len() {
            self.counts[cell] = 0;
            if !self.grid.watched[cell] {
                continue;
            }
            let ([left, right], [top, bottom]) = self.grid.pixels(cell);
            let noise = self.noise[cell];
            let threshold = floor.saturating_add(noise.saturating_mul(3));
            let (mut differing, mut distance, mut usual) = (0_u16, 0_i32, 0_i32);
            for y in top..bottom {
                let row = y * self.width;
                let values = &self.halved[row + left..row + right];
                let pixels = &mut self.pixels[row + left..row + right];
                for (pixel, &value) in pixels.iter_mut().zip(values) {
                    match pixel.take(table[usize::from(value)], threshold, rates) {
                        Some(off) => {
                            distance += i32::from(off);
                            usual += 1;
                        }
                        None => differing += 1,
                    }
                }
            }
            self.counts[cell] = differing;
            if usual > 16 {
                let mean = (distance / usual) as i16;
                self.noise[cell] += (mean - noise) / 16;
                noise_sum += distance as u64;
                noise_count += usual as u64;
            }
        }
        let mean = noise_sum as f32 / noise_count.max(1) as f32;
        self.frame.noise = mean / (1 << FRACTION) as f32;
    }

    /// Marks the cells that differ, and gives their share of all.
    fn mark_cells(&mut self) -> f32 {
        let (mut marked, mut watched) = (0_u32, 0_u32);
        for cell in 0..self.counts.len() {
            self.active[cell] = false;
            if !self.grid.watched[cell] {
                continue;
            }
            watched += 1;
            let ([left, right], [top, bottom]) = self.grid.pixels(cell);
            let size = (right - left) * (bottom - top);
            if f32::from(self.counts[cell]) >= CELL_SHARE * size as f32 {
                marked += 1;
                self.active[cell] = !self.looks_the_same(cell);
            }
        }
        marked as f32 / watched.max(1) as f32
    }

    /// Whether a cell differs in its brightness only: a shadow, or light on some of the picture.
    fn looks_the_same(&self, cell: usize) -> bool {
        let ([left, right], [top, bottom]) = self.grid.pixels(cell);
        let (mut n, mut a, mut b, mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        for y in top..bottom {
            for x in left..right {
                let at = y * self.width + x;
                let usual = f32::from(self.pixels[at].usual()) / (1 << FRACTION) as f32;
                let now = f32::from(self.halved[at]);
                n += 1.0;
                a += usual;
                b += now;
                aa += usual * usual;
                bb += now * now;
                ab += usual * now;
            }
        }
        let (va, vb) = (aa / n - (a / n).powi(2), bb / n - (b / n).powi(2));
        let textured = va > TEXTURE * TEXTURE && vb > TEXTURE * TEXTURE / 4.0;
        textured && (ab / n - a / n * b / n) > SAME_TEXTURE * (va * vb).sqrt()
    }

    /// Whether what has changed in a cell has an outline there.
    fn has_outline(&self, cell: usize) -> bool {
        let ([left, right], [top, bottom]) = self.grid.pixels(cell);
        let change = |at: usize| i16::from(self.halved[at]) - (self.pixels[at].usual() >> FRACTION);
        let mut edges = 0;
        for y in top..bottom {
            for x in left..right {
                let at = y * self.width + x;
                let here = change(at);
                let differs = |there: usize| u32::from((change(there) - here).abs() > EDGE);
                if x + 1 < self.width {
                    edges += differs(at + 1);
                }
                if y + 1 < self.height {
                    edges += differs(at + self.width);
                }
            }
        }
        edges >= EDGES
    }

    fn accept(&mut self) {
        for (cell, &marked) in self.counts.iter().enumerate() {
            if marked == 0 {
                continue;
            }
            let ([left, right], [top, bottom]) = self.grid.pixels(cell);
            for y in top..bottom {
                for at in y * self.width + left..y * self.width + right {
                    self.pixels[at].accept(fixed(self.halved[at]));
                }
            }
        }
    }

    fn find_regions(&mut self) {
        for cell in 0..self.active.len() {
            self.outlined[cell] = self.active[cell] && self.has_outline(cell);
        }
        self.grid
            .join(&self.active, &self.counts, &self.outlined, &mut self.joined);
        let all = (self.width * self.height) as f32;
        let zones = &self.settings.zones;
        for joined in &self.joined {
            if (joined.outlined as f32) < OUTLINED * joined.cells as f32 {
                continue;
            }
            let area = joined.pixels as f32 / all;
            let in_zone = |z: usize| joined.zones & (1 << z) != 0;
            let least = |zone: Option<f32>| zone.unwrap_or(self.settings.min_area);
            let counts = match zones.is_empty() {
                true => area >= self.settings.min_area,
                false => (0..zones.len()).any(|z| in_zone(z) && area >= least(zones[z].min_area)),
            };
            if counts {
                self.frame.area_total += area;
                self.frame.regions.push(MovingRegion {
                    region: joined.region,
                    area,
                    zones: joined.zones,
                });
            }
        }
        self.frame
            .regions
            .sort_unstable_by(|a, b| b.area.total_cmp(&a.area));
    }
}

/// The mean absolute difference of neighbours in rows.
fn structure(pixels: &[u8], width: usize) -> f32 {
    let mut sum = 0_u64;
    for row in pixels.chunks_exact(width) {
        let pairs = row.iter().zip(&row[1..]);
        let of_row: u32 = pairs.map(|(&a, &b)| u32::from(a.abs_diff(b))).sum();
        sum += u64::from(of_row);
    }
    sum as f32 / pixels.len().max(1) as f32
}

/// The least side of a picture in cells that motion can be found in.
const _: () = assert!(CELL == 8, "counts of a cell fit into 16 bits");
