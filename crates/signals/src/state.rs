//! What is remembered of one source: 16 KiB at most, whatever it sends.

use arrayvec::ArrayVec;
use vxscope_account::Cells;
use vxscope_flow::Crossing;
use vxscope_report::{EDGES_MAX, Edge, EventKind, SIGHTINGS_MAX, Sighting};

use crate::bloom::Bloom;
use crate::fact::{Fact, FactKind};
use crate::failures::Failures;
use crate::mix::{hash, words};
use crate::past::Past;
use crate::service::served;

/// Bytes that all state of one source may take, the shares of [`WORKERS`] workers included.
pub const STATE_BYTES_MAX: usize = 16 << 10;
/// Bytes that the [`Book`](crate::Book) keeps of one source.
pub const STATE_BYTES: usize = size_of::<State>();
/// Bytes that each worker keeps of one source in its row of the ledger: the byte cells, and the
/// counters of failed flows, DNS queries and never hits.
pub const SHARE_BYTES: usize = size_of::<Cells>() + 3 * 8;
/// Workers whose shares are within [`STATE_BYTES_MAX`]; each further one adds [`SHARE_BYTES`].
const WORKERS: usize = 12;

const _: () = assert!(STATE_BYTES + WORKERS * SHARE_BYTES <= STATE_BYTES_MAX);

/// Tags that keep hashes of different things apart.
const EDGE: u64 = 1;
const SERVICE: u64 = 2;
const PEER: u64 = 3;
const PORT: u64 = 4;

/// What the facts about one source came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Relevant events by [`EventKind`], cumulative.
    pub counts: [u64; EventKind::COUNT],
    /// The first events since the last report.
    pub sightings: Vec<Sighting>,
    /// Events that found no room there, cumulative.
    pub sightings_omitted: u64,
    /// Conversations with other mirrored sources since the last report.
    pub edges: Vec<Edge>,
    /// Conversations that found no room there, cumulative.
    pub edges_omitted: u64,
    /// Whether "new" can no longer be told.
    pub saturated: bool,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    seen: Bloom,
    failures: [Failures; 2],
    counts: [u64; EventKind::COUNT],
    sightings: ArrayVec<Sighting, SIGHTINGS_MAX>,
    sightings_omitted: u64,
    edges: ArrayVec<Edge, EDGES_MAX>,
    edges_omitted: u64,
}

impl State {
    /// Takes in a fact about this source. `is_mirrored`: it is a conversation with another mirrored
    /// source.
    pub(crate) fn observe(&mut self, fact: &Fact, seed: u64, is_mirrored: bool) {
        match fact.kind {
            FactKind::Conversation { answered } => self.conversation(fact, answered, seed),
            FactKind::Failure => self.failure(fact, seed),
            FactKind::NeverHit { .. } => self.tell(EventKind::NeverHit, fact),
            FactKind::Domain { hash } => {
                if self.seen.is_new(hash, fact.now.seconds()) {
                    self.tell(EventKind::FirstDomain, fact);
                }
            }
        }
        if is_mirrored {
            self.edge(fact);
        }
    }

    fn conversation(&mut self, fact: &Fact, answered: bool, seed: u64) {
        let second = fact.now.seconds();
        let service = u64::from(fact.protocol) << 16 | u64::from(fact.port());
        let [high, low] = words(fact.peer());
        let edge = [EDGE, high, low, service, direction(fact.crossing)];
        // Where nobody knows which side is the source, both sides name the edge.
        let [own_high, own_low] = match fact.crossing {
            Crossing::Unknown => words(fact.own()),
            Crossing::Ingress | Crossing::Egress => [0; 2],
        };
        let edge = edge.into_iter().chain([own_high, own_low]);
        if self.seen.is_new(hash(seed, edge), second) {
            self.tell(EventKind::FirstEdge, fact);
        }
        if !answered {
            return;
        }
        if fact.is_inbound()
            && fact.port() != 0
            && self.seen.is_new(hash(seed, [SERVICE, service]), second)
        {
            self.tell(EventKind::NewService, fact);
        }
        let service = served(fact.protocol, fact.responder_port);
        if service.login {
            self.tell(EventKind::ManagementLogin, fact);
        }
        if service.cleartext {
            self.tell(EventKind::CleartextLogin, fact);
        }
    }

    fn failure(&mut self, fact: &Fact, seed: u64) {
        let [high, low] = words(fact.peer());
        let peer = hash(seed, [PEER, high, low]);
        let has_ports = !matches!(fact.transport(), vxscope_report::Protocol::Icmp);
        let port = [
            PORT,
            u64::from(fact.protocol),
            u64::from(fact.responder_port),
        ];
        let port = has_ports.then(|| hash(seed, port));
        let [inbound, outbound] = &mut self.failures;
        let failures = if fact.is_inbound() { inbound } else { outbound };
        if failures.are_many(peer, port, fact.now.seconds()) {
            self.tell(EventKind::ManyFailures, fact);
        }
    }

    fn tell(&mut self, kind: EventKind, fact: &Fact) {
        self.put(Sighting {
            kind,
            peer: Some(fact.peer()),
            protocol: fact.transport(),
            port: fact.port(),
        });
    }

    /// Counts an event, and keeps it for the report if there is room.
    pub(crate) fn put(&mut self, sighting: Sighting) {
        if let Some(count) = self.counts.get_mut(sighting.kind.index()) {
            *count += 1;
        }
        if self.sightings.try_push(sighting).is_err() {
            self.sightings_omitted += 1;
        }
    }

    fn edge(&mut self, fact: &Fact) {
        let edge = Edge {
            peer: fact.peer(),
            protocol: fact.transport(),
            port: fact.port(),
            inbound: fact.is_inbound(),
            flows: 1,
        };
        let is_same = |known: &&mut Edge| {
            Edge {
                flows: 1,
                ..**known
            } == edge
        };
        if let Some(known) = self.edges.iter_mut().find(is_same) {
            known.flows = known.flows.saturating_add(1);
        } else if self.edges.try_push(edge).is_err() {
            self.edges_omitted += 1;
        }
    }

    /// Forgets what was seen too long ago; that may end being saturated.
    pub(crate) fn tick(&mut self, second: u64) {
        self.seen.turn(second);
    }

    /// As it stands; the lists begin anew.
    pub(crate) fn take_lists(&mut self) -> Events {
        let events = self.events();
        self.sightings.clear();
        self.edges.clear();
        events
    }

    /// As it stands.
    pub(crate) fn events(&self) -> Events {
        let mut edges = self.edges.to_vec();
        edges.sort_by_key(|edge| (edge.peer, edge.protocol, edge.port, edge.inbound));
        Events {
            counts: self.counts,
            sightings: self.sightings.to_vec(),
            sightings_omitted: self.sightings_omitted,
            edges,
            edges_omitted: self.edges_omitted,
            saturated: self.seen.is_saturated(),
        }
    }

    /// What is to be kept over a restart.
    pub(crate) fn past(&self) -> Past {
        self.seen.past()
    }

    /// What an earlier run had seen.
    pub(crate) fn restore(&mut self, past: &Past) {
        self.seen = Bloom::of_past(past);
    }

    /// Whether there is something in the lists.
    pub(crate) fn has_news(&self) -> bool {
        !self.sightings.is_empty() || !self.edges.is_empty()
    }
}

fn direction(crossing: Crossing) -> u64 {
    match crossing {
        Crossing::Ingress => 0,
        Crossing::Egress => 1,
        Crossing::Unknown => 2,
    }
}

impl Events {
    /// The counts alone.
    #[must_use]
    pub fn without_lists(mut self) -> Self {
        self.sightings.clear();
        self.edges.clear();
        self
    }

    /// Of a source for which there was no memory.
    #[must_use]
    pub fn without_memory() -> Self {
        Self {
            saturated: true,
            ..Self::default()
        }
    }
}
