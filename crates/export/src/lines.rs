//! A file of flow records, one or a few lines each, in whatever format.

use vxscope_flow::FlowRecord;
use vxscope_units::Timestamp;

use crate::error::ExportError;
use crate::file::OutputDir;
use crate::sink::{SinkCount, SinkFile, SinkOutcome};
use crate::way_out::{Offered, WayOut};

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

/// See the module.
#[derive(Debug)]
pub struct LineLog {
    sink: SinkFile,
    format: LineFormat,
}

impl LineLog {
    /// Starts the file.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(dir: &OutputDir, format: LineFormat) -> Result<Self, ExportError> {
        let mut file = dir.create_file(format.file)?;
        file.write(format.header.as_bytes())?;
        let sink = SinkFile::new(format.name, Offered::Records, file);
        Ok(Self { sink, format })
    }
}

impl WayOut for LineLog {
    fn records(&mut self, records: &[FlowRecord]) {
        for record in records {
            let write = self.format.write;
            self.sink
                .offer(1, |file| file.append(|out| write(out, record)));
        }
    }

    fn tick(&mut self, _: Timestamp) {
        self.sink.flush();
    }

    fn count(&self) -> SinkCount {
        *self.sink.count()
    }

    fn finish(self: Box<Self>) -> SinkOutcome {
        self.sink.finish()
    }
}
