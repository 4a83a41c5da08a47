//! The writer: merges what the workers deliver and writes it in input order.
//!
//! It takes the next delivery from whichever worker holds the others up, so that what waits here
//! is bounded by what fits between the slowest and the fastest worker: each has a fixed pool of
//! chunks and a short channel, and waits when both are used up.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use vxscope_export::{
    Anomaly, ConnLog, DecapWriter, Duplicates, EveLog, ExportError, Extracted, FrameChunk,
    FrameMerge, GradeBook, GradeChange, Identities, Merge, Offered, OutputDir, Overlap, Shed,
    SinkOutcome, VlanMode,
};
use vxscope_flow::FlowRecord;
use vxscope_report::EventKind;
use vxscope_signals::{Fact, FactKind};
use vxscope_units::{MirrorSource, Timestamp};

use crate::accounting::{Board, Seat};
use crate::clock;
use crate::flow_book::FlowBook;
use crate::follower::Desk;
use crate::handoff::Handoff;
use crate::outlet::{Delivery, Extraction, Item, position_after};
use crate::stop::Deadline;
use crate::vlans::Vlans;

/// How old the newest line of a hidden file may be in a live run, in nanoseconds: what a crash
/// takes along. A write of each file a second costs nothing.
const FLUSH_EVERY_NANOS: u64 = 1_000_000_000;

/// One worker's end of the line.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) deliveries: Receiver<Delivery>,
    pub(crate) pool: Sender<FrameChunk>,
}

/// The files of a run.
#[derive(Debug)]
pub(crate) struct Sinks {
    pub(crate) dir: OutputDir,
    pub(crate) decap: Option<DecapWriter>,
    pub(crate) eve: Option<EveLog>,
    pub(crate) conn_log: Option<ConnLog>,
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
    /// Of a live run: when to give up what is not written yet.
    pub(crate) deadline: Option<Arc<Deadline>>,
    /// Whether that time has come.
    pub(crate) cut: bool,
    /// Position in a live run up to which everything is in the files.
    pub(crate) flushed: u64,
    /// Where all sinks show what they have counted so far.
    pub(crate) board: Board,
    pub(crate) seats: Seats,
    /// What somebody who looks after the mirrors tells, and what is known of it.
    pub(crate) grade_changes: Option<Receiver<GradeChange>>,
    pub(crate) grades: GradeBook,
    /// Where flows that ended are remembered for whoever searches.
    pub(crate) book: Option<Arc<FlowBook>>,
}

/// Where the writer's own sinks show what they have counted.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    decap: Seat,
    eve: Seat,
    conn_log: Seat,
}

impl Seats {
    /// Those of sinks that are there.
    pub(crate) fn new(board: &Board, expected: &[(String, Offered)]) -> Self {
        let seat = |name: &str| {
            let sink = expected.iter().find(|(expected, _)| expected == name);
            sink.map_or_else(Seat::default, |(name, offered)| board.seat(name, *offered))
        };
        Self {
            decap: seat(DecapWriter::NAME),
            eve: seat(EveLog::NAME),
            conn_log: seat(ConnLog::NAME),
        }
    }
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
    last_closed: Timestamp,
    identities: Identities,
}

impl Writer {
    pub(crate) fn new(workers: usize, sinks: Sinks) -> Self {
        Self {
            frames: FrameMerge::new(workers),
            items: Merge::new(workers),
            identities: Identities::new(sinks.desk.names.clone()),
            sinks,
            written: Written::default(),
            last_closed: Timestamp::ZERO,
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
            last_closed,
            identities,
        } = self;
        sinks.look_at_the_time();
        sinks.note_grades();
        match delivery {
            Delivery::Frames(chunk) => {
                let pool = pool.clone();
                let owned = Owned {
                    worker,
                    chunk,
                    pool,
                };
                frames.push(worker, Shared(Arc::new(owned)));
            }
            Delivery::Items(batch, through) => items.push(worker, batch, through),
            Delivery::Reached(index) => {
                frames.advance(worker, index);
                items.push(worker, [], position_after(index));
                sinks.flush(index);
            }
            Delivery::Extracted(extraction) => sinks.extract(&extraction, written),
            Delivery::End => {
                frames.close(worker);
                items.close(worker);
            }
        }
        frames.drain_ready(|chunk, positions| sinks.frames(chunk, positions), drop);
        while let Some(item) = items.pop_ready() {
            match item {
                Item::Flow(mut record) => {
                    record.mark = sinks
                        .grades
                        .mark(record.source, record.start, record.closed);
                    record.identity = identities.of(record.source);
                    *last_closed = record.closed.max(*last_closed);
                    sinks.record(&record);
                }
                Item::Fact(fact, time) => {
                    sinks.desk.book().observe(&fact);
                    sinks.fact(&fact, time);
                }
            }
        }
        sinks.handoff.pass_on();
        sinks.vlans.save();
        sinks.show();
    }

    /// Closes the files; see [`write`].
    pub(crate) fn finish(self, closed: &mut dyn FnMut(SinkOutcome)) -> Written {
        self.sinks.finish(self.last_closed, self.written, closed)
    }
}

/// A chunk, whose it is, and where it goes back to.
#[derive(Debug)]
pub(crate) struct Owned {
    pub(crate) worker: usize,
    pub(crate) chunk: FrameChunk,
    pub(crate) pool: Sender<FrameChunk>,
}

/// A chunk that several threads read.
#[derive(Debug)]
struct Shared(Arc<Owned>);

impl AsRef<FrameChunk> for Shared {
    fn as_ref(&self) -> &FrameChunk {
        &self.0.chunk
    }
}

impl Sinks {
    fn show(&self) {
        let seats = &self.seats;
        self.decap
            .iter()
            .for_each(|it| seats.decap.show(it.count()));
        self.eve.iter().for_each(|it| seats.eve.show(it.count()));
        let conn_log = self.conn_log.iter();
        conn_log.for_each(|it| seats.conn_log.show(it.count()));
    }

    fn look_at_the_time(&mut self) {
        self.cut = self.deadline.as_ref().is_some_and(|it| it.is_cut());
    }

    /// Mirrors that are others now: written down, and kept for the flows of that time.
    fn note_grades(&mut self) {
        for change in self.grade_changes.iter().flat_map(Receiver::try_iter) {
            self.grades.note(&change);
            if let Some(eve) = &mut self.eve
                && !self.cut
            {
                eve.push_grade_change(&change);
            }
        }
    }

    /// Lets nothing live stay in memory for long.
    fn flush(&mut self, reached: u64) {
        if self.deadline.is_none() || reached.saturating_sub(self.flushed) < FLUSH_EVERY_NANOS {
            return;
        }
        self.flushed = reached;
        self.decap.iter_mut().for_each(DecapWriter::flush);
        let now = clock::wall();
        self.eve.iter_mut().for_each(|it| it.tick(now));
        self.conn_log.iter_mut().for_each(|it| it.tick(now));
    }

    fn frames(&mut self, shared: &Shared, positions: std::ops::Range<usize>) {
        let Shared(owned) = shared;
        let handoff = &mut self.handoff;
        match &mut self.duplicates {
            None => handoff.frames(owned, positions.clone()),
            Some(duplicates) => {
                duplicates.split(
                    &owned.chunk,
                    positions.clone(),
                    |run, passes| match passes {
                        true => handoff.frames(owned, run),
                        false => handoff.shed_frames(Shed::Duplicate, run.len() as u64),
                    },
                );
            }
        }
        let chunk = &owned.chunk;
        if let Some(decap) = &mut self.decap {
            if self.cut {
                return decap.shed(Shed::Deadline, positions.len() as u64);
            }
            decap.write(chunk, positions);
        }
    }

    fn record(&mut self, record: &FlowRecord) {
        self.book.iter().for_each(|book| book.push(record));
        self.handoff.record(record);
        if self.cut {
            self.eve
                .iter_mut()
                .for_each(|it| it.shed(Shed::Deadline, 1));
            let logs = self.conn_log.iter_mut();
            return logs.for_each(|it| it.shed(Shed::Deadline, 1));
        }
        if let Some(eve) = &mut self.eve {
            eve.push(record);
        }
        if let Some(conn_log) = &mut self.conn_log {
            conn_log.push(record);
        }
        if let Some(overlap) = &mut self.overlap {
            overlap.observe(record);
        }
    }

    /// A never hit is something an analyst wants to read.
    fn fact(&mut self, fact: &Fact, time: Timestamp) {
        let (FactKind::NeverHit { role }, Some(eve)) = (fact.kind, &mut self.eve) else {
            return;
        };
        if self.cut {
            return eve.shed(Shed::Deadline, 1);
        }
        let role = self.desk.roles.get(role);
        eve.push_anomaly(&Anomaly {
            event: EventKind::NeverHit.name(),
            time,
            flow_id: fact.flow_id,
            source: fact.mirror,
            originator: (fact.originator, fact.originator_port),
            responder: (fact.responder, fact.responder_port),
            protocol: fact.protocol,
            role: role.map_or("", |role| role.name.as_str()),
        });
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

    fn finish(
        self,
        last_closed: Timestamp,
        mut written: Written,
        closed: &mut dyn FnMut(SinkOutcome),
    ) -> Written {
        // The small files first: the large one is the likeliest not to be closed in time.
        self.eve.map(EveLog::finish).map(&mut *closed);
        let conn_log = self.conn_log.map(|log| log.finish(last_closed));
        conn_log.map(&mut *closed);
        self.decap.map(DecapWriter::finish).map(&mut *closed);
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

/// The export crate's name for the configured mode.
pub(crate) fn vlan_mode(mode: vxscope_config::VlanMode) -> VlanMode {
    match mode {
        vxscope_config::VlanMode::None => VlanMode::None,
        vxscope_config::VlanMode::Map => VlanMode::Map,
        vxscope_config::VlanMode::Qinq => VlanMode::QinQ,
    }
}
