//! All sources' facts, in the order of the input, and what they come to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use vxscope_report::{EventKind, Protocol, Sighting};
use vxscope_units::{MirrorSource, Timestamp};

use crate::fact::{Fact, FactKind};
use crate::state::{Events, STATE_BYTES, State};

/// What a book may remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookLimits {
    /// Sources with a memory of their own, [`STATE_BYTES`] each, taken with their first fact.
    /// Reached: facts about further sources are counted as unheld, and those are saturated.
    pub sources_max: usize,
    /// Keys the hashes of what was seen.
    pub seed: u64,
}

impl BookLimits {
    /// As many sources as there is memory for; at least one.
    #[must_use]
    pub fn new(memory_bytes: u64, sources_max: u32, seed: u64) -> Self {
        let held = usize::try_from(memory_bytes / STATE_BYTES as u64).unwrap_or(usize::MAX);
        Self {
            sources_max: held.min(sources_max as usize).max(1),
            seed,
        }
    }
}

/// Turns facts into relevant events. Facts must come in the order of [`Fact::order`].
#[derive(Debug)]
pub struct Book {
    pub(crate) limits: BookLimits,
    pub(crate) sources: BTreeMap<MirrorSource, Box<State>>,
    /// Addresses of mirrored sources, to know their conversations with each other.
    mirrored: BTreeSet<IpAddr>,
    unheld: u64,
}

impl Book {
    /// A book without any source.
    #[must_use]
    pub fn new(limits: BookLimits) -> Self {
        Self {
            limits,
            sources: BTreeMap::new(),
            mirrored: BTreeSet::new(),
            unheld: 0,
        }
    }

    /// Names a mirrored source of which there may be no fact yet: a paused one, say. There are
    /// never more than sources that may be held.
    pub fn introduce(&mut self, address: IpAddr) {
        if self.mirrored.len() < self.limits.sources_max {
            self.mirrored.insert(address);
        }
    }

    /// Takes in a fact.
    pub fn observe(&mut self, fact: &Fact) {
        let own = fact.mirror.address;
        let is_mirrored = matches!(fact.kind, FactKind::Conversation { .. })
            && fact.peer() != own
            && self.mirrored.contains(&fact.peer());
        let seed = self.limits.seed;
        match self.state(fact.mirror) {
            Some(state) => state.observe(fact, seed, is_mirrored),
            None => self.unheld += 1,
        }
    }

    /// An intrusion detector named a source. Whether there was memory for it.
    pub fn alert(&mut self, source: MirrorSource, peer: Option<IpAddr>) -> bool {
        let alert = Sighting {
            kind: EventKind::Alert,
            peer,
            protocol: Protocol::Other,
            port: 0,
        };
        match self.state(source) {
            Some(state) => state.put(alert),
            None => self.unheld += 1,
        }
        self.sources.contains_key(&source)
    }

    pub(crate) fn state(&mut self, source: MirrorSource) -> Option<&mut State> {
        if !self.sources.contains_key(&source) {
            if self.sources.len() >= self.limits.sources_max {
                return None;
            }
            self.introduce(source.address);
            self.sources.insert(source, Box::default());
        }
        self.sources.get_mut(&source).map(Box::as_mut)
    }

    /// What is known of a source; its lists begin anew.
    pub fn take_lists(&mut self, source: MirrorSource) -> Events {
        match self.sources.get_mut(&source) {
            Some(state) => state.take_lists(),
            None => self.absent(),
        }
    }

    /// What is known of a source.
    #[must_use]
    pub fn events(&self, source: MirrorSource) -> Events {
        let state = self.sources.get(&source);
        state.map_or_else(|| self.absent(), |state| state.events())
    }

    /// Of a source without facts: nothing happened, unless nobody could have noted it.
    fn absent(&self) -> Events {
        if self.sources.len() < self.limits.sources_max {
            Events::default()
        } else {
            Events::without_memory()
        }
    }

    /// It is `now`, also for sources that say nothing: what was seen long ago is forgotten.
    pub fn tick(&mut self, now: Timestamp) {
        for state in self.sources.values_mut() {
            state.tick(now.seconds());
        }
    }

    /// Sources with something in their lists.
    pub fn news(&self) -> impl Iterator<Item = MirrorSource> + '_ {
        let news = self.sources.iter().filter(|(_, state)| state.has_news());
        news.map(|(source, _)| *source)
    }

    /// Facts about sources for which there was no memory.
    #[must_use]
    pub fn unheld(&self) -> u64 {
        self.unheld
    }

    /// Bytes of the sources' memories.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        (self.sources.len() * STATE_BYTES) as u64
    }

    /// Whether a fact is one that outputs have, too.
    #[must_use]
    pub fn is_output(fact: &Fact) -> bool {
        matches!(fact.kind, FactKind::NeverHit { .. })
    }
}

#[cfg(test)]
mod tests;
