//! Files of flow records, one or a few lines each, in whatever format.

use vxscope_flow::FlowRecord;
use vxscope_units::Timestamp;

use crate::error::ExportError;
use crate::file::OutputDir;
use crate::records::{Layout, Named, RecordFile, Rotation};
use crate::sink::{SinkCount, SinkOutcome};
use crate::way_out::{Entry, Offered, WayOut};

/// What the lines of a format look like.
#[derive(Clone, Copy, Debug)]
pub struct LineFormat {
    /// Its name as in `--export` and in the summary.
    pub name: &'static str,
    /// The file in the folder of the outputs.
    pub file: &'static str,
    /// The first line, newline included; empty for none.
    pub header: &'static str,
    /// Appends the lines of one record, newlines included.
    pub write: fn(&mut Vec<u8>, &FlowRecord),
}

impl Layout for LineFormat {
    fn head(&self, out: &mut Vec<u8>, _: Timestamp) {
        out.extend_from_slice(self.header.as_bytes());
    }
}

/// See the module.
#[derive(Debug)]
pub struct LineLog(RecordFile<LineFormat>);

impl LineLog {
    /// Starts the file.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(
        dir: &OutputDir,
        format: LineFormat,
        rotation: Rotation,
    ) -> Result<Self, ExportError> {
        let named = Named {
            name: format.name,
            offered: Offered::Records,
            file: format.file,
        };
        Ok(Self(RecordFile::create(dir, named, rotation, format)?))
    }
}

impl WayOut for LineLog {
    fn records(&mut self, entries: &[Entry]) {
        let write = self.0.layout.write;
        for record in entries.iter().filter_map(Entry::flow) {
            self.0.push(1, record.closed, |out| write(out, record));
        }
    }

    fn tick(&mut self, now: Timestamp) {
        self.0.tick(now);
    }

    fn count(&self) -> SinkCount {
        *self.0.count()
    }

    fn finish(self: Box<Self>) -> SinkOutcome {
        self.0.finish(Timestamp::ZERO)
    }
}
