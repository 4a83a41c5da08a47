//! The flows of one address family: an index, hot and cold entries, timers, the clock hand.

use std::io;

use vxscope_memory::{FixedVec, prefetch_part};

use crate::entry::{Cold, Entry, Hot, LIVE};
use crate::index::Index;
use crate::key::Key;
use crate::wheel::Wheel;

/// Entries that the clock hand looks at for one eviction.
const CANDIDATES: usize = 8;
/// How often the hand tries again when none of the candidates may be evicted.
const TURNS_MAX: usize = 8;

/// A fixed number of slots; a flow keeps its slot for life.
#[derive(Debug)]
pub(crate) struct Table<K: Key> {
    index: Index,
    entries: FixedVec<Entry<K>>,
    free: Vec<u32>,
    pub(crate) wheel: Wheel,
    hand: usize,
}

impl<K: Key> Table<K> {
    pub(crate) fn try_new(flows_max: usize) -> io::Result<Self> {
        Ok(Self {
            index: Index::try_new(flows_max)?,
            entries: FixedVec::with_capacity(flows_max)?,
            free: Vec::with_capacity(flows_max),
            wheel: Wheel::try_new(flows_max)?,
            hand: 0,
        })
    }

    #[inline]
    pub(crate) fn prefetch_index(&self, tag: u32) {
        self.index.prefetch(tag);
    }

    /// Fetches what nearly every packet touches of the flow that this tag probably belongs to. Where
    /// it probably is.
    #[inline(always)]
    pub(crate) fn prefetch_entry(&self, tag: u32) -> Option<u32> {
        let slot = self.index.guess(tag)?;
        if let Some(entry) = self.entries.get(slot as usize) {
            prefetch_part(entry, 0..Entry::<K>::TOUCHED_FIRST);
        }
        Some(slot)
    }

    /// What is touched of the flow that was guessed to be at `slot`.
    #[inline]
    pub(crate) fn cold(&self, slot: u32) -> Option<&Cold> {
        Some(&self.entries.get(slot as usize)?.cold)
    }

    /// The slot of a flow, which may be at `slot`.
    #[inline(always)]
    pub(crate) fn find_near(&self, slot: u32, tag: u32, key: &K) -> Option<u32> {
        match self.entries.get(slot as usize) {
            // No two live flows have one key.
            Some(it) if it.hot.key == *key && it.hot.flags & LIVE != 0 => Some(slot),
            _ => self.find(tag, key),
        }
    }

    #[inline(never)]
    pub(crate) fn find(&self, tag: u32, key: &K) -> Option<u32> {
        let entries = &self.entries;
        self.index.find(tag, |slot| {
            let entry = entries.get(slot as usize);
            entry.is_some_and(|entry| entry.hot.key == *key)
        })
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<(&mut Hot<K>, &mut Cold)> {
        let entry = self.entries.get_mut(slot as usize)?;
        Some((&mut entry.hot, &mut entry.cold))
    }

    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Option<(&Hot<K>, &Cold)> {
        let entry = self.entries.get(slot as usize)?;
        Some((&entry.hot, &entry.cold))
    }

    /// Puts a flow into a free slot; `None` if there is none.
    pub(crate) fn insert(&mut self, entry: &Entry<K>) -> Option<u32> {
        let slot = match self.free.pop() {
            Some(slot) => {
                *self.entries.get_mut(slot as usize)? = *entry;
                slot
            }
            None => u32::try_from(self.entries.push(*entry).ok()?).ok()?,
        };
        self.index.insert(entry.hot.tag, slot);
        Some(slot)
    }

    /// Takes a flow out; its slot is free.
    pub(crate) fn remove(&mut self, slot: u32) {
        let Some((hot, _)) = self.get_mut(slot) else {
            return;
        };
        if hot.flags & LIVE == 0 {
            return;
        }
        hot.flags = 0;
        let tag = hot.tag;
        self.index.remove(tag, slot);
        self.wheel.unhang(slot);
        self.free.push(slot);
    }

    /// The flow to give up for another: of the next eight live entries at the clock hand that
    /// `may_evict` allows, a closed one, else the one that is silent for longest.
    pub(crate) fn victim(&mut self, mut may_evict: impl FnMut(&Cold) -> bool) -> Option<u32> {
        let slots = self.entries.len();
        for _ in 0..TURNS_MAX {
            let mut best: Option<(bool, u32, u32)> = None;
            for _ in 0..CANDIDATES.min(slots) {
                self.hand = if self.hand + 1 < slots {
                    self.hand + 1
                } else {
                    0
                };
                let slot = u32::try_from(self.hand).ok()?;
                let Some((hot, cold)) = self.get(slot) else {
                    continue;
                };
                if hot.flags & LIVE == 0 || !may_evict(cold) {
                    continue;
                }
                let candidate = (cold.tcp.closed_by().is_none(), hot.second, slot);
                best = Some(best.map_or(candidate, |best| best.min(candidate)));
            }
            if let Some((_, _, slot)) = best {
                return Some(slot);
            }
        }
        None
    }

    /// Slots of all live flows.
    pub(crate) fn live(&self) -> impl Iterator<Item = u32> + '_ {
        let slots = self
            .entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.hot.flags & LIVE != 0);
        slots.filter_map(|(slot, _)| u32::try_from(slot).ok())
    }

    pub(crate) fn longest_probe(&self) -> usize {
        self.index.longest_probe()
    }
}
