//! `learned.ndjson`: what the policy learned of each source, kept over a restart, so that an
//! upgrade neither makes everybody new again nor ends the pauses that are under way.
//!
//! A line for each source and an end with their number; the file is replaced as a whole. One that
//! cannot be read is put aside, and every source is new.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use serde::{Deserialize, Serialize};
use vxscope_steward::{Learned, Steward};
use vxscope_units::{MirrorSource, Timestamp, Vni};

use crate::store::replace;

const FILE: &str = "learned.ndjson";
const ASIDE: &str = "learned.unreadable";
const VERSION: u32 = 1;
/// Between two files: what a crash takes from what was learned.
const EVERY_NANOS: u64 = 60_000_000_000;
/// Sources that are copied in a tick, so that no resume waits for them.
const AT_A_TIME: usize = 64;
/// What is older is forgotten: as long as "first seen" reaches.
const KEPT_SECONDS: u64 = 14 * 86_400;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    outer_ip: IpAddr,
    vni: u32,
    /// Seconds since 1970.
    at: u64,
    learned: Learned,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    version: u32,
    lines: usize,
}

/// Copies what was learned, a few sources at a time.
#[derive(Debug)]
pub(crate) struct Book {
    path: PathBuf,
    /// The next file, as far as it is.
    text: Vec<u8>,
    lines: usize,
    /// Who was copied last; nobody between two files.
    last: Option<MirrorSource>,
    begin_at: Timestamp,
    writing: Option<JoinHandle<()>>,
}

impl Book {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            path: folder.join(FILE),
            text: Vec::new(),
            lines: 0,
            last: None,
            begin_at: Timestamp::ZERO,
            writing: None,
        }
    }

    /// What the run before left; nothing if there is none.
    pub(crate) fn read(&self, now: Timestamp) -> Vec<(MirrorSource, Learned)> {
        let Ok(text) = std::fs::read_to_string(&self.path) else {
            return Vec::new();
        };
        parse(&text, now).unwrap_or_else(|why| {
            tracing::error!("{}: {why}: every source is new again", self.path.display());
            drop(std::fs::rename(&self.path, self.path.with_file_name(ASIDE)));
            Vec::new()
        })
    }

    /// Goes on copying; a file that is complete is written by a thread, for which nobody waits.
    pub(crate) fn tick(&mut self, steward: &Steward, now: Timestamp) {
        // A clock that went back must not make it wait.
        let waits = now < self.begin_at && now.plus_nanos(EVERY_NANOS) >= self.begin_at;
        let writes = self.writing.as_ref().is_some_and(|one| !one.is_finished());
        if waits || writes || !self.copy(steward, AT_A_TIME, now) {
            return;
        }
        self.begin_at = now.plus_nanos(EVERY_NANOS);
        let (path, text) = (self.path.clone(), self.complete());
        let writer = thread::Builder::new().name("learned".to_owned());
        self.writing = writer.spawn(move || write(&path, &text)).ok();
    }

    /// Writes the last file, and waits for it.
    pub(crate) fn close(&mut self, steward: &Steward, now: Timestamp) {
        if let Some(writing) = self.writing.take() {
            drop(writing.join());
        }
        (self.last, self.lines) = (None, 0);
        self.text.clear();
        while !self.copy(steward, AT_A_TIME, now) {}
        let text = self.complete();
        write(&self.path, &text);
    }

    /// True if everybody is copied.
    fn copy(&mut self, steward: &Steward, most: usize, now: Timestamp) -> bool {
        let next: Vec<MirrorSource> = steward.looked_after(self.last).take(most).collect();
        for mirror in &next {
            self.last = Some(*mirror);
            let Some(learned) = steward.learned(*mirror) else {
                continue;
            };
            let entry = Entry {
                outer_ip: mirror.address,
                vni: mirror.vni.get(),
                at: now.seconds(),
                learned,
            };
            self.line(&entry);
            self.lines += 1;
        }
        next.len() < most
    }

    fn complete(&mut self) -> Vec<u8> {
        let lines = std::mem::take(&mut self.lines);
        self.line(&End {
            version: VERSION,
            lines,
        });
        self.last = None;
        std::mem::take(&mut self.text)
    }

    fn line(&mut self, value: &impl Serialize) {
        // Nothing here has a key that is no text, which is all that can fail.
        drop(serde_json::to_writer(&mut self.text, value));
        self.text.push(b'\n');
    }
}

fn write(path: &Path, text: &[u8]) {
    if let Err(error) = replace(path, text) {
        tracing::warn!(%error, "what was learned cannot be written");
    }
}

fn parse(text: &str, now: Timestamp) -> Result<Vec<(MirrorSource, Learned)>, String> {
    let mut lines: Vec<&str> = text.lines().collect();
    let end = lines.pop().unwrap_or_default();
    let end: End = serde_json::from_str(end).map_err(|error| format!("its end: {error}"))?;
    if (end.version, end.lines) != (VERSION, lines.len()) {
        return Err("it is of another version, or not complete".to_owned());
    }
    let mut all = Vec::new();
    for (at, line) in lines.into_iter().enumerate() {
        let entry: Entry =
            serde_json::from_str(line).map_err(|error| format!("line {}: {error}", at + 1))?;
        let vni = Vni::try_new(entry.vni).ok_or_else(|| format!("line {}: vni", at + 1))?;
        let mirror = MirrorSource {
            address: entry.outer_ip,
            vni,
        };
        if entry.at.abs_diff(now.seconds()) < KEPT_SECONDS {
            all.push((mirror, entry.learned));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_cut_anywhere_is_none() {
        let mut book = Book::new(Path::new(""));
        for vni in [1, 2] {
            book.line(&Entry {
                outer_ip: [10, 0, 0, 1].into(),
                vni,
                at: 1_000,
                learned: Learned::default(),
            });
            book.lines += 1;
        }
        let text = String::from_utf8(book.complete()).unwrap();
        let now = Timestamp::new(2_000, 0);
        assert_eq!(parse(&text, now).unwrap().len(), 2);
        for cut in 0..text.len() - 1 {
            assert!(parse(&text[..cut], now).is_err(), "{cut}");
        }
        let late = Timestamp::new(1_000 + KEPT_SECONDS, 0);
        assert_eq!(parse(&text, late).unwrap().len(), 0, "it is forgotten");
    }
}
