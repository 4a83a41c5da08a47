//! Reads the input of a replay once for all its workers, and sorts the records by whose they are.
//!
//! No thread has this for its work: a worker without any reads the next stretch for everybody, under
//! a lock. What is asked of every record — where it ends, its source, whose it is — is so asked once,
//! and the rest by one worker alone.
//!
//! ```text
//!  stretch   | r0 | r1 | r2 | r3 | r4 | …       1,024 records
//!  worker 0  | r0 |    | r2 |    | r4 |         r2: everybody's
//!  worker 1  |    | r1 | r2 | r3 |    |
//! ```
//! Everybody gets what changes how later records are read: fragments, the first frames of a source
//! until its MAC is learned, and the record that brings another second. So all workers number
//! sources alike, tick at the same records, and know the same fragments, as if each had walked
//! everything. What cannot be opened goes to the worker that counts it.

use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};
use vxscope_capture::{BATCH_RECORDS, Batch, Block, CaptureError, Input, Record, Walk};
use vxscope_flow::{Sources, Verdict};
use vxscope_units::{SourceId, Timestamp, Vni};
use vxscope_wire::steer::Steering;
use vxscope_wire::{Fragment, FrameView, Options, decapsulate_record, plain_record, read_frame};

use crate::replay::Meter;
use crate::worker::{Ahead, Clock, Entry, Share, Worker, WorkerReport};

/// Records of a stretch: their entries stay in the second-level cache until their worker has them.
const STRETCH: usize = 1_024;
/// Stretches that a worker may be behind. Reached: who reads waits until it has caught up.
const SHARES: usize = 8;
/// The worker that counts what came and what could not be opened.
const COUNTS: usize = 0;

/// What is the same for all records.
pub(crate) struct Rules {
    pub(crate) steering: Steering,
    pub(crate) options: Options,
    pub(crate) bare: bool,
    pub(crate) sources: Sources,
}

/// The input, and where its records go. Behind a lock.
pub(crate) struct Reader<'a> {
    rules: Rules,
    inputs: std::vec::IntoIter<Input>,
    open: Option<(Input, Walk)>,
    block: Option<Arc<Block>>,
    clock: Clock,
    view: FrameView,
    lines: Vec<Sender<Share>>,
    shares: Vec<Vec<Entry>>,
    used: Receiver<Vec<Entry>>,
    meter: Meter<'a>,
    error: Option<CaptureError>,
}

/// A worker's end of the reader.
pub(crate) struct Feed {
    shares: Receiver<Share>,
    used: Sender<Vec<Entry>>,
}

/// A reader of these inputs, and an end of it for each worker.
pub(crate) fn start<'a>(
    rules: Rules,
    inputs: Vec<Input>,
    workers: usize,
    meter: Meter<'a>,
) -> (Mutex<Reader<'a>>, Vec<Feed>) {
    // As many as can be under way, filled, and being handled.
    let lists = workers * (SHARES + 2);
    let (returned, used) = bounded(lists);
    for _ in 0..lists {
        let _ = returned.try_send(Vec::with_capacity(STRETCH + BATCH_RECORDS));
    }
    let shares = (0..workers).map(|_| used.try_recv().unwrap_or_default());
    let shares = shares.collect();
    let (lines, feeds) = (0..workers)
        .map(|_| {
            let (line, shares) = bounded(SHARES);
            let used = returned.clone();
            (line, Feed { shares, used })
        })
        .unzip();
    let reader = Reader {
        rules,
        inputs: inputs.into_iter(),
        open: None,
        block: None,
        clock: Clock::default(),
        view: FrameView::default(),
        lines,
        shares,
        used,
        meter,
        error: None,
    };
    (Mutex::new(reader), feeds)
}

/// One worker over its shares of all inputs, up to the end or the first error.
pub(crate) fn work(mut worker: Worker, feed: &Feed, reader: &Mutex<Reader<'_>>) -> WorkerReport {
    loop {
        if feed.shares.is_empty() {
            let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            // Somebody may have read meanwhile; and whoever is behind reads when it has caught up.
            if feed.shares.is_empty() && reader.can_read() {
                reader.read();
            }
        }
        if feed.shares.is_empty() {
            // Others may wait for the writer, and the writer for this worker.
            worker.report();
        }
        // The line ends where the input does.
        let Ok(share) = feed.shares.recv() else { break };
        worker.handle_share(&share);
        // There is room for all that there are.
        let _ = feed.used.try_send(share.entries);
    }
    worker.finish()
}

/// Nothing more is read: the lines end with what is in them.
pub(crate) fn end(reader: &Mutex<Reader<'_>>) {
    let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
    reader.lines.clear();
}

/// Why reading ended early, if it did.
pub(crate) fn into_error(reader: Mutex<Reader<'_>>) -> Option<CaptureError> {
    let reader = reader.into_inner();
    reader.unwrap_or_else(PoisonError::into_inner).error
}

impl Reader<'_> {
    /// Whether there is more to read, and nobody too far behind.
    fn can_read(&self) -> bool {
        !self.lines.is_empty() && self.lines.iter().all(|line| !line.is_full())
    }

    /// Reads the next stretch and hands it round; at the end of the inputs, and at the first error,
    /// the lines end.
    fn read(&mut self) {
        match self.next_block() {
            Ok(Some(block)) => {
                let (received, received_bytes) = self.sort(&block);
                self.hand_round(&block, received, received_bytes);
            }
            Ok(None) => self.lines.clear(),
            Err(error) => {
                self.error = Some(error);
                self.lines.clear();
            }
        }
    }

    /// The block in which the next records are.
    fn next_block(&mut self) -> Result<Option<Arc<Block>>, CaptureError> {
        if let Some(block) = &self.block {
            return Ok(Some(block.clone()));
        }
        loop {
            if let Some((input, walk)) = &mut self.open {
                if let Some(block) = input.next_block()? {
                    self.block = Some(block.clone());
                    return Ok(Some(block));
                }
                self.meter.next_input(walk);
            }
            let Some(input) = self.inputs.next() else {
                return Ok(None);
            };
            let walk = input.walk();
            self.open = Some((input, walk));
        }
    }

    /// Sorts up to [`STRETCH`] records; how many, and their bytes.
    fn sort(&mut self, block: &Block) -> (u64, u64) {
        let (mut received, mut received_bytes) = (0, 0);
        let mut batch = Batch::new();
        let base = AsRef::<[u8]>::as_ref(block).as_ptr().addr();
        while received < STRETCH as u64 {
            let Some((_, walk)) = &mut self.open else {
                break;
            };
            match walk.fill(block, &mut batch) {
                Ok(0) => {
                    self.block = None;
                    break;
                }
                Ok(count) => received += count as u64,
                Err(error) => {
                    self.error = Some(error);
                    break;
                }
            }
            let mut ahead = Ahead::of(walk.ahead(block));
            self.meter.count(walk);
            for record in batch.records() {
                ahead.fetch(record);
                received_bytes += record.data.len() as u64;
                self.sort_one(record, record.data.as_ptr().addr() - base);
            }
        }
        (received, received_bytes)
    }

    fn hand_round(&mut self, block: &Arc<Block>, received: u64, received_bytes: u64) {
        for (line, entries) in self.lines.iter().zip(&mut self.shares) {
            let mut empty = self.used.try_recv().unwrap_or_default();
            empty.clear();
            let share = Share {
                block: block.clone(),
                entries: std::mem::replace(entries, empty),
                received,
                received_bytes,
                now: self.clock.now,
                next_index: self.clock.next_index,
            };
            // There is room, and a worker that is gone needs nothing.
            let _ = line.try_send(share);
        }
        if self.error.is_some() {
            self.lines.clear();
        }
    }

    /// Gives a record to whoever has to look at it.
    #[inline(always)]
    fn sort_one(&mut self, record: &Record<'_>, start: usize) {
        let rules = &self.rules;
        let plain = match rules.bare {
            true => None,
            false => plain_record(record.link, record.data, &rules.options),
        };
        let known = plain.and_then(|plain| {
            let source = rules.sources.known(plain.address, plain.vni)?;
            rules.sources.is_learned(source).then_some((plain, source))
        });
        let Some((plain, source)) = known else {
            self.sort_any(record, start);
            return;
        };
        let entry = self.entry(record, start, Some(source));
        let ticks = self.number(record.timestamp);
        let owner = self.rules.steering.plain_worker(plain.frame, plain.vni);
        match owner.or_else(|| self.owner(plain.frame, 0, plain.vni)) {
            Some(owner) if !ticks => self.give(owner, entry),
            _ => self.give_all(entry),
        }
    }

    /// A record that says more, or less, than nearly all do.
    #[inline(never)]
    fn sort_any(&mut self, record: &Record<'_>, start: usize) {
        let entry = self.entry(record, start, None);
        if self.rules.bare {
            self.number(record.timestamp);
            self.give_all(entry);
            return;
        }
        let opened = decapsulate_record(record.link, record.data, &self.rules.options);
        let Ok(opened) = opened else {
            match self.number(record.timestamp) {
                true => self.give_all(entry),
                false => self.give(COUNTS, entry),
            }
            return;
        };
        let Verdict::Known(source) = self.rules.sources.intern(opened.source) else {
            // It moves no clock and has no number.
            self.give(COUNTS, entry);
            return;
        };
        let ticks = self.number(record.timestamp);
        let is_learned = self.rules.sources.is_learned(source);
        let owner = self.owner(opened.frame, opened.original_len, opened.source.vni);
        if !is_learned {
            let (sources, view) = (&mut self.rules.sources, &self.view);
            // For what it learns.
            let _ = sources.cross(source, view, opened.frame);
        }
        match owner {
            Some(owner) if is_learned && !ticks => self.give(owner, entry),
            _ => self.give_all(entry),
        }
    }

    /// Whose a frame is by all that it says; `None` for fragments, which all have to see.
    #[inline(never)]
    fn owner(&mut self, frame: &[u8], original_len: u32, vni: Vni) -> Option<usize> {
        read_frame(frame, original_len, &mut self.view);
        let is_whole = self.view.fragment == Fragment::No;
        is_whole.then(|| self.rules.steering.worker(&self.view, frame, vni))
    }

    #[inline(always)]
    fn entry(&self, record: &Record<'_>, start: usize, plain: Option<SourceId>) -> Entry {
        Entry {
            start,
            // A capture's record is far below 4 GiB.
            captured_len: u32::try_from(record.data.len()).unwrap_or(u32::MAX),
            original_len: record.original_len,
            link: record.link,
            timestamp: record.timestamp,
            now: self.clock.now,
            index: self.clock.next_index,
            plain,
        }
    }

    /// Numbers a record and moves the clock; whether that brings another second.
    #[inline(always)]
    fn number(&mut self, timestamp: Timestamp) -> bool {
        self.clock.next_index += 1;
        self.clock.reach(timestamp).is_some()
    }

    #[inline(always)]
    fn give(&mut self, worker: usize, entry: Entry) {
        if let Some(share) = self.shares.get_mut(worker) {
            share.push(entry);
        }
    }

    /// Whose it is each of them finds out.
    #[inline(never)]
    fn give_all(&mut self, entry: Entry) {
        let entry = Entry {
            plain: None,
            ..entry
        };
        for share in &mut self.shares {
            share.push(entry);
        }
    }
}
