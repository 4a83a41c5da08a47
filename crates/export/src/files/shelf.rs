//! The finished captures of a folder: their names, and what they take together.
//!
//! ```text
//! vxscope-00000012-20261121T092736Z-vni-4711-10.0.0.1.pcapng
//!         number   first packet     source, where each has files of its own
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use vxscope_units::{MirrorSource, Timestamp};

use super::format::FileFormat;
use crate::error::ExportError;
use crate::file::{OutputDir, remove_if_present, temporary_name};

/// What all names begin with.
const PREFIX: &str = "vxscope-";
/// What the name of a file that a crash left ends with, before its extension.
const CRASHED: &str = "-crashed";

/// See the module.
#[derive(Debug)]
pub(super) struct Shelf {
    dir: OutputDir,
    format: FileFormat,
    next: u64,
    /// By number: several formats may have the same only if somebody renamed files.
    finished: BTreeMap<(u64, PathBuf), u64>,
    bytes: u64,
    added: u64,
    recovered: u64,
    deleted: u64,
    deleted_bytes: u64,
}

impl Shelf {
    /// Looks at what there is. A file that a crash left hidden gets a name that says so.
    pub(super) fn open(folder: &str, format: FileFormat) -> Result<Self, ExportError> {
        let mut dir = OutputDir::create(folder)?;
        dir.lock()?;
        let mut shelf = Self {
            dir,
            format,
            next: 1,
            finished: BTreeMap::new(),
            bytes: 0,
            added: 0,
            recovered: 0,
            deleted: 0,
            deleted_bytes: 0,
        };
        let folder = shelf.dir.path().to_owned();
        let read = |cause| ExportError::io("read the folder", &folder, cause);
        for entry in fs::read_dir(&folder).map_err(read)? {
            let entry = entry.map_err(read)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // Links and folders are not ours, whatever they are called.
            let found = entry.metadata().map_err(read)?;
            if found.is_file() {
                shelf.find(&name, found.len())?;
            }
        }
        Ok(shelf)
    }

    fn find(&mut self, name: &str, bytes: u64) -> Result<(), ExportError> {
        let hidden = name
            .strip_prefix('.')
            .and_then(|it| it.strip_suffix(".tmp"));
        let Some(number) = number(hidden.unwrap_or(name)) else {
            return Ok(());
        };
        self.next = self.next.max(number.saturating_add(1));
        let mut path = self.dir.path().join(name);
        if hidden.is_some() && bytes == 0 {
            return remove_if_present(&path);
        }
        if let Some(whole) = hidden {
            let (stem, extension) = whole.rsplit_once('.').unwrap_or((whole, ""));
            let crashed = self.dir.path().join(format!("{stem}{CRASHED}.{extension}"));
            fs::rename(&path, &crashed).map_err(|cause| ExportError::io("rename", &path, cause))?;
            self.recovered += 1;
            path = crashed;
        }
        self.bytes += bytes;
        self.finished.insert((number, path), bytes);
        Ok(())
    }

    /// The hidden and the final name of the next file.
    pub(super) fn next(
        &mut self,
        first: Timestamp,
        source: Option<MirrorSource>,
    ) -> (PathBuf, PathBuf) {
        let number = self.next;
        self.next += 1;
        let (year, month, day, hour, minute, second) = first.civil();
        let source = source.map_or_else(String::new, |source| {
            // No file system minds a dash, and some mind a colon.
            let address = source.address.to_string().replace(':', "-");
            format!("-vni-{}-{address}", source.vni.get())
        });
        let name = format!(
            "{PREFIX}{number:08}-{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z\
             {source}.{}",
            self.format.name()
        );
        let hidden = self.dir.path().join(temporary_name(&name));
        (hidden, self.dir.path().join(name))
    }

    /// Takes in a file that was finished.
    pub(super) fn add(&mut self, path: PathBuf, bytes: u64) {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let number = name.as_deref().and_then(number).unwrap_or_default();
        self.added += 1;
        self.bytes += bytes;
        self.finished.insert((number, path), bytes);
    }

    /// Deletes the oldest files until the others take no more than `bytes_max`.
    pub(super) fn shrink(&mut self, bytes_max: u64) {
        while self.bytes > bytes_max
            && let Some(((_, path), bytes)) = self.finished.pop_first()
        {
            self.bytes -= bytes;
            // If somebody else took it away, or keeps us from it, there is nothing to count, and
            // no reason to try again for each packet.
            if fs::remove_file(&path).is_ok() {
                self.deleted += 1;
                self.deleted_bytes += bytes;
            }
        }
    }

    pub(super) const fn added(&self) -> u64 {
        self.added
    }

    pub(super) const fn recovered(&self) -> u64 {
        self.recovered
    }

    pub(super) const fn deleted(&self) -> u64 {
        self.deleted
    }

    pub(super) const fn deleted_bytes(&self) -> u64 {
        self.deleted_bytes
    }
}

/// The number in the name of one of our files.
fn number(name: &str) -> Option<u64> {
    let is_ours = [FileFormat::Pcap, FileFormat::Pcapng].iter().any(|format| {
        name.rsplit_once('.')
            .is_some_and(|(_, it)| it == format.name())
    });
    let (number, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let is_number = number.len() >= 8 && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|_| is_ours && is_number)
}
