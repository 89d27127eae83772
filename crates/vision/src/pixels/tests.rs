use std::time::Duration;

use super::*;

/// Every part, at each edge and in the middle, is what the same place of the whole picture is.
#[test]
fn a_part_is_what_the_whole_picture_is_there() {
    for format in [
        gst_video::VideoFormat::I420,
        gst_video::VideoFormat::Nv12,
        // A form that cameras do not have.
        gst_video::VideoFormat::Y42b,
    ] {
        for (width, height) in [(64, 48), (63, 47)] {
            let frame = Frame::noise(format, width, height, Duration::ZERO);
            let whole = Pixels::of(&frame, Color::Rgb).expect("it is converted");
            let (width, height) = (width as usize, height as usize);
            let mut reader = PartReader::default();
            for (x, y, w, h) in [
                (0, 0, width, height),
                (0, 0, 16, 16),
                (width / 4 * 2, 0, width - width / 4 * 2, 10),
                (10, height / 4 * 2, 20, height - height / 4 * 2),
                (32, 32, width - 32, height - 32),
            ] {
                let mut out = Picture::default();
                let part = Part { x, y, w, h };
                reader.read(&frame, part, &mut out).expect("it is read");
                for row in 0..h {
                    let wanted = &whole.row(y + row)[3 * x..][..3 * w];
                    let off = out.row(row).iter().zip(wanted);
                    let off = off.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
                    // Vector instructions and what is left of a row round differently.
                    assert!(off <= 2, "{format:?} {part:?} row {row}: {off}");
                }
            }
        }
    }
}
