//! Who is handed what, whatever they make of it.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::mp4::scan;
use crate::packet::PacketData;

fn info(width: u32) -> StreamInfo {
    StreamInfo {
        codec: Codec::H264,
        width,
        height: 360,
        codec_data: [1, 0x64, 0, 0x1f, 0xff].into(),
        frame_rate: None,
    }
}

fn packet(number: u64, key: bool) -> Packet {
    let at = Duration::from_millis(7000 + 40 * number);
    Packet {
        data: PacketData::new(vec![number as u8; 100]),
        pts: at,
        dts: at,
        duration: None,
        key,
        wall: Timestamp::UNIX_EPOCH,
    }
}

/// The group is so many frames long.
fn send(video: &Video, frames: std::ops::Range<u64>, group: u64) {
    frames.for_each(|number| video.packet(&packet(number, number % group == 0)));
}

/// Somebody who looks on, and keeps what was handed over.
#[derive(Clone, Default)]
struct Eye(Arc<Mutex<(Vec<LiveItem>, Vec<Handed>)>>);

impl Eye {
    /// Takes everything.
    fn on(video: &Video) -> Self {
        Self::answering(video, [])
    }

    /// Answers so at first, and takes everything after that.
    fn answering(video: &Video, answers: impl IntoIterator<Item = Handed>) -> Self {
        let mut answers: Vec<Handed> = answers.into_iter().collect();
        answers.reverse();
        let eye = Self(Arc::new(Mutex::new((Vec::new(), answers))));
        let seen = eye.clone();
        video.add(Sink::new(move |item| {
            let (items, answers) = &mut *seen.0.lock().expect("nobody panicked");
            let answer = answers.pop().unwrap_or(Handed::Taken);
            if answer == Handed::Taken {
                items.push(item);
            }
            answer
        }));
        eye
    }

    fn items(&self) -> Vec<LiveItem> {
        self.0.lock().expect("nobody panicked").0.clone()
    }

    /// From now on.
    fn answer(&self, answers: impl IntoIterator<Item = Handed>) {
        let mut answers: Vec<Handed> = answers.into_iter().collect();
        answers.reverse();
        self.0.lock().expect("nobody panicked").1 = answers;
    }

    /// What was taken: `S` a stream, `K3` a key frame and what follows it, three frames, `f` a frame,
    /// `D5` five are left out, `O` offline, `E` the end.
    fn told(&self) -> String {
        let letter = |item: &LiveItem| match item {
            LiveItem::Stream { .. } => "S".to_owned(),
            LiveItem::Fragment(it) if it.key => format!("K{}", it.frames),
            LiveItem::Fragment(_) => "f".to_owned(),
            LiveItem::Dropped { frames } => format!("D{frames}"),
            LiveItem::Offline { .. } => "O".to_owned(),
            LiveItem::Ended => "E".to_owned(),
            LiveItem::Picture(_) | LiveItem::Overlay(_) => "?".to_owned(),
        };
        let letters: Vec<String> = self.items().iter().map(letter).collect();
        letters.join(" ")
    }

    fn fragments(&self) -> Vec<Fragment> {
        let items = self.items().into_iter();
        let fragments = items.filter_map(|item| match item {
            LiveItem::Fragment(fragment) => Some(fragment),
            _ => None,
        });
        fragments.collect()
    }

    /// All bytes, as a file.
    fn file(&self) -> Vec<u8> {
        let items = self.items().into_iter();
        let bytes = items.filter_map(|item| match item {
            LiveItem::Stream { init, .. } => Some(init),
            LiveItem::Fragment(fragment) => Some(fragment.bytes),
            _ => None,
        });
        bytes.collect::<Vec<_>>().concat()
    }
}

fn offline() -> LiveItem {
    LiveItem::Offline {
        reason: "gone".into(),
    }
}

fn video() -> Video {
    let video = Video::new("yard");
    video.stream(&info(640));
    video
}

#[test]
fn nothing_is_made_for_nobody_and_each_frame_once_for_all() {
    let video = video();
    send(&video, 0..30, 10);
    assert_eq!(video.lock().sequence, 0);
    let (one, other) = (Eye::on(&video), Eye::on(&video));
    send(&video, 30..40, 10);
    // The group so far, and ten frames.
    assert_eq!(video.lock().sequence, 11);
    let pairs = one.fragments().into_iter().zip(other.fragments());
    let shared = pairs.filter(|(a, b)| a.bytes.as_ptr() == b.bytes.as_ptr());
    assert_eq!(shared.count(), 11);
    // Another group so far for who comes now.
    assert_eq!(Eye::on(&video).fragments()[0].frames, 10);
    assert_eq!(video.lock().sequence, 12);
}

#[test]
fn who_comes_in_the_middle_of_a_group_has_it_at_once() {
    let video = video();
    let early = Eye::on(&video);
    assert_eq!(early.told(), "");
    send(&video, 1..4, 10);
    assert_eq!(early.told(), "", "nothing can be decoded yet");
    send(&video, 10..17, 10);
    let late = Eye::on(&video);
    assert_eq!(late.told(), "S K7");
    send(&video, 17..21, 10);
    assert_eq!(late.told(), "S K7 f f f K1");
    assert_eq!(early.told(), "S K1 f f f f f f f f f K1");
    let scanned = scan(late.file().as_slice()).expect("it is read");
    assert_eq!((scanned.frames, scanned.fragments), (11, 5));
    assert!(!scanned.cut);
    // The file counts from the timeline's beginning.
    assert_eq!(scanned.duration, Duration::from_millis(7000 + 40 * 21));
}

#[test]
fn fragments_lie_end_to_end_whatever_the_rate() {
    for step in [1_u64, 40, 66, 1000] {
        let video = video();
        send(&video, 0..1, 100);
        let eye = Eye::on(&video);
        for number in 1..30 {
            let at = Duration::from_millis(7000 + step * number);
            let frame = Packet {
                pts: at + Duration::from_millis(80),
                dts: at,
                ..packet(number, false)
            };
            video.packet(&frame);
        }
        // The first frame alone had nothing to go by.
        let fragments = eye.fragments();
        for pair in fragments[1..].windows(2) {
            let end = scan(&*pair[0].bytes).expect("it is read").duration;
            let next = pair[1].pts - Duration::from_millis(80);
            let apart = end.abs_diff(next);
            assert!(apart < Duration::from_micros(30), "{step}: {apart:?}");
        }
    }
}

#[test]
fn who_is_slow_misses_frames_up_to_a_key_frame() {
    let video = video();
    send(&video, 0..1, 10);
    let slow = Eye::on(&video);
    let other = Eye::on(&video);
    slow.answer([Handed::Taken, Handed::Full]);
    send(&video, 1..12, 10);
    assert_eq!(slow.told(), "S K1 f D8 K1 f");
    // Even the news of it may be too much.
    slow.answer([Handed::Full, Handed::Full]);
    send(&video, 12..32, 10);
    assert_eq!(slow.told(), "S K1 f D8 K1 f D18 K1 f");
    assert_eq!(other.fragments().len(), 32);
    assert_eq!(video.dropped(), 26);
}

#[test]
fn who_has_no_room_for_the_first_group_begins_with_the_next() {
    let video = video();
    send(&video, 0..7, 10);
    let slow = Eye::answering(&video, [Handed::Taken, Handed::Full]);
    send(&video, 7..11, 10);
    assert_eq!(slow.told(), "S D10 K1");
    let slower = Eye::answering(&video, [Handed::Full, Handed::Full]);
    send(&video, 11..31, 10);
    assert_eq!(slower.told(), "D20 S K1");
}

#[test]
fn who_is_gone_or_panics_is_forgotten() {
    let video = video();
    send(&video, 0..1, 10);
    let leaving = Eye::answering(&video, [Handed::Taken, Handed::Taken, Handed::Gone]);
    Eye::answering(&video, [Handed::Gone]);
    video.add(Sink::new(|item| match item {
        LiveItem::Fragment(it) if !it.key => panic!("too much"),
        _ => Handed::Taken,
    }));
    let staying = Eye::on(&video);
    assert_eq!(video.viewers(), 3);
    send(&video, 1..3, 10);
    assert_eq!(video.viewers(), 1);
    assert_eq!(leaving.told(), "S K1");
    assert_eq!(staying.told(), "S K1 f f");
}

#[test]
fn another_stream_is_told_before_its_first_key_frame() {
    let video = video();
    let eye = Eye::on(&video);
    send(&video, 0..2, 10);
    video.stream(&info(320));
    send(&video, 2..3, 10);
    send(&video, 10..12, 10);
    assert_eq!(eye.told(), "S K1 f S K1 f");
    let widths = eye.items().into_iter().filter_map(|item| match item {
        LiveItem::Stream { width, init, .. } => {
            assert!(!init.is_empty());
            Some(width)
        }
        _ => None,
    });
    assert_eq!(widths.collect::<Vec<_>>(), [640, 320]);
}

#[test]
fn what_is_lost_before_is_told_as_well() {
    let video = video();
    let eye = Eye::on(&video);
    send(&video, 0..2, 10);
    video.lost(3);
    send(&video, 5..11, 10);
    assert_eq!(eye.told(), "S K1 f D8 K1");
    // What is missing cannot be decoded by who comes later.
    video.lost(1);
    assert_eq!(Eye::on(&video).told(), "");
}

#[test]
fn a_session_that_ends_is_no_end() {
    let video = video();
    let eye = Eye::on(&video);
    send(&video, 0..2, 10);
    video.session_ended();
    video.offline(&offline());
    let late = Eye::on(&video);
    assert_eq!(late.told(), "O");
    send(&video, 20..22, 10);
    assert_eq!(eye.told(), "S K1 f O K1 f");
    assert_eq!(late.told(), "O S K1 f");
    assert_eq!(Eye::on(&video).told(), "S K2");
    video.end();
    assert_eq!(video.viewers(), 0);
    assert_eq!(eye.told(), "S K1 f O K1 f E");
    assert_eq!(Eye::on(&video).told(), "E");
}

#[test]
fn pictures_in_jpeg_are_handed_on_as_they_are() {
    let video = Video::new("yard");
    let stream = StreamInfo {
        codec: Codec::Mjpeg,
        codec_data: [].into(),
        ..info(640)
    };
    video.stream(&stream);
    let packets: Vec<Packet> = (0..3).map(|number| packet(number, true)).collect();
    video.packet(&packets[0]);
    video.packet(&packets[1]);
    let eye = Eye::on(&video);
    video.packet(&packets[2]);
    assert_eq!(eye.told(), "S K1 K1");
    let items = eye.items();
    assert!(
        matches!(&items[0], LiveItem::Stream { mime, init, .. } if &**mime == "image/jpeg" && init.is_empty())
    );
    for (fragment, packet) in eye.fragments().iter().zip(&packets[1..]) {
        assert_eq!(fragment.bytes.as_ptr(), packet.data.as_ref().as_ptr());
    }
}

#[test]
fn a_stream_that_mp4_cannot_hold_is_not_shown() {
    let video = Video::new("yard");
    for stream in [
        StreamInfo {
            codec_data: [].into(),
            ..info(640)
        },
        info(70_000),
    ] {
        video.stream(&stream);
        let eye = Eye::on(&video);
        send(&video, 0..11, 10);
        assert_eq!(eye.told(), "O O");
        eye.answer([Handed::Gone]);
        send(&video, 20..21, 10);
        assert_eq!(video.viewers(), 0);
    }
}

#[test]
fn a_group_that_is_too_large_is_not_kept() {
    let video = video();
    let large = |number, key| Packet {
        data: PacketData::new(vec![0; GROUP_BYTES / 4]),
        ..packet(number, key)
    };
    video.packet(&large(0, true));
    (1..4).for_each(|number| video.packet(&large(number, false)));
    assert_eq!(video.group_bytes(), GROUP_BYTES);
    video.packet(&large(4, false));
    assert_eq!(video.group_bytes(), 0);
    video.packet(&large(5, false));
    assert_eq!(Eye::on(&video).told(), "");
    send(&video, 6..6 + GROUP_PACKETS as u64 + 2, u64::MAX);
    assert_eq!(video.group_bytes(), 0);
    send(&video, 20..25, 20);
    assert_eq!(Eye::on(&video).told(), "S K5");
}

proptest! {
    /// Whatever somebody answers, what they take can be decoded, and all that they miss is told.
    #[test]
    fn what_is_taken_can_be_decoded(
        answers in proptest::collection::vec(proptest::bool::weighted(0.7), 0..200),
        keys in proptest::collection::vec(proptest::bool::weighted(0.2), 1..100),
        before in 0_usize..100,
    ) {
        let video = video();
        let answers = answers.into_iter().map(|taken| match taken {
            true => Handed::Taken,
            false => Handed::Full,
        });
        let before = before.min(keys.len());
        let number_of = |at: Duration| (at.as_millis() as u64 - 7000) / 40;
        for (number, key) in keys[..before].iter().enumerate() {
            video.packet(&packet(number as u64, *key));
        }
        let eye = Eye::answering(&video, answers);
        for (number, key) in keys.iter().enumerate().skip(before) {
            video.packet(&packet(number as u64, *key));
        }
        let mut next = None;
        let mut told = false;
        for item in eye.items() {
            match item {
                LiveItem::Stream { .. } => told = true,
                LiveItem::Dropped { frames } => {
                    prop_assert!(frames > 0);
                    next = next.map(|next| next + frames);
                }
                LiveItem::Fragment(it) => {
                    prop_assert!(told);
                    let number = number_of(it.pts);
                    prop_assert_eq!(it.key, keys[number as usize]);
                    match next {
                        // Nothing is left out that is not told.
                        Some(next) => prop_assert_eq!(next, number),
                        None => prop_assert!(it.key),
                    }
                    next = Some(number + u64::from(it.frames));
                }
                _ => prop_assert!(false),
            }
        }
    }
}
