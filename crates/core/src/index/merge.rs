//! Merging local index files into one, in constant memory.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::IndexError;
use super::file::{LocalFile, Stream, Tables};
use super::filter::id_prefix;
use super::segment::Entry;
use super::writer::Writer;
use crate::id::Id;

/// Writes what `files` hold into one file with this number.
///
/// Of several entries that place a chunk in the same pack one stays.
pub fn merge(dir: &Path, number: u64, files: &[Arc<LocalFile>]) -> Result<LocalFile, IndexError> {
    let (tables, numbers) = merge_tables(files);
    let expected = files.iter().map(|file| file.entries).sum();
    let mut writer = Writer::create(dir, number, expected)?;
    let mut inputs = Vec::with_capacity(files.len());
    for (file, numbers) in files.iter().zip(&numbers) {
        let mut stream = file.stream();
        if let Some(head) = stream.next()? {
            inputs.push(Input {
                prefix: id_prefix(&head.id),
                head,
                stream,
                numbers,
            });
        }
    }
    let mut places: Vec<Entry> = Vec::new();
    while let Some(id) = lowest(&inputs) {
        let prefix = id_prefix(&id);
        places.clear();
        let mut at = 0;
        while at < inputs.len() {
            let input = &mut inputs[at];
            let mut ended = false;
            while !ended && input.prefix == prefix && input.head.id == id {
                let mut entry = input.head;
                entry.pack = input.numbers[entry.pack as usize];
                places.push(entry);
                ended = !input.advance()?;
            }
            if ended {
                inputs.swap_remove(at);
            } else {
                at += 1;
            }
        }
        if places.len() > 1 {
            places.sort_unstable_by_key(|entry| (entry.pack, entry.to_bytes()));
            places.dedup_by_key(|entry| entry.pack);
        }
        for entry in &places {
            writer.push(entry)?;
        }
    }
    writer.finish(tables)
}

/// A file that is being merged.
struct Input<'f> {
    /// The beginning of the head's id.
    prefix: u64,
    head: Entry,
    stream: Stream<'f>,
    /// From pack numbers of this file to those of the merged one.
    numbers: &'f [u32],
}

impl Input<'_> {
    fn advance(&mut self) -> Result<bool, IndexError> {
        let Some(head) = self.stream.next()? else {
            return Ok(false);
        };
        self.prefix = id_prefix(&head.id);
        self.head = head;
        Ok(true)
    }
}

/// The lowest id that an input has next. There are few inputs: looking at all of them beats a heap.
fn lowest(inputs: &[Input<'_>]) -> Option<Id> {
    let mut inputs = inputs.iter();
    let mut lowest = inputs.next()?;
    for input in inputs {
        if input.prefix < lowest.prefix
            || (input.prefix == lowest.prefix && input.head.id < lowest.head.id)
        {
            lowest = input;
        }
    }
    Some(lowest.head.id)
}

/// The union of all tables, and for each file its pack numbers in it.
fn merge_tables(files: &[Arc<LocalFile>]) -> (Tables, Vec<Vec<u32>>) {
    let mut packs: Vec<(Id, u64)> = Vec::new();
    let mut known: HashMap<Id, u32> = HashMap::new();
    let numbers = files
        .iter()
        .map(|file| {
            let table = file.tables.packs.iter();
            table
                .map(|&(id, size)| {
                    let next = u32::try_from(packs.len()).expect("fewer packs than entries");
                    let number = *known.entry(id).or_insert(next);
                    match packs.get_mut(number as usize) {
                        // Index objects that contradict each other: the larger size keeps all
                        // entries within the pack.
                        Some(pack) => pack.1 = pack.1.max(size),
                        None => packs.push((id, size)),
                    }
                    number
                })
                .collect()
        })
        .collect();
    let union = |of: fn(&Tables) -> &Vec<Id>| {
        let ids: BTreeSet<Id> = files
            .iter()
            .flat_map(|file| of(&file.tables))
            .copied()
            .collect();
        ids.into_iter().collect()
    };
    let tables = Tables {
        covered: union(|tables| &tables.covered),
        published: union(|tables| &tables.published),
        forgotten: union(|tables| &tables.forgotten),
        packs,
    };
    (tables, numbers)
}
