//! What the policy has learned of a source, to be kept over a restart.
//!
//! A restart that forgot it would watch every source for a day again, and pay for that. What is
//! not kept is what a restart makes unknown: the grade, the on-time, when packets came.

use serde::{Deserialize, Serialize};
use vxscope_units::{EvidenceClass, Timestamp};

use crate::source::PinKind;
use crate::window::{Cells, plus};
use crate::{Policy, SourceKey};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Since when it is known, seconds since 1970.
    pub enrolled: u64,
    /// Ends of its pins, seconds since 1970: as a new source, by alerts, by the operator.
    pub pins: [u64; 3],
    /// Changes of the last day, seconds since 1970.
    pub changes: Vec<u32>,
    /// Per hour: hours known, packets, bytes of DNS and never, management, bulk, other.
    pub rates: [f64; 6],
    /// Until when its edges are not known, seconds since 1970.
    pub edges_unknown_until: u64,
    /// Hours and events by day and part of the day.
    pub window: Cells,
    /// With whom it spoke. Rows outlive no process, so whoever keeps this names them otherwise.
    #[serde(skip)]
    pub edges: Vec<KeptEdge>,
}

/// An edge of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptEdge {
    /// With which row.
    pub peer: SourceKey,
    /// When last, seconds since 1970.
    pub seen: u32,
    /// When the other end itself showed it last, seconds since 1970; 0 if it never has.
    pub shown: u32,
    /// Relevant events with it by the class that they needed.
    pub events: [u8; EvidenceClass::COUNT],
}

impl Policy {
    /// What was learned of a source; `None` if nobody is in the row.
    #[must_use]
    pub fn evidence(&self, key: SourceKey) -> Option<Evidence> {
        let source = self.sources.get(key.index()).filter(|one| one.live)?;
        let pins = [PinKind::New, PinKind::Alert, PinKind::Operator];
        Some(Evidence {
            enrolled: source.enrolled.seconds(),
            pins: pins.map(|kind| source.pins.of(kind).seconds()),
            changes: source.changes.all(),
            rates: source.rates.all(),
            edges_unknown_until: source.edges_unknown_until.seconds(),
            window: source.window.cells(self.parts),
            edges: source.edges.iter().map(|edge| edge.kept()).collect(),
        })
    }

    /// Ends of a source's pins: as a new one, by alerts, by the operator.
    #[must_use]
    pub fn pins(&self, key: SourceKey) -> Option<[Timestamp; 3]> {
        let source = self.sources.get(key.index()).filter(|one| one.live)?;
        let pins = [PinKind::New, PinKind::Alert, PinKind::Operator];
        Some(pins.map(|kind| source.pins.of(kind)))
    }

    /// Gives a source that was just enrolled what an earlier run had learned of it, its edges
    /// apart. What lies in the future, because a clock went back, is left out.
    pub fn restore(&mut self, key: SourceKey, evidence: &Evidence, now: Timestamp) {
        let parts = self.parts;
        let Some(source) = self.get(key) else {
            return;
        };
        let at = |seconds: u64| Timestamp::new(seconds, 0);
        if at(evidence.enrolled) > now {
            return;
        }
        source.enrolled = at(evidence.enrolled);
        let [new, alert, operator] = evidence.pins;
        source.pins.clear(PinKind::New);
        source.pins.prolong(PinKind::New, at(new));
        source.pins.prolong(PinKind::Operator, at(operator));
        source.changes.restore(&evidence.changes);
        source.rates.restore(evidence.rates);
        source.edges_unknown_until = at(evidence.edges_unknown_until);
        source.window.restore(parts, &evidence.window, now);
        if at(alert) > now {
            self.hold_alert_pin(key, at(alert), now);
        }
        // A moment in which the first report can come.
        let again = plus(now, std::time::Duration::from_secs(1));
        let until = self.sources[key.index()].pins.until().max(again);
        self.schedule_review(key, until);
    }

    /// Two sources spoke with each other in an earlier run; both are enrolled.
    pub fn restore_edge(&mut self, ends: [SourceKey; 2], edge: &KeptEdge) {
        let [one, other] = ends;
        if one == other || self.get(one).is_none() || self.get(other).is_none() {
            return;
        }
        let seen = Timestamp::new(edge.seen.into(), 0);
        for (end, far) in [(one, other), (other, one)] {
            if !self.sources[end.index()].edges.touch(far, seen) {
                self.counts.edges_forgotten += 1;
                self.lose_edges(end, seen);
            }
        }
        self.sources[one.index()].edges.restore(other, edge);
    }
}
