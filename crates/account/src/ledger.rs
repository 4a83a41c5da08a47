//! The ledger of one worker, and of all workers merged.

use std::collections::BTreeMap;
use std::fmt;

use vxscope_flow::{CloseReason, Label, QUARANTINE_MAX, Sources, Untracked};
use vxscope_units::{MirrorSource, SourceId, Timestamp};
use vxscope_wire::Reject;

use crate::counts::Counts;
use crate::quarantine::QuarantineRow;
use crate::row::{Frame, Row};
use crate::strays::Strays;

/// One worker's ledger: a row for each of its sources, and what never became a frame.
/// Single writer; a packet touches one row.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    received: u64,
    received_bytes: u64,
    decapsulated: u64,
    rejected: Counts<{ Reject::COUNT }>,
    rows: Vec<Kept>,
    quarantine: Vec<QuarantineRow>,
    strays: Strays,
    /// Rows that changed since they were last handed over, each once. With room for all of them, so
    /// that nothing grows but where a row is added.
    changed: Vec<SourceId>,
}

/// A row, and whether it is listed as changed.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    row: Row,
    is_listed: bool,
}

impl Ledger {
    /// With room for this many rows, the overflow row included.
    #[must_use]
    pub fn new(sources_max: u32) -> Self {
        let rows = sources_max as usize + 1;
        Self {
            quarantine: vec![QuarantineRow::default(); QUARANTINE_MAX as usize + 1],
            rows: Vec::with_capacity(rows),
            changed: Vec::with_capacity(rows),
            ..Self::default()
        }
    }

    /// A datagram or file record arrived; `bytes` of it were captured.
    #[inline]
    pub fn receive(&mut self, bytes: u64) {
        self.receive_many(1, bytes);
    }

    /// Several arrived; `bytes` of them together were captured.
    #[inline]
    pub fn receive_many(&mut self, count: u64, bytes: u64) {
        self.received += count;
        self.received_bytes += bytes;
    }

    /// Nothing was decapsulated from it.
    #[inline]
    pub fn reject(&mut self, reason: Reject) {
        self.rejected.add(reason);
    }

    /// A frame of an unknown source was put into quarantine; `source` is the row there.
    pub fn quarantine(&mut self, source: SourceId, bytes: u64, timestamp: Timestamp) {
        self.reject(Reject::Quarantined);
        if let Some(row) = self.quarantine.get_mut(source.index()) {
            row.count(bytes, timestamp);
        }
    }

    /// What becomes of strays here.
    pub fn strays_mut(&mut self) -> &mut Strays {
        &mut self.strays
    }

    /// A frame was decapsulated and went through the flow table.
    #[inline]
    pub fn count(&mut self, source: SourceId, frame: &Frame<'_>) {
        self.decapsulated += 1;
        self.row(source).count(frame);
    }

    /// What one source sent so far, to count what is not known from a frame alone.
    pub fn row_mut(&mut self, source: SourceId) -> &mut Row {
        self.row(source)
    }

    /// A flow ended.
    pub fn close(&mut self, source: SourceId, reason: CloseReason) {
        self.row(source).closed.add(reason);
    }

    #[inline]
    fn row(&mut self, source: SourceId) -> &mut Row {
        let index = source.index();
        if index >= self.rows.len() {
            self.add_row(index);
        }
        let kept = &mut self.rows[index];
        if !kept.is_listed {
            kept.is_listed = true;
            self.changed.push(source);
        }
        &mut kept.row
    }

    #[cold]
    fn add_row(&mut self, index: usize) {
        self.rows.resize(index + 1, Kept::default());
    }

    /// What is not counted by known source, and in `changes` every row that changed since the last
    /// call, as it stands; a `None` is the row of all sources beyond the limit.
    pub fn take_changes(
        &mut self,
        sources: &Sources,
        changes: &mut Vec<(Option<MirrorSource>, Row)>,
    ) -> Statement {
        for source in self.changed.drain(..) {
            if let Some(kept) = self.rows.get_mut(source.index()) {
                kept.is_listed = false;
                changes.push((sources.get(source).copied(), kept.row));
            }
        }
        self.counted(sources)
    }

    /// The statement without the rows of known sources.
    fn counted(&self, sources: &Sources) -> Statement {
        let mut statement = Statement {
            received: self.received,
            received_bytes: self.received_bytes,
            decapsulated: self.decapsulated,
            rejected: self.rejected,
            strays: self.strays,
            ..Statement::default()
        };
        for (row, number) in self.quarantine.iter().zip(0..) {
            if row.packets > 0 {
                let source = sources.quarantined(SourceId::new(number));
                statement.quarantine.entry(source).or_default().merge(row);
            }
        }
        statement
    }

    /// This ledger under the sources' own names, ready to be merged with other workers'.
    #[must_use]
    pub fn named(&self, sources: &Sources) -> Statement {
        let mut statement = self.counted(sources);
        for (Kept { row, .. }, number) in self.rows.iter().zip(0..) {
            if row.packets == 0 && row.closed.sum() == 0 {
                continue;
            }
            match sources.get(SourceId::new(number)) {
                Some(source) => statement.rows.entry(*source).or_default().merge(row),
                None => statement.overflow.merge(row),
            }
        }
        statement
    }
}

/// The ledger of any number of workers, by mirror source in the order of address and VNI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// Datagrams or file records that arrived.
    pub received: u64,
    /// Their captured bytes.
    pub received_bytes: u64,
    /// Frames that came out of them.
    pub decapsulated: u64,
    /// Datagrams without a frame, by reason.
    pub rejected: Counts<{ Reject::COUNT }>,
    /// What each source sent.
    pub rows: BTreeMap<MirrorSource, Row>,
    /// What all sources beyond the limit sent together.
    pub overflow: Row,
    /// What each unknown source sent, and `None` those beyond the quarantine's limit together.
    pub quarantine: BTreeMap<Option<MirrorSource>, QuarantineRow>,
    /// What moved from worker to worker.
    pub strays: Strays,
}

/// A law of conservation that does not hold: a defect of the sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unbalanced {
    /// The law, in the words of the design.
    pub law: &'static str,
    /// Its left side.
    pub left: u64,
    /// Its right side.
    pub right: u64,
}

impl fmt::Display for Unbalanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} is not {}", self.law, self.left, self.right)
    }
}

impl Statement {
    /// Adds another worker's statement. Associative and commutative.
    pub fn merge(&mut self, other: &Self) {
        self.received += other.received;
        self.received_bytes += other.received_bytes;
        self.decapsulated += other.decapsulated;
        self.rejected.merge(&other.rejected);
        for (source, row) in &other.rows {
            self.rows.entry(*source).or_default().merge(row);
        }
        self.overflow.merge(&other.overflow);
        self.strays.merge(&other.strays);
        for (source, row) in &other.quarantine {
            self.quarantine.entry(*source).or_default().merge(row);
        }
    }

    /// All rows together.
    #[must_use]
    pub fn totals(&self) -> Row {
        let mut totals = self.overflow;
        for row in self.rows.values() {
            totals.merge(row);
        }
        totals
    }

    /// The laws of conservation that do not hold; none in a sound sensor.
    ///
    /// Received, rejected and decapsulated are counted where datagrams are opened, the rest
    /// where frames end up: a frame lost or counted twice in between shows here.
    #[must_use]
    pub fn unbalanced(&self) -> Vec<Unbalanced> {
        let totals = self.totals();
        let laws = [
            (
                "received = decapsulated + rejected",
                self.received,
                self.decapsulated + self.rejected.sum(),
            ),
            (
                "decapsulated = sum over sources",
                self.decapsulated,
                totals.packets,
            ),
            (
                "decapsulated = tracked + untracked",
                self.decapsulated,
                totals.tracked + totals.untracked.sum(),
            ),
            (
                "decapsulated = stored + unstored",
                self.decapsulated,
                totals.stored + totals.unstored.sum(),
            ),
            (
                "bytes = sum over directions and labels",
                totals.bytes,
                totals.cells.sum(),
            ),
            (
                "quarantined = sum over unknown sources",
                self.rejected.get(Reject::Quarantined),
                self.quarantine.values().map(|row| row.packets).sum(),
            ),
        ];
        unequal(laws).collect()
    }

    /// As [`Self::unbalanced`] once every flow has ended and every stray has arrived.
    #[must_use]
    pub fn unbalanced_at_end(&self) -> Vec<Unbalanced> {
        let totals = self.totals();
        let laws = [
            (
                "flows opened = flows closed",
                totals.flows,
                totals.closed.sum(),
            ),
            (
                "no byte of an ended flow is undecided",
                totals.cells.labelled(Label::UNDECIDED),
                0,
            ),
            (
                "strays sent = strays received",
                self.strays.sent,
                self.strays.received,
            ),
            (
                "strays shed = untracked as such",
                self.strays.shed,
                totals.untracked.get(Untracked::StrayShed),
            ),
        ];
        let mut broken = self.unbalanced();
        broken.extend(unequal(laws));
        broken
    }
}

fn unequal<const N: usize>(
    laws: [(&'static str, u64, u64); N],
) -> impl Iterator<Item = Unbalanced> {
    let broken = laws.into_iter().filter(|(_, left, right)| left != right);
    broken.map(|(law, left, right)| Unbalanced { law, left, right })
}
