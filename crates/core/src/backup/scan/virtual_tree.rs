//! Walking a virtual tree, as if it were a directory.

use std::sync::atomic::Ordering;

use crate::backup::assemble::Item;
use crate::backup::read::What;
use crate::backup::roots::Root;
use crate::backup::scan::Walker;
use crate::backup::{VirtualKind, VirtualTree};
use crate::error::{Error, Result};
use crate::tree::{Node, NodeKind};

impl Walker<'_, '_, '_> {
    pub(super) fn virtual_tree(
        &mut self,
        tree: &VirtualTree,
        root: &Root,
        name: &[u8],
    ) -> Result<()> {
        if !root.below.is_empty() {
            return Err(Error::Invalid {
                what: "source",
                problem: format!(
                    "another source lies in {}, which is not on disk",
                    String::from_utf8_lossy(&self.path)
                ),
            });
        }
        self.found += 1;
        self.send(Item::Enter {
            name: name.to_vec(),
            meta: tree.top().clone(),
        })?;
        let base = self.path.len();
        // How many directories of the tree are open, and the one that is left out with all in it.
        let mut depth = 0;
        let mut left_out: Option<&[u8]> = None;
        for entry in tree.entries() {
            if self.scan.stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let is_beneath = |above: &[u8]| {
                let rest = entry.path.strip_prefix(above);
                rest.is_some_and(|rest| rest.first() == Some(&b'/'))
            };
            if left_out.is_some_and(is_beneath) {
                continue;
            }
            let above = entry.path.iter().filter(|byte| **byte == b'/').count();
            while depth > above {
                self.send(Item::Leave)?;
                depth -= 1;
            }
            self.path.truncate(base);
            self.push_name(&entry.path);
            let size = match &entry.kind {
                VirtualKind::File(content) => content.size(),
                VirtualKind::Dir | VirtualKind::Symlink { .. } => 0,
            };
            let excludes = &self.scan.options.excludes;
            if excludes.matches(&self.path, entry.is_dir(), size) {
                left_out = entry.is_dir().then_some(&entry.path);
                self.send(Item::LeftOut)?;
                continue;
            }
            let meta = entry.meta.clone();
            let name = entry.name().to_vec();
            match &entry.kind {
                VirtualKind::Dir => {
                    depth += 1;
                    self.send(Item::Enter { name, meta })?;
                }
                VirtualKind::Symlink { target } => self.send(Item::Node(Node {
                    name,
                    meta,
                    kind: NodeKind::Symlink {
                        target: target.clone(),
                    },
                }))?,
                VirtualKind::File(content) => {
                    let what = What::Virtual(content.clone());
                    self.read(&name, meta, [0; 16], None, what)?;
                }
            }
        }
        for _ in 0..=depth {
            self.send(Item::Leave)?;
        }
        self.path.truncate(base);
        Ok(())
    }
}
