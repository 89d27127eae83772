//! The form of files; that players play them is tested with real video.

use std::time::Duration;

use keepwatch_core::jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::packet::{Codec, Packet, PacketData, StreamInfo};

fn info() -> StreamInfo {
    StreamInfo {
        codec: Codec::H264,
        width: 640,
        height: 360,
        codec_data: [1, 2, 3].into(),
        frame_rate: None,
    }
}

fn packet(number: u64, key: bool) -> Packet {
    let at = Duration::from_millis(7000 + 40 * number);
    Packet {
        data: PacketData::new(vec![number as u8; 100 + number as usize % 7]),
        pts: at,
        dts: at,
        duration: None,
        key,
        wall: Timestamp::UNIX_EPOCH,
    }
}

fn file(frames: u64) -> (Vec<u8>, Summary) {
    let mut writer =
        Fmp4Writer::new(Vec::new(), &info(), Timestamp::UNIX_EPOCH).expect("it begins");
    for number in 0..frames {
        writer
            .push(&packet(number, number % 50 == 0))
            .expect("it is written");
    }
    writer.finish().expect("it ends")
}

#[test]
fn fragments_end_at_key_frames_and_after_a_second() {
    let (bytes, summary) = file(130);
    let scan = scan(bytes.as_slice()).expect("it is read");
    // 50 frames are two seconds: two fragments each, and the rest.
    assert_eq!(scan.fragments, 6);
    assert_eq!((scan.frames, summary.frames), (130, 130));
    assert_eq!(scan.duration, summary.duration);
    assert_eq!(summary.duration, Duration::from_millis(130 * 40));
    assert_eq!(
        (scan.whole_bytes, summary.bytes),
        (bytes.len() as u64, bytes.len() as u64)
    );
    assert!(!scan.cut);
}

#[test]
fn a_file_begins_with_a_key_frame() {
    let mut writer =
        Fmp4Writer::new(Vec::new(), &info(), Timestamp::UNIX_EPOCH).expect("it begins");
    for number in 0..10 {
        writer
            .push(&packet(number, number == 4))
            .expect("it is written");
    }
    assert_eq!(writer.finish().expect("it ends").1.frames, 6);
}

#[test]
fn a_cut_file_is_whole_up_to_its_last_whole_fragment() {
    let (bytes, _) = file(130);
    let mut last = Scan::default();
    for len in 0..bytes.len() {
        let scan = scan(&bytes[..len]).expect("it is read");
        assert!(scan.frames >= last.frames && scan.whole_bytes <= len as u64);
        assert_eq!(scan.cut, scan.whole_bytes != len as u64);
        let again = super::scan(&bytes[..scan.whole_bytes as usize]).expect("it is read");
        assert_eq!((again.frames, again.cut), (scan.frames, false));
        last = scan;
    }
    assert_eq!(last.frames, 130);
}

#[test]
fn frames_count_only_where_their_bytes_are() {
    let first = packet(0, true);
    let moof_and_mdat = fragment(
        1,
        std::slice::from_ref(&first),
        first.dts,
        packet(1, true).dts,
    );
    let mdat_at = moof_and_mdat.len() - 8 - first.len();
    let (moof, mdat) = moof_and_mdat.split_at(mdat_at);
    assert_eq!(&mdat[4..8], b"mdat");
    let short = [
        &(mdat.len() as u32 - 1).to_be_bytes(),
        &mdat[4..mdat.len() - 1],
    ]
    .concat();
    for (what, bytes, frames) in [
        ("a fragment", [moof, mdat].concat(), 1),
        ("its bytes twice", [moof, mdat, mdat].concat(), 1),
        ("bytes alone", mdat.to_vec(), 0),
        ("two descriptions", [moof, moof, mdat].concat(), 0),
        ("too few bytes", [moof, &short].concat(), 0),
    ] {
        let scan = scan(bytes.as_slice()).expect("it is read");
        assert_eq!(scan.frames, frames, "{what}");
        assert_eq!(scan.cut, what != "a fragment", "{what}");
    }
}

#[test]
fn many_frames_at_once_make_several_fragments() {
    let mut writer =
        Fmp4Writer::new(Vec::new(), &info(), Timestamp::UNIX_EPOCH).expect("it begins");
    for number in 0..10_000 {
        let packet = Packet {
            dts: packet(0, true).dts,
            ..packet(0, number == 0)
        };
        writer.push(&packet).expect("it is written");
    }
    let (bytes, _) = writer.finish().expect("it ends");
    let scan = scan(bytes.as_slice()).expect("it is read");
    assert_eq!((scan.fragments, scan.frames, scan.cut), (3, 10_000, false));
}

#[test]
fn what_no_player_could_play_is_refused() {
    for wrong in [
        StreamInfo {
            codec_data: [].into(),
            ..info()
        },
        StreamInfo {
            width: 70_000,
            ..info()
        },
    ] {
        assert!(Fmp4Writer::new(Vec::new(), &wrong, Timestamp::UNIX_EPOCH).is_err());
    }
}

#[test]
fn packets_out_of_order_are_refused() {
    let mut writer =
        Fmp4Writer::new(Vec::new(), &info(), Timestamp::UNIX_EPOCH).expect("it begins");
    writer.push(&packet(5, true)).expect("it is written");
    assert!(writer.push(&packet(4, false)).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_scanned(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let scan = scan(bytes.as_slice()).expect("reading memory does not fail");
        prop_assert!(scan.whole_bytes <= bytes.len() as u64);
    }
}
