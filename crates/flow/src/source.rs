//! Mirror sources as one worker meets them: known or not, rows, learned MACs, which way a frame
//! crosses.

use std::net::IpAddr;
use std::sync::Arc;

use vxscope_units::{BindTable, MirrorSource, Payload, SourceId, Unknown};
use vxscope_wire::{Addresses, FrameView};

use crate::interner::Interner;
use crate::record::Crossing;

/// Unknown sources that have a row in the quarantine: bounds its memory and its report. Enough to
/// see who it is; a flood of forged addresses is one number anyway. Those beyond share one row.
pub const QUARANTINE_MAX: u32 = 1_024;

/// Which sources are known, and what becomes of the others.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    /// The known ones.
    pub table: Arc<BindTable>,
    /// What becomes of the others.
    pub unknown: Unknown,
}

impl Admission {
    fn admits(&self, source: MirrorSource) -> bool {
        self.unknown == Unknown::Accept || self.table.find(source).is_some()
    }
}

/// How much of each source's payload is kept. Unlike an [`Admission`] it stays what it is for a
/// whole run: nobody who replaces the bind table can make a sensor keep more.
#[derive(Clone, Debug, Default)]
pub struct Payloads {
    /// The sources for which something else holds.
    pub listed: Arc<BindTable>,
    /// What holds for the others.
    pub others: Payload,
    /// Bytes that [`Payload::Head`] keeps.
    pub head_bytes: u32,
}

/// All payload is kept.
const WHOLE: u32 = u32::MAX;

impl Payloads {
    /// Bytes that are kept of a source's payload.
    fn bytes_of(&self, source: MirrorSource) -> u32 {
        let listed = self.listed.find(source).and_then(|it| it.payload);
        self.bytes(listed.unwrap_or(self.others))
    }

    /// The least for any source: for the row that stands for many.
    fn least(&self) -> u32 {
        let listed = self.listed.bindings().iter().filter_map(|it| it.payload);
        let all = listed.chain([self.others]).map(|it| self.bytes(it));
        all.min().unwrap_or(WHOLE)
    }

    fn bytes(&self, payload: Payload) -> u32 {
        match payload {
            Payload::Full => WHOLE,
            Payload::Head => self.head_bytes,
            Payload::None => 0,
        }
    }
}

/// Where the frames of a source go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To its row, and on.
    Known(SourceId),
    /// Nowhere; they may be counted in this row of the quarantine, whose numbers are its own.
    Unknown(SourceId),
}

/// What is known of a mirror source.
#[derive(Clone, Copy, Debug)]
struct SourceEntry {
    source: MirrorSource,
    /// Whether the bind table of now admits it.
    admitted: bool,
    /// MAC of the mirrored interface, learned from the first frame it sent under its own address.
    mac: Option<[u8; 6]>,
    /// Bytes that are kept of each frame's payload.
    payload_max: u32,
}

/// Rows of sources: at most `sources_max`, and one row that stands for all further ones. The
/// same again, and smaller, for unknown sources.
#[derive(Debug)]
pub struct Sources {
    rows: Vec<SourceEntry>,
    index: Interner,
    sources_max: u32,
    admission: Admission,
    payloads: Payloads,
    /// What the overflow row keeps of payloads.
    payload_least: u32,
    quarantine: Interner,
    /// Sources seen lately, by a few bits of their names.
    recent: [Option<(MirrorSource, Verdict)>; RECENT],
}

impl Sources {
    /// `sources_max` below 2²⁴; sources beyond it share the overflow row and get no flow state.
    #[must_use]
    pub fn new(sources_max: u32, hash_seed: u64) -> Self {
        let sources_max = sources_max.min(0x00ff_fffe);
        Self {
            rows: Vec::with_capacity(sources_max as usize),
            index: Interner::new(sources_max, hash_seed),
            sources_max,
            admission: Admission::default(),
            payloads: Payloads::default(),
            payload_least: WHOLE,
            quarantine: Interner::new(QUARANTINE_MAX, hash_seed),
            recent: [None; RECENT],
        }
    }

    /// Replaces what is known as a whole. Every source that has a row is judged anew: one that is
    /// unknown now keeps its row and what was counted there, and gets no more.
    pub fn admit(&mut self, admission: Admission) {
        for entry in &mut self.rows {
            entry.admitted = admission.admits(entry.source);
        }
        self.recent = [None; RECENT];
        self.admission = admission;
    }

    /// How much of each source's payload is kept from now on: before the first frame comes.
    pub fn set_payloads(&mut self, payloads: Payloads) {
        for entry in &mut self.rows {
            entry.payload_max = payloads.bytes_of(entry.source);
        }
        self.payload_least = payloads.least();
        self.payloads = payloads;
    }

    /// What is kept of a frame, in rings and outputs alike.
    #[inline]
    #[must_use]
    pub fn kept<'a>(&self, id: SourceId, view: &FrameView, frame: &'a [u8]) -> &'a [u8] {
        let entry = self.rows.get(id.index());
        let payload_max = entry.map_or(self.payload_least, |it| it.payload_max);
        if payload_max == WHOLE {
            return frame;
        }
        let end = view.headers_len(frame).saturating_add(payload_max as usize);
        frame.get(..end).unwrap_or(frame)
    }

    /// What becomes of the frames of unknown sources.
    #[must_use]
    pub fn unknown(&self) -> Unknown {
        self.admission.unknown
    }

    /// The row of a source; a new one gets the next row, or the overflow row when all are taken.
    #[inline]
    pub fn intern(&mut self, source: MirrorSource) -> Verdict {
        match self.recent.get(recent_place(source)) {
            Some(Some((recent, verdict))) if *recent == source => *verdict,
            _ => self.look_up(source),
        }
    }

    #[inline(never)]
    fn look_up(&mut self, source: MirrorSource) -> Verdict {
        let row = self.index.find(source);
        let admitted = match row.and_then(|row| self.rows.get(row as usize)) {
            Some(entry) => entry.admitted,
            None => self.admission.admits(source),
        };
        let verdict = match (row, admitted) {
            (Some(row), true) => Verdict::Known(SourceId::new(row)),
            (None, true) => Verdict::Known(self.add(source)),
            (_, false) => Verdict::Unknown(self.refuse(source)),
        };
        if let Some(place) = self.recent.get_mut(recent_place(source)) {
            *place = Some((source, verdict));
        }
        verdict
    }

    fn add(&mut self, source: MirrorSource) -> SourceId {
        let Some(row) = self.index.add(source) else {
            return self.overflow();
        };
        self.rows.push(SourceEntry {
            source,
            admitted: true,
            mac: None,
            payload_max: self.payloads.bytes_of(source),
        });
        SourceId::new(row)
    }

    fn refuse(&mut self, source: MirrorSource) -> SourceId {
        let row = match self.admission.unknown {
            Unknown::Quarantine => {
                let found = self.quarantine.find(source);
                found.or_else(|| self.quarantine.add(source))
            }
            Unknown::Accept | Unknown::Drop => None,
        };
        SourceId::new(row.unwrap_or(QUARANTINE_MAX))
    }

    /// The row that stands for all sources beyond the limit.
    #[must_use]
    pub fn overflow(&self) -> SourceId {
        SourceId::new(self.sources_max)
    }

    /// A row's source; `None` for the overflow row.
    #[must_use]
    pub fn get(&self, id: SourceId) -> Option<MirrorSource> {
        self.index.get(id.index())
    }

    /// The source of a row of the quarantine; `None` for the row of all beyond the limit.
    #[must_use]
    pub fn quarantined(&self, id: SourceId) -> Option<MirrorSource> {
        self.quarantine.get(id.index())
    }

    /// How many rows have a source.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether no source was seen yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Learns the interface's MAC from a frame sent under the interface's own address.
    #[inline]
    pub fn learn(&mut self, id: SourceId, view: &FrameView, frame: &[u8]) {
        let Some(entry) = self.rows.get_mut(id.index()) else {
            return;
        };
        if entry.mac.is_none() && sent_by(view, entry.source.address) {
            entry.mac = frame.get(6..).and_then(|tail| tail.first_chunk()).copied();
        }
    }

    /// Which way a frame crosses the mirrored interface: by address, else by the learned MAC.
    #[inline]
    #[must_use]
    pub fn crossing(&self, id: SourceId, view: &FrameView, frame: &[u8]) -> Crossing {
        let Some(SourceEntry { source, mac, .. }) = self.rows.get(id.index()) else {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vxscope_units::{BindTable, Binding, MirrorSource, SourceId, Unknown, Vni};

    use super::{Admission, QUARANTINE_MAX, Sources, Verdict};

    #[test]
    fn without_a_table_every_source_is_known() {
        let mut sources = Sources::new(4, 0);
        check(&mut sources, 1, Verdict::Known(SourceId::new(0)));
        check(&mut sources, 2, Verdict::Known(SourceId::new(1)));
        check(&mut sources, 1, Verdict::Known(SourceId::new(0)));
    }

    #[test]
    fn an_unknown_source_takes_no_row_from_a_known_one() {
        let mut sources = Sources::new(1, 0);
        sources.admit(admission("10.0.0.1", Unknown::Quarantine));
        for other in 2..200 {
            check(
                &mut sources,
                other,
                Verdict::Unknown(SourceId::new(other - 2)),
            );
        }
        check(&mut sources, 1, Verdict::Known(SourceId::new(0)));
        check(&mut sources, 2, Verdict::Unknown(SourceId::new(0)));
        assert_eq!(sources.quarantined(SourceId::new(0)), Some(mirror(2)));
    }

    #[test]
    fn the_quarantine_has_a_row_for_all_beyond_its_limit() {
        let mut sources = Sources::new(1, 0);
        sources.admit(admission("10.9.0.1", Unknown::Quarantine));
        for number in 0..QUARANTINE_MAX {
            check(
                &mut sources,
                number,
                Verdict::Unknown(SourceId::new(number)),
            );
        }
        let beyond = SourceId::new(QUARANTINE_MAX);
        check(&mut sources, QUARANTINE_MAX, Verdict::Unknown(beyond));
        check(&mut sources, 7, Verdict::Unknown(SourceId::new(7)));
        assert_eq!(sources.quarantined(beyond), None);
    }

    #[test]
    fn dropped_sources_have_no_row() {
        let mut sources = Sources::new(1, 0);
        sources.admit(admission("10.9.0.1", Unknown::Drop));
        let nobody = SourceId::new(QUARANTINE_MAX);
        check(&mut sources, 1, Verdict::Unknown(nobody));
        assert_eq!(sources.quarantined(nobody), None);
    }

    #[test]
    fn another_table_judges_every_source_anew() {
        let mut sources = Sources::new(4, 0);
        check(&mut sources, 1, Verdict::Known(SourceId::new(0)));
        check(&mut sources, 2, Verdict::Known(SourceId::new(1)));
        sources.admit(admission("10.0.0.2", Unknown::Quarantine));
        check(&mut sources, 1, Verdict::Unknown(SourceId::new(0)));
        check(&mut sources, 2, Verdict::Known(SourceId::new(1)));
        sources.admit(admission("10.0.0.0/8", Unknown::Quarantine));
        check(&mut sources, 1, Verdict::Known(SourceId::new(0)));
        check(&mut sources, 3, Verdict::Known(SourceId::new(2)));
    }

    fn check(sources: &mut Sources, number: u32, expected: Verdict) {
        // Looked up, and then remembered.
        assert_eq!(sources.intern(mirror(number)), expected, "{number}");
        assert_eq!(sources.intern(mirror(number)), expected, "{number}");
    }

    fn admission(prefix: &str, unknown: Unknown) -> Admission {
        let binding = Binding::new(prefix.parse().expect("a prefix"), None);
        let table = BindTable::try_new(vec![binding]).expect("one binding");
        Admission {
            table: Arc::new(table),
            unknown,
        }
    }

    fn mirror(number: u32) -> MirrorSource {
        MirrorSource {
            address: std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).into(),
            vni: Vni::try_new(5).expect("24 bits"),
        }
    }
}
