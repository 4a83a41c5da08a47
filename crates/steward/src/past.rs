//! What an earlier run had learned, until its sources are enrolled again.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use vxscope_policy::{Evidence, KeptEdge, SourceKey};
use vxscope_units::{EvidenceClass, MirrorSource, Timestamp, Vni};

use crate::roll::Enrolled;
use crate::steward::Steward;

/// What was learned of one source, in words that outlive the process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    /// By itself.
    pub evidence: Evidence,
    /// With whom it spoke.
    pub edges: Vec<NamedEdge>,
}

/// An edge to a source by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedEdge {
    /// Outer source address.
    pub outer_ip: IpAddr,
    /// Network identifier.
    pub vni: u32,
    /// When last, seconds since 1970.
    pub seen: u32,
    /// When the other end itself showed it last, seconds since 1970; 0 if it never has.
    #[serde(default)]
    pub shown: u32,
    /// Relevant events with it by the class that they needed.
    pub events: [u8; EvidenceClass::COUNT],
}

impl NamedEdge {
    pub(crate) fn new(peer: MirrorSource, edge: &KeptEdge) -> Self {
        Self {
            outer_ip: peer.address,
            vni: peer.vni.get(),
            seen: edge.seen,
            shown: edge.shown,
            events: edge.events,
        }
    }

    fn peer(&self) -> Option<MirrorSource> {
        Some(MirrorSource {
            address: self.outer_ip,
            vni: Vni::try_new(self.vni)?,
        })
    }
}

/// What waits for its sources.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    sources: BTreeMap<MirrorSource, Learned>,
    /// Edges of enrolled sources, by the other end that is not enrolled yet.
    waiting: BTreeMap<MirrorSource, Vec<(MirrorSource, KeptEdge)>>,
}

impl Past {
    pub(crate) fn new(sources: impl IntoIterator<Item = (MirrorSource, Learned)>) -> Self {
        Self {
            sources: sources.into_iter().collect(),
            waiting: BTreeMap::new(),
        }
    }

    /// What was learned of a source that is enrolled now, and its edges with those that are.
    pub(crate) fn take(
        &mut self,
        mirror: MirrorSource,
        row: impl Fn(MirrorSource) -> Option<SourceKey>,
    ) -> (Option<Evidence>, Vec<(SourceKey, KeptEdge)>) {
        let mut edges: Vec<(SourceKey, KeptEdge)> = Vec::new();
        for (other, edge) in self.waiting.remove(&mirror).unwrap_or_default() {
            edges.extend(row(other).map(|other| (other, edge)));
        }
        let Some(learned) = self.sources.remove(&mirror) else {
            return (None, edges);
        };
        for named in learned.edges {
            let Some(peer) = named.peer() else {
                continue;
            };
            let edge = KeptEdge {
                peer: SourceKey::default(),
                seen: named.seen,
                shown: named.shown,
                events: named.events,
            };
            match row(peer) {
                Some(peer) => edges.push((peer, edge)),
                None => self.waiting.entry(peer).or_default().push((mirror, edge)),
            }
        }
        (Some(learned.evidence), edges)
    }
}

impl Steward {
    /// What an earlier run had learned, for sources that will be enrolled; before anybody is.
    pub fn remember(&mut self, past: Vec<(MirrorSource, Learned)>) {
        self.past = Past::new(past);
    }

    /// What was learned of a source.
    #[must_use]
    pub fn learned(&self, mirror: MirrorSource) -> Option<Learned> {
        let mut evidence = self.policy().evidence(self.roll.key(mirror)?)?;
        let edges = std::mem::take(&mut evidence.edges).into_iter();
        let edges = edges.filter_map(|edge| {
            let peer = self.roll.get(edge.peer)?.mirror;
            Some(NamedEdge::new(peer, &edge))
        });
        let edges = edges.collect();
        Some(Learned { evidence, edges })
    }

    /// Who is looked after, by address and VNI, from the one after `last` on.
    pub fn looked_after(&self, last: Option<MirrorSource>) -> impl Iterator<Item = MirrorSource> {
        self.roll.mirrors_after(last)
    }

    /// Gives a source what an earlier run had learned of it. Until when it is pinned: as a new
    /// one, by alerts, by the operator.
    pub(crate) fn restore(
        &mut self,
        key: SourceKey,
        enrolled: &Enrolled,
        now: Timestamp,
    ) -> [Timestamp; 3] {
        let (past, roll) = (&mut self.past, &self.roll);
        let (evidence, edges) = past.take(enrolled.mirror, |mirror| roll.key(mirror));
        if let Some(evidence) = evidence {
            self.mind.restore(key, &evidence, now);
        }
        for (other, edge) in edges {
            self.mind.restore_edge([key, other], &edge);
        }
        self.policy().pins(key).unwrap_or_default()
    }
}
