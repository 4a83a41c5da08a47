//! Mirror sources as one worker meets them: rows, learned MACs, which way a frame crosses.

use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use vxscope_units::{MirrorSource, SourceId};
use vxscope_wire::{Addresses, FrameView};

use crate::record::Crossing;

/// What is known of a mirror source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceEntry {
    /// Its address and VNI; `None` for the overflow row.
    pub source: Option<MirrorSource>,
    /// MAC of the mirrored interface, learned from the first frame it sent under its own address.
    mac: Option<[u8; 6]>,
}

/// Rows of sources: at most `sources_max`, and one row that stands for all further ones.
#[derive(Debug)]
pub struct Sources {
    rows: Vec<SourceEntry>,
    index: HashTable<u32>,
    hasher: FixedState,
    sources_max: usize,
    /// Sources seen lately, by a few bits of their names.
    recent: [Option<(MirrorSource, SourceId)>; RECENT],
}

impl Sources {
    /// `sources_max` below 2²⁴; sources beyond it share the overflow row and get no flow state.
    #[must_use]
    pub fn new(sources_max: u32, hash_seed: u64) -> Self {
        let sources_max = sources_max.min(0x00ff_fffe) as usize;
        Self {
            rows: Vec::with_capacity(sources_max),
            index: HashTable::with_capacity(sources_max),
            hasher: FixedState::with_seed(hash_seed),
            sources_max,
            recent: [None; RECENT],
        }
    }

    /// The row of a source; a new one gets the next row, or the overflow row when all are taken.
    #[inline]
    pub fn intern(&mut self, source: MirrorSource) -> SourceId {
        match self.recent.get(recent_place(source)) {
            Some(Some((recent, id))) if *recent == source => *id,
            _ => self.look_up(source),
        }
    }

    fn look_up(&mut self, source: MirrorSource) -> SourceId {
        let hash = self.hasher.hash_one(source);
        let (rows, hasher) = (&mut self.rows, &self.hasher);
        let is_it = |row: &u32| {
            rows.get(*row as usize)
                .is_some_and(|r| r.source == Some(source))
        };
        let id = if let Some(row) = self.index.find(hash, is_it) {
            SourceId::new(*row)
        } else if let (true, Ok(row)) = (rows.len() < self.sources_max, u32::try_from(rows.len())) {
            rows.push(SourceEntry {
                source: Some(source),
                mac: None,
            });
            let rehash = |row: &u32| {
                rows.get(*row as usize)
                    .map_or(0, |entry| entry.source.map_or(0, |s| hasher.hash_one(s)))
            };
            self.index.insert_unique(hash, row, rehash);
            SourceId::new(row)
        } else {
            self.overflow()
        };
        if let Some(place) = self.recent.get_mut(recent_place(source)) {
            *place = Some((source, id));
        }
        id
    }

    /// The row that stands for all sources beyond the limit.
    #[must_use]
    pub fn overflow(&self) -> SourceId {
        SourceId::new(u32::try_from(self.sources_max).unwrap_or(u32::MAX))
    }

    /// A row's source; `None` for the overflow row.
    #[must_use]
    pub fn get(&self, id: SourceId) -> Option<MirrorSource> {
        self.rows.get(id.index()).and_then(|entry| entry.source)
    }

    /// How many rows have a source.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no source was seen yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Learns the interface's MAC from a frame sent under the interface's own address.
    #[inline]
    pub fn learn(&mut self, id: SourceId, view: &FrameView, frame: &[u8]) {
        let Some(entry) = self.rows.get_mut(id.index()) else {
            return;
        };
        if entry.mac.is_none()
            && let Some(source) = entry.source
            && sent_by(view, source.address)
        {
            entry.mac = frame.get(6..).and_then(|tail| tail.first_chunk()).copied();
        }
    }

    /// Which way a frame crosses the mirrored interface: by address, else by the learned MAC.
    #[inline]
    #[must_use]
    pub fn crossing(&self, id: SourceId, view: &FrameView, frame: &[u8]) -> Crossing {
        let Some(SourceEntry {
            source: Some(source),
            mac,
        }) = self.rows.get(id.index())
        else {
            return Crossing::Unknown;
        };
        if sent_by(view, source.address) {
            return Crossing::Egress;
        }
        if sent_to(view, source.address) {
            return Crossing::Ingress;
        }
        match (mac, frame.first_chunk::<12>()) {
            (Some(mac), Some(macs)) if macs.ends_with(mac) => Crossing::Egress,
            (Some(mac), Some(macs)) if macs.starts_with(mac) => Crossing::Ingress,
            _ => Crossing::Unknown,
        }
    }
}

/// Places for recent sources: a mirror target on most instance sizes has fewer sources than this.
const RECENT: usize = 64;

/// A few well-mixed bits: neighbours in a subnet with neighbouring VNIs get places of their own.
#[inline]
fn recent_place(source: MirrorSource) -> usize {
    let last = match source.address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    };
    let mixed = ((source.vni.get() << 8) | u32::from(last)).wrapping_mul(0x9e37_79b1);
    (mixed >> 16) as usize % RECENT
}

#[inline]
fn sent_by(view: &FrameView, address: IpAddr) -> bool {
    match (view.tuple.addresses, address) {
        (Addresses::V4 { source, .. }, IpAddr::V4(address)) => {
            source == address.to_bits() && source != 0
        }
        (Addresses::V6 { source, .. }, IpAddr::V6(address)) => source == address.octets(),
        _ => false,
    }
}

#[inline]
fn sent_to(view: &FrameView, address: IpAddr) -> bool {
    match (view.tuple.addresses, address) {
        (Addresses::V4 { destination, .. }, IpAddr::V4(address)) => {
            destination == address.to_bits() && destination != 0
        }
        (Addresses::V6 { destination, .. }, IpAddr::V6(address)) => destination == address.octets(),
        _ => false,
    }
}
