//! Small numbers for mirror sources: the first seen is 0, the next 1, up to a limit.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher;
use vxscope_units::MirrorSource;

/// Sources in the order in which they were first seen. Nothing grows after it was made.
#[derive(Debug)]
pub(crate) struct Interner {
    names: Vec<MirrorSource>,
    index: HashTable<u32>,
    hasher: FixedState,
    rows_max: usize,
}

impl Interner {
    /// For at most `rows_max` sources.
    pub(crate) fn new(rows_max: u32, hash_seed: u64) -> Self {
        let rows_max = rows_max as usize;
        Self {
            names: Vec::with_capacity(rows_max),
            index: HashTable::with_capacity(rows_max),
            hasher: FixedState::with_seed(hash_seed),
            rows_max,
        }
    }

    /// The source's row, if it has one.
    pub(crate) fn find(&self, source: MirrorSource) -> Option<u32> {
        let is_it = |row: &u32| self.names.get(*row as usize) == Some(&source);
        self.index
            .find(self.hasher.hash_one(source), is_it)
            .copied()
    }

    /// The next row for a source that has none; `None` if all are taken.
    pub(crate) fn add(&mut self, source: MirrorSource) -> Option<u32> {
        let row = u32::try_from(self.names.len()).ok()?;
        if self.names.len() >= self.rows_max {
            return None;
        }
        self.names.push(source);
        let (names, hasher) = (&self.names, &self.hasher);
        let rehash = |row: &u32| {
            let name = names.get(*row as usize);
            name.map_or(0, |name| hasher.hash_one(name))
        };
        self.index
            .insert_unique(hasher.hash_one(source), row, rehash);
        Some(row)
    }

    /// Whose row this is.
    pub(crate) fn get(&self, row: usize) -> Option<&MirrorSource> {
        self.names.get(row)
    }

    /// How many rows are taken.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}
