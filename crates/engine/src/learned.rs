//! `learned.ndjson`: what was learned of sources, kept over a restart; see
//! [`LearnedWriter`](vxscope_steward::LearnedWriter).
//!
//! It appears complete or not at all, so a sensor that is killed leaves the one before. One that
//! cannot be read is put aside, and the sensor begins anew.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use vxscope_export::{ExportError, OutputDir};
use vxscope_signals::Past;
use vxscope_steward::{
    Kept, LEARNED_ASIDE, LEARNED_FILE, LEARNED_MAX, Learned, LearnedLine, LearnedReader,
    LearnedWriter,
};
use vxscope_units::{MirrorSource, Timestamp};

use crate::clock::LiveClock;
use crate::error::EngineError;
use crate::follower::Desk;
use crate::start;

/// Longest line: several times what a source with every edge and every bit takes.
const LINE_BYTES_MAX: u64 = 256 << 10;
/// Sources that are copied at a time, so that nobody who wants the book waits for long.
const AT_A_TIME: usize = 64;
/// How long the last save may take once everything else has ended.
const LAST_MAX: Duration = Duration::from_secs(2);

/// What a policy learned, source by source, and when. Clones are the same shelf.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf(Arc<Mutex<BTreeMap<MirrorSource, (u64, Learned)>>>);

impl Shelf {
    pub(crate) fn put(&self, source: MirrorSource, now: Timestamp, learned: Learned) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < LEARNED_MAX || all.contains_key(&source) {
            all.insert(source, (now.seconds(), learned));
        }
    }

    /// Everything, as it was left.
    pub(crate) fn all(&self) -> Vec<(MirrorSource, Learned)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = all.iter().map(|(source, (_, one))| (*source, one.clone()));
        all.collect()
    }

    fn get(&self, source: MirrorSource) -> Option<(u64, Learned)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&source).cloned()
    }

    fn sources(&self) -> Vec<MirrorSource> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.keys().copied().collect()
    }
}

/// What an earlier run left.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) seed: Option<u64>,
    seen: Vec<(MirrorSource, Past)>,
    pub(crate) shelf: Shelf,
    /// Why there is nothing, although there was a file.
    pub(crate) warning: Option<String>,
}

impl Loaded {
    /// Reads the file of a folder, if it has one.
    pub(crate) fn read(dir: &OutputDir, now: Timestamp) -> Self {
        let path = dir.path().join(LEARNED_FILE);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Self::default(),
            Err(error) => return Self::refused(&path, &error.to_string()),
        };
        read(&mut BufReader::new(file), now).unwrap_or_else(|why| {
            // Somebody may want to know why; if it cannot be kept it is replaced.
            let _ = fs::rename(&path, dir.path().join(LEARNED_ASIDE));
            Self::refused(&path, &why)
        })
    }

    fn refused(path: &Path, why: &str) -> Self {
        let warning = format!(
            "{}: {why}; what was learned before is forgotten: every source is new again, and \
             nothing of it is lowered before it was watched as long as a new one",
            path.display()
        );
        tracing::warn!("{warning}");
        Self {
            warning: Some(warning),
            ..Self::default()
        }
    }

    fn take(&mut self, kept: Kept<Past>, now: Timestamp) {
        let Some(source) = kept.source() else {
            return;
        };
        let is_lately = kept.is_fresh(now);
        let seen = kept.seen.filter(|seen| !seen.is_over(now.seconds()));
        self.seen.extend(seen.map(|seen| (source, seen)));
        if let Some(learned) = kept.policy.filter(|_| is_lately) {
            self.shelf.put(source, Timestamp::new(kept.at, 0), learned);
        }
    }

    /// Gives the desk what was seen.
    pub(crate) fn tell(&mut self, desk: &Desk) {
        let mut book = desk.book();
        for (source, past) in self.seen.drain(..) {
            book.restore(source, &past);
        }
    }
}

fn read(input: &mut impl BufRead, now: Timestamp) -> Result<Loaded, String> {
    let (mut reader, mut loaded) = (LearnedReader::default(), Loaded::default());
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut *input)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line);
        read.map_err(|error| error.to_string())?;
        if line.pop() != Some(b'\n') {
            return Err("it is cut off".to_owned());
        }
        match reader.read::<Past>(&line)? {
            LearnedLine::Head(seed) => loaded.seed = seed,
            LearnedLine::Source(kept) => loaded.take(*kept, now),
            LearnedLine::End => return Ok(loaded),
        }
    }
}

/// The thread that writes the file.
#[derive(Debug)]
pub(crate) struct Keeping {
    stop: Sender<()>,
    done: Receiver<()>,
}

impl Keeping {
    /// Writes every so many seconds; never if there are none.
    pub(crate) fn start(
        dir: &OutputDir,
        seconds: u32,
        (desk, shelf): (Arc<Desk>, Shelf),
        clock: LiveClock,
    ) -> Result<Option<Self>, EngineError> {
        if seconds == 0 {
            return Ok(None);
        }
        let (stop, stopped) = bounded::<()>(1);
        let (finished, done) = bounded(1);
        let every = Duration::from_secs(seconds.into());
        let dir = dir.clone();
        start::detach("learned", move || {
            loop {
                let over = stopped.recv_timeout(every) != Err(RecvTimeoutError::Timeout);
                if let Err(error) = save(&dir, &desk, &shelf, clock.at(clock.elapsed())) {
                    tracing::warn!("{error}; a restart will know what was learned before");
                }
                if over {
                    let _ = finished.try_send(());
                    return;
                }
            }
        })?;
        Ok(Some(Self { stop, done }))
    }

    /// Writes for the last time. A disk that hangs does not keep the process from ending.
    pub(crate) fn finish(self) {
        let _ = self.stop.try_send(());
        if self.done.recv_timeout(LAST_MAX).is_err() {
            tracing::warn!("{LEARNED_FILE}: could not be written in time; the one before is left");
        }
    }
}

/// Writes the file as a whole.
fn save(dir: &OutputDir, desk: &Desk, shelf: &Shelf, now: Timestamp) -> Result<(), ExportError> {
    let mut file = dir.create_file(LEARNED_FILE)?;
    let (mut writer, head) = LearnedWriter::begin(Some(desk.book().seed()));
    file.write(format!("{head}\n").as_bytes())?;
    let mut entry = |source: MirrorSource, seen: Option<Past>| {
        let (at, policy) = match shelf.get(source) {
            Some((at, learned)) => (at, Some(learned)),
            None => (now.seconds(), None),
        };
        let at = if seen.is_some() {
            at.max(now.seconds())
        } else {
            at
        };
        let kept = Kept {
            seen,
            policy,
            ..Kept::new(source, at)
        };
        file.write(format!("{}\n", writer.line(&kept)).as_bytes())
    };
    let mut policy_only = shelf.sources();
    let mut last = None;
    loop {
        // Whoever notes something waits for these few at most.
        let remembered = desk.book().remembered(last, AT_A_TIME);
        let Some((source, _)) = remembered.last() else {
            break;
        };
        last = Some(*source);
        for (source, past) in remembered {
            if let Ok(place) = policy_only.binary_search(&source) {
                policy_only.remove(place);
            }
            entry(source, Some(past))?;
        }
    }
    for source in policy_only {
        entry(source, None)?;
    }
    file.write(format!("{}\n", writer.end()).as_bytes())?;
    file.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use vxscope_export::Names;
    use vxscope_signals::{Book, BookLimits, Roles};
    use vxscope_units::Vni;

    #[test]
    fn what_is_written_is_read_and_any_damage_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let dir = OutputDir::create(dir.path()).unwrap();
        let now = Timestamp::new(1_800_000_000, 0);
        let (desk, shelf) = (desk(7), Shelf::default());
        assert!(desk.book().alert(source(1), None));
        shelf.put(source(1), now, Learned::default());
        shelf.put(source(2), now, Learned::default());
        save(&dir, &desk, &shelf, now).unwrap();
        let bytes = fs::read(dir.path().join(LEARNED_FILE)).unwrap();
        let whole = read(&mut &*bytes, now).unwrap();
        assert_eq!(whole.seed, Some(7));
        assert_eq!(whole.shelf.sources(), [source(1), source(2)]);
        for cut in 0..bytes.len() {
            assert!(read(&mut &bytes[..cut], now).is_err(), "{cut}");
        }
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1;
            assert!(read(&mut &*damaged, now).is_err(), "{place}");
        }
        let late = Timestamp::new(now.seconds() + 15 * 86_400, 0);
        let over = read(&mut &*bytes, late).unwrap();
        assert_eq!(over.shelf.sources(), []);
    }

    #[test]
    fn one_that_cannot_be_read_is_put_aside_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let dir = OutputDir::create(folder.path()).unwrap();
        let now = Timestamp::new(1_800_000_000, 0);
        assert_eq!(Loaded::read(&dir, now).warning, None);
        fs::write(folder.path().join(LEARNED_FILE), "{}\n").unwrap();
        let loaded = Loaded::read(&dir, now);
        assert!(loaded.seed.is_none() && loaded.shelf.sources().is_empty());
        assert!(loaded.warning.unwrap().contains("line 1"));
        assert!(folder.path().join(LEARNED_ASIDE).exists());
        fs::write(
            folder.path().join(LEARNED_FILE),
            "{\"learned\":2,\"seed\":1}\n",
        )
        .unwrap();
        assert!(
            Loaded::read(&dir, now)
                .warning
                .unwrap()
                .contains("version 2")
        );
    }

    #[test]
    fn more_sources_than_a_sensor_has_find_no_room() {
        let shelf = Shelf::default();
        for number in 0..u32::try_from(LEARNED_MAX).unwrap() + 5 {
            shelf.put(source(number), Timestamp::ZERO, Learned::default());
        }
        assert_eq!(shelf.sources().len(), LEARNED_MAX);
    }

    fn desk(seed: u64) -> Arc<Desk> {
        let book = Book::new(BookLimits {
            sources_max: 10,
            seed,
        });
        Desk::new(Roles::default(), seed, book, None, Names::default())
    }

    fn source(number: u32) -> MirrorSource {
        MirrorSource {
            address: std::net::Ipv4Addr::from_bits(number).into(),
            vni: Vni::try_new(1).unwrap(),
        }
    }
}
