//! What other sources still show of one: computed on the grades they are meant to have and really
//! have, so that no edge has two hidden ends, and on the edges that they have really shown. A
//! mirror at full whose filter leaves an edge out, or that stands where it does not pass, shows
//! nothing of it.

use vxscope_units::{EvidenceClass, Grade, Timestamp};

use crate::SourceKey;
use crate::edges::{Edge, Edges};
use crate::policy::Policy;

impl Policy {
    /// Share of the current edges of a source that their other ends show now; 1 if it has none.
    #[must_use]
    pub fn residual(&self, key: SourceKey, now: Timestamp) -> f64 {
        let Some(source) = self.sources.get(key.index()) else {
            return 0.0;
        };
        let (mut shown, mut all) = (0_u32, 0_u32);
        let edges = source.edges.iter();
        for edge in edges.filter(|edge| Edges::is_current(edge, now)) {
            all += 1;
            shown += u32::from(self.shows_edge(edge, EvidenceClass::Flow, now));
        }
        if shown == all {
            1.0
        } else {
            f64::from(shown) / f64::from(all)
        }
    }

    /// Whether the other end of an edge shows a class of it.
    pub(crate) fn shows_edge(&self, edge: &Edge, class: EvidenceClass, now: Timestamp) -> bool {
        edge.is_shown() && self.can_show(edge.peer, class, now)
    }

    /// Whether a source shows a class, and its sensor is alive to see it.
    fn can_show(&self, key: SourceKey, class: EvidenceClass, now: Timestamp) -> bool {
        let source = &self.sources[key.index()];
        source.shows(class) && !self.sensor(source.sensor).is_stale(now)
    }

    /// Whether flows of a source are hidden, or control was asked to hide them.
    pub(crate) fn is_flow_blind(&self, key: SourceKey) -> bool {
        let source = &self.sources[key.index()];
        source.planned < Grade::Full && !source.shows(EvidenceClass::Flow)
    }
}
