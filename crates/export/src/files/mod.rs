//! `pcap` and `pcapng`: captures in a folder, one file after the other.
//!
//! ```text
//! frame ─tag─> [file of its source, or of all] ─full, old─> close: rename ─> shelf ─over budget─> oldest deleted
//!                    │ disk full                                └─> note to Suricata
//!                    └─> what was only in memory is shed, what is on the disk stays and is closed
//! ```
//! A file is hidden while it is written and appears whole. Names have a number that grows from run
//! to run, so none is ever used twice, and sorting them sorts by age.

mod format;
mod notice;
mod segment;
mod shelf;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use vxscope_units::{MirrorSource, Timestamp};

use crate::chunk::FrameChunk;
use crate::error::ExportError;
use crate::names::Names;
use crate::sink::{Shed, SinkCount, SinkOutcome};
use crate::stream::Haste;
use crate::tagged::{Packer, Tagged};
use crate::vlan::Tags;
use crate::way_out::{Offered, WayOut};
use crate::whole::Closed;

pub use format::FileFormat;
use notice::Notices;
use segment::Segment;
use shelf::Shelf;

/// Ticks between two times that everything in memory is written out: about a second.
const FLUSH_TICKS: u32 = 10;
/// Ticks after which a disk that was full is tried again: about a second.
const RETRY_TICKS: u32 = 10;

/// Sources whose losses are kept one by one until their next packet; those of further ones are in
/// the sum alone.
const LOST_SOURCES_MAX: usize = 4_096;

/// What is missing before a frame.
#[derive(Clone, Copy, Debug, Default)]
struct Gap {
    /// Frames of any source.
    missed: u64,
    /// Those of the frame's own, as far as that is known.
    of_source: u64,
}

/// How captures are written.
#[derive(Clone, Debug)]
pub struct FileSettings {
    /// The format of all files.
    pub format: FileFormat,
    /// A file for each source.
    pub by_source: bool,
    /// A file that would become longer is closed first; one packet always fits.
    pub bytes_max: u64,
    /// Nanoseconds after its first packet, a file is closed.
    pub nanos_max: Option<u64>,
    /// A file is closed after so many packets.
    pub packets_max: Option<u64>,
    /// What all files of the folder may take; the oldest are deleted.
    pub budget: Option<u64>,
    /// Files open at once.
    pub open_max: usize,
    /// Suricata's command socket, and where it is to write its logs.
    pub suricata: Option<(PathBuf, PathBuf)>,
    /// What sources are called.
    pub names: Names,
    /// Whether files also end by the clock.
    pub haste: Haste,
}

/// See the module.
#[derive(Debug)]
pub struct CaptureFiles {
    settings: FileSettings,
    packer: Packer,
    shelf: Shelf,
    notices: Option<Notices>,
    /// By source, or one for all.
    open: BTreeMap<Option<MirrorSource>, Segment>,
    ticks: u32,
    /// Ticks until a disk that was full is tried again.
    wait: u32,
    /// Frames that are missing before the next one.
    missed: u64,
    /// Those whose source is known.
    lost: BTreeMap<MirrorSource, u64>,
    count: SinkCount,
    write_errors: u64,
    evicted: u64,
    error: Option<ExportError>,
}

impl CaptureFiles {
    /// Opens the folder, which is made if it is not there, and finds what earlier runs left.
    ///
    /// # Errors
    /// The folder cannot be made or read, or somebody else writes captures there.
    pub fn open(
        folder: &str,
        tags: impl Into<Tags>,
        settings: FileSettings,
    ) -> Result<Self, ExportError> {
        let shelf = Shelf::open(folder, settings.format)?;
        let suricata = settings.suricata.clone();
        Ok(Self {
            packer: Packer::new(tags.into()),
            notices: suricata.map(|(socket, output)| Notices::new(socket, output)),
            settings,
            shelf,
            open: BTreeMap::new(),
            ticks: 0,
            wait: 0,
            missed: 0,
            lost: BTreeMap::new(),
            count: SinkCount::default(),
            write_errors: 0,
            evicted: 0,
            error: None,
        })
    }

    fn push(&mut self, tagged: &Tagged<'_>) {
        let key = self.settings.by_source.then_some(tagged.frame.source);
        if self
            .open
            .get(&key)
            .is_some_and(|it| self.is_over(it, tagged))
        {
            self.close(key);
        }
        if !self.open.contains_key(&key) {
            if self.wait > 0 {
                return self.lose(tagged.frame.source);
            }
            self.make_place();
            if let Err(error) = self.start(key, tagged) {
                self.lose(tagged.frame.source);
                return self.fail(error);
            }
        }
        let gap = Gap {
            missed: std::mem::take(&mut self.missed),
            of_source: self.lost.remove(&tagged.frame.source).unwrap_or(0),
        };
        let Some(segment) = self.open.get_mut(&key) else {
            return;
        };
        self.count.add_written(1);
        if let Err((error, lost)) = segment.push(tagged, gap, &self.settings.names) {
            self.take_back(key, lost);
            self.close(key);
            self.fail(error);
        }
    }

    /// A frame for which there is no file.
    fn lose(&mut self, source: MirrorSource) {
        self.count.add_shed(Shed::WriteError, 1);
        self.miss(Some(source), 1);
    }

    /// Frames of a file that did not get to the disk.
    fn take_back(&mut self, key: Option<MirrorSource>, frames: u64) {
        self.count.take_back(Shed::WriteError, frames);
        self.miss(key, frames);
    }

    fn miss(&mut self, source: Option<MirrorSource>, frames: u64) {
        self.missed += frames;
        if let Some(source) = source.filter(|_| self.lost.len() < LOST_SOURCES_MAX) {
            *self.lost.entry(source).or_default() += frames;
        }
    }

    /// Whether the frame belongs to the next file.
    fn is_over(&self, segment: &Segment, tagged: &Tagged<'_>) -> bool {
        let settings = &self.settings;
        let age = tagged.frame.timestamp.nanos_since(segment.first());
        settings.nanos_max.is_some_and(|max| age >= max)
            || settings
                .packets_max
                .is_some_and(|max| segment.packets() >= max)
            || segment.len_with(tagged) > settings.bytes_max
    }

    /// Closes the file that waits the longest if there are too many.
    fn make_place(&mut self) {
        while self.open.len() >= self.settings.open_max {
            let oldest = self.open.iter().min_by_key(|(_, it)| it.last());
            let Some(key) = oldest.map(|(key, _)| *key) else {
                return;
            };
            self.evicted += 1;
            self.close(key);
        }
    }

    fn start(&mut self, key: Option<MirrorSource>, tagged: &Tagged<'_>) -> Result<(), ExportError> {
        let first = tagged.frame.timestamp;
        let (hidden, target) = self.shelf.next(first, key);
        let segment = Segment::create(hidden, target, self.settings.format, first)?;
        self.open.insert(key, segment);
        Ok(())
    }

    /// Gives a file its name. What could not be written of it is shed.
    fn close(&mut self, key: Option<MirrorSource>) {
        let Some(segment) = self.open.remove(&key) else {
            return;
        };
        let Closed {
            path,
            bytes,
            lost,
            error,
        } = segment.close();
        self.take_back(key, lost);
        if let Some(error) = error {
            self.fail(error);
        }
        if let Some(path) = path {
            if let Some(notices) = &mut self.notices {
                notices.push(&path);
            }
            self.shelf.add(path, bytes);
        }
        self.keep_budget();
    }

    fn keep_budget(&mut self) {
        let open: u64 = self.open.values().map(Segment::len).sum();
        if let Some(budget) = self.settings.budget {
            self.shelf.shrink(budget.saturating_sub(open));
        }
    }

    /// The disk is full or fails: nothing is tried for a while.
    fn fail(&mut self, error: ExportError) {
        self.write_errors += 1;
        self.wait = RETRY_TICKS;
        self.error.get_or_insert(error);
    }

    /// Writes out what is only in memory yet.
    fn flush(&mut self) {
        let mut failed = Vec::new();
        for (key, segment) in &mut self.open {
            if let Err((error, lost)) = segment.flush() {
                failed.push((*key, error, lost));
            }
        }
        for (key, error, lost) in failed {
            self.take_back(key, lost);
            self.close(key);
            self.fail(error);
        }
    }

    /// Closes what is old by the clock: a source may fall silent.
    fn close_old(&mut self, now: Timestamp) {
        let Some(max) = self
            .settings
            .nanos_max
            .filter(|_| self.settings.haste == Haste::Live)
        else {
            return;
        };
        let is_old = |segment: &Segment| now.nanos_since(segment.first()) >= max;
        let old = self.open.iter().filter(|(_, it)| is_old(it));
        let keys: Vec<_> = old.map(|(key, _)| *key).collect();
        for key in keys {
            self.close(key);
        }
    }
}

impl WayOut for CaptureFiles {
    fn frames(&mut self, chunk: &FrameChunk, positions: Range<usize>) {
        let mut packer = std::mem::take(&mut self.packer);
        for frame in chunk.frames(positions) {
            match packer.tag(frame) {
                Ok(tagged) => self.push(&tagged),
                Err(reason) => self.count.add_shed(reason, 1),
            }
        }
        self.packer = packer;
    }

    fn missed(&mut self, count: u64) {
        self.missed += count;
    }

    fn tick(&mut self, now: Timestamp) {
        self.wait = self.wait.saturating_sub(1);
        self.ticks = (self.ticks + 1) % FLUSH_TICKS;
        if self.ticks == 0 {
            self.flush();
            self.keep_budget();
        }
        self.close_old(now);
        if let Some(notices) = &mut self.notices {
            notices.deliver();
        }
    }

    fn count(&self) -> SinkCount {
        self.count
    }

    fn finish(mut self: Box<Self>) -> SinkOutcome {
        let keys: Vec<_> = self.open.keys().copied().collect();
        for key in keys {
            self.close(key);
        }
        let (told, untold) = self.notices.map_or((0, 0), Notices::finish);
        SinkOutcome {
            name: self.settings.format.name().to_owned(),
            offered: Offered::Frames,
            count: self.count,
            readers: Vec::new(),
            details: vec![
                ("files_finished", self.shelf.added()),
                ("files_recovered", self.shelf.recovered()),
                ("files_deleted", self.shelf.deleted()),
                ("bytes_deleted", self.shelf.deleted_bytes()),
                ("files_closed_for_others", self.evicted),
                ("write_errors", self.write_errors),
                ("notes_delivered", told),
                ("notes_undelivered", untold),
            ],
            error: self.error,
        }
    }
}

#[cfg(test)]
mod tests;
