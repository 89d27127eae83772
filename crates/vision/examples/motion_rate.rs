//! Measures how long motion detection takes for a frame: `motion_rate [video]`.
//!
//! The video is one of the test data, by name without its ending; `none` leaves it out. Times are of
//! one thread.

#![allow(clippy::print_stdout, reason = "it is a program")]

use std::time::{Duration, Instant};

use keepwatch_vision::motion::{Luma, MotionDetector, MotionSettings, downscale_into};

#[allow(dead_code, reason = "only one of its functions is needed here")]
#[path = "../tests/film/footage.rs"]
mod footage;

const ANALYSIS: [usize; 2] = [640, 360];
const FULL: [usize; 2] = [1920, 1080];

/// Frames that are kept at full size: 2 MB each.
const KEPT: usize = 120;

fn main() {
    let video = std::env::args().nth(1);
    let video = video.unwrap_or_else(|| "car-detection".to_owned());
    measure("made up", &made_up());
    if video != "none" {
        measure(&video, &from_video(&video));
    }
}

/// Noise on stripes, and a square that moves.
fn made_up() -> Vec<Vec<u8>> {
    let [width, height] = FULL;
    let mut state = 88_172_645_463_325_252_u64;
    let frame = |n: usize| {
        let (left, top) = (12 * n, 400);
        let pixel = |i: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let (x, y) = (i % width, i / width);
            let inside = (left..left + 200).contains(&x) && (top..top + 200).contains(&y);
            let stripes = 80 + (x / 60 + y / 45) % 4 * 20;
            (if inside { 220 } else { stripes }) as u8 + (state >> 60) as u8
        };
        (0..width * height).map(pixel).collect()
    };
    (0..KEPT).map(frame).collect()
}

/// Frames from the middle of a video, enlarged.
fn from_video(name: &str) -> Vec<Vec<u8>> {
    let [width, height] = FULL;
    let (mut frames, mut n) = (Vec::new(), 0);
    footage::decode(name, false, |luma, _| {
        n += 1;
        if n <= 50 || frames.len() == KEPT {
            return;
        }
        let mut frame = Vec::with_capacity(width * height);
        for y in 0..height {
            let row = luma.row(y * luma.height() / height);
            frame.extend((0..width).map(|x| row[x * luma.width() / width]));
        }
        frames.push(frame);
    });
    frames
}

fn measure(name: &str, frames: &[Vec<u8>]) {
    let [width, height] = ANALYSIS;
    let mut detector = MotionDetector::new(&MotionSettings::default(), width, height);
    let mut small = Vec::new();
    let (mut scaling, mut analysis, mut both) = (Vec::new(), Vec::new(), Vec::new());
    let mut moving = 0;
    for n in 0..10 * frames.len() {
        // Forwards and backwards, so that the picture never jumps.
        let turn = n % (2 * frames.len());
        let frame = &frames[turn.min(2 * frames.len() - 1 - turn)];
        let full = Luma::new(frame, FULL[0], FULL[1], FULL[0]).expect("it is of this size");
        let began = Instant::now();
        downscale_into(full, &mut small, width, height);
        let scaled = began.elapsed();
        let luma = Luma::new(&small, width, height, width).expect("it was scaled to this");
        let shown = detector.detect(luma, Duration::from_millis(80 * n as u64));
        let all = began.elapsed();
        moving += usize::from(shown.is_moving());
        scaling.push(scaled);
        analysis.push(all - scaled);
        both.push(all);
    }
    println!("{name}: {} frames, {moving} of them moving", both.len());
    for (what, times) in [
        ("scaling 1920x1080 to 640x360", &mut scaling),
        ("analysis of 640x360", &mut analysis),
        ("both", &mut both),
    ] {
        times.sort_unstable();
        let ms = |share: f64| 1e3 * times[(share * times.len() as f64) as usize].as_secs_f64();
        println!("  {what}: median {:.3} ms, p95 {:.3} ms", ms(0.5), ms(0.95));
    }
}
