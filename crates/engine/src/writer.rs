//! The writer: merges what the workers deliver and hands it to the sinks in input order.
//!
//! It takes the next delivery from whichever worker holds the others up, so that what waits here
//! is bounded by what fits between the slowest and the fastest worker: each has a fixed pool of
//! chunks and a short channel, and waits when both are used up.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use vxscope_export::{
    Anomaly, Duplicates, Entry, ExportError, Extracted, FrameChunk, FrameMerge, GradeBook,
    GradeChange, Identities, Merge, Offered, OutputDir, Overlap, SinkOutcome,
};
use vxscope_flow::FlowRecord;
use vxscope_report::EventKind;
use vxscope_signals::{Fact, FactKind};
use vxscope_units::{MirrorSource, Timestamp};

use crate::accounting::Board;
use crate::error::EngineError;
use crate::flow_book::FlowBook;
use crate::follower::Desk;
use crate::handoff::{Handoff, Owned, release};
use crate::outlet::{Delivery, Extraction, Item, position_after};
use crate::vlans::Vlans;

/// One worker's end of the line.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) deliveries: Receiver<Delivery>,
    pub(crate) pool: Sender<FrameChunk>,
}

/// Where a run's outputs go.
#[derive(Debug)]
pub(crate) struct Sinks {
    pub(crate) dir: OutputDir,
    pub(crate) overlap: Option<Overlap>,
    pub(crate) handoff: Handoff,
    pub(crate) vlans: Vlans,
    /// Who looks for packets that came twice, if somebody does.
    pub(crate) duplicates: Option<Duplicates>,
    /// What is less than was asked for, for people.
    pub(crate) warnings: Vec<String>,
    /// What every sink is called and offered.
    pub(crate) expected: Vec<(String, Offered)>,
    /// Where facts are noted.
    pub(crate) desk: Arc<Desk>,
    pub(crate) extract: bool,
    /// Where all sinks show what they have counted so far.
    pub(crate) board: Board,
    /// What somebody who looks after the mirrors tells, and what is known of it.
    pub(crate) grade_changes: Option<Receiver<GradeChange>>,
    pub(crate) grades: GradeBook,
    /// Where flows that ended are remembered for whoever searches.
    pub(crate) book: Option<Arc<FlowBook>>,
}

/// What was written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) vlans: Vec<(u16, MirrorSource)>,
    pub(crate) warning: Option<String>,
    pub(crate) extracted: Vec<Extracted>,
    pub(crate) extract_error: Option<ExportError>,
    pub(crate) vlan_error: Option<ExportError>,
}

/// Merges and writes until every worker has ended. Tells `closed` of each file as soon as it is
/// closed; returns the rest of what `finish` needs.
pub(crate) fn write(lines: &[Line], sinks: Sinks, closed: &mut dyn FnMut(SinkOutcome)) -> Written {
    let mut writer = Writer::new(lines.len(), sinks);
    while let Some(worker) = writer.frames.lagging() {
        let Some(line) = lines.get(worker) else { break };
        // A worker that is gone has ended.
        let delivery = line.deliveries.recv().unwrap_or(Delivery::End);
        writer.take(worker, &line.pool, delivery);
    }
    writer.finish(closed)
}

/// What waits for its turn, and where it goes.
#[derive(Debug)]
pub(crate) struct Writer {
    frames: FrameMerge<Shared>,
    items: Merge<Item>,
    sinks: Sinks,
    written: Written,
    identities: Identities,
    /// Where what held a chunk goes.
    shells: Sender<Arc<Owned>>,
}

impl Writer {
    pub(crate) fn new(workers: usize, sinks: Sinks) -> Self {
        Self {
            frames: FrameMerge::new(workers),
            items: Merge::new(workers),
            identities: Identities::new(sinks.desk.names.clone()),
            shells: sinks.handoff.shells(),
            sinks,
            written: Written::default(),
        }
    }

    /// Takes what a worker delivers, whose chunks go back to `pool`, and writes whatever has its
    /// turn then.
    pub(crate) fn take(&mut self, worker: usize, pool: &Sender<FrameChunk>, delivery: Delivery) {
        let Self {
            frames,
            items,
            sinks,
            written,
            identities,
            shells,
        } = self;
        sinks.note_grades();
        match delivery {
            Delivery::Frames(chunk) => {
                let owned = Owned {
                    worker,
                    chunk,
                    pool: Some(pool.clone()),
                };
                frames.push(worker, Shared(shared(sinks.handoff.shell(), owned)));
            }
            Delivery::Items(batch, through) => items.push(worker, batch, through),
            Delivery::Reached(index) => {
                frames.advance(worker, index);
                items.push(worker, [], position_after(index));
            }
            Delivery::Extracted(extraction) => sinks.extract(&extraction, written),
            Delivery::End => {
                frames.close(worker);
                items.close(worker);
            }
        }
        frames.drain_ready(
            |chunk, positions| sinks.frames(chunk, positions),
            |Shared(done)| release(done, shells),
        );
        while let Some(item) = items.pop_ready() {
            match item {
                Item::Flow(mut record) => {
                    record.mark = sinks
                        .grades
                        .mark(record.source, record.start, record.closed);
                    record.identity = identities.of(record.source);
                    sinks.record(record);
                }
                Item::Fact(fact, time) => {
                    sinks.desk.book().observe(&fact);
                    sinks.fact(&fact, time);
                }
            }
        }
        sinks.handoff.pass_on();
        sinks.vlans.save();
    }

    /// Closes the files; see [`write`].
    pub(crate) fn finish(self, closed: &mut dyn FnMut(SinkOutcome)) -> Written {
        self.sinks.finish(self.written, closed)
    }
}

/// A chunk that several threads read.
#[derive(Debug)]
struct Shared(Arc<Owned>);

/// In the shell of one before, if it is still there.
fn shared(shell: Option<Arc<Owned>>, owned: Owned) -> Arc<Owned> {
    let Some(mut shell) = shell else {
        return Arc::new(owned);
    };
    match Arc::get_mut(&mut shell) {
        Some(place) => *place = owned,
        None => return Arc::new(owned),
    }
    shell
}

impl AsRef<FrameChunk> for Shared {
    fn as_ref(&self) -> &FrameChunk {
        &self.0.chunk
    }
}

impl Sinks {
    /// Nothing can keep the run from beginning any more.
    pub(crate) fn start(&mut self) -> Result<(), EngineError> {
        self.handoff.start(&self.board)
    }

    /// Mirrors that are others now: written down, and kept for the flows of that time.
    fn note_grades(&mut self) {
        for change in self.grade_changes.iter().flat_map(Receiver::try_iter) {
            self.grades.note(&change);
            self.handoff.entry(Entry::Grade(change));
        }
    }

    fn frames(&mut self, Shared(owned): &Shared, positions: std::ops::Range<usize>) {
        self.vlans.introduce(&owned.chunk, positions.clone());
        let handoff = &mut self.handoff;
        match &mut self.duplicates {
            None => handoff.frames(owned, positions),
            Some(duplicates) => {
                duplicates.split(&owned.chunk, positions, |run, passes| match passes {
                    true => handoff.frames(owned, run),
                    false => handoff.copies(owned, run),
                });
            }
        }
    }

    fn record(&mut self, record: FlowRecord) {
        self.book.iter().for_each(|book| book.push(&record));
        let overlap = self.overlap.iter_mut();
        overlap.for_each(|overlap| overlap.observe(&record));
        self.handoff.entry(Entry::Flow(record));
    }

    /// A never hit is something an analyst wants to read.
    fn fact(&mut self, fact: &Fact, time: Timestamp) {
        let FactKind::NeverHit { role } = fact.kind else {
            return;
        };
        let role = self.desk.roles.get(role);
        self.handoff.entry(Entry::Anomaly(Anomaly {
            event: EventKind::NeverHit.name(),
            time,
            flow_id: fact.flow_id,
            source: fact.mirror,
            originator: (fact.originator, fact.originator_port),
            responder: (fact.responder, fact.responder_port),
            protocol: fact.protocol,
            role: role.map_or_else(String::new, |role| role.name.clone()),
        }));
    }

    fn extract(&self, extraction: &Extraction, written: &mut Written) {
        match self.write_extraction(extraction) {
            Ok(extracted) => written.extracted.push(extracted),
            Err(error) => written.extract_error = Some(error),
        }
    }

    fn write_extraction(&self, extraction: &Extraction) -> Result<Extracted, ExportError> {
        let Extraction {
            flow,
            packets_seen,
            packets,
        } = extraction;
        let extracted = Extracted::new(flow, *packets_seen, packets);
        extracted.write(&self.dir, packets)?;
        Ok(extracted)
    }

    fn finish(self, mut written: Written, closed: &mut dyn FnMut(SinkOutcome)) -> Written {
        self.handoff.finish(closed);
        // Only now has everybody asked for ids.
        (written.vlans, written.vlan_error) = self.vlans.finish();
        written.warning = self.overlap.and_then(|overlap| overlap.warning());
        if self.extract && written.extract_error.is_none() {
            let list = vxscope_export::write_extracted(&self.dir, &written.extracted);
            written.extract_error = list.err();
        }
        written
    }
}
