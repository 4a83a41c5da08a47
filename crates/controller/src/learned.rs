//! `learned.ndjson`: what the policy learned of each source, kept over a restart, so that an
//! upgrade neither makes everybody new again nor ends the pauses that are under way.
//!
//! The file is replaced as a whole. One that cannot be read is put aside, and every source is new.

use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use vxscope_steward::{
    Kept, LEARNED_ASIDE, LEARNED_FILE, Learned, LearnedLine, LearnedReader, LearnedWriter, Steward,
};
use vxscope_units::{MirrorSource, Timestamp};

use crate::store::replace;

/// Between two files: what a crash takes from what was learned.
const EVERY_NANOS: u64 = 60_000_000_000;
/// Sources that are copied in a tick, so that no resume waits for them.
const AT_A_TIME: usize = 64;
/// Copies what was learned, a few sources at a time.
#[derive(Debug)]
pub(crate) struct Book {
    path: PathBuf,
    /// The next file, as far as it is.
    text: String,
    writer: Option<LearnedWriter>,
    /// Who was copied last; nobody between two files.
    last: Option<MirrorSource>,
    begin_at: Timestamp,
    writing: Option<JoinHandle<()>>,
}

impl Book {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            path: folder.join(LEARNED_FILE),
            text: String::new(),
            writer: None,
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
            drop(std::fs::rename(
                &self.path,
                self.path.with_file_name(LEARNED_ASIDE),
            ));
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
        (self.last, self.writer) = (None, None);
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
            let kept = Kept::<()> {
                policy: Some(learned),
                ..Kept::new(*mirror, now.seconds())
            };
            let line = self.writer().line(&kept);
            self.write_line(&line);
        }
        next.len() < most
    }

    /// Of the next file, which begins with the first question.
    fn writer(&mut self) -> &mut LearnedWriter {
        let text = &mut self.text;
        self.writer.get_or_insert_with(|| {
            let (writer, head) = LearnedWriter::begin(None);
            *text = format!("{head}\n");
            writer
        })
    }

    fn write_line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn complete(&mut self) -> String {
        self.writer();
        let end = self.writer.take().map(LearnedWriter::end);
        self.write_line(&end.unwrap_or_default());
        self.last = None;
        std::mem::take(&mut self.text)
    }
}

fn write(path: &Path, text: &str) {
    if let Err(error) = replace(path, text.as_bytes()) {
        tracing::warn!(%error, "what was learned cannot be written");
    }
}

fn parse(text: &str, now: Timestamp) -> Result<Vec<(MirrorSource, Learned)>, String> {
    let mut reader = LearnedReader::default();
    let mut all = Vec::new();
    for line in text.lines() {
        match reader.read::<()>(line.as_bytes())? {
            LearnedLine::Head(_) => {}
            LearnedLine::Source(kept) if !kept.is_fresh(now) => {}
            LearnedLine::Source(kept) => {
                let source = kept.source();
                all.extend(source.zip(kept.policy));
            }
            LearnedLine::End => return Ok(all),
        }
    }
    Err("it is cut off".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use vxscope_units::Vni;

    #[test]
    fn a_file_that_is_cut_anywhere_is_none() {
        let mut book = Book::new(Path::new(""));
        for number in [1, 2] {
            let mirror = MirrorSource {
                address: [10, 0, 0, number].into(),
                vni: Vni::try_new(7).unwrap(),
            };
            let kept = Kept::<()> {
                policy: Some(Learned::default()),
                ..Kept::new(mirror, 1_000)
            };
            let line = book.writer().line(&kept);
            book.write_line(&line);
        }
        let text = book.complete();
        let now = Timestamp::new(2_000, 0);
        assert_eq!(parse(&text, now).unwrap().len(), 2);
        for cut in 0..text.len() - 1 {
            assert!(parse(&text[..cut], now).is_err(), "{cut}");
        }
        let late = Timestamp::new(60 * 86_400, 0);
        assert_eq!(parse(&text, late).unwrap().len(), 0, "it is forgotten");
        // One without anybody is a whole one, too.
        assert_eq!(parse(&book.complete(), now), Ok(Vec::new()));
    }
}
