//! One capture file while it is written.
//!
//! ```text
//! on the disk, whole records | in memory, whole records |      a write that fails costs the right part
//! ```

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use vxscope_units::{BindTable, Timestamp};

use super::Gap;
use super::format::{Encoder, FileFormat};
use crate::error::ExportError;
use crate::file::FILE_MODE;
use crate::tagged::Tagged;

/// Bytes collected before a write.
const BUFFER_BYTES: usize = 256 << 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    hidden: PathBuf,
    target: PathBuf,
    encoder: Encoder,
    buffer: Vec<u8>,
    /// Bytes on the disk.
    written: u64,
    /// Packets on the disk, and in memory.
    packets: [u64; 2],
    first: Timestamp,
    last: Timestamp,
}

/// What became of a file.
#[derive(Debug)]
pub(super) struct Closed {
    /// Where it is; `None` if there is nothing in it.
    pub(super) path: Option<PathBuf>,
    pub(super) bytes: u64,
    /// Packets that were not written after all.
    pub(super) lost: u64,
    pub(super) error: Option<ExportError>,
}

impl Segment {
    /// Starts a file under a hidden name.
    pub(super) fn create(
        hidden: PathBuf,
        target: PathBuf,
        format: FileFormat,
        first: Timestamp,
    ) -> Result<Self, ExportError> {
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&hidden)
            .map_err(|cause| ExportError::io("create", &target, cause))?;
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        let encoder = Encoder::start(format, &mut buffer);
        Ok(Self {
            file,
            hidden,
            target,
            encoder,
            buffer,
            written: 0,
            packets: [0; 2],
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
        self.packets.iter().sum()
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Bytes with one more frame, at most.
    pub(super) fn len_with(&self, tagged: &Tagged<'_>) -> u64 {
        self.len() + self.encoder.bytes_max(tagged)
    }

    /// Appends a frame.
    ///
    /// # Errors
    /// The disk is full or fails: why, and how many packets are lost, this one among them. What
    /// was written before is whole: close it.
    pub(super) fn push(
        &mut self,
        tagged: &Tagged<'_>,
        gap: Gap,
        names: &BindTable,
    ) -> Result<(), (ExportError, u64)> {
        self.last = self.last.max(tagged.frame.timestamp);
        self.encoder.push(&mut self.buffer, tagged, gap, names);
        let [_, waiting] = &mut self.packets;
        *waiting += 1;
        if self.buffer.len() >= BUFFER_BYTES / 4 * 3 {
            return self.flush();
        }
        Ok(())
    }

    /// Writes out what is only in memory yet.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub(super) fn flush(&mut self) -> Result<(), (ExportError, u64)> {
        let [on_disk, waiting] = &mut self.packets;
        let result = self.file.write_all_at(&self.buffer, self.written);
        let (bytes, packets) = (self.buffer.len() as u64, std::mem::take(waiting));
        self.buffer.clear();
        match result {
            Ok(()) => {
                self.written += bytes;
                *on_disk += packets;
                Ok(())
            }
            Err(cause) => {
                // Whatever part of it is there would be half a record.
                let _ = self.file.set_len(self.written);
                let error = ExportError::io("write", &self.target, cause);
                Err((error, packets))
            }
        }
    }

    /// Writes the rest and gives the file its name; a file without packets is removed.
    pub(super) fn close(mut self) -> Closed {
        let (mut lost, mut error) = (0, None);
        if let Err((cause, packets)) = self.flush() {
            (lost, error) = (packets, Some(cause));
        }
        let [on_disk, _] = self.packets;
        if error.is_none() {
            self.encoder.end(&mut self.buffer, self.last);
            // Only counters are lost if there is no room for them.
            let _ = self.flush();
        }
        let mut closed = Closed {
            path: None,
            bytes: self.written,
            lost,
            error,
        };
        if on_disk == 0 {
            // If it cannot be removed, the next run finds it.
            let _ = fs::remove_file(&self.hidden);
            return closed;
        }
        match fs::rename(&self.hidden, &self.target) {
            Ok(()) => closed.path = Some(self.target),
            Err(cause) => {
                closed.lost += on_disk;
                closed.error = Some(ExportError::io("rename", &self.target, cause));
            }
        }
        closed
    }
}
