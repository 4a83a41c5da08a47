//! One capture file while it is written.

use std::path::PathBuf;

use vxscope_units::Timestamp;

use super::Gap;
use super::format::{Encoder, FileFormat};
use crate::error::ExportError;
use crate::names::Names;
use crate::tagged::Tagged;
use crate::whole::{Closed, WholeFile};

/// See the module.
#[derive(Debug)]
pub(super) struct Segment {
    file: WholeFile,
    encoder: Encoder,
    first: Timestamp,
    last: Timestamp,
}

impl Segment {
    /// Starts a file under a hidden name.
    pub(super) fn create(
        hidden: PathBuf,
        target: PathBuf,
        format: FileFormat,
        first: Timestamp,
    ) -> Result<Self, ExportError> {
        let mut file = WholeFile::create(hidden, target)?;
        let encoder = file.append(|out| Encoder::start(format, out));
        Ok(Self {
            file,
            encoder,
            first,
            last: first,
        })
    }

    /// The time of its first packet.
    pub(super) const fn first(&self) -> Timestamp {
        self.first
    }

    /// The latest time of its packets.
    pub(super) const fn last(&self) -> Timestamp {
        self.last
    }

    pub(super) fn packets(&self) -> u64 {
        self.file.items()
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.file.len()
    }

    /// Bytes with one more frame, at most.
    pub(super) fn len_with(&self, tagged: &Tagged<'_>) -> u64 {
        self.len() + self.encoder.bytes_max(tagged)
    }

    /// Appends a frame.
    ///
    /// # Errors
    /// As [`WholeFile::push`].
    pub(super) fn push(
        &mut self,
        tagged: &Tagged<'_>,
        gap: Gap,
        names: &Names,
    ) -> Result<(), (ExportError, u64)> {
        self.last = self.last.max(tagged.frame.timestamp);
        let encoder = &mut self.encoder;
        self.file
            .push(1, |out| encoder.push(out, tagged, gap, names))
    }

    /// Writes out what is only in memory yet.
    ///
    /// # Errors
    /// As [`WholeFile::push`].
    pub(super) fn flush(&mut self) -> Result<(), (ExportError, u64)> {
        self.file.flush()
    }

    /// Writes the rest and gives the file its name.
    pub(super) fn close(self) -> Closed {
        let last = self.last;
        self.file.close(|out| self.encoder.end(out, last))
    }
}
