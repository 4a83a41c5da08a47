//! With which other sources one source has spoken: what they still show while it is hidden.

use vxscope_units::{EvidenceClass, Timestamp};

use crate::SourceKey;
use crate::evidence::KeptEdge;
use crate::window::DAYS;

/// Other sources that one remembers. Beyond it the one not heard of for longest is forgotten; if
/// that was within a day, the source is held at truncated, because its edges are no longer known.
pub(crate) const EDGES_KEPT: usize = 192;
const DAY_SECONDS: u32 = 86_400;
/// An edge counts as current for this long.
const CURRENT_SECONDS: u32 = DAY_SECONDS;
/// An edge is remembered for as long as the window of evidence reaches.
const KEPT_SECONDS: u32 = 14 * DAY_SECONDS;
const _: () = assert!(DAYS == 14);

/// What is remembered of one other source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) peer: SourceKey,
    /// When either end showed it last, in seconds since 1970, to the year 2106.
    seen: u32,
    /// When the other end did; 0 if it never has. Its mirror may have a filter, or stand where
    /// this traffic does not pass.
    shown: u32,
    /// Relevant events with it, by the class that they needed; saturating.
    pub(crate) events: [u8; EvidenceClass::COUNT],
}

impl Edge {
    pub(crate) const fn kept(&self) -> KeptEdge {
        KeptEdge {
            peer: self.peer,
            seen: self.seen,
            shown: self.shown,
            events: self.events,
        }
    }

    /// Whether the other end showed it too when it was last seen, or within a day of that.
    pub(crate) const fn is_shown(&self) -> bool {
        self.seen.saturating_sub(self.shown) < CURRENT_SECONDS
    }

    /// Whether any relevant event had to do with it.
    pub(crate) fn has_events(&self) -> bool {
        self.events != [0; EvidenceClass::COUNT]
    }
}

/// The edges of one source, in the order of their peers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edges(Vec<Edge>);

pub(crate) fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.seconds()).unwrap_or(u32::MAX)
}

impl Edges {
    /// Remembers an edge that this source showed; `false` if a current one had to be forgotten
    /// for it.
    pub(crate) fn touch(&mut self, peer: SourceKey, at: Timestamp) -> bool {
        self.remember(peer, seconds(at), 0)
    }

    /// Remembers an edge that the other end showed; the result as with [`Self::touch`].
    pub(crate) fn touch_shown(&mut self, peer: SourceKey, at: Timestamp) -> bool {
        self.remember(peer, seconds(at), seconds(at))
    }

    fn remember(&mut self, peer: SourceKey, seen: u32, shown: u32) -> bool {
        match self.0.binary_search_by_key(&peer, |edge| edge.peer) {
            Ok(index) => {
                let edge = &mut self.0[index];
                edge.seen = edge.seen.max(seen);
                edge.shown = edge.shown.max(shown);
                true
            }
            Err(_) => self.insert(peer, seen, shown),
        }
    }

    fn insert(&mut self, peer: SourceKey, now: u32, shown: u32) -> bool {
        let mut kept_all = true;
        if self.0.len() >= EDGES_KEPT {
            let oldest = (0..self.0.len()).min_by_key(|index| self.0[*index].seen);
            if let Some(oldest) = oldest.map(|index| self.0.remove(index)) {
                kept_all = now.saturating_sub(oldest.seen) >= CURRENT_SECONDS;
            }
        }
        let edge = Edge {
            peer,
            seen: now,
            shown,
            events: [0; EvidenceClass::COUNT],
        };
        let index = self.0.partition_point(|edge| edge.peer < peer);
        self.0.insert(index, edge);
        kept_all
    }

    /// Adds an event to an edge that [`Self::touch`] has just seen.
    pub(crate) fn add_event(&mut self, peer: SourceKey, class: EvidenceClass) {
        if let Ok(index) = self.0.binary_search_by_key(&peer, |edge| edge.peer) {
            let events = &mut self.0[index].events[class.index()];
            *events = events.saturating_add(1);
        }
    }

    /// What an earlier run knew of an edge besides when it was seen.
    pub(crate) fn restore(&mut self, peer: SourceKey, kept: &KeptEdge) {
        if let Ok(index) = self.0.binary_search_by_key(&peer, |edge| edge.peer) {
            let known = &mut self.0[index];
            known.shown = known.shown.max(kept.shown);
            known.events = std::array::from_fn(|class| known.events[class].max(kept.events[class]));
        }
    }

    /// Whether the edge was seen in the last 24 hours.
    pub(crate) fn is_current(edge: &Edge, at: Timestamp) -> bool {
        seconds(at).saturating_sub(edge.seen) < CURRENT_SECONDS
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Edge> {
        self.0.iter()
    }

    /// Forgets one peer.
    pub(crate) fn remove(&mut self, peer: SourceKey) {
        if let Ok(index) = self.0.binary_search_by_key(&peer, |edge| edge.peer) {
            self.0.remove(index);
        }
    }

    /// Forgets what is older than the window of evidence.
    pub(crate) fn expire(&mut self, at: Timestamp) {
        let oldest = seconds(at).saturating_sub(KEPT_SECONDS);
        self.0.retain(|edge| edge.seen >= oldest);
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Edge>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgetting_a_current_edge_is_told() {
        let mut edges = Edges::default();
        let at = |second| Timestamp::new(1_000_000 + second, 0);
        for (peer, second) in (0_u32..).zip(0_u64..).take(EDGES_KEPT) {
            assert!(edges.touch(SourceKey::new(peer), at(second)));
        }
        assert!(!edges.touch(SourceKey::new(9_999), at(1_000)));
        // By now the second one is a day old, and forgetting it costs nothing.
        assert!(edges.touch(SourceKey::new(9_998), at(86_401)));
        assert_eq!(edges.iter().count(), EDGES_KEPT);
        assert!(edges.heap_bytes() < 8_192);
    }

    #[test]
    fn an_edge_is_shown_if_its_other_end_showed_it_within_a_day_of_the_last_time() {
        let mut edges = Edges::default();
        let peer = SourceKey::new(3);
        let at = |hour: u64| Timestamp::new(1_000_000 + hour * 3_600, 0);
        let is_shown = |edges: &Edges| edges.iter().next().map(|edge| edge.is_shown());
        edges.touch(peer, at(0));
        assert_eq!(is_shown(&edges), Some(false));
        edges.touch_shown(peer, at(1));
        assert_eq!(is_shown(&edges), Some(true));
        edges.touch(peer, at(24));
        assert_eq!(is_shown(&edges), Some(true));
        edges.touch(peer, at(25));
        assert_eq!(is_shown(&edges), Some(false));
    }

    #[test]
    fn edges_are_current_for_a_day_and_kept_for_fourteen() {
        let mut edges = Edges::default();
        let at = |day: u64| Timestamp::new(1_000_000 + day * 86_400, 0);
        edges.touch(SourceKey::new(3), at(0));
        edges.add_event(SourceKey::new(3), EvidenceClass::Flow);
        let edge = *edges.iter().next().unwrap();
        assert_eq!(edge.events[EvidenceClass::Flow.index()], 1);
        assert!(Edges::is_current(&edge, Timestamp::new(1_086_399, 0)));
        assert!(!Edges::is_current(&edge, at(1)));
        edges.expire(at(14));
        assert_eq!(edges.iter().count(), 1);
        edges.expire(at(15));
        assert_eq!(edges.iter().count(), 0);
    }
}
