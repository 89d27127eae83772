//! What is computed of every frame takes no memory of its own once it is warm.

use allocation_counter::measure;
use keepwatch_core::jiff::Timestamp;
use keepwatch_recognition::detect::{Overlap, scrfd, suppress, yolo, yunet};
use keepwatch_recognition::face::{Decision, Embedding, Gallery, Index, Photo, align};
use keepwatch_recognition::infer::Digest;
use keepwatch_recognition::plate::localize::{Localizer, LocalizerSettings};
use keepwatch_recognition::plate::network::{self, Map};
use keepwatch_recognition::plate::rectify::Rectifier;
use keepwatch_recognition::plate::text::clean_into;
use keepwatch_recognition::plate::vote::{Fused, Votes};
use keepwatch_recognition::resample::Shrinker;
use keepwatch_recognition::{Channels, Picture, Point, Quad};

/// Runs it until it is warm, and once more.
fn warm(what: &str, mut run: impl FnMut()) {
    for _ in 0..30 {
        run();
    }
    let allocated = measure(run);
    assert_eq!(allocated.count_total, 0, "{what}");
}

/// Stripes and a plate with strokes on it.
fn picture() -> Picture {
    let (width, height) = (640, 480);
    let mut picture = Picture::default();
    picture.reset(width, height, Channels::Rgb);
    for y in 0..height {
        for (x, pixel) in picture.row_mut(y).chunks_exact_mut(3).enumerate() {
            let on_plate = (200..420).contains(&x) && (200..250).contains(&y);
            let on_stroke = (208..242).contains(&y) && (x - 200.min(x)) % 28 > 12;
            pixel.fill(match (on_plate, on_stroke) {
                (true, true) => 20,
                (true, false) => 230,
                _ => (60 + x / 16 % 3 * 20 + y / 8) as u8,
            });
        }
    }
    picture
}

fn quad() -> Quad {
    let corner = |x: f32, y: f32| Point { x, y };
    Quad([
        corner(198.0, 199.0),
        corner(421.0, 202.0),
        corner(420.0, 251.0),
        corner(199.0, 250.0),
    ])
}

#[test]
fn pictures_are_scaled_cut_and_searched_in_the_same_memory() {
    let picture = picture();
    let (mut shrinker, mut small) = (Shrinker::default(), Picture::default());
    small.reset(320, 240, Channels::Rgb);
    warm("scaling", || {
        shrinker.shrink(picture.view(), 320, 240, &mut small);
    });
    let mut gray = Picture::default();
    warm("brightness", || picture.view().gray_into(&mut gray));
    let (mut rectifier, mut plate) = (Rectifier::default(), Picture::default());
    warm("straightening", || {
        let map = rectifier.cut(picture.view(), &quad(), 48, &mut plate);
        assert!(map.is_some());
    });
    let landmarks = [
        (300.0, 200.0),
        (340.0, 202.0),
        (321.0, 225.0),
        (305.0, 250.0),
        (338.0, 251.0),
    ]
    .map(|(x, y)| Point { x, y });
    let mut face = Picture::default();
    warm("aligning", || {
        assert!(align(picture.view(), &landmarks, &mut face));
    });
    let mut localizer = Localizer::new(LocalizerSettings::default()).expect("the defaults work");
    let mut found = Vec::new();
    warm("localising", || localizer.find(picture.view(), &mut found));
    assert!(!found.is_empty());
}

#[test]
fn numbers_of_networks_become_boxes_in_the_same_memory() {
    // Whatever the numbers are: some of them are sure of something.
    let numbers: Vec<f32> = (0..200_000).map(|n| (n % 97) as f32 / 100.0).collect();
    let mut found = Vec::new();
    let strides = [8, 16, 32];
    let grids = strides.map(|stride| {
        let cells = (320 / stride) * (320 / stride);
        yunet::Grid {
            class: &numbers[..cells],
            object: &numbers[7..][..cells],
            bounds: &numbers[..4 * cells],
            landmarks: &numbers[..10 * cells],
        }
    });
    warm("YuNet", || {
        yunet::decode(&grids, 320, 320, 0.6, &mut found).expect("the numbers fit");
        suppress(&mut found, 0.3, Overlap::WholePixels);
    });
    assert!(found.len() > 10);
    let grids = strides.map(|stride| {
        let boxes = (320 / stride) * (320 / stride) * 2;
        scrfd::Grid {
            scores: &numbers[..boxes],
            bounds: &numbers[5..][..4 * boxes],
            landmarks: &numbers[..10 * boxes],
        }
    });
    warm("SCRFD", || {
        scrfd::decode(&grids, 320, 320, 0.5, &mut found).expect("the numbers fit");
        suppress(&mut found, 0.4, Overlap::Exact);
    });
    assert!(found.len() > 10);
    let pixels: Vec<f32> = numbers.iter().map(|number| number * 200.0).collect();
    let boxes = 2000;
    let mut rows = pixels[..4 * boxes].to_vec();
    rows.extend_from_slice(&numbers[..10 * boxes]);
    warm("YOLO", || {
        let head = yolo::Head::Rows { classes: 10 };
        yolo::decode(head, &rows, 640, 640, 0.5, &mut found).expect("the numbers fit");
        suppress(&mut found, 0.45, Overlap::Exact);
    });
    assert!(found.len() > 10);
}

#[test]
fn plates_are_found_and_voted_for_in_the_same_memory() {
    let (rows, columns) = (48, 80);
    let numbers: Vec<f32> = (0..9 * rows * columns)
        .map(|n| ((n % 89) as f32 - 70.0) / 10.0)
        .collect();
    let map = Map {
        numbers: &numbers,
        rows,
        columns,
        stride: 8.0,
    };
    let (mut cells, mut merger, mut found) = (Vec::new(), network::Merger::default(), Vec::new());
    warm("cells", || {
        cells.clear();
        network::decode(&map, 0, 0.2, (1.0, 1.0), &mut cells).expect("the numbers fit");
        merger.merge(&mut cells, 8, &mut found);
    });
    assert!(!found.is_empty());
    let (mut votes, mut fused, mut text) = (Votes::new(), Fused::default(), String::new());
    warm("votes", || {
        for reading in ["B-AB 1234", "B AB 1Z34", "8AB1234"] {
            clean_into(reading, &mut text);
            votes.add(&text, &[0.9]);
        }
        votes.fuse_into(&mut fused);
    });
    assert_eq!(fused.text, "BAB1234");
}

#[test]
fn faces_are_identified_without_memory() {
    let embedding = |n: usize| {
        let values = (0..128).map(|i| ((i * n) % 17) as f32 - 8.0);
        Embedding::new(values.collect()).expect("it points somewhere")
    };
    let mut gallery = Gallery::new(Digest::of(b"any"), 128);
    for n in 1..50 {
        let photo = Photo {
            added: Timestamp::UNIX_EPOCH,
            embedding: embedding(n),
            face: Vec::new(),
        };
        gallery
            .add(&format!("{n:02}"), photo)
            .expect("there is room");
    }
    let (index, face) = (Index::new(&gallery), embedding(7));
    warm("identification", || {
        let nearest = index.identify(&face, &Decision::default());
        assert_eq!(nearest.expect("it is not empty").similarity.round(), 1.0);
    });
}
