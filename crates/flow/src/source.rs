//! Mirror sources as one worker meets them: known or not, rows, learned MACs, which way a frame
//! crosses.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use vxscope_units::{BindTable, MirrorSource, Payload, SourceId, Unknown, Vni};
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
    /// Its address, if that is one of IPv4; 0 otherwise.
    ipv4: u32,
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
    /// What the overflow row keeps of payloads: no source keeps less.
    payload_least: u32,
    quarantine: Interner,
    /// Sources seen lately, by a few bits of their names.
    recent: [Option<(MirrorSource, Verdict)>; RECENT],
    /// Those of them that are known, have a row of their own and an IPv4 address: a name that fits
    /// a register, and the row. 0 is nobody's name.
    recent_plain: [(u64, SourceId); RECENT],
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
            recent_plain: [(0, SourceId::new(0)); RECENT],
        }
    }

    /// Replaces what is known as a whole. Every source that has a row is judged anew: one that is
    /// unknown now keeps its row and what was counted there, and gets no more.
    pub fn admit(&mut self, admission: Admission) {
        for entry in &mut self.rows {
            entry.admitted = admission.admits(entry.source);
        }
        self.recent = [None; RECENT];
        self.recent_plain = [(0, SourceId::new(0)); RECENT];
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
        if self.payload_least == WHOLE {
            return frame;
        }
        self.cut(id, view, frame)
    }

    #[inline(never)]
    fn cut<'a>(&self, id: SourceId, view: &FrameView, frame: &'a [u8]) -> &'a [u8] {
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
        if let (IpAddr::V4(address), Verdict::Known(id)) = (source.address, verdict)
            && self.rows.get(id.index()).is_some()
            && let name = plain_name(address, source.vni)
            && let Some(place) = self.recent_plain.get_mut(plain_place(name))
        {
            *place = (name, id);
        }
        verdict
    }

    /// The row of a source that was seen lately, is known and has one of its own; all others ask
    /// [`Self::intern`].
    #[inline]
    #[must_use]
    pub fn known(&self, address: Ipv4Addr, vni: Vni) -> Option<SourceId> {
        let name = plain_name(address, vni);
        let recent = self.recent_plain.get(plain_place(name))?;
        (recent.0 == name).then_some(recent.1)
    }

    fn add(&mut self, source: MirrorSource) -> SourceId {
        let Some(row) = self.index.add(source) else {
            return self.overflow();
        };
        self.rows.push(SourceEntry {
            source,
            ipv4: match source.address {
                IpAddr::V4(address) => address.to_bits(),
                IpAddr::V6(_) => 0,
            },
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

    /// A row's source; `None` for the overflow row. By reference: a copy inside an option goes byte
    /// by byte, and whoever reads it then waits for the bytes to come together.
    #[inline]
    #[must_use]
    pub fn get(&self, id: SourceId) -> Option<&MirrorSource> {
        self.index.get(id.index())
    }

    /// The source of a row of the quarantine; `None` for the row of all beyond the limit.
    #[must_use]
    pub fn quarantined(&self, id: SourceId) -> Option<MirrorSource> {
        self.quarantine.get(id.index()).copied()
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

    /// Whether the MAC of a source's interface was learned: then nothing more can be learned from
    /// its frames.
    #[inline]
    #[must_use]
    pub fn is_learned(&self, id: SourceId) -> bool {
        self.rows.get(id.index()).is_some_and(|it| it.mac.is_some())
    }

    /// Which way a frame crosses the mirrored interface: by address, else by the interface's MAC,
    /// which is learned from the first frame that is sent under its own address.
    #[inline]
    #[must_use]
    pub fn cross(&mut self, id: SourceId, view: &FrameView, frame: &[u8]) -> Crossing {
        let Some(entry) = self.rows.get_mut(id.index()) else {
            return Crossing::Unknown;
        };
        let (is_sender, is_receiver) = match view.tuple.addresses {
            Addresses::V4 {
                source,
                destination,
            } => match entry.ipv4 {
                0 => (false, false),
                own => (source == own, destination == own),
            },
            Addresses::V6 { .. } => entry.is_end_of_v6(&view.tuple.addresses),
        };
        if is_sender {
            if entry.mac.is_none() {
                entry.mac = frame.get(6..).and_then(|tail| tail.first_chunk()).copied();
            }
            return Crossing::Egress;
        }
        if is_receiver {
            return Crossing::Ingress;
        }
        match (entry.mac, frame.first_chunk::<12>()) {
            (Some(mac), Some(macs)) if macs.ends_with(&mac) => Crossing::Egress,
            (Some(mac), Some(macs)) if macs.starts_with(&mac) => Crossing::Ingress,
            _ => Crossing::Unknown,
        }
    }
}

impl SourceEntry {
    /// Whether this source is sender, and receiver, of an IPv6 packet.
    fn is_end_of_v6(&self, addresses: &Addresses) -> (bool, bool) {
        match (self.source.address, addresses) {
            (
                IpAddr::V6(own),
                Addresses::V6 {
                    source,
                    destination,
                },
            ) => (*source == own.octets(), *destination == own.octets()),
            _ => (false, false),
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

/// Never 0, and no two sources have the same.
#[inline]
fn plain_name(address: Ipv4Addr, vni: Vni) -> u64 {
    1 << 63 | u64::from(address.to_bits()) << 24 | u64::from(vni.get())
}

/// As [`recent_place`].
#[inline]
fn plain_place(name: u64) -> usize {
    (name.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize
}

const _: () = assert!(
    RECENT == 1 << (64 - 58),
    "six bits of a product are a place"
);

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
        // A row of its own is known by a shorter name, too.
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number);
        let known = sources.known(address, mirror(number).vni);
        assert_eq!(
            known.map(Verdict::Known),
            match expected {
                Verdict::Known(id) if sources.get(id).is_some() => Some(expected),
                Verdict::Known(_) | Verdict::Unknown(_) => None,
            }
        );
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
