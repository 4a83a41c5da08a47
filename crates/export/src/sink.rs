//! What every sink counts: offered, written, shed; and a file that keeps to that law.

use serde::ser::{Serialize, SerializeStruct, Serializer};
use vxscope_units::reasons;

use crate::error::ExportError;
use crate::file::OutputFile;
use crate::reasons::Reasons;
use crate::stream::ReaderCount;
use crate::way_out::Offered;

reasons! {
    /// Why something offered to a sink is not in it.
    pub enum Shed {
        /// No free chunk to copy the frame to.
        PoolEmpty = "pool_empty",
        /// The sink's queue was full.
        QueueFull = "queue_full",
        /// The file could not be written (disk full). It is removed, so all it held counts here.
        WriteError = "write_error",
        /// More mirror sources than VLAN ids (`export.decap.vlan = "map"`).
        VlanExhausted = "vlan_exhausted",
        /// The frame is longer than a capture record may be.
        TooLong = "too_long",
        /// The frame is too short to hold a VLAN tag.
        TooShort = "too_short",
        /// Nobody was there to read it.
        NoReader = "no_reader",
        /// The reader was behind, and its queue full.
        ReaderBehind = "reader_behind",
        /// The reader went away before it had it.
        ReaderGone = "reader_gone",
        /// The run had to end before it was written.
        Deadline = "deadline",
        /// The mirror cut it, and it was to go to a TAP (`handoff.truncated`).
        Truncated = "truncated",
        /// The interface or its network went away, or was set down.
        NoInterface = "no_interface",
        /// The network refused it.
        SendError = "send_error",
        /// Its source is not one of those that are sent on (`handoff.forward`).
        NotSelected = "not_selected",
        /// The other end's copy of the same packet was handed over (`handoff.duplicates`).
        Duplicate = "duplicate",
    }
}

/// A sink's ledger. Law: `offered = written + Σ shed`, at any moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinkCount {
    written: u64,
    shed: [u64; Shed::COUNT],
}

impl SinkCount {
    /// Records offered so far.
    #[must_use]
    pub fn offered(&self) -> u64 {
        self.shed
            .iter()
            .fold(self.written, |sum, shed| sum.saturating_add(*shed))
    }

    /// Records in the sink.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Records given up for `reason`.
    #[must_use]
    pub fn shed(&self, reason: Shed) -> u64 {
        self.shed.get(reason.index()).copied().unwrap_or(0)
    }

    /// Counts records that were offered and written.
    pub fn add_written(&mut self, records: u64) {
        self.written = self.written.saturating_add(records);
    }

    /// Counts records that were offered and given up.
    pub fn add_shed(&mut self, reason: Shed, records: u64) {
        if let Some(shed) = self.shed.get_mut(reason.index()) {
            *shed = shed.saturating_add(records);
        }
    }

    /// Adds another part of the same sink's ledger, such as what a worker shed on its own.
    pub fn merge(&mut self, other: &Self) {
        self.add_written(other.written);
        for reason in Shed::ALL {
            self.add_shed(*reason, other.shed(*reason));
        }
    }

    /// Of what counts as written `records` did not get there after all.
    pub(crate) fn take_back(&mut self, reason: Shed, records: u64) {
        let taken = records.min(self.written);
        self.written -= taken;
        self.add_shed(reason, taken);
    }

    /// What was written is lost: the file is gone.
    fn lose_all(&mut self) {
        let lost = std::mem::take(&mut self.written);
        self.add_shed(Shed::WriteError, lost);
    }
}

/// `{"offered": n, "written": n, "shed": {reason: n}}`, reasons that did not occur left out.
impl Serialize for SinkCount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shed: Reasons = Shed::ALL
            .iter()
            .map(|it| (it.name(), self.shed(*it)))
            .collect();
        let mut object = serializer.serialize_struct("SinkCount", 3)?;
        object.serialize_field("offered", &self.offered())?;
        object.serialize_field("written", &self.written)?;
        object.serialize_field("shed", &shed)?;
        object.end()
    }
}

/// How a sink ended.
#[derive(Debug)]
pub struct SinkOutcome {
    /// Its name as in `--export` and in the summary.
    pub name: String,
    /// What it is offered.
    pub offered: Offered,
    /// Its ledger.
    pub count: SinkCount,
    /// The ledgers of its readers, for those that have several.
    pub readers: Vec<ReaderCount>,
    /// What else it counted, by name: limits that it reached, files, interfaces made anew.
    pub details: Vec<(&'static str, u64)>,
    /// Why its file is missing, if it is.
    pub error: Option<ExportError>,
}

/// A sink's file. The first error ends it: the file is removed, everything offered before and
/// after is shed with `write_error`, and the run goes on.
#[derive(Debug)]
pub(crate) struct SinkFile {
    name: &'static str,
    offered: Offered,
    file: Option<OutputFile>,
    count: SinkCount,
    error: Option<ExportError>,
}

impl SinkFile {
    pub(crate) fn new(name: &'static str, offered: Offered, file: OutputFile) -> Self {
        Self {
            name,
            offered,
            file: Some(file),
            count: SinkCount::default(),
            error: None,
        }
    }

    /// Offers `records` records, written by `write`. For headers and trailers `records` is 0.
    pub(crate) fn offer(
        &mut self,
        records: u64,
        write: impl FnOnce(&mut OutputFile) -> Result<(), ExportError>,
    ) {
        let result = match &mut self.file {
            Some(file) => write(file),
            None => return self.shed(Shed::WriteError, records),
        };
        self.count.add_written(records);
        if let Err(error) = result {
            self.fail(error);
        }
    }

    /// Offers `records` records that are given up at once.
    pub(crate) fn shed(&mut self, reason: Shed, records: u64) {
        self.count.add_shed(reason, records);
    }

    /// Writes out what is only in memory yet.
    pub(crate) fn flush(&mut self) {
        if let Some(Err(error)) = self.file.as_mut().map(OutputFile::flush) {
            self.fail(error);
        }
    }

    pub(crate) fn count(&self) -> &SinkCount {
        &self.count
    }

    pub(crate) fn finish(mut self) -> SinkOutcome {
        if let Some(Err(error)) = self.file.take().map(OutputFile::finish) {
            self.fail(error);
        }
        SinkOutcome {
            name: self.name.to_owned(),
            offered: self.offered,
            count: self.count,
            readers: Vec::new(),
            details: Vec::new(),
            error: self.error,
        }
    }

    fn fail(&mut self, error: ExportError) {
        self.file = None;
        self.count.lose_all();
        self.error = Some(error);
    }
}

#[cfg(test)]
mod tests {
    use super::{Offered, Shed, SinkCount, SinkFile};
    use crate::file::{OutputDir, OutputFile};

    #[test]
    fn offered_is_written_plus_shed() {
        let mut count = SinkCount::default();
        count.add_written(5);
        count.add_shed(Shed::PoolEmpty, 2);
        let mut other = SinkCount::default();
        other.add_shed(Shed::QueueFull, 4);
        count.merge(&other);
        assert_eq!(count.offered(), 11);
        assert_eq!(
            serde_json::to_string(&count).unwrap(),
            r#"{"offered":11,"written":5,"shed":{"pool_empty":2,"queue_full":4}}"#
        );
    }

    #[test]
    fn a_failed_file_turns_all_it_held_into_shed() {
        let guard = tempfile::tempdir().unwrap();
        let dir = OutputDir::create(guard.path()).unwrap();
        let mut sink = SinkFile::new(
            "eve",
            Offered::Records,
            OutputFile::on_full_disk(&dir, "eve.json"),
        );
        for _ in 0..3 {
            sink.offer(1, |file| file.write(b"fits the buffer"));
        }
        sink.shed(Shed::QueueFull, 1);
        assert_eq!(sink.count().written(), 3);
        sink.offer(2, |file| file.write(&vec![0; 1 << 20]));
        assert_eq!(sink.count().written(), 0);
        sink.offer(4, |file| file.write(b"after the end"));
        let outcome = sink.finish();
        assert_eq!(outcome.count.shed(Shed::WriteError), 3 + 2 + 4);
        assert_eq!(outcome.count.offered(), 10);
        assert!(outcome.error.is_some());
    }

    #[test]
    fn an_error_at_the_end_loses_everything_too() {
        let guard = tempfile::tempdir().unwrap();
        let dir = OutputDir::create(guard.path()).unwrap();
        let mut sink = SinkFile::new(
            "eve",
            Offered::Records,
            OutputFile::on_full_disk(&dir, "eve.json"),
        );
        sink.offer(3, |file| file.write(b"fits the buffer"));
        let outcome = sink.finish();
        assert_eq!((outcome.count.written(), outcome.count.offered()), (0, 3));
        assert!(
            outcome
                .error
                .is_some_and(|error| error.to_string().contains("eve.json"))
        );
    }
}
