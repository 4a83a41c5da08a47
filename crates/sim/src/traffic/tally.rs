//! Counts what left: for each source, for those who are none, and for each fault.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::identity::{mirror_address, vni};
use super::spec::Spec;
use super::stream::{Datagram, Kind};
use super::truth::{FaultCounts, ForgedTruth, SourceTruth, Truth};

/// What was sent for one source.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) inner_bytes: u64,
    pub(crate) flows: u64,
    pub(crate) corrupt: u64,
}

/// Everything that left.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    bytes: u64,
    sent: u64,
    not_sent: u64,
    malformed: u64,
    faults: FaultCounts,
    sources: Vec<Tally>,
    /// A bit for each flow as each end sees it: whether a packet of it left.
    flows: Vec<u64>,
    /// The packet made last of those that left.
    latest: Option<u64>,
    /// At most 32 for each source.
    forged: BTreeMap<(IpAddr, u32), Tally>,
}

impl Tally {
    /// A packet of so many bytes, and so many of its inner frame.
    pub(crate) fn add(&mut self, bytes: usize, inner_bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
        self.inner_bytes += inner_bytes as u64;
    }
}

impl Account {
    pub(crate) fn new(spec: &Spec) -> Self {
        let views = usize::try_from(spec.flows).unwrap_or(0) * 2;
        Self {
            bytes: 0,
            sent: 0,
            not_sent: 0,
            malformed: 0,
            faults: FaultCounts::default(),
            sources: vec![Tally::default(); usize::try_from(spec.sources).unwrap_or(0)],
            flows: vec![0; views.div_ceil(64)],
            latest: None,
            forged: BTreeMap::new(),
        }
    }

    pub(crate) fn lose(&mut self) {
        self.faults.loss += 1;
    }

    pub(crate) fn miss(&mut self) {
        self.not_sent += 1;
    }

    pub(crate) fn count(&mut self, datagram: &Datagram) {
        self.sent += 1;
        self.bytes += datagram.bytes as u64;
        match datagram.kind {
            Kind::Genuine => {
                self.note_order(datagram.made);
                self.count_packet(datagram);
            }
            Kind::Duplicate => {
                self.faults.duplicate += 1;
                self.count_packet(datagram);
            }
            Kind::Corrupt => {
                self.note_order(datagram.made);
                self.faults.corrupt += 1;
                self.faults.corrupt_bytes += datagram.bytes as u64;
                if let Some(tally) = self.tally(datagram.source) {
                    tally.corrupt += 1;
                }
            }
            Kind::Forged => {
                self.faults.forged += 1;
                self.faults.forged_bytes += datagram.bytes as u64;
                let key = (datagram.outer_ip, datagram.vni);
                let tally = self.forged.entry(key).or_default();
                tally.add(datagram.bytes, datagram.inner_bytes);
            }
        }
    }

    pub(crate) fn truth(&self, spec: &Spec) -> Truth {
        let forged = self.forged.iter().map(|(key, tally)| ForgedTruth {
            outer_ip: key.0,
            vni: key.1,
            packets: tally.packets,
            bytes: tally.bytes,
            inner_bytes: tally.inner_bytes,
        });
        Truth {
            sent: self.sent,
            bytes: self.bytes,
            not_sent: self.not_sent,
            malformed: self.malformed,
            faults: self.faults,
            per_source: per_source(spec, &self.sources),
            forged_sources: forged.collect(),
        }
    }

    fn note_order(&mut self, made: u64) {
        match self.latest {
            Some(latest) if made < latest => self.faults.reorder += 1,
            _ => self.latest = Some(made),
        }
    }

    fn count_packet(&mut self, datagram: &Datagram) {
        self.malformed += u64::from(datagram.damaged);
        let opens_flow = self.note_flow(datagram.flow);
        if let Some(tally) = self.tally(datagram.source) {
            tally.add(datagram.bytes, datagram.inner_bytes);
            tally.flows += u64::from(opens_flow);
        }
    }

    /// Whether it is the flow's first packet that left.
    fn note_flow(&mut self, flow: u32) -> bool {
        let (word, bit) = (flow / 64, 1_u64 << (flow % 64));
        let word = usize::try_from(word).ok();
        let Some(word) = word.and_then(|word| self.flows.get_mut(word)) else {
            return false;
        };
        let first = *word & bit == 0;
        *word |= bit;
        first
    }

    fn tally(&mut self, source: u32) -> Option<&mut Tally> {
        self.sources.get_mut(usize::try_from(source).ok()?)
    }
}

/// One row for each source.
pub(crate) fn per_source(spec: &Spec, tallies: &[Tally]) -> Vec<SourceTruth> {
    let sources = tallies.iter().zip(0_u32..);
    let rows = sources.map(|(tally, source)| SourceTruth {
        outer_ip: mirror_address(spec, source),
        vni: vni(spec, source),
        packets: tally.packets,
        bytes: tally.bytes,
        inner_bytes: tally.inner_bytes,
        flows: tally.flows,
        corrupt: tally.corrupt,
    });
    rows.collect()
}
