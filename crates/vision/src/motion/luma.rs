//! Pictures of brightness, and smaller ones of them.

/// The brightness of a picture, lent: rows of 8-bit values.
#[derive(Clone, Copy, Debug)]
pub struct Luma<'a> {
    data: &'a [u8],
    width: usize,
    height: usize,
    stride: usize,
}

impl<'a> Luma<'a> {
    /// Rows of `width` bytes that begin `stride` bytes apart; none if `data` is too short for them.
    pub fn new(data: &'a [u8], width: usize, height: usize, stride: usize) -> Option<Self> {
        let needed = height
            .checked_sub(1)?
            .checked_mul(stride)?
            .checked_add(width)?;
        (width > 0 && stride >= width && data.len() >= needed).then_some(Self {
            data,
            width,
            height,
            stride,
        })
    }

    /// The width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// A row of pixels.
    pub fn row(&self, y: usize) -> &'a [u8] {
        &self.data[y * self.stride..][..self.width]
    }
}

/// The largest size with the shape of `width` by `height` within `limit`; never larger than it is.
pub fn fit(width: usize, height: usize, limit: [u32; 2]) -> [usize; 2] {
    let [max_width, max_height] = limit.map(|side| side as usize);
    if width <= max_width && height <= max_height {
        return [width, height];
    }
    let by_width = [max_width, (height * max_width / width).max(1)];
    match by_width[1] <= max_height {
        true => by_width,
        false => [(width * max_height / height).max(1), max_height],
    }
}

/// Averages `from` over the area that each pixel of a smaller picture covers.
///
/// `to` is made `width * height` long. Sides that divide by two, three or four are fast.
pub fn downscale_into(from: Luma<'_>, to: &mut Vec<u8>, width: usize, height: usize) {
    let (width, height) = (width.min(from.width), height.min(from.height));
    to.resize(width * height, 0);
    let exact = |factor: usize| from.width == width * factor && from.height == height * factor;
    match (1..=4).find(|factor| exact(*factor)) {
        Some(1) => {
            for (y, row) in to.chunks_exact_mut(width).enumerate() {
                row.copy_from_slice(from.row(y));
            }
        }
        Some(2) => by_factor::<2>(from, to, width),
        Some(3) => by_factor::<3>(from, to, width),
        Some(4) => by_factor::<4>(from, to, width),
        _ => by_area(from, to, width, height),
    }
}

/// Pixels that are made at once: the sums of their columns stay in the nearest cache.
const CHUNK: usize = 64;

/// From this factor on the rows of a single pixel's area are long enough to be summed one by one.
const LARGE: usize = 8;

fn by_factor<const N: usize>(from: Luma<'_>, to: &mut [u8], width: usize) {
    const { assert!(N <= LARGE) };
    // Rounded division by multiplication: exact for the sums of up to 16 bytes.
    let (half, scale) = (
        const { (N * N / 2) as u16 },
        const { 65536_u32.div_ceil((N * N) as u32) },
    );
    let mut room = [0_u16; CHUNK * LARGE];
    for (y, row) in to.chunks_exact_mut(width).enumerate() {
        for (chunk, out) in row.chunks_mut(CHUNK).enumerate() {
            // Sums of columns first: they run along memory and the compiler makes vectors of them.
            let sums = &mut room[..out.len() * N];
            sums.fill(0);
            for i in 0..N {
                let source = &from.row(y * N + i)[chunk * CHUNK * N..][..sums.len()];
                for (sum, &pixel) in sums.iter_mut().zip(source) {
                    *sum += u16::from(pixel);
                }
            }
            for (out, columns) in out.iter_mut().zip(sums.as_chunks::<N>().0) {
                let sum: u16 = columns.iter().sum();
                *out = ((u32::from(sum + half) * scale) >> 16) as u8;
            }
        }
    }
}

/// Any factor: pixel x covers the columns from `x * from / to` on, and rows likewise.
fn by_area(from: Luma<'_>, to: &mut [u8], width: usize, height: usize) {
    let column = |x: usize| x * from.width / width;
    let (step, rest) = (from.width / width, from.width % width);
    let mut room = [0_u32; CHUNK * LARGE];
    for (y, row) in to.chunks_exact_mut(width).enumerate() {
        let (top, bottom) = (y * from.height / height, (y + 1) * from.height / height);
        if step + 1 > LARGE {
            for (x, out) in row.iter_mut().enumerate() {
                let (left, right) = (column(x), column(x + 1));
                let of_row = |y: usize| -> u64 {
                    let pixels = from.row(y)[left..right].iter();
                    pixels.map(|&pixel| u64::from(pixel)).sum()
                };
                let sum: u64 = (top..bottom).map(of_row).sum();
                let area = ((right - left) * (bottom - top)) as u64;
                *out = ((sum + area / 2) / area) as u8;
            }
            continue;
        }
        for (chunk, out) in row.chunks_mut(CHUNK).enumerate() {
            let x = chunk * CHUNK;
            let left = column(x);
            let sums = &mut room[..column(x + out.len()) - left];
            sums.fill(0);
            for source in top..bottom {
                for (sum, &pixel) in sums.iter_mut().zip(&from.row(source)[left..]) {
                    *sum += u32::from(pixel);
                }
            }
            // The next column by addition: divisions for each pixel would be most of the work.
            let (mut sums, mut behind) = (&sums[..], x * from.width % width);
            for out in out {
                behind += rest;
                let wraps = behind >= width;
                behind -= if wraps { width } else { 0 };
                let (columns, others) = sums.split_at(step + usize::from(wraps));
                sums = others;
                let area = (columns.len() * (bottom - top)) as u32;
                let sum: u32 = columns.iter().sum();
                *out = ((sum + area / 2) / area) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn average(from: &Luma<'_>, x: [usize; 2], y: [usize; 2]) -> f64 {
        let mut sum = 0.0;
        for row in y[0]..y[1] {
            sum += from.row(row)[x[0]..x[1]]
                .iter()
                .map(|&p| f64::from(p))
                .sum::<f64>();
        }
        sum / ((x[1] - x[0]) * (y[1] - y[0])) as f64
    }

    proptest! {
        #[test]
        fn each_pixel_is_the_average_of_what_it_covers(
            width in 1_usize..40, height in 1_usize..30, factor in 1_usize..6, odd in 0_usize..3,
            seed: u64,
        ) {
            let (from_width, from_height) = (width * factor + odd, height * factor + odd);
            let stride = from_width + 5;
            let mut state = seed | 1;
            let data: Vec<u8> = (0..stride * from_height)
                .map(|_| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    (state >> 56) as u8
                })
                .collect();
            let from = Luma::new(&data, from_width, from_height, stride).expect("long enough");
            let mut to = Vec::new();
            downscale_into(from, &mut to, width, height);
            for y in 0..height {
                for x in 0..width {
                    let edge = |i: usize, from: usize, to: usize| i * from / to;
                    let xs = [edge(x, from_width, width), edge(x + 1, from_width, width)];
                    let ys = [edge(y, from_height, height), edge(y + 1, from_height, height)];
                    let expected = average(&from, xs, ys);
                    let got = f64::from(to[y * width + x]);
                    prop_assert!((got - expected).abs() <= 1.01, "{got} {expected}");
                }
            }
        }

        #[test]
        fn the_fitted_size_is_within_the_limit(width in 1_usize..5000, height in 1_usize..5000) {
            let [w, h] = fit(width, height, [640, 360]);
            prop_assert!((1..=640).contains(&w) && (1..=360).contains(&h));
            prop_assert!(w <= width && h <= height);
        }
    }

    #[test]
    fn usual_sizes_fit_exactly() {
        assert_eq!(fit(1920, 1080, [640, 360]), [640, 360]);
        assert_eq!(fit(1280, 720, [640, 360]), [640, 360]);
        assert_eq!(fit(768, 432, [640, 360]), [640, 360]);
        assert_eq!(fit(640, 480, [640, 360]), [480, 360]);
        assert_eq!(fit(320, 240, [640, 360]), [320, 240]);
    }

    #[test]
    fn planes_that_are_too_short_are_refused() {
        assert!(Luma::new(&[0; 10], 4, 3, 4).is_none());
        assert!(Luma::new(&[0; 11], 3, 3, 4).is_some());
        assert!(Luma::new(&[0; 12], 5, 3, 4).is_none());
        assert!(Luma::new(&[], 0, 0, 0).is_none());
        assert!(Luma::new(&[0; 12], usize::MAX, usize::MAX, usize::MAX).is_none());
    }
}
