//! A source with everything that file systems have, backed up.

use std::ffi::OsStr;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keepwatch_core::storage::{MemoryStorage, ObjectKind, ObjectName};
use keepwatch_core::{Repository, Silent, Source};
use keepwatch_mount::{Dir, Entry, EntryKind, Tree, TreeOptions};
use keepwatch_testkit::tree::{noise, write};
use keepwatch_testkit::{corrupt, vault};
use rustix::fs::{CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use tempfile::TempDir;

pub struct Scene {
    pub dir: TempDir,
    pub storage: MemoryStorage,
    pub repository: Arc<Repository>,
}

impl Scene {
    /// An empty source and an empty repository with small chunks.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("source")).unwrap();
        let storage = MemoryStorage::new();
        let repository = vault::init(
            Arc::new(storage.clone()),
            &vault::small(),
            &dir.path().join("cache"),
        );
        Self {
            dir,
            storage,
            repository: Arc::new(repository),
        }
    }

    pub fn source(&self) -> PathBuf {
        self.dir.path().join("source")
    }

    pub fn backup(&self) {
        self.backup_as("2026-03-01T10:00:00Z", "testhost", &[]);
    }

    pub fn backup_as(&self, time: &str, host: &str, tags: &[&str]) {
        let options = keepwatch_core::BackupOptions {
            host: host.to_owned(),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            ..keepwatch_core::BackupOptions::at(time.parse().unwrap())
        };
        let sources = vec![Source::Path(self.source())];
        let report = self.repository.backup(sources, &options, &Silent).unwrap();
        assert_eq!(report.errors, []);
    }

    /// Looks for new snapshots whenever it is asked.
    pub fn tree(&self) -> Arc<Tree> {
        let options = TreeOptions {
            refresh: Duration::ZERO,
            ..TreeOptions::default()
        };
        Tree::new(self.repository.clone(), &options).unwrap()
    }

    /// The source's path in a snapshot, as components.
    pub fn path_in_snapshot(&self) -> Vec<Vec<u8>> {
        components(&self.source())
    }

    /// Damages every pack that holds data and no directories, in its middle.
    pub fn damage_data(&self, before: &[ObjectName]) {
        let packs = self.packs();
        let mut damaged = 0;
        for name in packs.iter().filter(|name| !before.contains(name)) {
            // The first bytes of a pack are its header; what comes then is a chunk.
            corrupt::flip_bit(&self.storage, name, 8 * 1000);
            damaged += 1;
        }
        assert!(damaged > 0);
    }

    pub fn packs(&self) -> Vec<ObjectName> {
        self.storage
            .snapshot_objects()
            .into_keys()
            .filter(|name| name.kind == ObjectKind::Pack)
            .collect()
    }
}

pub fn components(path: &Path) -> Vec<Vec<u8>> {
    path.as_os_str()
        .as_bytes()
        .split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

/// Names that break what is careless.
pub const HOSTILE: [&[u8]; 10] = [
    b"new\nline",
    b"tab\tand space ",
    b"not \xff utf-8",
    b"<script>alert('1')&\"<script>",
    b"percent %2e%2e%2f",
    b"back\\slash",
    b"\x01\x1b[31m",
    b"...",
    "\u{202e}gnp.exe".as_bytes(),
    &[b'x'; 255],
];

/// A tree of all that file systems have.
pub fn varied_tree(root: &Path) {
    write(root, "empty", b"");
    write(root, "plain", b"hello\n");
    write(root, "deep/er/and/deeper/file", noise(50_000, 1));
    write(root, "large", noise(700_000, 2));
    fs::create_dir(root.join("empty dir")).unwrap();
    for (n, name) in HOSTILE.iter().enumerate() {
        fs::write(
            root.join("deep").join(OsStr::from_bytes(name)),
            noise(n * 100, n as u64),
        )
        .unwrap();
    }
    fs::hard_link(root.join("plain"), root.join("deep/another name")).unwrap();
    symlink("plain", root.join("link")).unwrap();
    symlink(OsStr::from_bytes(b"/nowhere/\xfe"), root.join("dangling")).unwrap();

    let mut sparse = fs::File::create(root.join("sparse")).unwrap();
    for at in [100_000_u64, 900_000, 3_000_000] {
        sparse.seek(SeekFrom::Start(at)).unwrap();
        sparse.write_all(&noise(30_000, at)).unwrap();
    }
    sparse.set_len(5_000_000).unwrap();
    fs::File::create(root.join("hole"))
        .unwrap()
        .set_len(200_000)
        .unwrap();

    let mode = Mode::from_raw_mode(0o640);
    rustix::fs::mknodat(CWD, root.join("fifo"), FileType::Fifo, mode, 0).unwrap();
    let special = [
        ("null", FileType::CharacterDevice, rustix::fs::makedev(1, 3)),
        (
            "large numbers",
            FileType::BlockDevice,
            rustix::fs::makedev(0xabc, 0x1_2345),
        ),
    ];
    for (name, kind, device) in special {
        rustix::fs::mknodat(CWD, root.join(name), kind, mode, device)
            .expect("making device files takes root");
    }
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();

    for (name, value) in [
        ("user.first", b"one".as_slice()),
        ("user.second", &[0, 255, 10]),
    ] {
        rustix::fs::lsetxattr(root.join("plain"), name, value, XattrFlags::empty()).unwrap();
    }
    rustix::fs::lsetxattr(
        root.join("empty dir"),
        "user.empty",
        b"",
        XattrFlags::empty(),
    )
    .unwrap();
    std::os::unix::fs::lchown(root.join("large"), Some(1234), Some(99_999)).unwrap();
    fs::set_permissions(root.join("deep/er"), fs::Permissions::from_mode(0o2750)).unwrap();
    fs::set_permissions(root.join("large"), fs::Permissions::from_mode(0o4711)).unwrap();
    for (name, secs) in [
        ("plain", 1_234_567_890),
        ("link", -86_400),
        ("deep/er", 4_102_444_800),
    ] {
        let time = Timespec {
            tv_sec: secs,
            tv_nsec: 123_456_789,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        rustix::fs::utimensat(
            CWD,
            root.join(name),
            &times,
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        )
        .unwrap();
    }
}

/// The entry at a path below a directory; names are followed one by one.
pub fn descend(tree: &Tree, dir: &Dir, path: &[Vec<u8>]) -> Entry {
    let (name, rest) = path.split_first().unwrap();
    let entry = tree.lookup(dir, name).unwrap().unwrap();
    match rest {
        [] => entry,
        rest => descend(tree, &entry.dir().unwrap(), rest),
    }
}

/// All entries of a directory.
pub fn list(tree: &Tree, dir: &Dir) -> Vec<Entry> {
    let open = tree.open_dir(dir).unwrap();
    let mut all = Vec::new();
    loop {
        let some = tree.read_dir(&open, all.len() as u64).unwrap();
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

/// The names in a directory.
pub fn names(tree: &Tree, dir: &Dir) -> Vec<String> {
    list(tree, dir)
        .iter()
        .map(|entry| String::from_utf8_lossy(&entry.name).into_owned())
        .collect()
}

/// Everything of a file.
pub fn content(tree: &Tree, entry: &Entry) -> Vec<u8> {
    let EntryKind::Stored(node) = &entry.kind else {
        panic!("{entry:?} is no file");
    };
    let file = tree.open_file(node).unwrap();
    let mut all = Vec::new();
    loop {
        let some = file.read_at(all.len() as u64, 65_536).unwrap();
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}
