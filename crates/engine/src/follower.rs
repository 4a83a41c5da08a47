//! Follows a worker's flows for the signals of its sources: labels them, and tells facts.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vxscope_account::Ledger;
use vxscope_export::{DuplicateTally, Names};
use vxscope_flow::{FlowSoFar, Label, Milestone, Packet};
use vxscope_report::Category;
use vxscope_signals::{Book, Fact, FactKind, Role, RoleId, Roles, Told, dns, judge};
use vxscope_units::{BindTable, MirrorSource, SourceId};

use crate::alert::Alerts;
use crate::detectors;
use crate::look_back::Counts;
use crate::outlet::Outlet;

/// What the sensor knows of its sources' traffic: the workers tell the writer, the writer notes,
/// whoever reports takes.
#[derive(Debug)]
pub(crate) struct Desk {
    /// What machines of a role never serve.
    pub(crate) roles: Roles,
    /// Keys the hashes of domains.
    pub(crate) seed: u64,
    /// How many alerts came.
    pub(crate) alerts: Alerts,
    book: Mutex<Book>,
    /// Sources with a row in the ledger, as of the last tick: no more than it has rows.
    seen: Mutex<BTreeSet<MirrorSource>>,
    /// What is known of sources.
    pub(crate) names: Names,
    /// What looking back did.
    pub(crate) look_back: Arc<Counts>,
    /// What became of what detectors wrote.
    pub(crate) detectors: Arc<detectors::Counts>,
    /// What came twice, if somebody looks.
    pub(crate) duplicates: Option<DuplicateTally>,
}

impl Desk {
    pub(crate) fn new(
        roles: Roles,
        seed: u64,
        book: Book,
        duplicates: Option<DuplicateTally>,
        names: Names,
    ) -> Arc<Self> {
        let book = Mutex::new(book);
        Arc::new(Self {
            roles,
            seed,
            alerts: Alerts::default(),
            look_back: Arc::default(),
            detectors: Arc::default(),
            duplicates,
            book,
            names,
            seen: Mutex::default(),
        })
    }

    /// Names the sources whose addresses are known, so that conversations with them are told also
    /// while their own mirrors are silent.
    pub(crate) fn introduce(&self, table: &Arc<BindTable>) {
        self.names.replace(table.clone());
        let mut book = self.book();
        for prefix in table.bindings().iter().map(|binding| binding.prefix) {
            let bits = if prefix.address().is_ipv4() { 32 } else { 128 };
            if prefix.length() == bits {
                book.introduce(prefix.address());
            }
        }
    }

    /// A source has a row in the ledger.
    pub(crate) fn see(&self, source: MirrorSource) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(source);
    }

    /// Whether a source has a row in the ledger.
    pub(crate) fn has_seen(&self, source: MirrorSource) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.contains(&source)
    }

    /// The book, for as long as nothing is written meanwhile.
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        // Whoever held it changed counters only; what they show is still worth reporting.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One worker's part.
#[derive(Debug)]
pub(crate) struct Follower {
    desk: Arc<Desk>,
    table: Arc<BindTable>,
    /// Roles by source, as far as somebody asked; they are forgotten with the table.
    known: Vec<Known>,
    told: Told,
}

/// A source's role.
#[derive(Clone, Copy, Debug, Default)]
enum Known {
    #[default]
    NotAsked,
    None,
    Role(RoleId),
}

impl Follower {
    pub(crate) fn new(desk: Arc<Desk>, sources_max: u32) -> Self {
        Self {
            desk,
            table: Arc::default(),
            known: vec![Known::NotAsked; sources_max as usize],
            told: Told::default(),
        }
    }

    /// Who is what from now on.
    pub(crate) fn admit(&mut self, table: Arc<BindTable>) {
        self.table = table;
        self.known.fill(Known::NotAsked);
    }

    fn role(&mut self, source: SourceId, mirror: MirrorSource) -> Option<(RoleId, &Role)> {
        let known = self.known.get_mut(source.index())?;
        if matches!(known, Known::NotAsked) {
            let name = self.table.find(mirror).and_then(|it| it.role.as_deref());
            let role = name.and_then(|name| self.desk.roles.find(name));
            *known = role.map_or(Known::None, Known::Role);
        }
        match *known {
            Known::Role(id) => self.desk.roles.get(id).map(|role| (id, role)),
            Known::None | Known::NotAsked => None,
        }
    }

    /// Labels a flow, moves the bytes that waited for it, and tells what there is to tell.
    pub(crate) fn handle_milestone(
        &mut self,
        flow: &FlowSoFar,
        milestone: Milestone,
        ledger: &mut Ledger,
        outlet: &mut Outlet,
    ) -> Label {
        let role = match milestone {
            Milestone::Opened => self.role(flow.source, flow.mirror),
            _ => None,
        };
        let ruling = judge(flow, milestone, role);
        let row = ledger.row_mut(flow.source);
        if flow.label == Label::UNDECIDED {
            let labels = [flow.label, ruling.label];
            row.cells.relabel(flow.crossed, labels, flow.bytes);
        }
        if let Some(fact) = ruling.fact {
            match fact.kind {
                FactKind::Failure => row.failed += 1,
                FactKind::NeverHit { .. } => row.never_hits += 1,
                FactKind::Conversation { .. } | FactKind::Domain { .. } => {}
            }
            outlet.fact(fact);
        }
        ruling.label
    }

    /// A frame of a flow of name resolution.
    // Out of line: few frames are.
    #[inline(never)]
    pub(crate) fn handle_dns(
        &mut self,
        packet: &Packet,
        frame: &[u8],
        ledger: &mut Ledger,
        outlet: &mut Outlet,
    ) {
        let Some(message) = dns::read(&packet.view, frame, self.desk.seed) else {
            return;
        };
        ledger.row_mut(packet.source).dns_queries += u64::from(message.is_query);
        if let Some(hash) = message.domain
            && !self
                .told
                .is_told(packet.source, hash, packet.now, outlet.facts_lost())
        {
            outlet.fact(Fact::of_domain(packet, message.is_query, hash));
        }
    }
}

/// Whether frames of flows with this label may hold DNS messages.
#[inline]
pub(crate) fn is_dns(label: Label) -> bool {
    label.number() == Some(Category::Dns.index())
}
