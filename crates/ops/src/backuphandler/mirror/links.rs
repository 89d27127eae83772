//! Where links lead: in the backup as it is, and when it is restored.

use std::collections::HashSet;
use std::sync::Arc;

use keepwatch_core::{VirtualEntry, VirtualKind};

use super::super::finding::{FindingKind, Log};
use super::Mirror;

/// Links are not followed to find out: their names are enough.
enum Leads {
    Out,
    To(Vec<u8>),
}

fn leads(link: &[u8], target: &[u8]) -> Leads {
    if target.starts_with(b"/") {
        return Leads::Out;
    }
    let mut names: Vec<&[u8]> = link.split(|byte| *byte == b'/').collect();
    names.pop();
    for name in target.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => {
                if names.pop().is_none() {
                    return Leads::Out;
                }
            }
            name => names.push(name),
        }
    }
    Leads::To(names.join(&b'/'))
}

impl Mirror<'_> {
    /// Tells of the links that lead nowhere, in the backup or restored.
    pub(super) fn judge_links(&self, entries: &[VirtualEntry], log: &Arc<Log>) {
        let here: HashSet<&[u8]> = self
            .scan
            .entries
            .iter()
            .map(|found| found.path.as_slice())
            .collect();
        let restored: HashSet<&[u8]> = entries.iter().map(|entry| entry.path.as_slice()).collect();
        for entry in entries {
            let VirtualKind::Symlink { target } = &entry.kind else {
                continue;
            };
            let text = String::from_utf8_lossy(target);
            match leads(&entry.path, target) {
                Leads::Out => {
                    let detail = format!("it leads out of the backup, to {text}");
                    log.add(&entry.path, FindingKind::LinkOut, detail);
                }
                Leads::To(path) if path.is_empty() || here.contains(path.as_slice()) => {}
                Leads::To(path) => {
                    if restored.contains(path.as_slice()) {
                        let detail =
                            format!("it leads to {text}, which is encrypted in the backup");
                        log.add(&entry.path, FindingKind::Broken, detail);
                    } else {
                        let detail = format!("it leads to {text}, which is not in the backup");
                        log.add(&entry.path, FindingKind::Dangling, detail);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn where_links_lead_is_told_by_their_names() {
        let to = |link: &str, target: &str| match leads(link.as_bytes(), target.as_bytes()) {
            Leads::Out => "out".to_owned(),
            Leads::To(path) => String::from_utf8(path).unwrap(),
        };
        assert_eq!(to("links/to-readme", "../readme.txt"), "readme.txt");
        assert_eq!(to("a/b/c", "./d//e"), "a/b/d/e");
        assert_eq!(to("a/b", "../.."), "out");
        assert_eq!(to("a", "../a"), "out");
        assert_eq!(to("a", "/etc/passwd"), "out");
        assert_eq!(to("a/b", ".."), "");
    }
}
