//! What other sources still show of one: computed on the grades they are meant to have and really
//! have, so that no edge has two hidden ends.

use vxscope_units::{EvidenceClass, Grade, Timestamp};

use crate::SourceKey;
use crate::edges::Edges;
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
            shown += u32::from(self.can_show(edge.peer, EvidenceClass::Flow, now));
        }
        if shown == all {
            1.0
        } else {
            f64::from(shown) / f64::from(all)
        }
    }

    /// Whether a source shows a class, and its sensor is alive to see it.
    pub(crate) fn can_show(&self, key: SourceKey, class: EvidenceClass, now: Timestamp) -> bool {
        let source = &self.sources[key.index()];
        source.shows(class) && !self.sensor(source.sensor).is_stale(now)
    }

    /// Whether flows of a source are hidden, or control was asked to hide them.
    pub(crate) fn is_flow_blind(&self, key: SourceKey) -> bool {
        let source = &self.sources[key.index()];
        source.planned < Grade::Full && !source.shows(EvidenceClass::Flow)
    }
}
