//! Where flow records go: one file for the whole run, or a series of them.
//!
//! ```text
//! never rotated   .eve.json.tmp ──end of the run──> eve.json
//! rotated         .eve-00000012-20261121T092736Z.json.tmp ──full, old, end──> eve-00000012-20261121T092736Z.json
//! ```
//! A file appears when it is finished and is never written to again. The numbers of a series grow
//! from run to run, so no name is ever used twice.

mod series;

use vxscope_units::Timestamp;

use crate::error::ExportError;
use crate::file::OutputDir;
use crate::sink::{SinkCount, SinkFile, SinkOutcome};
use crate::stream::Haste;
use crate::way_out::Offered;

use series::Series;
pub use series::keep_finished;

/// When a file of records ends and the next one begins; by default never.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// A file that has so many bytes is finished; its last record may go beyond.
    pub bytes_max: Option<u64>,
    /// Nanoseconds after its first record, a file is finished.
    pub nanos_max: Option<u64>,
    /// Whether files also end by the clock.
    pub haste: Haste,
}

impl Rotation {
    /// One file for the whole run.
    pub const NEVER: Self = Self {
        bytes_max: None,
        nanos_max: None,
        haste: Haste::Finite,
    };

    fn is_never(&self) -> bool {
        self.bytes_max.is_none() && self.nanos_max.is_none()
    }
}

/// A way to write records, by its names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named {
    /// As in `--export` and in the summary.
    pub(crate) name: &'static str,
    pub(crate) offered: Offered,
    /// The file in the folder of the outputs.
    pub(crate) file: &'static str,
}

/// What a format has around its records.
pub(crate) trait Layout {
    /// Comes before the first record.
    fn head(&self, out: &mut Vec<u8>, opened: Timestamp) {
        let _ = (out, opened);
    }

    /// Comes after the last one.
    fn tail(&self, out: &mut Vec<u8>, closed: Timestamp) {
        let _ = (out, closed);
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct RecordFile<L> {
    pub(crate) layout: L,
    place: Place,
}

#[derive(Debug)]
enum Place {
    One { sink: SinkFile, is_headed: bool },
    Series(Series),
}

impl<L: Layout> RecordFile<L> {
    /// Starts the file, or finds where the series goes on.
    ///
    /// # Errors
    /// The file cannot be made, or the folder cannot be read.
    pub(crate) fn create(
        dir: &OutputDir,
        named: Named,
        rotation: Rotation,
        layout: L,
    ) -> Result<Self, ExportError> {
        let place = if rotation.is_never() {
            let file = dir.create_file(named.file)?;
            Place::One {
                sink: SinkFile::new(named.name, named.offered, file),
                is_headed: false,
            }
        } else {
            Place::Series(Series::open(dir, named, rotation)?)
        };
        Ok(Self { layout, place })
    }

    /// Writes what counts as so many records, at a time that never goes far back.
    pub(crate) fn push(&mut self, records: u64, at: Timestamp, write: impl FnOnce(&mut Vec<u8>)) {
        match &mut self.place {
            Place::One { sink, is_headed } => {
                head(&self.layout, sink, is_headed, at);
                sink.offer(records, |file| file.append(write));
            }
            Place::Series(series) => series.push(&self.layout, records, at, write),
        }
    }

    /// Writes out what is only in memory yet, and finishes what is old by the clock.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        match &mut self.place {
            Place::One { sink, .. } => sink.flush(),
            Place::Series(series) => series.tick(&self.layout, now),
        }
    }

    pub(crate) fn count(&self) -> &SinkCount {
        match &self.place {
            Place::One { sink, .. } => sink.count(),
            Place::Series(series) => series.count(),
        }
    }

    /// Gives the file its name.
    pub(crate) fn finish(self, closed: Timestamp) -> SinkOutcome {
        match self.place {
            Place::One {
                mut sink,
                mut is_headed,
            } => {
                head(&self.layout, &mut sink, &mut is_headed, closed);
                sink.offer(0, |file| file.append(|out| self.layout.tail(out, closed)));
                sink.finish()
            }
            Place::Series(series) => series.finish(&self.layout, closed),
        }
    }
}

fn head(layout: &impl Layout, sink: &mut SinkFile, is_headed: &mut bool, at: Timestamp) {
    if !std::mem::replace(is_headed, true) {
        sink.offer(0, |file| file.append(|out| layout.head(out, at)));
    }
}

#[cfg(test)]
mod tests;
