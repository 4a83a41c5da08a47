//! A file that holds whole items only, whatever the disk does.
//!
//! ```text
//! on the disk, whole items | in memory, whole items |      a write that fails costs the right part
//! ```

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use crate::error::ExportError;
use crate::file::FILE_MODE;

/// Bytes collected before a write.
pub(crate) const BUFFER_BYTES: usize = 256 << 10;

/// See the module. Hidden while it is written.
#[derive(Debug)]
pub(crate) struct WholeFile {
    file: File,
    hidden: PathBuf,
    target: PathBuf,
    buffer: Vec<u8>,
    /// Bytes on the disk.
    written: u64,
    /// Items on the disk, and in memory.
    items: [u64; 2],
}

/// What became of a file.
#[derive(Debug)]
pub(crate) struct Closed {
    /// Where it is; `None` if there is nothing in it.
    pub(crate) path: Option<PathBuf>,
    pub(crate) bytes: u64,
    /// Items that were not written after all.
    pub(crate) lost: u64,
    pub(crate) error: Option<ExportError>,
}

impl WholeFile {
    /// Starts a file under a hidden name.
    pub(crate) fn create(hidden: PathBuf, target: PathBuf) -> Result<Self, ExportError> {
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&hidden)
            .map_err(|cause| ExportError::io("create", &target, cause))?;
        Ok(Self {
            file,
            hidden,
            target,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            written: 0,
            items: [0; 2],
        })
    }

    /// Items so far.
    pub(crate) fn items(&self) -> u64 {
        self.items.iter().sum()
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Appends what is no item: a header.
    pub(crate) fn append<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        write(&mut self.buffer)
    }

    /// Appends so many items, which are written out once there are enough.
    ///
    /// # Errors
    /// The disk is full or fails: why, and how many items are lost, these among them. What was
    /// written before is whole: close it.
    pub(crate) fn push(
        &mut self,
        items: u64,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), (ExportError, u64)> {
        write(&mut self.buffer);
        let [_, waiting] = &mut self.items;
        *waiting += items;
        if self.buffer.len() >= BUFFER_BYTES / 4 * 3 {
            return self.flush();
        }
        Ok(())
    }

    /// Writes out what is only in memory yet.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub(crate) fn flush(&mut self) -> Result<(), (ExportError, u64)> {
        let [on_disk, waiting] = &mut self.items;
        let result = self.file.write_all_at(&self.buffer, self.written);
        let (bytes, items) = (self.buffer.len() as u64, std::mem::take(waiting));
        self.buffer.clear();
        match result {
            Ok(()) => {
                self.written += bytes;
                *on_disk += items;
                Ok(())
            }
            Err(cause) => {
                // Whatever part of it is there would be half an item.
                let _ = self.file.set_len(self.written);
                let error = ExportError::io("write", &self.target, cause);
                Err((error, items))
            }
        }
    }

    /// Writes the rest, and `end` behind it, and gives the file its name; one that nothing was
    /// written to is removed.
    pub(crate) fn close(mut self, end: impl FnOnce(&mut Vec<u8>)) -> Closed {
        let (mut lost, mut error) = (0, None);
        if let Err((cause, items)) = self.flush() {
            (lost, error) = (items, Some(cause));
        }
        if error.is_none() {
            end(&mut self.buffer);
            // No item is lost if there is no room for it.
            let _ = self.flush();
        }
        let mut closed = Closed {
            path: None,
            bytes: self.written,
            lost,
            error,
        };
        if self.written == 0 {
            // If it cannot be removed, the next run finds it.
            let _ = fs::remove_file(&self.hidden);
            return closed;
        }
        match fs::rename(&self.hidden, &self.target) {
            Ok(()) => closed.path = Some(self.target),
            Err(cause) => {
                let [on_disk, _] = self.items;
                closed.lost += on_disk;
                closed.error = Some(ExportError::io("rename", &self.target, cause));
            }
        }
        closed
    }
}
