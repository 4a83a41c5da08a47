//! One file of records after the other, and the names of what there is.

use std::fs;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use vxscope_units::Timestamp;

use super::{Layout, Named, Rotation};
use crate::error::ExportError;
use crate::file::{OutputDir, RECORD_NAMES, remove_if_present, temporary_name};
use crate::sink::{Shed, SinkCount, SinkOutcome};
use crate::stream::Haste;
use crate::whole::{Closed, WholeFile};

/// Nanoseconds after which a disk that was full is tried again.
const RETRY_NANOS: u64 = 1_000_000_000;

/// A series of files, and the sink's ledger.
#[derive(Debug)]
pub(super) struct Series {
    named: Named,
    rotation: Rotation,
    names: Names,
    part: Option<Part>,
    /// Until when nothing is tried, because the disk was full.
    wait_until: Timestamp,
    count: SinkCount,
    finished: u64,
    write_errors: u64,
    error: Option<ExportError>,
}

/// The file that is open.
#[derive(Debug)]
struct Part {
    file: WholeFile,
    first: Timestamp,
    last: Timestamp,
}

impl Series {
    pub(super) fn open(
        dir: &OutputDir,
        named: Named,
        rotation: Rotation,
    ) -> Result<Self, ExportError> {
        Ok(Self {
            names: Names::find(dir, named.file)?,
            named,
            rotation,
            part: None,
            wait_until: Timestamp::ZERO,
            count: SinkCount::default(),
            finished: 0,
            write_errors: 0,
            error: None,
        })
    }

    pub(super) fn push(
        &mut self,
        layout: &impl Layout,
        records: u64,
        at: Timestamp,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.part.as_ref().is_some_and(|it| self.is_over(it, at)) {
            self.close(layout, None);
        }
        if self.part.is_none()
            && let Err(error) = self.start(layout, at)
        {
            self.fail(error, at);
        }
        let Some(part) = &mut self.part else {
            return self.count.add_shed(Shed::WriteError, records);
        };
        self.count.add_written(records);
        part.last = part.last.max(at);
        if let Err((error, lost)) = part.file.push(records, write) {
            self.give_up(layout, error, lost, at);
        }
    }

    /// Whether a record of this time belongs to the next file.
    fn is_over(&self, part: &Part, at: Timestamp) -> bool {
        let rotation = &self.rotation;
        let is_old = |max: u64| at.nanos_since(part.first) >= max;
        rotation.nanos_max.is_some_and(is_old)
            || rotation.bytes_max.is_some_and(|max| part.file.len() >= max)
    }

    fn start(&mut self, layout: &impl Layout, at: Timestamp) -> Result<(), ExportError> {
        if at < self.wait_until {
            return Ok(());
        }
        let (hidden, target) = self.names.next(at);
        let mut file = WholeFile::create(hidden, target)?;
        file.append(|out| layout.head(out, at));
        self.part = Some(Part {
            file,
            first: at,
            last: at,
        });
        Ok(())
    }

    /// Gives the file its name, with what it has.
    fn close(&mut self, layout: &impl Layout, closed: Option<Timestamp>) {
        let Some(part) = self.part.take() else {
            return;
        };
        let end = closed.unwrap_or(part.last).max(part.last);
        let Closed {
            path, lost, error, ..
        } = part.file.close(|out| layout.tail(out, end));
        self.count.take_back(Shed::WriteError, lost);
        self.finished += u64::from(path.is_some());
        if let Some(error) = error {
            self.fail(error, end);
        }
    }

    /// The disk is full or fails: what is whole appears, the rest is shed.
    fn give_up(&mut self, layout: &impl Layout, error: ExportError, lost: u64, at: Timestamp) {
        self.count.take_back(Shed::WriteError, lost);
        self.close(layout, None);
        self.fail(error, at);
    }

    fn fail(&mut self, error: ExportError, at: Timestamp) {
        self.write_errors += 1;
        self.wait_until = self.wait_until.max(at.plus_nanos(RETRY_NANOS));
        self.error.get_or_insert(error);
    }

    pub(super) fn tick(&mut self, layout: &impl Layout, now: Timestamp) {
        let flushed = self.part.as_mut().map(|part| part.file.flush());
        if let Some(Err((error, lost))) = flushed {
            self.give_up(layout, error, lost, now);
        }
        let is_live = self.rotation.haste == Haste::Live;
        if is_live && self.part.as_ref().is_some_and(|it| self.is_over(it, now)) {
            self.close(layout, None);
        }
    }

    pub(super) const fn count(&self) -> &SinkCount {
        &self.count
    }

    pub(super) fn finish(mut self, layout: &impl Layout, closed: Timestamp) -> SinkOutcome {
        self.close(layout, Some(closed));
        SinkOutcome {
            name: self.named.name.to_owned(),
            offered: self.named.offered,
            count: self.count,
            readers: Vec::new(),
            details: vec![
                ("files_finished", self.finished),
                ("files_recovered", self.names.recovered),
                ("write_errors", self.write_errors),
            ],
            error: self.error,
        }
    }
}

/// The names of a series: `eve-00000012-20261121T092736Z.json`.
#[derive(Debug)]
struct Names {
    dir: OutputDir,
    stem: &'static str,
    extension: &'static str,
    next: u64,
    recovered: u64,
}

impl Names {
    /// Looks at what there is. A file that a crash left hidden gets a name that says so.
    fn find(dir: &OutputDir, file: &'static str) -> Result<Self, ExportError> {
        let (stem, extension) = file.rsplit_once('.').unwrap_or((file, "log"));
        let mut names = Self {
            dir: dir.clone(),
            stem,
            extension,
            next: 1,
            recovered: 0,
        };
        let folder = dir.path();
        let read = |cause| ExportError::io("read the folder", folder, cause);
        for entry in fs::read_dir(folder).map_err(read)? {
            let entry = entry.map_err(read)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let hidden = name
                .strip_prefix('.')
                .and_then(|it| it.strip_suffix(".tmp"));
            let Some(number) = names.number(hidden.unwrap_or(&name)) else {
                continue;
            };
            names.next = names.next.max(number.saturating_add(1));
            let found = entry.metadata().map_err(read)?;
            if let Some(whole) = hidden.filter(|_| found.is_file()) {
                names.recover(whole, found.len())?;
            }
        }
        Ok(names)
    }

    fn recover(&mut self, whole: &str, bytes: u64) -> Result<(), ExportError> {
        let hidden = self.dir.path().join(temporary_name(whole));
        if bytes == 0 {
            return remove_if_present(&hidden);
        }
        let stem = whole.rsplit_once('.').map_or(whole, |(stem, _)| stem);
        let crashed = format!("{stem}-crashed.{}", self.extension);
        let renamed = fs::rename(&hidden, self.dir.path().join(crashed));
        renamed.map_err(|cause| ExportError::io("rename", &hidden, cause))?;
        self.recovered += 1;
        Ok(())
    }

    /// The number in the name of a file of this series.
    fn number(&self, name: &str) -> Option<u64> {
        let (middle, extension) = name.rsplit_once('.')?;
        let rest = middle.strip_prefix(self.stem)?.strip_prefix('-')?;
        let (number, _) = rest.split_once('-')?;
        let is_number = number.len() >= 8 && number.bytes().all(|byte| byte.is_ascii_digit());
        let is_ours = extension == self.extension && is_number;
        number.parse().ok().filter(|_| is_ours)
    }

    /// The hidden and the final name of the next file.
    fn next(&mut self, first: Timestamp) -> (PathBuf, PathBuf) {
        let number = self.next;
        self.next += 1;
        let (year, month, day, hour, minute, second) = first.civil();
        let name = format!(
            "{}-{number:08}-{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z.{}",
            self.stem, self.extension
        );
        let hidden = self.dir.path().join(temporary_name(&name));
        (hidden, self.dir.path().join(name))
    }
}

/// Gives the finished files of records that an earlier run left the next names of their series, so
/// that this run removes and replaces none of them. The time in the name is when they were
/// finished.
///
/// # Errors
/// The first one that cannot be renamed, or the folder cannot be read.
pub fn keep_finished(dir: &OutputDir) -> Result<(), ExportError> {
    for file in RECORD_NAMES {
        let path = dir.path().join(file);
        let Ok(found) = path.symlink_metadata() else {
            continue;
        };
        if !found.is_file() {
            continue;
        }
        let finished = found.modified().ok();
        let finished = finished.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let finished = finished.map_or(0, |since| since.as_secs());
        let (_, kept) = Names::find(dir, file)?.next(Timestamp::new(finished, 0));
        fs::rename(&path, &kept).map_err(|cause| ExportError::io("rename", &path, cause))?;
    }
    Ok(())
}
