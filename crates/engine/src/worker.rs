//! One worker: a batch of records in; frames decapsulated, tracked, stored and counted.
//!
//! Whoever reads for several gives each its own, and all of them what changes how later records are
//! read: so all see the same clock, the same fragments and the same learned addresses. Two passes
//! over a batch overlap cache misses: open and hash all, which fetches what is touched, then touch.

use std::time::Duration;

use arrayvec::ArrayVec;
use vxscope_account::{Ledger, Row, Statement};
use vxscope_capture::live::{Arrival, LiveBatch};
use vxscope_flow::{
    Admission, Flows, Fragments, Joined, Packet, Payloads, Prepared, RingFill, Sources,
};
use vxscope_units::{MirrorSource, Timestamp, Vni};
use vxscope_wire::steer::Steering;
use vxscope_wire::{Options, Reject};

use crate::canary::Canary;
use crate::clock::Drift;
use crate::command::Command;
use crate::follower::Follower;
use crate::look_back::{Retriever, Watches};
use crate::outlet::{Lost, Outlet};
use crate::stray::Strays;
use crate::writer::Writer;

mod clock;
mod open;
mod share;
mod stray;
mod touch;

pub(crate) use clock::Clock;
pub(crate) use open::Ahead;
pub(crate) use share::{Entry, Share};
pub(crate) use stray::Coming;

/// Records handled in one set of passes: enough to overlap misses, few enough to stay in L1.
pub(crate) const PASS: usize = 16;

/// The source of bare frames: no outer address, VNI 0.
pub(crate) const BARE: MirrorSource = MirrorSource {
    address: std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
    vni: Vni::ZERO,
};

/// Which of the workers this is and what it opens.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) number: usize,
    /// Whether it counts what came and what was rejected: one of those that walk the same
    /// records does, and each of those that receive on their own.
    pub(crate) counts_input: bool,
    /// Who takes which frame; `None` if all that come are this worker's.
    pub(crate) steering: Option<Steering>,
    pub(crate) options: Options,
    pub(crate) bare: bool,
}

/// State of one worker.
#[derive(Debug)]
pub(crate) struct Worker {
    role: Role,
    sources: Sources,
    fragments: Fragments,
    flows: Flows,
    ledger: Ledger,
    follower: Follower,
    outlet: Outlet,
    clock: Clock,
    scratch: Vec<u8>,
    pass: Box<Pass>,
    /// Live, the lines to the other workers, if there are any.
    strays: Option<Strays>,
    /// Who wants packets of the past, and packets to come.
    retriever: Retriever,
    watches: Watches,
    /// The stamp of the newest datagram.
    newest: Timestamp,
    /// How canaries are known, where any are sent.
    canary: Option<Canary>,
}

/// Frames between the passes: their places stay, so that each is read into its own and not moved.
#[derive(Debug, Default)]
struct Pass {
    pending: [Pending; PASS],
    taken: usize,
    /// Those of them whose flows' entries are on their way.
    fetched: usize,
}

/// The frames' bytes, in the order of [`Pass::pending`].
type Frames<'a> = ArrayVec<&'a [u8], PASS>;

/// A frame between the passes.
#[derive(Debug, Default)]
struct Pending {
    packet: Packet,
    prepared: Prepared,
    joined: Joined,
    reserved_bits: bool,
}

/// What a worker made of its input.
#[derive(Debug)]
pub(crate) struct WorkerReport {
    pub(crate) statement: Statement,
    pub(crate) longest_probe: usize,
    /// How far head and tail log reached back at the end.
    pub(crate) look_back: [Option<Duration>; 2],
    /// What did not get to the writer.
    pub(crate) lost: Lost,
    /// The writer, if the worker wrote its files itself.
    pub(crate) writer: Option<Box<Writer>>,
}

impl Worker {
    pub(crate) fn new(
        role: Role,
        sources: Sources,
        fragments: Fragments,
        flows: Flows,
        ledger: Ledger,
        follower: Follower,
        outlet: Outlet,
    ) -> Self {
        let (clock, scratch, pass) = (Clock::default(), Vec::new(), Box::default());
        Self {
            retriever: Retriever::new(role.number),
            watches: Watches::new(),
            newest: Timestamp::ZERO,
            canary: None,
            role,
            sources,
            fragments,
            flows,
            ledger,
            follower,
            outlet,
            clock,
            scratch,
            pass,
            strays: None,
        }
    }

    /// See [`Outlet::set_drift`].
    pub(crate) fn set_drift(&mut self, drift: Drift) {
        self.outlet.set_drift(drift);
    }

    /// A live input is about to end: see [`Outlet::end`].
    pub(crate) fn end(&mut self) {
        self.outlet.end();
    }

    /// Counts what was received and nobody has the time to open any more.
    pub(crate) fn refuse_batch(&mut self, batch: &LiveBatch<'_>) {
        match batch {
            LiveBatch::Udp(batch) => self.refuse_arrivals(batch.arrivals()),
            LiveBatch::Ring(batch) => self.refuse_arrivals(batch.arrivals()),
        }
    }

    fn refuse_arrivals<'b>(&mut self, arrivals: impl Iterator<Item = Arrival<'b>>) {
        for arrival in arrivals {
            self.ledger.receive(arrival.bytes);
            self.ledger.reject(Reject::Deadline);
        }
    }

    /// What is not counted by source, and every source's row that changed since the last call.
    pub(crate) fn take_changes(
        &mut self,
        changes: &mut Vec<(Option<MirrorSource>, Row)>,
    ) -> Statement {
        self.ledger.take_changes(&self.sources, changes)
    }

    /// How far head and tail log reach back.
    pub(crate) fn look_back(&self) -> [Option<Duration>; 2] {
        let now = self.clock.now;
        self.flows
            .oldest_stored()
            .map(|oldest| oldest.map(|oldest| Duration::from_nanos(now.nanos_since(oldest))))
    }

    /// How full its rings are.
    pub(crate) fn ring_fill(&self) -> RingFill {
        self.flows.ring_fill()
    }

    /// What did not get to the writer so far.
    pub(crate) fn lost(&self) -> Lost {
        self.outlet.lost()
    }

    /// Does what the sensor was told.
    pub(crate) fn obey(&mut self, command: Command) {
        match command {
            Command::Admit(admission) => self.admit(admission),
            Command::Inquire(inquiry) => {
                if let Some(watch) = &inquiry.watch {
                    self.watches.add(watch.clone());
                }
                self.retriever.begin(*inquiry, self.newest);
            }
            Command::Unwatch(pin) => self.watches.remove(pin),
        }
    }

    /// A turn for whoever wants packets, between two batches; whether there is more to do.
    #[inline]
    pub(crate) fn look_back_a_turn(&mut self, elapsed: Duration) -> bool {
        if self.watches.are_there() {
            self.watches.tick(elapsed);
        }
        self.retriever.turn(&self.flows, &self.sources)
    }

    /// Touches the memory of the rings before the first packet does.
    pub(crate) fn prefault(&mut self) {
        self.flows.prefault();
    }

    /// How much of each source's payload is kept.
    pub(crate) fn set_payloads(&mut self, payloads: Payloads) {
        self.sources.set_payloads(payloads);
    }

    /// Canaries are sent, and belong to no flow.
    pub(crate) fn know_canaries(&mut self, canary: Canary) {
        self.canary = Some(canary);
    }

    /// Which sources are known from now on.
    pub(crate) fn admit(&mut self, admission: Admission) {
        self.follower.admit(admission.table.clone());
        self.sources.admit(admission);
    }
}
