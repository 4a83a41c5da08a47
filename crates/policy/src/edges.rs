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
    /// Seconds since 1970, to the year 2106.
    seen: u32,
    /// Relevant events with it, by the class that they needed; saturating.
    pub(crate) events: [u8; EvidenceClass::COUNT],
}

impl Edge {
    pub(crate) const fn kept(&self) -> KeptEdge {
        KeptEdge {
            peer: self.peer,
            seen: self.seen,
            events: self.events,
        }
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
    /// Remembers an edge; `false` if a current one had to be forgotten for it.
    pub(crate) fn touch(&mut self, peer: SourceKey, at: Timestamp) -> bool {
        let now = seconds(at);
        match self.0.binary_search_by_key(&peer, |edge| edge.peer) {
            Ok(index) => {
                self.0[index].seen = self.0[index].seen.max(now);
                true
            }
            Err(_) => self.insert(peer, now),
        }
    }

    fn insert(&mut self, peer: SourceKey, now: u32) -> bool {
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

    /// The events of an edge in an earlier run.
    pub(crate) fn restore_events(&mut self, peer: SourceKey, events: [u8; EvidenceClass::COUNT]) {
        if let Ok(index) = self.0.binary_search_by_key(&peer, |edge| edge.peer) {
            let known = &mut self.0[index].events;
            *known = std::array::from_fn(|class| known[class].max(events[class]));
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
