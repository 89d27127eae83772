//! Pictures are decoded by GStreamer and compared with what they were made of.

use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

use super::*;
use crate::decoder::Frame;
use crate::pixels::{Color, Pixels};

const WIDTH: usize = 174;
const HEIGHT: usize = 94;

/// Rows are longer than the picture is wide, as those of decoders are.
const STRIDE: usize = 192;

/// A smooth picture of limited range: brightness by column, colours by row.
struct Planes {
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
}

fn luma(x: usize) -> u8 {
    (40 + x) as u8
}

fn planes() -> Planes {
    let plane = |value: &dyn Fn(usize, usize) -> u8, stride: usize, height: usize| {
        let pixels = (0..height).flat_map(|y| (0..stride).map(move |x| (x, y)));
        pixels.map(|(x, y)| value(x, y)).collect()
    };
    Planes {
        y: plane(&|x, _| luma(x), STRIDE, HEIGHT),
        u: plane(&|_, y| (100 + y) as u8, STRIDE / 2, HEIGHT / 2),
        v: plane(&|_, y| (150 - y) as u8, STRIDE / 2, HEIGHT / 2),
    }
}

impl Planes {
    fn i420(&self, full_range: bool) -> Picture<'_> {
        let strides = [STRIDE, STRIDE / 2, STRIDE / 2];
        let planes = [&*self.y, &*self.u, &*self.v];
        Picture::i420(planes, strides, WIDTH as u32, HEIGHT as u32, full_range).expect("it fits")
    }
}

/// What a decoder makes of it: planes Y, U and V, without what is beside the picture.
fn decode(jpeg: Vec<u8>) -> (usize, usize, [Vec<u8>; 3]) {
    gst::init().expect("GStreamer is there");
    let text = "appsrc name=src ! jpegdec ! video/x-raw,format=I420 ! appsink name=sink sync=false";
    let pipeline = gst::parse::launch(text).expect("the elements are there");
    let pipeline: gst::Pipeline = pipeline.downcast().expect("it is a pipeline");
    let named = |name| pipeline.by_name(name).expect("it is named");
    let source: gst_app::AppSrc = named("src").downcast().expect("it is an appsrc");
    let sink: gst_app::AppSink = named("sink").downcast().expect("it is an appsink");
    source.set_caps(Some(&gst::Caps::new_empty_simple("image/jpeg")));
    pipeline.set_state(gst::State::Playing).expect("it plays");
    source
        .push_buffer(gst::Buffer::from_slice(jpeg))
        .expect("it is taken");
    source.end_of_stream().expect("it ends");
    let sample = sink.pull_sample().expect("it is a picture");
    let info = gst_video::VideoInfo::from_caps(sample.caps().expect("it has caps"));
    let info = info.expect("it is video");
    let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(
        sample.buffer().expect("it has a buffer"),
        &info,
    );
    let frame = frame.expect("it can be read");
    let planes = [0, 1, 2].map(|plane| {
        let rows = frame.plane_data(plane).expect("a plane");
        let rows = rows.chunks(frame.plane_stride()[plane as usize] as usize);
        let rows = rows.take(frame.comp_height(plane) as usize);
        rows.flat_map(|row| row[..frame.comp_width(plane) as usize].to_vec())
            .collect()
    });
    let size = (frame.width() as usize, frame.height() as usize);
    pipeline.set_state(gst::State::Null).expect("it stops");
    (size.0, size.1, planes)
}

/// In full range, by floating point.
fn full(value: u8, zero: f32, range: f32, new_zero: f32) -> f32 {
    ((f32::from(value) - zero) * 255.0 / range + new_zero).clamp(0.0, 255.0)
}

fn near(found: u8, expected: f32) -> bool {
    (f32::from(found) - expected).abs() <= 4.0
}

#[test]
fn a_picture_of_limited_range_comes_back_in_full_range() {
    let planes = planes();
    let jpeg = encode_jpeg(&planes.i420(false), &[], 95).expect("it is compressed");
    let (width, height, [y, u, v]) = decode(jpeg);
    assert_eq!((width, height), (WIDTH, HEIGHT));
    for (at, found) in y.iter().enumerate() {
        let expected = full(luma(at % WIDTH), 16.0, 219.0, 0.0);
        assert!(near(*found, expected), "{at}: {found}, not {expected}");
    }
    for (name, found, original) in [("u", u, &planes.u), ("v", v, &planes.v)] {
        for (at, found) in found.iter().enumerate() {
            let value = original[at / (WIDTH / 2) * (STRIDE / 2)];
            let expected = full(value, 128.0, 224.0, 128.0);
            assert!(
                near(*found, expected),
                "{name} {at}: {found}, not {expected}"
            );
        }
    }
}

#[test]
fn a_picture_of_full_range_is_left_as_it_is() {
    let planes = planes();
    let jpeg = encode_jpeg(&planes.i420(true), &[], 95).expect("it is compressed");
    for (at, found) in decode(jpeg).2[0].iter().enumerate() {
        assert!(near(*found, luma(at % WIDTH).into()), "{at}: {found}");
    }
}

#[test]
fn a_picture_of_another_form_is_kept_as_well() {
    for form in [
        gst_video::VideoFormat::Y444,
        gst_video::VideoFormat::Y42b,
        gst_video::VideoFormat::Rgb,
    ] {
        let frame = Frame::noise(form, WIDTH as u32, HEIGHT as u32, Duration::ZERO);
        let wanted = Pixels::of(&frame, Color::Luma).expect("it has brightness");
        let jpeg = frame.with_picture(|picture| encode_jpeg(picture, &[], 95));
        let jpeg = jpeg.expect("it is converted").expect("it is compressed");
        let (width, height, [y, ..]) = decode(jpeg);
        assert_eq!((width, height), (WIDTH, HEIGHT), "{form:?}");
        let mean = |values: &mut dyn Iterator<Item = u8>| {
            values.map(f32::from).sum::<f32>() / (WIDTH * HEIGHT) as f32
        };
        let found = mean(&mut y.into_iter());
        let wanted = mean(&mut (0..HEIGHT).flat_map(|y| wanted.row(y).to_vec()));
        let wanted = (wanted - 16.0) * 255.0 / 219.0;
        assert!(
            (found - wanted).abs() < 6.0,
            "{form:?}: {found}, not {wanted}"
        );
    }
}

#[test]
fn pairs_of_colours_and_planes_make_the_same_picture() {
    let planes = planes();
    let pairs: Vec<u8> = planes
        .u
        .iter()
        .zip(&planes.v)
        .flat_map(|(u, v)| [*u, *v])
        .collect();
    let (width, height) = (WIDTH as u32, HEIGHT as u32);
    let nv12 = Picture::nv12([&planes.y, &pairs], [STRIDE, STRIDE], width, height, false);
    assert_eq!(
        encode_jpeg(&nv12.expect("it fits"), &[], 80).expect("it is compressed"),
        encode_jpeg(&planes.i420(false), &[], 80).expect("it is compressed"),
    );
}

/// A mask of a box, with a hole by the even-odd rule.
#[rustfmt::skip]
const MASK: [[f32; 2]; 10] = [
    [0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75], [0.25, 0.25],
    [0.55, 0.3], [0.55, 0.7], [0.7, 0.7], [0.7, 0.3], [0.55, 0.3],
];

/// Whether a point is in the mask, for certain; none where it is nearer to the edge than `margin`.
fn masked(point: [f32; 2], margin: [f32; 2]) -> Option<bool> {
    let within = |from: [f32; 2], to: [f32; 2], sign: f32| {
        [0, 1].into_iter().all(|axis| {
            let margin = sign * margin[axis];
            (from[axis] - margin..to[axis] + margin).contains(&point[axis])
        })
    };
    let outer = |sign| within([0.25, 0.25], [0.75, 0.75], sign);
    let hole = |sign| within([0.55, 0.3], [0.7, 0.7], sign);
    if !outer(1.0) || hole(-1.0) {
        return Some(false);
    }
    (outer(-1.0) && !hole(1.0)).then_some(true)
}

#[test]
fn what_is_masked_is_black_and_the_rest_is_not_touched() {
    let planes = planes();
    let masks = [MASK.to_vec()];
    let full_size = encode_jpeg(&planes.i420(false), &masks, 95).expect("it is compressed");
    let small = encode_small_jpeg(&planes.i420(false), &masks, 95, 100).expect("it is compressed");
    for (jpeg, size) in [(full_size, (WIDTH, HEIGHT)), (small, (100, 54))] {
        let (width, height, [luma_plane, u, v]) = decode(jpeg);
        assert_eq!((width, height), size);
        let (mut black, mut seen) = (0, 0);
        for (at, found) in luma_plane.iter().enumerate() {
            let x = (at % width) as f32 + 0.5;
            let y = (at / width) as f32 + 0.5;
            // A block of JPEG at the edge has a little of both sides.
            let of_size = |x: f32, y: f32| [x / width as f32, y / height as f32];
            match masked(of_size(x, y), of_size(9.0, 9.0)) {
                Some(true) => {
                    black += 1;
                    assert!(*found <= 4, "{x} {y}: {found}");
                    let colour = at / width / 2 * width.div_ceil(2) + at % width / 2;
                    assert!(u[colour].abs_diff(128) <= 4 && v[colour].abs_diff(128) <= 4);
                }
                Some(false) => {
                    seen += 1;
                    let original = x / width as f32 * WIDTH as f32 - 0.5;
                    let expected = (40.0 + original - 16.0) * 255.0 / 219.0;
                    assert!(near(*found, expected), "{x} {y}: {found}, not {expected}");
                }
                None => {}
            }
        }
        assert!(black > 80 && seen > 1000, "{black} and {seen}");
    }
}

#[test]
fn a_picture_is_not_made_larger() {
    let planes = planes();
    let picture = planes.i420(false);
    assert_eq!(
        encode_small_jpeg(&picture, &[], 80, 1000).expect("it is compressed"),
        encode_jpeg(&picture, &[], 80).expect("it is compressed"),
    );
    // A line of pixels is still a picture.
    let (_, height, _) = decode(encode_small_jpeg(&picture, &[], 80, 1).expect("it is compressed"));
    assert_eq!(height, 1);
}

#[test]
fn planes_that_are_too_small_are_refused() {
    let planes = planes();
    let (width, height) = (WIDTH as u32, HEIGHT as u32);
    let strides = [STRIDE, STRIDE / 2, STRIDE / 2];
    let i420 = |y: &[u8], u: &[u8], strides, width, height| {
        Picture::i420([y, u, &planes.v], strides, width, height, false).is_ok()
    };
    assert!(i420(&planes.y, &planes.u, strides, width, height));
    assert!(!i420(
        &planes.y[..STRIDE * HEIGHT - STRIDE],
        &planes.u,
        strides,
        width,
        height
    ));
    assert!(!i420(&planes.y, &planes.u[..100], strides, width, height));
    assert!(!i420(
        &planes.y,
        &planes.u,
        [WIDTH - 1, STRIDE / 2, STRIDE / 2],
        width,
        height
    ));
    assert!(!i420(&planes.y, &planes.u, strides, 0, height));
    assert!(!i420(&planes.y, &planes.u, strides, width, 0));
    assert!(!i420(&planes.y, &planes.u, [usize::MAX; 3], width, height));
    assert!(
        Picture::nv12(
            [&planes.y, &planes.u],
            [STRIDE, STRIDE],
            width,
            height,
            false
        )
        .is_err()
    );
}

#[test]
fn of_what_is_blurred_a_few_values_are_left_and_the_rest_is_not_touched() {
    let planes = planes();
    let region = Region {
        x: 0.25,
        y: 0.25,
        w: 0.5,
        h: 0.5,
    };
    let absurd = Region {
        x: f32::NAN,
        ..region
    };
    let picture = planes.i420(false);
    let (clear, blurred) = (
        encode_jpeg(&picture, &[], 100).expect("it is compressed"),
        encode_blurred_jpeg(&picture, &[], &[region, absurd], 100).expect("it is compressed"),
    );
    let (_, _, [clear, ..]) = decode(clear);
    let (width, height, [blurred, ..]) = decode(blurred);
    let mut values = std::collections::BTreeSet::new();
    for (at, (clear, blurred)) in clear.iter().zip(&blurred).enumerate() {
        let (x, y) = (at % width, at / width);
        let within = |at: usize, len: usize, margin: f32| {
            let at = (at as f32 + 0.5) / len as f32;
            (0.15 - margin..0.85 + margin).contains(&at)
        };
        if within(x, width, 0.0) && within(y, height, 0.0) {
            values.insert(blurred / 4);
        } else if !(within(x, width, 0.02) && within(y, height, 0.02)) {
            assert!(clear.abs_diff(*blurred) <= 8, "{x} {y}: {clear} {blurred}");
        }
    }
    // Brightness goes from left to right: five cells across, and what JPEG makes of their edges.
    assert!((5..=16).contains(&values.len()), "{values:?}");
}

#[test]
fn means_are_rounded_as_by_division() {
    for pixels in (1..300).chain([999, 4096, 65_000]) {
        let inverse = inverse_of(pixels);
        for value in 0..255 {
            // Around where it is rounded down and up.
            let half = (value * pixels + pixels / 2) as u32;
            for sum in half.saturating_sub(1)..=half + 1 {
                let expected = (u64::from(sum) + pixels / 2) / pixels;
                assert_eq!(u64::from(mean(sum, pixels, inverse)), expected);
            }
        }
        assert_eq!(mean((255 * pixels) as u32, pixels, inverse), 255);
    }
}
