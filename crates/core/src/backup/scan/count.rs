//! How much there is to back up, for progress bars: counted beside the backup, and roughly.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::backup::BackupOptions;
use crate::backup::scan::rules::Rules;
use crate::fs::{FileKind, SourceDir};
use crate::progress::Progress;

/// Tells the progress of the total every so many files.
const TELL_EVERY: u64 = 4096;

/// Counts files and bytes beneath `paths`, each with where it is read, beginning with what is
/// `known`. What cannot be read does not count.
pub(crate) fn count(
    paths: &[(PathBuf, PathBuf)],
    known: (u64, u64),
    options: &BackupOptions,
    progress: &dyn Progress,
    stop: &AtomicBool,
) {
    let (mut files, mut bytes) = known;
    let mut rules = Rules::new(options);
    for (path, place) in paths {
        let device = match std::fs::symlink_metadata(place) {
            Ok(meta) if meta.is_dir() => std::os::unix::fs::MetadataExt::dev(&meta),
            Ok(meta) => {
                files += 1;
                bytes += meta.len();
                continue;
            }
            Err(_) => continue,
        };
        let Ok(top) = SourceDir::open(place) else {
            continue;
        };
        let Ok(names) = top.names() else { continue };
        let base = path.as_os_str().as_bytes().to_vec();
        let names = rules.enter(&top, &base, names);
        let mut stack = vec![(top, names.into_iter(), base)];
        while let Some((dir, names, base)) = stack.last_mut() {
            let Some(name) = names.next() else {
                rules.leave();
                stack.pop();
                continue;
            };
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let path = [base.as_slice(), b"/", &name].concat();
            let Ok(stat) = dir.stat_entry(&name) else {
                continue;
            };
            if rules.leave_out(&path, &stat) || rules.is_skipped(&stat) {
                continue;
            }
            match stat.kind {
                FileKind::File => {
                    files += 1;
                    bytes += stat.size;
                    if files % TELL_EVERY == 0 {
                        progress.total(files, bytes);
                    }
                }
                FileKind::Dir if !options.one_file_system || stat.dev == device => {
                    let Ok(inner) = dir.subdir(&name) else {
                        continue;
                    };
                    let Ok(names) = inner.names() else { continue };
                    let names = rules.enter(&inner, &path, names);
                    stack.push((inner, names.into_iter(), path));
                }
                _ => {}
            }
        }
    }
    progress.total(files, bytes);
}
