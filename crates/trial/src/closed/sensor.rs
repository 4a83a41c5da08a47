//! What a sensor tells of a source: what its grade and its peers' grades showed, and no more.

use std::collections::HashSet;

use vxscope_policy::{Bytes, Observation, Sighted, SourceKey};
use vxscope_report::EventKind;
use vxscope_sim::random::hash;
use vxscope_units::{EvidenceClass, Grade};

use crate::activity::{Contact, Event};
use crate::cost;
use crate::fleet::Fleet;
use crate::timeline::Timeline;

/// Sources the policy knows, by their index in the fleet.
pub(super) type Keys = [Option<SourceKey>];

/// What was seen of one source since it was told last.
#[derive(Clone, Debug, Default)]
struct Pending {
    events: [u32; EventKind::COUNT],
    sightings: Vec<Sighted>,
    edges: Vec<SourceKey>,
    dirty: bool,
}

/// Gathers what is visible until it is told.
#[derive(Clone, Debug)]
pub(super) struct Sensor {
    pending: Vec<Pending>,
    dirty: Vec<u32>,
    /// Up to where the bytes of each source were told, ms.
    told: Vec<u64>,
    /// What each end of something new has shown before.
    known: HashSet<u64>,
    /// Whether sightings of others are told, and who speaks with whom.
    pub(super) sightings: bool,
    pub(super) edges: bool,
}

impl Sensor {
    pub(super) fn new(fleet: &Fleet) -> Self {
        Self {
            pending: vec![Pending::default(); fleet.sources.len()],
            dirty: Vec::new(),
            told: fleet
                .sources
                .iter()
                .map(|source| source.alive.start)
                .collect(),
            known: HashSet::new(),
            sightings: true,
            edges: true,
        }
    }

    /// Something happened: both ends may show it.
    pub(super) fn handle_event(&mut self, event: &Event, keys: &Keys, grades: &Timeline) {
        let own = (event.source, event.peer);
        let other = event
            .peer
            .filter(|_| event.shows_at_peer())
            .map(|peer| (peer, Some(event.source)));
        for (end, far) in [Some(own), other].into_iter().flatten() {
            if grades.grade(end, event.at).shows(event.class()) && keys[end as usize].is_some() {
                self.note(event, end, far.and_then(|far| keys[far as usize]));
            }
        }
    }

    fn note(&mut self, event: &Event, end: u32, far: Option<SourceKey>) {
        let fresh = event
            .novelty
            .is_none_or(|novelty| self.known.insert(hash(novelty, u64::from(end))));
        let edges = self.edges;
        let sightings = self.sightings;
        let pending = self.pending(end);
        if fresh {
            pending.events[event.kind.index()] += 1;
            if let Some(peer) = far.filter(|_| sightings) {
                let kind = event.kind;
                pending.sightings.push(Sighted { kind, peer });
            }
        }
        if let Some(peer) = far.filter(|_| edges) {
            pending.edges.push(peer);
        }
    }

    /// Two that know each other spoke: both ends may show it.
    pub(super) fn handle_contact(&mut self, contact: &Contact, keys: &Keys, grades: &Timeline) {
        if !self.edges {
            return;
        }
        let ends = [
            (contact.source, contact.peer),
            (contact.peer, contact.source),
        ];
        for (end, far) in ends {
            let shows = grades.grade(end, contact.at).shows(EvidenceClass::Flow);
            if let (true, Some(_), Some(far)) = (shows, keys[end as usize], keys[far as usize]) {
                self.pending(end).edges.push(far);
            }
        }
    }

    fn pending(&mut self, source: u32) -> &mut Pending {
        let pending = &mut self.pending[source as usize];
        if !pending.dirty {
            pending.dirty = true;
            self.dirty.push(source);
        }
        &mut self.pending[source as usize]
    }

    /// Sources with something to tell beside bytes.
    pub(super) fn take_dirty(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.dirty)
    }

    /// Forgets the bytes before a change of grade: the hour they belong to is not whole.
    pub(super) fn restart(&mut self, source: u32, at: u64) {
        self.told[source as usize] = at;
    }

    /// Tells what was seen of a source up to now.
    pub(super) fn tell(
        &mut self,
        fleet: &Fleet,
        source: u32,
        (grade, now): (Grade, u64),
        take: impl FnOnce(&Observation<'_>),
    ) {
        let from = std::mem::replace(&mut self.told[source as usize], now);
        let pending = &mut self.pending[source as usize];
        pending.dirty = false;
        let seen = cost::traffic(fleet, source, &(from..now), grade);
        let bytes = split(fleet, source, grade, seen.bytes);
        let observation = Observation {
            packets: seen.packets,
            bytes,
            ingress_bytes: seen.bytes / 2,
            egress_bytes: seen.bytes - seen.bytes / 2,
            events: pending.events,
            saturated: false,
            edges_omitted: false,
            sightings: &pending.sightings,
            edges: &pending.edges,
        };
        take(&observation);
        pending.events = [0; EventKind::COUNT];
        pending.sightings.clear();
        pending.edges.clear();
    }
}

/// Visible bytes by what they are for.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares of a count are no larger than it"
)]
fn split(fleet: &Fleet, source: u32, grade: Grade, bytes: u64) -> Bytes {
    let role = fleet.role(source);
    let shares = role.shares();
    let whole = shares[grade.index()].max(f64::MIN_POSITIVE);
    let part = |share: f64| ((bytes as f64 * share / whole) as u64).min(bytes);
    let dns_never = part(role.dns_share.min(whole));
    let management = if grade > Grade::Sentinel {
        part(role.management_share.min(whole)).min(bytes - dns_never)
    } else {
        0
    };
    let rest = bytes - dns_never - management;
    let bulk = ((rest as f64 * role.bulk_share) as u64).min(rest);
    Bytes {
        dns_never,
        management,
        bulk,
        other: rest - bulk,
    }
}
