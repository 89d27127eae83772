//! Copying what is live out of packs that are mostly dead.

use std::collections::HashSet;

use crate::backup::Saver;
use crate::error::{Error, Result};
use crate::gc::plan::Plan;
use crate::gc::view::{Trust, View, for_each_live};
use crate::id::Id;
use crate::index::Bitmap;
use crate::pack::{BLOB_HEAD, BLOB_TAIL, parse_pack};
use crate::read::{Scratch, open_blob};
use crate::repository::Repository;
use crate::storage::{ObjectKind, ObjectName, StorageError};

impl Repository {
    /// Copies what is live and has no other good place out of packs into new ones, under the
    /// newest key epoch.
    ///
    /// No pending object guards the new packs. If another collector removes one, it has seen the
    /// chunks in their old packs, and this one then finds them there and nowhere else.
    pub(super) fn rewrite(&self, view: &View, plan: &Plan, stop: &dyn Fn() -> bool) -> Result<()> {
        if plan.rewrite.is_empty() {
            return Ok(());
        }
        let doomed = plan.doomed();
        let mut wanted = Bitmap::new(view.index.entries.len());
        for_each_live(view, &doomed, &mut |position, _, _, trust| {
            if trust < Trust::Good {
                wanted.set(position);
            }
        })?;
        let saver = Saver::new(self, None, HashSet::new(), false)?;
        let copied = std::thread::scope(|scope| {
            let uploading = scope.spawn(|| saver.upload());
            let copying = self.copy_live(&plan.rewrite, view, &wanted, &saver, stop);
            saver.close();
            let uploaded = uploading
                .join()
                .expect("the uploading thread does not panic");
            uploaded.and(copying)
        });
        copied?;
        saver.finish_index()
    }

    fn copy_live(
        &self,
        packs: &HashSet<Id>,
        view: &View,
        wanted: &Bitmap,
        saver: &Saver<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<()> {
        let mut scratch = Scratch::new()?;
        let mut buffer = Vec::new();
        let mut done = HashSet::new();
        let mut packs: Vec<Id> = packs.iter().copied().collect();
        packs.sort();
        for pack in packs {
            if stop() {
                return Err(Error::Interrupted);
            }
            let name = ObjectName::new(ObjectKind::Pack, pack);
            let mut bytes = match self.read_raw(&name) {
                // Another collector was faster; what it took it has copied.
                Err(Error::Storage(StorageError::NotFound { .. })) => continue,
                read => read?,
            };
            let object = name.to_string();
            let (header, blobs) = parse_pack(&bytes, self.config().id(), self.ring(), &object)?;
            let cipher = self.chunks().cipher(&header, &object)?;
            for blob in blobs {
                let position = view.index.entries.position(&blob.info.id)?;
                if !position.is_some_and(|at| wanted.get(at)) || !done.insert(blob.info.id) {
                    continue;
                }
                let range = blob.offset as usize..(blob.offset + blob.stored_len) as usize;
                let sealed = &mut bytes[range];
                open_blob(&cipher, self.ring(), &blob.info, sealed, &mut scratch)?;
                let content = &sealed[BLOB_HEAD..sealed.len() - BLOB_TAIL];
                saver.copy(&blob.info, content, &mut buffer)?;
            }
        }
        Ok(())
    }
}
