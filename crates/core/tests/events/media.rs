//! Sealed files, whole and cut off.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use keepwatch_core::Error;
use keepwatch_core::crypto::{Credential, Lock, SecretKey};
use keepwatch_core::events::{
    EventFilter, EventKind, EventStore, MediaKind, Store, StoreOptions, StoreRole,
};

use crate::backend;
use crate::common::{at, create, credential, event, key, media, reopen};

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}

/// All files below the folder of media.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.join("media")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found
}

/// Leaves a file as a killed writer would, with `lost` bytes missing at its end.
fn crash(store: &Store, kind: MediaKind, of: &keepwatch_core::events::Event, content: &[u8]) {
    let media = store.media();
    let mut writer = media
        .create(kind, &of.camera, of.started_at, of.id)
        .unwrap();
    writer.write_all(content).unwrap();
    let part = files(store.dir())
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with(".part"))
        .unwrap();
    let bytes = fs::read(&part).unwrap();
    drop(writer);
    fs::write(part, bytes).unwrap();
}

#[test]
fn a_clip_reads_back_at_any_place() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let one = event("door", EventKind::Motion, 0);
    let plain = content(200_000);
    let clip = media(&store, MediaKind::Clip, &one, &plain);
    assert!(clip.complete);
    let path = dir.path().join(&clip.path);
    let sealed = fs::read(&path).unwrap();
    assert_eq!(clip.bytes, sealed.len() as u64);
    assert_eq!(clip.blake3, *blake3::hash(&sealed).as_bytes());
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let folder = path.parent().unwrap();
    assert_eq!(fs::metadata(folder).unwrap().mode() & 0o777, 0o700);

    let credential = store.clip_credential().unwrap();
    let mut reader = store.media().open(&clip, &credential).unwrap();
    assert_eq!(reader.len(), Some(200_000));
    reader.seek(SeekFrom::Start(150_000)).unwrap();
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, plain[150_000..]);
}

#[test]
fn a_writer_cannot_read_back_what_is_sealed_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let owner = SecretKey::generate().unwrap();
    let key = key();
    let locks = [(Lock::KeyFile(&key), StoreRole::Writer)];
    let options = StoreOptions {
        recipients: vec![owner.public()],
        own_identity: false,
        ..StoreOptions::default()
    };
    let store = backend::create(dir.path(), &locks, &options).unwrap();
    assert!(store.clip_credential().is_none());
    let one = event("door", EventKind::Motion, 0);
    let clip = media(&store, MediaKind::Clip, &one, b"seen");
    let error = store.media().open(&clip, &credential()).unwrap_err();
    assert!(matches!(error, Error::WrongKey { .. }), "{error}");
    let mut plain = Vec::new();
    let mut reader = store.media().open(&clip, &Credential::from(owner)).unwrap();
    reader.read_to_end(&mut plain).unwrap();
    assert_eq!(plain, b"seen");
}

#[test]
fn a_store_whose_media_nobody_could_open_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let key = key();
    let options = |own_identity| StoreOptions {
        own_identity,
        ..StoreOptions::default()
    };
    let writer = [(Lock::KeyFile(&key), StoreRole::Writer)];
    assert!(backend::create(dir.path(), &writer, &options(true)).is_err());
    let full = [(Lock::KeyFile(&key), StoreRole::Full)];
    assert!(backend::create(dir.path(), &full, &options(false)).is_err());
    backend::create(dir.path(), &full, &options(true)).unwrap();
}

#[test]
fn a_dropped_writer_leaves_nothing_and_a_finished_file_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let one = event("door", EventKind::Motion, 0);
    let media_store = store.media();
    let start = || media_store.create(MediaKind::Clip, "door", one.started_at, one.id);
    let mut writer = start().unwrap();
    writer.write_all(&content(100_000)).unwrap();
    drop(writer);
    assert_eq!(files(dir.path()), Vec::<PathBuf>::new());

    let clip = media(&store, MediaKind::Clip, &one, b"first");
    let mut second = start().unwrap();
    second.write_all(b"second").unwrap();
    assert!(second.finish(0).is_err());
    assert_eq!(files(dir.path()), [dir.path().join(&clip.path)]);
}

#[test]
fn links_and_paths_out_of_the_store_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir.path().join("store"));
    let one = event("door", EventKind::Motion, 0);
    let clip = media(&store, MediaKind::Clip, &one, b"seen");
    let credential = store.clip_credential().unwrap();
    let path = store.dir().join(&clip.path);
    let elsewhere = dir.path().join("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    let error = store.media().open(&clip, &credential).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");

    fs::remove_file(&path).unwrap();
    let folder = path.parent().unwrap();
    fs::rename(&elsewhere, dir.path().join(path.file_name().unwrap())).unwrap();
    fs::remove_dir(folder).unwrap();
    symlink(dir.path(), folder).unwrap();
    let error = store.media().open(&clip, &credential).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");

    for path in ["/etc/passwd", "../store/store", "events.db", "media"] {
        let mut wrong = clip.clone();
        wrong.path = path.to_owned();
        let error = store.media().open(&wrong, &credential).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
    }
}

#[test]
fn recovery_attaches_what_was_cut_off_and_ends_open_events() {
    let dir = tempfile::tempdir().unwrap();
    let plain = content(200_000);
    let (with_clip, alone) = {
        let store = create(dir.path());
        let mut with_clip = event("door", EventKind::Motion, 0);
        with_clip.ended_at = None;
        let mut alone = event("yard", EventKind::Object, 5);
        alone.ended_at = None;
        alone.observations[0].at = at(8);
        store.put(&[with_clip.clone(), alone.clone()]).unwrap();
        crash(&store, MediaKind::Clip, &with_clip, &plain);
        (with_clip, alone)
    };
    let store = reopen(dir.path());
    let report = store.recover().unwrap();
    assert_eq!(report.adopted.len(), 1);
    assert_eq!(report.closed.len(), 2);
    assert!(!report.others_recording);

    let found = store.get(with_clip.id).unwrap().unwrap();
    assert_eq!(found.reason.as_deref(), Some("recording was cut off"));
    let clip = found.clip.unwrap();
    assert!(!clip.complete);
    assert!(clip.path.ends_with(".mp4.kw"));
    let mut reader = store
        .media()
        .open(&clip, &store.clip_credential().unwrap())
        .unwrap();
    let mut salvaged = Vec::new();
    reader.read_to_end(&mut salvaged).unwrap();
    // The last chunk had not been sealed yet.
    assert_eq!(salvaged, plain[..3 * 65536]);
    assert_eq!(reader.len(), None);

    let found = store.get(alone.id).unwrap().unwrap();
    assert_eq!(found.ended_at, Some(at(8)));
    assert_eq!(store.recover().unwrap(), Default::default());
}

#[test]
fn a_cut_file_is_read_to_its_last_whole_chunk_wherever_the_cut_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let one = event("door", EventKind::Motion, 0);
    let plain = content(3 * 65536 + 1000);
    let mut clip = media(&store, MediaKind::Clip, &one, &plain);
    clip.complete = false;
    let path = dir.path().join(&clip.path);
    let sealed = fs::read(&path).unwrap();
    let body = sealed.len() - (3 * (65536 + 16) + 1000 + 16);
    let stride = 65536 + 16;
    let credential = store.clip_credential().unwrap();
    let read = |len: usize| {
        fs::write(&path, &sealed[..len]).unwrap();
        let mut plain = Vec::new();
        let mut reader = store.media().open(&clip, &credential).unwrap();
        reader.read_to_end(&mut plain).unwrap();
        plain
    };
    // It was whole after all.
    assert_eq!(read(sealed.len()), plain);
    for chunks in 0..3_usize {
        for beyond in [0, 1, 15, 16, 17, 1000, stride - 1] {
            let salvaged = read(body + chunks * stride + beyond);
            assert_eq!(salvaged, plain[..chunks * 65536], "{chunks} and {beyond}");
        }
    }
    // Not one byte less: the byte that the reader adds can be the very one that is missing.
    assert_eq!(read(sealed.len() - 2), plain[..3 * 65536]);
}

#[test]
fn a_cut_segment_is_kept_and_an_empty_part_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let one = event("door", EventKind::Motion, 0);
    crash(&store, MediaKind::Segment, &one, &content(100_000));
    let report = store.recover().unwrap();
    assert_eq!((report.adopted.len(), report.removed), (1, 0));
    let segments = store.list_segments(&EventFilter::default()).unwrap();
    assert_eq!(segments.len(), 1);
    assert_eq!(
        (segments[0].id, &segments[0].media),
        (one.id, &report.adopted[0])
    );

    let two = event("door", EventKind::Motion, 20);
    crash(&store, MediaKind::Clip, &two, b"less than a chunk");
    let report = store.recover().unwrap();
    assert_eq!((report.adopted.len(), report.removed), (0, 1));
    assert_eq!(files(dir.path()).len(), 1);
}

#[test]
fn what_others_are_writing_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = create(dir.path());
    let mut open = event("door", EventKind::Motion, 0);
    open.ended_at = None;
    recorder.put(std::slice::from_ref(&open)).unwrap();
    let media_store = recorder.media();
    let mut writer = media_store
        .create(MediaKind::Clip, "door", open.started_at, open.id)
        .unwrap();
    writer.write_all(&content(100_000)).unwrap();

    let other = reopen(dir.path());
    let report = other.recover().unwrap();
    assert!(report.others_recording);
    assert!(report.adopted.is_empty() && report.closed.is_empty());
    assert_eq!(other.get(open.id).unwrap(), Some(open));
    assert!(writer.finish(10).unwrap().complete);
}

#[test]
fn recovery_beside_a_recorder_takes_nothing_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = create(dir.path());
    let other = reopen(dir.path());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let recoverer = scope.spawn(|| {
            let mut rounds = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) || rounds == 0 {
                let report = other.recover().unwrap();
                assert!(report.adopted.is_empty());
                rounds += 1;
            }
        });
        for second in 0..100 {
            let one = event("door", EventKind::Motion, second);
            media(&recorder, MediaKind::Clip, &one, b"clip");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        recoverer.join().unwrap();
    });
    assert_eq!(files(dir.path()).len(), 100);
}
