//! Output files that appear complete or not at all.
//!
//! A file is written under a hidden name (`.eve.json.tmp`) and renamed when it is finished, so a
//! reader that waits for `eve.json` never sees half of it.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::ExportError;

/// The files of a run, in the order in which those of an earlier run are removed. `summary.json`
/// goes first (and is written last): where it exists, the others belong to it.
pub const OUTPUT_NAMES: [&str; 13] = [
    "summary.json",
    "sources.json",
    "quarantine.json",
    "eve.json",
    "conn.log",
    "conn.json",
    "netflow.json",
    "vpc-flow-logs.log",
    "ocsf.json",
    "decap.pcap",
    "extract.json",
    "decisions.ndjson",
    "sessions.json",
];

/// Those of them that hold flow records.
pub const RECORD_NAMES: [&str; 6] = [
    "eve.json",
    "conn.log",
    "conn.json",
    "netflow.json",
    "vpc-flow-logs.log",
    "ocsf.json",
];

/// Bytes collected before a write; keeps system calls rare at a few hundred bytes a record.
const BUFFER_BYTES: usize = 256 << 10;

/// A slice of at least this many bytes is written as it stands instead of copied to the buffer.
const DIRECT_BYTES: usize = 64 << 10;

/// Readable for the group (the analyst's tools), for nobody else: packets are private.
pub(crate) const FILE_MODE: u32 = 0o640;

/// Most crashes whose files are kept. A sensor that crashes again and again must not fill the
/// disk; from then on what a crash leaves is removed by the next run.
pub const CRASHES_KEPT: u32 = 8;

/// The folder of one run's outputs.
#[derive(Clone, Debug)]
pub struct OutputDir {
    path: PathBuf,
    /// Held as long as anybody writes here.
    lock: Option<Arc<Lock>>,
}

/// A folder that others are kept away from. A child process that another thread is just starting
/// has a copy of every open file, and with it the lock, until it becomes its own program: so
/// closing ours does not end it, and it is given up in so many words.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // It ends with the last copy otherwise.
        let _ = self.0.unlock();
    }
}

impl OutputDir {
    /// Makes the folder and its parents where they are missing.
    ///
    /// # Errors
    /// The path is a file, or the folder cannot be made.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, ExportError> {
        let path = path.into();
        match fs::create_dir_all(&path) {
            Ok(()) => Ok(Self { path, lock: None }),
            Err(cause) => Err(ExportError::io("create the folder", &path, cause)),
        }
    }

    /// Keeps others from writing here as long as this or a clone of it lives: a second run would
    /// remove the first one's files. File systems without locks do not keep anybody away.
    ///
    /// # Errors
    /// Somebody else holds it, or the folder cannot be opened.
    pub fn lock(&mut self) -> Result<(), ExportError> {
        let open = |cause| ExportError::io("open the folder", &self.path, cause);
        let folder = File::open(&self.path).map_err(open)?;
        match folder.try_lock() {
            Err(TryLockError::WouldBlock) => Err(ExportError::InUse {
                path: self.path.clone(),
            }),
            _ => {
                self.lock = Some(Arc::new(Lock(folder)));
                Ok(())
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what an earlier run left: [`OUTPUT_NAMES`], `extract-<flow id>.pcap` and their
    /// temporary files. A run that crashes then leaves its own files or none, never a mix.
    ///
    /// # Errors
    /// The first file that exists and cannot be removed.
    pub fn remove_stale(&self) -> Result<(), ExportError> {
        for name in OUTPUT_NAMES {
            remove_if_present(&self.path.join(name))?;
            remove_if_present(&self.path.join(temporary_name(name)))?;
        }
        let read = |cause| ExportError::io("read the folder", &self.path, cause);
        for entry in fs::read_dir(&self.path).map_err(read)? {
            let entry = entry.map_err(read)?;
            if entry.file_name().to_str().is_some_and(is_extraction) {
                remove_if_present(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Gives the hidden files of a run that crashed names of their own, `crashed-1-eve.json` and
    /// so on, so that the next run does not remove them. Returns these names. Empty files, and
    /// those of more than [`CRASHES_KEPT`] crashes, are not kept.
    ///
    /// # Errors
    /// The first file that cannot be renamed.
    pub fn keep_crashed(&self) -> Result<Vec<String>, ExportError> {
        let is_kept = |number: &u32| {
            let names = OUTPUT_NAMES.iter();
            let mut kept = names.map(|name| self.path.join(crashed_name(*number, name)));
            kept.any(|path| path.symlink_metadata().is_ok())
        };
        let Some(number) = (1..=CRASHES_KEPT).find(|number| !is_kept(number)) else {
            return Ok(Vec::new());
        };
        let mut kept = Vec::new();
        for name in OUTPUT_NAMES {
            let hidden = self.path.join(temporary_name(name));
            let found = hidden.symlink_metadata();
            if found.is_ok_and(|found| found.is_file() && found.len() > 0) {
                let crashed = crashed_name(number, name);
                fs::rename(&hidden, self.path.join(&crashed))
                    .map_err(|cause| ExportError::io("rename", &hidden, cause))?;
                kept.push(crashed);
            }
        }
        Ok(kept)
    }

    /// Starts the file `name`, hidden until [`OutputFile::finish`].
    ///
    /// # Errors
    /// The temporary file cannot be made.
    pub fn create_file(&self, name: &str) -> Result<OutputFile, ExportError> {
        let target = self.path.join(name);
        let temporary = self.path.join(temporary_name(name));
        // A leftover is removed rather than opened: it could be a link to somewhere else.
        remove_if_present(&temporary)?;
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&temporary)
            .map_err(|cause| ExportError::io("create", &target, cause))?;
        Ok(OutputFile::new(file, temporary, target))
    }
}

/// A file being written. Dropped without [`Self::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct OutputFile {
    file: File,
    buffer: Vec<u8>,
    temporary: PathBuf,
    target: PathBuf,
    renamed: bool,
}

impl OutputFile {
    fn new(file: File, temporary: PathBuf, target: PathBuf) -> Self {
        let buffer = Vec::with_capacity(BUFFER_BYTES);
        Self {
            file,
            buffer,
            temporary,
            target,
            renamed: false,
        }
    }

    /// The name under which it will appear.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Appends bytes; small ones are collected, large ones go to the file at once.
    ///
    /// # Errors
    /// The file cannot grow (disk full, quota). It is then of no use: drop it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        if bytes.len() >= DIRECT_BYTES {
            self.flush()?;
            return self
                .file
                .write_all(bytes)
                .map_err(|cause| self.failed("write", cause));
        }
        self.append(|buffer| buffer.extend_from_slice(bytes))
    }

    /// Lets `format` append to the buffer, which is written out when it is full.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn append(&mut self, format: impl FnOnce(&mut Vec<u8>)) -> Result<(), ExportError> {
        format(&mut self.buffer);
        // Flushing at 3/4 leaves room for the next record, so the buffer does not grow.
        if self.buffer.len() >= BUFFER_BYTES / 4 * 3 {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Writes everything to the disk and gives the file its name, replacing an older one.
    ///
    /// # Errors
    /// The disk is full or fails, or the name is taken by a folder. Nothing is left behind.
    pub fn finish(mut self) -> Result<(), ExportError> {
        self.flush()?;
        self.file
            .sync_data()
            .map_err(|cause| self.failed("write", cause))?;
        fs::rename(&self.temporary, &self.target).map_err(|cause| self.failed("rename", cause))?;
        self.renamed = true;
        Ok(())
    }

    /// Writes the buffer out, so that a reader of the hidden file sees everything.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn flush(&mut self) -> Result<(), ExportError> {
        let result = self.file.write_all(&self.buffer);
        self.buffer.clear();
        result.map_err(|cause| self.failed("write", cause))
    }

    fn failed(&self, action: &'static str, cause: io::Error) -> ExportError {
        ExportError::io(action, &self.target, cause)
    }

    /// A file whose every write fails as on a full disk.
    #[cfg(test)]
    pub(crate) fn on_full_disk(dir: &OutputDir, name: &str) -> Self {
        let file = File::options()
            .write(true)
            .open("/dev/full")
            .expect("Linux has /dev/full");
        Self::new(
            file,
            dir.path.join(temporary_name(name)),
            dir.path.join(name),
        )
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if !self.renamed {
            // Nobody is left to tell; the next run removes what could not be removed here.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

pub(crate) fn temporary_name(name: &str) -> String {
    format!(".{name}.tmp")
}

fn crashed_name(number: u32, name: &str) -> String {
    format!("crashed-{number}-{name}")
}

fn is_extraction(name: &str) -> bool {
    let visible = name
        .strip_prefix('.')
        .and_then(|rest| rest.strip_suffix(".tmp"))
        .unwrap_or(name);
    visible
        .strip_prefix("extract-")
        .and_then(|rest| rest.strip_suffix(".pcap"))
        .is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
}

pub(crate) fn remove_if_present(path: &Path) -> Result<(), ExportError> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => {
            Err(ExportError::io("remove", path, cause))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
