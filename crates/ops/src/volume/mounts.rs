//! What is mounted where, from `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A machine with ten thousand containers has less.
const MAX_TABLE: u64 = 16 << 20;
/// File systems of the kernel, which hold no files of anybody's.
const OF_KERNEL: [&str; 21] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
];

/// One file system, or a part of one, where it is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    id: u64,
    /// The mount that its place is on.
    parent: u64,
    /// `MAJOR:MINOR`, the same for all mounts of one file system.
    pub device: String,
    /// The directory of the file system that is mounted.
    pub root: PathBuf,
    /// Where.
    pub point: PathBuf,
    /// As `ext4`.
    pub kind: String,
    /// As `/dev/sda1`, or the name of a ZFS dataset.
    pub source: PathBuf,
}

impl Mount {
    /// Whether somebody may miss what is in it.
    pub fn holds_files(&self) -> bool {
        !OF_KERNEL.contains(&self.kind.as_str())
    }
}

/// All that is mounted, as this process sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Mounts(Vec<Mount>);

impl Mounts {
    /// Asks the kernel.
    pub fn read() -> io::Result<Self> {
        let mut table = Vec::new();
        let file = File::open("/proc/self/mountinfo")?;
        file.take(MAX_TABLE + 1).read_to_end(&mut table)?;
        match table.len() as u64 > MAX_TABLE {
            true => Err(io::Error::other("more is mounted than can be")),
            false => Ok(Self::parse(&table)),
        }
    }

    /// What is no line of such a table says nothing.
    pub fn parse(table: &[u8]) -> Self {
        Self(
            table
                .split(|byte| *byte == b'\n')
                .filter_map(line)
                .collect(),
        )
    }

    pub fn iter(&self) -> impl Iterator<Item = &Mount> {
        self.0.iter()
    }

    /// The mount that a path without symbolic links is on, found as the kernel finds it: from the
    /// top, over whatever is mounted on the way. What is hidden beneath another mount is not found.
    pub fn of(&self, path: &Path) -> Option<&Mount> {
        let is_top = |mount: &&Mount| {
            let held = self.0.iter().any(|other| other.id == mount.parent);
            mount.point == Path::new("/") && (mount.parent == mount.id || !held)
        };
        let mut at = self.0.iter().find(is_top)?;
        // Each step goes one deeper; a table that leads in circles is no table.
        for _ in 0..self.0.len() {
            let deeper = self.0.iter().filter(|mount| {
                mount.parent == at.id
                    && mount.id != at.id
                    && mount.point.starts_with(&at.point)
                    && path.starts_with(&mount.point)
            });
            match deeper.min_by_key(|mount| mount.point.as_os_str().len()) {
                Some(mount) => at = mount,
                None => return Some(at),
            }
        }
        None
    }

    /// What is mounted beneath a directory.
    pub fn beneath(&self, dir: &Path) -> impl Iterator<Item = &Mount> {
        self.0.iter().filter(move |mount| {
            mount.point != dir
                && mount.point.starts_with(dir)
                && self
                    .of(&mount.point)
                    .is_some_and(|seen| seen.id == mount.id)
        })
    }
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mut text = || std::str::from_utf8(fields.next()?).ok();
    let id = text()?.parse().ok()?;
    let parent = text()?.parse().ok()?;
    let device = text()?.to_owned();
    let root = unescape(fields.next()?);
    let point = unescape(fields.next()?);
    // The options, and as many optional fields as there are.
    fields.find(|field| *field == b"-")?;
    let kind = String::from_utf8(fields.next()?.to_vec()).ok()?;
    let source = unescape(fields.next()?);
    point.is_absolute().then_some(Mount {
        id,
        parent,
        device,
        root,
        point,
        kind,
        source,
    })
}

/// The kernel writes blanks, line ends and backslashes as `\` and three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        rest = after;
        match rest {
            [
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                after @ ..,
            ] if *first == b'\\' => {
                plain.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => plain.push(*first),
        }
    }
    OsString::from_vec(plain).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"\
21 1 0:20 / / rw - btrfs /dev/sda2 rw,subvol=/@
22 21 0:5 / /proc rw shared:1 - proc proc rw
30 21 0:20 /@home /home rw shared:2 master:3 - btrfs /dev/sda2 rw
31 30 8:1 / /home/ada/a\\040disk\\134 rw - ext4 /dev/disk\\040one rw
40 21 8:2 / /srv/hidden rw - ext4 /dev/sdb rw
41 21 8:3 /part /srv rw - xfs /dev/mapper/vg-srv rw
42 41 8:4 / /srv rw - ext4 /dev/sdc rw
not a line
50 21 8:5 / relative rw - ext4 /dev/sdd rw
51 21 8:5 / /cut rw ext4 /dev/sdd rw
";

    fn source(path: &str) -> String {
        let mounts = Mounts::parse(TABLE);
        let mount = mounts.of(Path::new(path)).expect("a mount");
        mount.source.to_str().expect("text").to_owned()
    }

    #[test]
    fn a_path_is_on_what_is_mounted_last_on_the_way() {
        assert_eq!(source("/"), "/dev/sda2");
        assert_eq!(source("/etc/fstab"), "/dev/sda2");
        assert_eq!(source("/homes"), "/dev/sda2");
        assert_eq!(source("/home/ada/a disk\\/x"), "/dev/disk one");
        assert_eq!(source("/srv/x"), "/dev/sdc");
        assert_eq!(source("/srv/hidden/x"), "/dev/sdc");
        let mounts = Mounts::parse(TABLE);
        let home = mounts.of(Path::new("/home/ada")).expect("a mount");
        assert_eq!((home.root.to_str(), &*home.kind), (Some("/@home"), "btrfs"));
        assert_eq!(home.device, "0:20");
    }

    #[test]
    fn what_is_beneath_is_what_can_be_seen() {
        let mounts = Mounts::parse(TABLE);
        let points = |dir: &str| -> Vec<String> {
            let mounts = mounts.beneath(Path::new(dir)).filter(|m| m.holds_files());
            mounts.map(|m| m.source.display().to_string()).collect()
        };
        assert_eq!(
            points("/"),
            ["/dev/sda2", "/dev/disk one", "/dev/sdc"].map(str::to_owned)
        );
        assert_eq!(points("/home"), ["/dev/disk one"]);
        assert!(points("/srv").is_empty());
    }

    #[test]
    fn a_table_that_is_none_finds_nothing() {
        assert!(Mounts::parse(b"").of(Path::new("/")).is_none());
        let circle = b"1 2 8:1 / / rw - ext4 a b\n2 1 8:1 / / rw - ext4 a b\n";
        assert!(Mounts::parse(circle).of(Path::new("/")).is_none());
        let escapes = unescape(b"\\0\\99\\777\\101\\");
        assert_eq!(escapes, Path::new("\\0\\99\\777A\\"));
    }

    #[test]
    fn this_machine_has_a_root() {
        let mounts = Mounts::read().expect("a table");
        assert_eq!(
            mounts.of(Path::new("/")).expect("a mount").point,
            Path::new("/")
        );
    }
}
