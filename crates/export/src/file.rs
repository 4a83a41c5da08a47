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
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::{BUFFER_BYTES, CRASHES_KEPT, DIRECT_BYTES, OUTPUT_NAMES, OutputDir, OutputFile};

    #[test]
    fn a_file_appears_when_finished_and_not_before() {
        let (_guard, dir) = folder();
        let mut file = dir.create_file("eve.json").unwrap();
        file.write(b"{}\n").unwrap();
        assert_eq!(names(&dir), [".eve.json.tmp"]);
        file.finish().unwrap();
        assert_eq!(names(&dir), ["eve.json"]);
        assert_eq!(fs::read(dir.path().join("eve.json")).unwrap(), b"{}\n");
    }

    #[test]
    fn a_dropped_file_leaves_nothing_and_keeps_the_old_one() {
        let (_guard, dir) = folder();
        fs::write(dir.path().join("conn.log"), "old").unwrap();
        let mut file = dir.create_file("conn.log").unwrap();
        file.write(&vec![7; 3 * BUFFER_BYTES]).unwrap();
        drop(file);
        assert_eq!(names(&dir), ["conn.log"]);
        assert_eq!(fs::read(dir.path().join("conn.log")).unwrap(), b"old");
    }

    #[test]
    fn a_finished_file_replaces_the_old_one() {
        let (_guard, dir) = folder();
        fs::write(dir.path().join("conn.log"), "old and longer").unwrap();
        let mut file = dir.create_file("conn.log").unwrap();
        file.write(b"new").unwrap();
        file.finish().unwrap();
        assert_eq!(fs::read(dir.path().join("conn.log")).unwrap(), b"new");
    }

    #[test]
    fn small_and_large_writes_keep_their_order() {
        let (_guard, dir) = folder();
        let mut file = dir.create_file("decap.pcap").unwrap();
        let mut expected = Vec::new();
        for (round, length) in (0u8..40).zip([1, DIRECT_BYTES, 1_000, 70_000].into_iter().cycle()) {
            let piece = vec![round; length];
            file.write(&piece).unwrap();
            expected.extend_from_slice(&piece);
        }
        file.finish().unwrap();
        assert_eq!(fs::read(dir.path().join("decap.pcap")).unwrap(), expected);
    }

    #[test]
    fn others_cannot_read_a_capture() {
        let (_guard, dir) = folder();
        dir.create_file("decap.pcap").unwrap().finish().unwrap();
        let mode = fs::metadata(dir.path().join("decap.pcap"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o027, 0, "{mode:o}");
    }

    #[test]
    fn a_link_in_place_of_the_temporary_file_is_not_followed() {
        let (_guard, dir) = folder();
        let victim = dir.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, dir.path().join(".eve.json.tmp")).unwrap();
        let mut file = dir.create_file("eve.json").unwrap();
        file.write(b"x").unwrap();
        file.finish().unwrap();
        assert_eq!(fs::read(victim).unwrap(), b"precious");
    }

    #[test]
    fn stale_outputs_are_removed_and_other_files_are_not() {
        let (_guard, dir) = folder();
        for name in OUTPUT_NAMES {
            fs::write(dir.path().join(name), "old").unwrap();
        }
        let leftovers = [".eve.json.tmp", "extract-17.pcap", ".extract-18.pcap.tmp"];
        let others = [
            "extract-.pcap",
            "extract-a1.pcap",
            "notes.txt",
            "upload.pcap",
        ];
        for name in leftovers.into_iter().chain(others) {
            fs::write(dir.path().join(name), "old").unwrap();
        }
        dir.remove_stale().unwrap();
        assert_eq!(names(&dir), others);
        dir.remove_stale().unwrap();
    }

    #[test]
    fn a_folder_is_written_by_one_run_at_a_time() {
        let (_guard, mut dir) = folder();
        dir.lock().unwrap();
        let held = dir.clone();
        drop(dir);
        let mut other = OutputDir::create(held.path()).unwrap();
        let error = other.lock().unwrap_err().to_string();
        assert!(error.contains("another vxscope"), "{error}");
        // As a child process that is not its own program yet would have it.
        let lock = held.lock.as_ref().unwrap();
        let of_child = lock.0.try_clone().unwrap();
        drop(held);
        other.lock().unwrap();
        drop(of_child);
    }

    #[test]
    fn what_crashes_left_is_kept_up_to_a_limit() {
        let (_guard, dir) = folder();
        let crash = |text: &str| {
            fs::write(dir.path().join(".eve.json.tmp"), text).unwrap();
            fs::write(dir.path().join(".decap.pcap.tmp"), "").unwrap();
            let kept = dir.keep_crashed().unwrap();
            dir.remove_stale().unwrap();
            kept
        };
        for number in 1..=CRASHES_KEPT {
            let name = format!("crashed-{number}-eve.json");
            assert_eq!(crash(&name), [name.as_str()]);
            assert_eq!(fs::read_to_string(dir.path().join(&name)).unwrap(), name);
        }
        assert_eq!(crash("one too many"), [""; 0]);
        assert_eq!(names(&dir).len(), CRASHES_KEPT as usize);
        fs::remove_file(dir.path().join("crashed-3-eve.json")).unwrap();
        assert_eq!(crash("again"), ["crashed-3-eve.json"]);
    }

    #[test]
    fn the_summary_is_the_first_to_go() {
        assert_eq!(OUTPUT_NAMES[0], "summary.json");
    }

    #[test]
    fn a_full_disk_is_an_error_that_says_what_to_do() {
        let (_guard, dir) = folder();
        let mut file = OutputFile::on_full_disk(&dir, "eve.json");
        let error = file.write(&vec![0; DIRECT_BYTES]).unwrap_err().to_string();
        assert!(
            error.contains("eve.json") && !error.contains("json.tmp"),
            "{error}"
        );
        assert!(
            error.contains("No space left") && error.contains("free some space"),
            "{error}"
        );
        let mut file = OutputFile::on_full_disk(&dir, "eve.json");
        file.write(b"buffered").unwrap();
        file.finish().unwrap_err();
        assert_eq!(names(&dir), [""; 0]);
    }

    #[test]
    fn a_file_in_place_of_the_folder_is_named() {
        let (_guard, dir) = folder();
        let path = dir.path().join("out");
        fs::write(&path, "").unwrap();
        let error = OutputDir::create(&path).unwrap_err().to_string();
        assert!(
            error.contains("out") && error.contains("a file is where"),
            "{error}"
        );
    }

    #[test]
    fn a_folder_in_place_of_the_file_is_named() {
        let (_guard, dir) = folder();
        fs::create_dir_all(dir.path().join("eve.json/below")).unwrap();
        let error = dir
            .create_file("eve.json")
            .unwrap()
            .finish()
            .unwrap_err()
            .to_string();
        assert!(error.contains("a folder is where"), "{error}");
        assert_eq!(names(&dir), ["eve.json"]);
    }

    fn folder() -> (tempfile::TempDir, OutputDir) {
        let guard = tempfile::tempdir().unwrap();
        let dir = OutputDir::create(guard.path().join("a/b")).unwrap();
        (guard, dir)
    }

    fn names(dir: &OutputDir) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}
