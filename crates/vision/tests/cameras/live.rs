//! Looking on at a camera while it is watched.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, unbounded};
use keepwatch_core::events::EventKind::{CameraOffline, CameraOnline};
use keepwatch_testkit::camera::{
    Act, Behaviour, Film, Footage, MjpegBehaviour, MjpegCamera, VideoCodec,
};
use keepwatch_vision::live::{Fragment, Handed, LiveItem, Overlay, Picture, PictureOptions};
use keepwatch_vision::mp4::scan;
use keepwatch_vision::source::{FrameSource, Session};
use keepwatch_vision::{Decode, Error, Record, Watch};

use crate::playback;
use crate::scene::{PATIENCE, Scene, Watched, kinds, settings};

/// A sink with a queue behind it, as a server has one.
fn queue(say: Sender<LiveItem>) -> impl FnMut(LiveItem) -> Handed + Send + 'static {
    move |item| match say.try_send(item) {
        Ok(()) => Handed::Taken,
        Err(TrySendError::Full(_)) => Handed::Full,
        Err(TrySendError::Disconnected(_)) => Handed::Gone,
    }
}

fn look(watch: &Watch) -> Receiver<LiveItem> {
    let (say, told) = unbounded();
    watch.live("yard", queue(say)).expect("it may be seen");
    told
}

fn look_at_pictures(watch: &Watch, max_width: u16, fps: f32) -> Receiver<LiveItem> {
    let (say, told) = unbounded();
    let options = PictureOptions { max_width, fps };
    let added = watch.pictures("yard", options, queue(say));
    added.expect("they may be seen");
    told
}

fn look_at_overlays(watch: &Watch) -> Receiver<LiveItem> {
    let (say, told) = unbounded();
    watch.overlay("yard", queue(say)).expect("it may be seen");
    told
}

fn next(told: &Receiver<LiveItem>) -> LiveItem {
    told.recv_timeout(PATIENCE).expect("something comes")
}

fn fragment(item: LiveItem) -> Fragment {
    match item {
        LiveItem::Fragment(fragment) => fragment,
        other => panic!("no fragment: {other:?}"),
    }
}

fn stream(item: LiveItem) -> (String, Vec<u8>, [u32; 2]) {
    match item {
        LiveItem::Stream {
            mime,
            init,
            width,
            height,
        } => (mime.to_string(), init.to_vec(), [width, height]),
        other => panic!("no stream: {other:?}"),
    }
}

fn picture(item: LiveItem) -> Picture {
    match item {
        LiveItem::Picture(picture) => picture,
        other => panic!("no picture: {other:?}"),
    }
}

/// The next frames, at least so many, as what follows an initialisation segment. The first is a key
/// frame.
fn frames(told: &Receiver<LiveItem>, least: u32) -> (Vec<u8>, u64) {
    let (mut bytes, mut count) = (Vec::new(), 0);
    let mut last = None;
    while count < least {
        let fragment = fragment(next(told));
        assert!(fragment.key || last.is_some());
        assert!(last.is_none_or(|last| fragment.pts > last));
        last = Some(fragment.pts);
        count += fragment.frames;
        bytes.extend_from_slice(&fragment.bytes);
    }
    (bytes, count.into())
}

/// What was handed over is a whole file of so many frames, and each of them is shown.
fn is_played(file: &[u8], count: u64) {
    let scanned = scan(file).expect("it is read");
    assert_eq!((scanned.frames, scanned.cut), (count, false));
    assert_eq!(playback::of_mp4(file).len() as u64, count);
}

#[test]
fn what_it_sends_is_played_as_it_comes() {
    for (codec, name) in [(VideoCodec::H264, "avc1."), (VideoCodec::H265, "hvc1.1.6.")] {
        let film = Film {
            codec,
            ..Film::default()
        };
        let scene = Scene::of(Behaviour::showing(&film));
        let told = look(&scene.watched.watch);
        let (mime, init, size) = stream(next(&told));
        let prefix = format!("video/mp4; codecs=\"{name}");
        assert!(mime.starts_with(&prefix) && mime.ends_with('"'), "{mime}");
        assert_eq!(size, [320, 180]);
        let (fragments, count) = frames(&told, 40);
        is_played(&[init, fragments].concat(), count);
        scene.stop();
    }
}

#[test]
fn who_comes_later_has_the_picture_at_once() {
    // Nothing is recorded, so nothing else keeps the packets.
    let film = Film {
        gop: 48,
        ..Film::default()
    };
    let scene = Scene::with(Behaviour::showing(&film), |settings| {
        settings.record = Record::Off;
        settings.pre_roll = Duration::ZERO;
    });
    let early = look(&scene.watched.watch);
    stream(next(&early));
    // In the middle of a group.
    frames(&early, 20);
    let late = look(&scene.watched.watch);
    // Without waiting for anything.
    assert!(late.len() >= 2);
    let (_, init, _) = stream(next(&late));
    let first = fragment(next(&late));
    assert!(first.key && first.frames >= 20, "{first:?}");
    let (second, count) = {
        let fragment = fragment(next(&late));
        (fragment.bytes, u64::from(fragment.frames + first.frames))
    };
    is_played(&[&init[..], &first.bytes, &second].concat(), count);
    let gauges = scene.watched.watch.gauges().remove(0);
    assert_eq!(
        (gauges.camera.as_str(), gauges.live_subscribers),
        ("yard", 2)
    );
    assert!(gauges.live_group_bytes > 0 && gauges.last_frame.is_some());
    drop((early, late));
    scene.watched.frames(2);
    assert_eq!(scene.watched.watch.gauges()[0].live_subscribers, 0);
    scene.stop();
}

#[test]
fn who_is_slow_goes_on_with_a_key_frame() {
    let scene = Scene::of(Behaviour::default());
    let (say, told) = bounded(3);
    let watch = &scene.watched.watch;
    let other = look(watch);
    watch.live("yard", queue(say)).expect("it may be seen");
    // It takes nothing for a while, and nobody waits for it.
    scene.watched.frames(40);
    assert_eq!(told.len(), 3);
    let (_, init, _) = stream(next(&told));
    let first: Vec<Fragment> = (0..2).map(|_| fragment(next(&told))).collect();
    let LiveItem::Dropped { frames } = next(&told) else {
        panic!("nothing is said of what is missing");
    };
    assert!(frames > 12, "{frames}");
    let again = fragment(next(&told));
    assert!(again.key);
    let before = first.last().expect("there are two").pts;
    // Somebody else had all that came between.
    let between = other.iter().filter_map(|item| match item {
        LiveItem::Fragment(fragment) => Some(fragment.pts),
        _ => None,
    });
    let between = between.take_while(|pts| *pts < again.pts);
    assert_eq!(between.filter(|pts| *pts > before).count() as u64, frames);
    is_played(&[&init[..], &again.bytes].concat(), 1);
    assert!(scene.watched.watch.gauges()[0].live_dropped >= frames);
    scene.stop();
}

#[test]
fn another_stream_begins_anew() {
    let scene = Scene::of(Behaviour::default());
    let told = look(&scene.watched.watch);
    let (_, init, size) = stream(next(&told));
    assert_eq!(size, [320, 180]);
    frames(&told, 5);
    scene.camera.inject(Act::Show(Footage::encode(&Film {
        width: 160,
        height: 120,
        ..Film::default()
    })));
    let (_, other, size) = told
        .iter()
        .find(|item| matches!(item, LiveItem::Stream { .. }))
        .map(stream)
        .expect("it is told");
    assert_eq!(size, [160, 120]);
    assert_ne!(init, other);
    let (fragments, count) = frames(&told, 20);
    is_played(&[other, fragments].concat(), count);
    scene.stop();
}

#[test]
fn time_goes_on_over_a_reconnect() {
    let scene = Scene::of(Behaviour::default());
    let told = look(&scene.watched.watch);
    let (_, init, _) = stream(next(&told));
    let (mut file, mut count) = frames(&told, 10);
    scene.camera.inject(Act::Close);
    let (mut offline, mut last) = (false, Duration::ZERO);
    let mut after = 0;
    while after < 20 {
        match next(&told) {
            LiveItem::Offline { reason } => {
                assert_eq!(&*reason, "the camera closed the connection");
                offline = true;
            }
            LiveItem::Fragment(fragment) => {
                assert!(fragment.pts > last);
                assert!(fragment.key || after > 0 || !offline);
                last = fragment.pts;
                after += u32::from(offline);
                count += 1;
                file.extend_from_slice(&fragment.bytes);
            }
            other => panic!("{other:?}"),
        }
    }
    // The stream is the same: what was told of it holds.
    is_played(&[init, file].concat(), count);
    assert_eq!(kinds(&scene.stop()), [CameraOffline, CameraOnline]);
}

#[test]
fn who_looks_at_a_camera_that_is_removed_is_told() {
    let scene = Scene::of(Behaviour::default());
    let watch = &scene.watched.watch;
    let told = [
        look(watch),
        look_at_pictures(watch, 160, 5.0),
        look_at_overlays(watch),
    ];
    scene.watched.frames(10);
    let gauges = watch.gauges().remove(0);
    assert_eq!(
        (gauges.picture_subscribers, gauges.overlay_subscribers),
        (1, 1)
    );
    assert!(watch.remove("yard"));
    for told in told {
        // The queue is closed as well.
        let last = told.iter().last();
        assert!(matches!(last, Some(LiveItem::Ended)), "{last:?}");
    }
    let nobody = |_| Handed::Gone;
    for refused in [
        watch.live("yard", nobody),
        watch.overlay("yard", nobody),
        watch.pictures("yard", PictureOptions::default(), nobody),
        watch.picture("yard", 100).map(drop),
    ] {
        assert!(matches!(refused, Err(Error::UnknownCamera { .. })));
    }
    scene.stop();
}

/// A source that is at fault itself.
struct Faulty;

impl FrameSource for Faulty {
    fn open(&mut self) -> keepwatch_vision::Result<Box<dyn Session>> {
        panic!("it was to be expected");
    }
}

#[test]
fn who_looks_at_a_camera_that_panics_is_told_as_well() {
    let scene = Scene::of(Behaviour::default());
    let watch = &scene.watched.watch;
    let settings = settings(&scene.camera.url());
    let added = watch.add("gate".to_owned(), settings, Box::new(Faulty));
    added.expect("it is added");
    let (say, told) = unbounded();
    watch.live("gate", queue(say)).expect("it may be seen");
    assert!(matches!(next(&told), LiveItem::Ended));
    assert!(watch.remove("gate"));
    // The other one has not noticed.
    assert_eq!(scene.watched.frames(5).reconnects, 0);
    scene.stop();
}

#[test]
fn what_is_masked_is_seen_in_no_way() {
    let scene = Scene::with(Behaviour::default(), |settings| {
        settings.decode = Decode::All;
        settings.privacy_masks = vec![vec![[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]];
    });
    let watch = &scene.watched.watch;
    let error = watch.live("yard", |_| Handed::Taken).expect_err("refused");
    assert!(matches!(&error, Error::Masked { camera } if camera == "yard"));
    assert!(error.hint().is_some());
    assert_eq!(watch.gauges()[0].live_subscribers, 0);
    scene
        .watched
        .until("decoding", |status| status.analysed > 0);
    let told = look_at_pictures(watch, 160, 25.0);
    let one = watch.picture("yard", u16::MAX).expect("it is encoded");
    let one = one.expect("there is one");
    assert_eq!((one.width, one.height), (320, 180));
    let small = picture(next(&told));
    assert_eq!((small.width, small.height), (160, 90));
    for picture in [one, small] {
        let shown = playback::of_jpeg(&picture.jpeg);
        assert_eq!(
            [shown.width as u32, shown.height as u32],
            [picture.width, picture.height]
        );
        assert!(shown.mean([0.0, 0.0, 0.45, 1.0]) < 18.0);
        assert!(shown.mean([0.55, 0.0, 0.45, 1.0]) > 60.0);
    }
    scene.stop();
}

#[test]
fn all_frames_are_decoded_while_pictures_are_taken() {
    for decode in [Decode::Keyframes, Decode::Adaptive] {
        let scene = Scene::with(Behaviour::default(), |settings| settings.decode = decode);
        scene.watched.frames(30);
        let before = scene.watched.watch.status()[0].decoded;
        let told = look_at_pictures(&scene.watched.watch, 320, 25.0);
        let pictures: Vec<Picture> = (0..15).map(|_| picture(next(&told))).collect();
        // Key frames alone come every 12 frames.
        let [first, last] = [2, 14].map(|index: usize| pictures[index].pts);
        assert!(
            last - first < Duration::from_millis(12 * 12 * 40 / 2),
            "{decode:?}"
        );
        assert!(scene.watched.watch.status()[0].decoded > before + 12);
        drop(told);
        let deadline = Instant::now() + PATIENCE;
        while scene.watched.watch.gauges()[0].picture_subscribers > 0 {
            assert!(Instant::now() < deadline, "somebody still looks");
            scene.watched.frames(1);
        }
        scene.stop();
    }
}

#[test]
fn a_camera_that_is_not_decoded_shows_its_last_key_frame() {
    let scene = Scene::with(Behaviour::default(), |settings| {
        settings.decode = Decode::None;
        settings.record = Record::Continuous;
    });
    let watch = &scene.watched.watch;
    assert!(watch.picture("yard", 320).expect("it works").is_none());
    scene.watched.frames(30);
    let one = watch.picture("yard", 160).expect("it is decoded");
    let shown = playback::of_jpeg(&one.expect("there is one").jpeg);
    assert_eq!((shown.width, shown.height), (160, 90));
    assert!(shown.mean([0.0, 0.0, 1.0, 1.0]) > 60.0);
    let told = look_at_pictures(watch, 160, 25.0);
    let times: Vec<Duration> = (0..3).map(|_| picture(next(&told)).pts).collect();
    let apart = times[2] - times[1];
    // They are 480 ms apart.
    assert!(apart > Duration::from_millis(400), "{apart:?}");
    assert_eq!(watch.status()[0].decoded, 0);
    // Nothing is looked for, so nothing is seen.
    let LiveItem::Overlay(overlay) = next(&look_at_overlays(watch)) else {
        panic!("no overlay");
    };
    assert!(overlay.moving.is_empty() && overlay.tracks.is_empty());
    scene.stop();
}

#[test]
fn a_camera_that_sends_pictures_has_them_handed_on() {
    let camera = MjpegCamera::start(MjpegBehaviour::default());
    let watched = Watched::new(settings(&camera.url()));
    let told = look(&watched.watch);
    let (mime, init, size) = stream(next(&told));
    assert_eq!((mime.as_str(), init.len()), ("image/jpeg", 0));
    for _ in 0..3 {
        let fragment = fragment(next(&told));
        assert!(fragment.key);
        let shown = playback::of_jpeg(&fragment.bytes);
        assert_eq!([shown.width as u32, shown.height as u32], size);
    }
    watched.stop();
}

#[test]
fn what_moves_is_drawn_over_the_picture() {
    let film = Film {
        frames: 100,
        passing: Some((40, 90)),
        ..Film::default()
    };
    let scene = Scene::with(Behaviour::showing(&film), |settings| {
        settings.decode = Decode::All;
    });
    let told = look_at_overlays(&scene.watched.watch);
    let overlays = told.iter().map(|item| match item {
        LiveItem::Overlay(overlay) => overlay,
        other => panic!("no overlay: {other:?}"),
    });
    let mut moving = overlays.skip_while(|overlay| overlay.moving.is_empty());
    // It goes from the left to the right, in the middle of the picture.
    let mut last = 0.0;
    for _ in 0..3 {
        let overlay: std::sync::Arc<Overlay> = moving.next().expect("it goes on");
        let Some(region) = overlay.moving.first() else {
            continue;
        };
        assert!(
            region.x >= last && region.y > 0.1 && region.y < 0.6,
            "{region:?}"
        );
        last = region.x;
    }
    assert!(moving.any(|overlay| overlay.moving.is_empty()));
    scene.stop();
}
