//! What networks say: any numbers at all.

use crate::detect::{Detection, MAX_CANDIDATES, Overlap, scrfd, suppress, yolo, yunet};
use crate::plate::network::{self, CLASSES, Map, Merger};

/// The side of the picture that the numbers are of.
const SIDE: usize = 64;
const STRIDES: [usize; 3] = [8, 16, 32];

/// Numbers of a network: whatever decodes them gives what lies in the picture, or says no. The first
/// byte says whose they are, the others are the numbers, again and again if they are too few.
pub fn network_outputs(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else {
        return;
    };
    let numbers: Vec<f32> = bytes
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("4 bytes")))
        .collect();
    if numbers.is_empty() {
        return;
    }
    let some = |count: usize| -> Vec<f32> { numbers.iter().copied().cycle().take(count).collect() };
    match which % 6 {
        0 => of_yunet(&some),
        1 => of_scrfd(&some),
        2 => {
            let classes = 1 + usize::from(which / 6) % 8;
            of_yolo(yolo::Head::Rows { classes }, &some((4 + classes) * 50));
            of_yolo(yolo::Head::Rows { classes }, &numbers);
        }
        3 => {
            of_yolo(yolo::Head::Boxes, &some(6 * 50));
            of_yolo(yolo::Head::Boxes, &numbers);
        }
        4 => plates(&some(9 * 8 * 12), &numbers),
        _ => {
            text(&some(36 * CLASSES.len()));
            text(&numbers);
        }
    }
}

fn of_yunet(some: &dyn Fn(usize) -> Vec<f32>) {
    let numbers = STRIDES.map(|stride| {
        let cells = (SIDE / stride) * (SIDE / stride);
        [1, 1, 4, 10].map(|each| some(cells * each))
    });
    let grids = [0, 1, 2].map(|index| yunet::Grid {
        class: &numbers[index][0],
        object: &numbers[index][1],
        bounds: &numbers[index][2],
        landmarks: &numbers[index][3],
    });
    let mut found = Vec::new();
    yunet::decode(&grids, SIDE, SIDE, 0.3, &mut found).expect("there are as many as cells");
    check(found, Overlap::WholePixels);
}

fn of_scrfd(some: &dyn Fn(usize) -> Vec<f32>) {
    let numbers = STRIDES.map(|stride| {
        let boxes = (SIDE / stride) * (SIDE / stride) * 2;
        [1, 4, 10].map(|each| some(boxes * each))
    });
    let grids = [0, 1, 2].map(|index| scrfd::Grid {
        scores: &numbers[index][0],
        bounds: &numbers[index][1],
        landmarks: &numbers[index][2],
    });
    let mut found = Vec::new();
    scrfd::decode(&grids, SIDE, SIDE, 0.3, &mut found).expect("there are as many as cells");
    check(found, Overlap::Exact);
}

fn of_yolo(head: yolo::Head, numbers: &[f32]) {
    let mut found = Vec::new();
    if yolo::decode(head, numbers, SIDE, SIDE, 0.3, &mut found).is_ok() {
        check(found, Overlap::Exact);
    }
}

fn check(mut found: Vec<Detection>, overlap: Overlap) {
    assert!(found.len() <= MAX_CANDIDATES);
    suppress(&mut found, 0.4, overlap);
    for detection in &found {
        assert!((0.0..=1.0).contains(&detection.score), "{detection:?}");
        let visible = detection.bounds.within(SIDE, SIDE);
        let visible = visible.unwrap_or_else(|| panic!("{detection:?}"));
        assert!(
            visible.area() * 64.0 >= detection.bounds.area(),
            "{detection:?}"
        );
        let mut landmarks = detection.landmarks.iter().flatten();
        assert!(landmarks.all(|point| point.x.is_finite() && point.y.is_finite()));
    }
    assert!(found.is_sorted_by(|a, b| a.score >= b.score));
}

fn plates(numbers: &[f32], odd: &[f32]) {
    let (mut cells, mut found) = (Vec::new(), Vec::new());
    for numbers in [numbers, odd] {
        let map = Map {
            numbers,
            rows: 8,
            columns: 12,
            stride: 8.0,
        };
        if network::decode(&map, 0, 0.2, (3.0, 3.0), &mut cells).is_err() {
            assert_ne!(numbers.len(), 9 * 8 * 12);
        }
    }
    Merger::default().merge(&mut cells, 8, &mut found);
    assert!(found.len() <= 8);
    for plate in &found {
        assert!((0.2..=1.0).contains(&plate.score), "{plate:?}");
    }
}

fn text(numbers: &[f32]) {
    let Ok(reading) = network::read_steps(numbers) else {
        assert!(!numbers.len().is_multiple_of(CLASSES.len()));
        return;
    };
    assert!((0.0..=1.0).contains(&reading.confidence), "{reading:?}");
    assert_eq!(reading.text.chars().count(), reading.characters.len());
    for place in &reading.characters {
        assert!(!place.is_empty());
        assert!(
            place.iter().all(|(_, sure)| (0.0..=1.0).contains(sure)),
            "{place:?}"
        );
    }
}
