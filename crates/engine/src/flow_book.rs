//! The latest flows that ended, for whoever searches them.
//!
//! The writer notes each as it passes; a search looks at all of them at most. Both hold the lock
//! for no longer than that, and neither is on the packet path.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use vxscope_api::{FlowSearch, FlowTerm};
use vxscope_flow::FlowRecord;
use vxscope_report::{FlowPage, FlowRow};
use vxscope_units::Timestamp;

/// See the module.
#[derive(Debug)]
pub(crate) struct FlowBook {
    flows_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    flows: VecDeque<FlowRecord>,
    /// Number of the next.
    next: u64,
}

impl FlowBook {
    /// Remembers so many at most.
    pub(crate) fn new(flows_max: u32) -> Self {
        Self {
            flows_max: flows_max as usize,
            kept: Mutex::default(),
        }
    }

    /// A flow ended.
    pub(crate) fn push(&self, record: &FlowRecord) {
        if self.flows_max == 0 {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.flows.len() == self.flows_max {
            kept.flows.pop_front();
        }
        kept.flows.push_back(record.clone());
        kept.next += 1;
    }

    /// Those that are searched, the latest first.
    pub(crate) fn find(&self, search: &FlowSearch) -> FlowPage {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = kept.flows.len() as u64;
        let first = kept.next - remembered;
        let numbered = (first..kept.next).rev().zip(kept.flows.iter().rev());
        let found = numbered
            .filter(|(seq, _)| search.before.is_none_or(|before| *seq < before))
            .filter(|(_, record)| search.terms.iter().all(|term| takes(term, record)));
        let found = found.take(search.limit);
        let flows: Vec<FlowRow> = found.map(|(seq, record)| row(seq, record)).collect();
        let is_full = flows.len() == search.limit;
        FlowPage {
            remembered,
            forgotten: first,
            next: flows.last().filter(|_| is_full).map(|last| last.seq),
            flows,
        }
    }
}

fn takes(term: &FlowTerm, record: &FlowRecord) -> bool {
    match term {
        FlowTerm::Address(prefix) => {
            let ends = [record.originator, record.responder, record.source.address];
            FlowTerm::takes_address(prefix, ends)
        }
        FlowTerm::Port(port) => [record.originator_port, record.responder_port].contains(port),
        FlowTerm::Protocol(protocol) => record.protocol == *protocol,
        FlowTerm::Vni(vni) => record.source.vni.get() == *vni,
        FlowTerm::CommunityId(id) => record.community_id.to_string() == *id,
        FlowTerm::Flow(id) => record.flow_id == *id,
    }
}

fn row(seq: u64, record: &FlowRecord) -> FlowRow {
    FlowRow {
        seq,
        flow_id: record.flow_id,
        community_id: record.community_id.to_string(),
        outer_ip: record.source.address,
        vni: record.source.vni.get(),
        protocol: record.protocol,
        originator: record.originator,
        originator_port: record.originator_port,
        responder: record.responder,
        responder_port: record.responder_port,
        start: micros(record.start),
        end: micros(record.end),
        packets: [record.forward.packets, record.reverse.packets],
        bytes: [record.forward.bytes, record.reverse.bytes],
        state: record.conn_state.name().to_owned(),
        reason: record.reason.name().to_owned(),
    }
}

fn micros(timestamp: Timestamp) -> u64 {
    timestamp.as_nanos() / 1_000
}
