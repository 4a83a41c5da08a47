//! Joining IP fragments to their flow without reassembly: later fragments have no ports, so a
//! small table remembers those of the first.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use vxscope_units::{MirrorSource, Timestamp};
use vxscope_wire::{Addresses, Fragment, FrameView};

/// A first fragment is remembered this long (Linux `ipfrag_time`).
const SECONDS_MAX: u64 = 30;

/// What fragments of one packet have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Identity {
    source: MirrorSource,
    addresses: Addresses,
    protocol: u8,
    id: u32,
}

#[derive(Clone, Copy, Debug)]
struct First {
    identity: Identity,
    source_port: u16,
    destination_port: u16,
    one_way: bool,
    second: u64,
}

/// What became of a frame in [`Fragments::join`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Joined {
    /// Not a fragment.
    #[default]
    Whole,
    /// A first fragment: remembered.
    First,
    /// A later fragment: it has its first one's ports now.
    Later,
    /// A later fragment whose first was not seen: its flow has no ports.
    Orphan,
}

/// First fragments seen lately: at most `fragments_max`, the oldest forgotten first, so a flood
/// of first fragments costs the ports of other sources' later ones, never memory.
#[derive(Debug)]
pub struct Fragments {
    firsts: VecDeque<First>,
    forgotten: usize,
    index: HashTable<usize>,
    hasher: FixedState,
    fragments_max: usize,
}

impl Fragments {
    /// Remembers at most `fragments_max` first fragments.
    #[must_use]
    pub fn new(fragments_max: usize, hash_seed: u64) -> Self {
        let fragments_max = fragments_max.max(1);
        Self {
            firsts: VecDeque::with_capacity(fragments_max),
            forgotten: 0,
            index: HashTable::with_capacity(fragments_max),
            hasher: FixedState::with_seed(hash_seed),
            fragments_max,
        }
    }

    /// Gives a later fragment the ports of its first; `now` is the capture's clock.
    #[inline(always)]
    pub fn join(&mut self, source: &MirrorSource, view: &mut FrameView, now: Timestamp) -> Joined {
        if matches!(view.fragment, Fragment::No) {
            return Joined::Whole;
        }
        self.join_fragment(*source, view, now)
    }

    // Out of line, so that a whole packet's source stays where it is.
    #[inline(never)]
    fn join_fragment(
        &mut self,
        source: MirrorSource,
        view: &mut FrameView,
        now: Timestamp,
    ) -> Joined {
        match view.fragment {
            Fragment::No => Joined::Whole,
            Fragment::First { id } => {
                self.remember(source, view, id, now.seconds());
                Joined::First
            }
            Fragment::Later { id } => self.recall(source, view, id, now.seconds()),
        }
    }

    fn remember(&mut self, source: MirrorSource, view: &FrameView, id: u32, second: u64) {
        let identity = identity(source, view, id);
        if let Some(at) = self.find(&identity) {
            self.forget_at(at);
        }
        if self.firsts.len() == self.fragments_max
            && let Some(oldest) = self.firsts.pop_front()
        {
            self.unlink(&oldest.identity, self.forgotten);
            self.forgotten += 1;
        }
        let number = self.forgotten + self.firsts.len();
        self.firsts.push_back(First {
            identity,
            source_port: view.tuple.source_port,
            destination_port: view.tuple.destination_port,
            one_way: view.tuple.one_way,
            second,
        });
        let (firsts, forgotten, hasher) = (&self.firsts, self.forgotten, &self.hasher);
        let rehash = |number: &usize| {
            firsts
                .get(number - forgotten)
                .map_or(0, |first| hasher.hash_one(first.identity))
        };
        self.index
            .insert_unique(self.hasher.hash_one(identity), number, rehash);
    }

    fn recall(
        &mut self,
        source: MirrorSource,
        view: &mut FrameView,
        id: u32,
        second: u64,
    ) -> Joined {
        let identity = identity(source, view, id);
        let found = self
            .find(&identity)
            .and_then(|number| self.firsts.get(number - self.forgotten));
        match found {
            Some(first) if second.saturating_sub(first.second) <= SECONDS_MAX => {
                view.tuple.source_port = first.source_port;
                view.tuple.destination_port = first.destination_port;
                view.tuple.one_way = first.one_way;
                Joined::Later
            }
            _ => Joined::Orphan,
        }
    }

    fn find(&self, identity: &Identity) -> Option<usize> {
        let is_it = |number: &usize| {
            self.firsts
                .get(number - self.forgotten)
                .is_some_and(|first| first.identity == *identity)
        };
        self.index
            .find(self.hasher.hash_one(identity), is_it)
            .copied()
    }

    /// Takes an entry out of the index; its place in the queue ages out.
    fn forget_at(&mut self, number: usize) {
        if let Some(first) = self.firsts.get(number - self.forgotten) {
            let identity = first.identity;
            self.unlink(&identity, number);
        }
    }

    fn unlink(&mut self, identity: &Identity, number: usize) {
        let hash = self.hasher.hash_one(identity);
        if let Ok(entry) = self
            .index
            .find_entry(hash, |candidate| *candidate == number)
        {
            entry.remove();
        }
    }
}

fn identity(source: MirrorSource, view: &FrameView, id: u32) -> Identity {
    Identity {
        source,
        addresses: view.tuple.addresses,
        protocol: view.tuple.protocol,
        id,
    }
}
