//! From a hash to a slot of the flow table: open addressing over 8-byte entries.
//!
//! ```text
//! entry  | tag: low 32 bits of the hash | slot + 1 |     0 = empty
//! ```
//! An entry's home is `tag & mask`; probing is linear; at most half of the entries are used;
//! removal shifts followers back, so there are no tombstones and no rehash. Unlike a general
//! hash table it can prefetch the bucket of a packet that is parsed but not yet looked up.

use std::io;

use vxscope_memory::{FixedVec, prefetch};

/// Slots by hash. Holds at most the number of slots it was made for.
#[derive(Debug)]
pub(crate) struct Index {
    entries: FixedVec<u64>,
    mask: usize,
    longest_probe: usize,
}

impl Index {
    /// For up to `slots_max` slots.
    pub(crate) fn try_new(slots_max: usize) -> io::Result<Self> {
        let length = slots_max.max(4).saturating_mul(2).next_power_of_two();
        Ok(Self {
            entries: FixedVec::zeroed(length)?,
            mask: length - 1,
            longest_probe: 0,
        })
    }

    /// Fetches the bucket of `tag` ahead of [`Self::find`].
    #[inline]
    pub(crate) fn prefetch(&self, tag: u32) {
        prefetch(&self.entries, tag as usize & self.mask);
    }

    /// The first slot that carries the tag, without looking at the slot: a guess for prefetching.
    #[inline]
    pub(crate) fn guess(&self, tag: u32) -> Option<u32> {
        self.find(tag, |_| true)
    }

    /// The slot with this tag for which `is_it` holds.
    #[inline]
    pub(crate) fn find(&self, tag: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = tag as usize & self.mask;
        loop {
            let entry = self.at(at);
            if entry == 0 {
                return None;
            }
            let (found, slot) = unpack(entry);
            if found == tag && is_it(slot) {
                return Some(slot);
            }
            at = (at + 1) & self.mask;
        }
    }

    /// Adds a slot that is not there yet. The caller keeps the number of slots within the limit.
    pub(crate) fn insert(&mut self, tag: u32, slot: u32) {
        let mut at = tag as usize & self.mask;
        let mut probe = 1;
        while self.at(at) != 0 {
            at = (at + 1) & self.mask;
            probe += 1;
        }
        self.set(at, (u64::from(tag) << 32) | (u64::from(slot) + 1));
        self.longest_probe = self.longest_probe.max(probe);
    }

    /// Removes a slot; does nothing if it is not there.
    pub(crate) fn remove(&mut self, tag: u32, slot: u32) {
        let mut hole = tag as usize & self.mask;
        loop {
            let entry = self.at(hole);
            if entry == 0 {
                return;
            }
            if unpack(entry) == (tag, slot) {
                break;
            }
            hole = (hole + 1) & self.mask;
        }
        let mut next = hole;
        loop {
            next = (next + 1) & self.mask;
            let entry = self.at(next);
            if entry == 0 {
                break;
            }
            let home = unpack(entry).0 as usize & self.mask;
            // The entry may fill the hole only if its home is not between the hole and itself.
            if next.wrapping_sub(home) & self.mask >= next.wrapping_sub(hole) & self.mask {
                self.set(hole, entry);
                hole = next;
            }
        }
        self.set(hole, 0);
    }

    /// The most entries an insertion ever had to look at: shows whether hashes collide.
    pub(crate) fn longest_probe(&self) -> usize {
        self.longest_probe
    }

    #[inline]
    fn at(&self, position: usize) -> u64 {
        self.entries.get(position).copied().unwrap_or(0)
    }

    #[inline]
    fn set(&mut self, position: usize, entry: u64) {
        if let Some(place) = self.entries.get_mut(position) {
            *place = entry;
        }
    }
}

#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the two halves of an entry"
)]
fn unpack(entry: u64) -> (u32, u32) {
    ((entry >> 32) as u32, (entry as u32).wrapping_sub(1))
}

#[cfg(test)]
mod tests {
    use super::Index;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Few tags, so that runs collide, wrap around the end and shift back.
        #[test]
        fn behaves_like_a_map(operations in prop::collection::vec((0..6_u32, 0..24_u32, any::<bool>()), 0..300)) {
            let mut index = Index::try_new(32).unwrap();
            let mut oracle = BTreeMap::new();
            for (tag, slot, add) in operations {
                let tag = tag.wrapping_sub(3);
                if add && !oracle.contains_key(&slot) {
                    index.insert(tag, slot);
                    oracle.insert(slot, tag);
                } else if let Some(tag) = oracle.remove(&slot) {
                    index.remove(tag, slot);
                }
                for (slot, tag) in &oracle {
                    prop_assert_eq!(index.find(*tag, |found| found == *slot), Some(*slot));
                }
                prop_assert_eq!(index.entries.iter().filter(|entry| **entry != 0).count(), oracle.len());
            }
        }
    }

    #[test]
    fn removing_what_is_not_there_changes_nothing() {
        let mut index = Index::try_new(8).unwrap();
        index.insert(5, 1);
        index.remove(5, 2);
        index.remove(9, 1);
        assert_eq!(index.guess(5), Some(1));
        assert_eq!(index.longest_probe(), 1);
    }
}
