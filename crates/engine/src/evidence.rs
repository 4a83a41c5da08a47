//! Who was there and what was mirrored, month by month: the journal that coverage is told from.
//!
//! A thread of its own appends lines; whoever tells never waits for it. Unlike the outputs of a
//! run it goes on from run to run, so that the time between two is known too.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use vxscope_api::Snapshot;
use vxscope_coverage::{Event, Record, Source, file_of};
use vxscope_export::GradeChange;
use vxscope_units::Timestamp;

use crate::error::EngineError;
use crate::start;

/// The folder in that of the outputs.
pub(crate) const FOLDER: &str = "coverage";
/// Records that wait for the disk. What finds no room is counted, and told at the end.
const QUEUE: usize = 4_096;
/// How often a run that goes well says so: what a crash takes from the record.
const ALIVE_EVERY_MICROS: u64 = 10_000_000;
/// How long the end of a run waits for the last lines.
const CLOSING_MAX: Duration = Duration::from_secs(1);

/// Where events are told. Clones are the same journal.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    records: Sender<Record>,
    trouble: Arc<Trouble>,
}

#[derive(Debug, Default)]
struct Trouble {
    lost: AtomicU64,
    error: Mutex<Option<String>>,
}

/// The other end: who waits until everything is written.
#[derive(Debug)]
pub(crate) struct Archive {
    ended: Receiver<()>,
    trouble: Arc<Trouble>,
}

impl Evidence {
    /// Makes the folder and starts the thread.
    pub(crate) fn start(out: &Path) -> Result<(Self, Archive), EngineError> {
        let folder = out.join(FOLDER);
        let (records, lines) = bounded(QUEUE);
        let (done, ended) = bounded(1);
        let trouble = Arc::new(Trouble::default());
        let noted = trouble.clone();
        start::detach("coverage", move || {
            let mut journal = Journal {
                folder,
                name: String::new(),
                file: None,
            };
            for record in lines {
                if let Err(error) = journal.append(&record) {
                    noted.lost.fetch_add(1, Ordering::Relaxed);
                    let message = format!("{}: {error}", journal.folder.display());
                    let mut first = noted.error.lock().unwrap_or_else(PoisonError::into_inner);
                    first.get_or_insert(message);
                }
            }
            drop(done);
        })?;
        let evidence = Self {
            records,
            trouble: trouble.clone(),
        };
        Ok((evidence, Archive { ended, trouble }))
    }

    fn tell(&self, at: u64, event: Event) {
        if self.records.try_send(Record { at, event }).is_err() {
            self.trouble.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A mirror has another grade.
    pub(crate) fn grade(&self, change: &GradeChange) {
        self.tell(micros(change.at), grade(change, None));
    }

    /// A mirror that is kept apart from the sensor has another grade, which is told now. Waits
    /// for room, but not longer.
    pub(crate) fn kept_grade(
        &self,
        change: &GradeChange,
        now: Timestamp,
        longest: Duration,
    ) -> Result<(), ()> {
        let record = Record {
            at: micros(now),
            event: grade(change, Some(micros(change.at))),
        };
        self.records.send_timeout(record, longest).map_err(drop)
    }
}

fn grade(change: &GradeChange, since: Option<u64>) -> Event {
    Event::Grade {
        outer_ip: change.source.address,
        vni: change.source.vni.get(),
        interface: change.interface.clone(),
        grade: change.grade.name().to_owned(),
        reason: change.reason.to_string(),
        since,
    }
}

impl Archive {
    /// Waits a moment for the last lines; what is not in the journal, for people.
    pub(crate) fn finish(&self) -> Option<String> {
        let is_late = self.ended.recv_timeout(CLOSING_MAX) == Err(RecvTimeoutError::Timeout);
        let lost = self.trouble.lost.load(Ordering::Relaxed);
        let error = self.trouble.error.lock();
        let error = error.unwrap_or_else(PoisonError::into_inner).take();
        let error = error.or_else(|| is_late.then(|| "the disk is too slow".to_owned()));
        let error = error.or_else(|| (lost > 0).then(|| "the disk was too slow".to_owned()))?;
        Some(format!(
            "the journal of coverage lacks {lost} records or more: {error}"
        ))
    }
}

/// What the accounting stage knows of what was told.
#[derive(Debug)]
pub(crate) struct Witness {
    evidence: Evidence,
    told: BTreeSet<Source>,
    /// When it last said that it is there, and the counters then.
    last: Option<(u64, u64, u64)>,
}

impl Witness {
    /// Says that a run begins.
    pub(crate) fn new(evidence: Evidence, sensor: &str, now: Timestamp) -> Self {
        let sensor = sensor.to_owned();
        evidence.tell(micros(now), Event::Start { sensor });
        Self {
            evidence,
            told: BTreeSet::new(),
            last: None,
        }
    }

    /// A tick: who is new, and every ten seconds that somebody is there and whether all was received.
    pub(crate) fn tick(&mut self, snapshot: &Snapshot) {
        let status = &snapshot.status;
        if snapshot.sources.len() > self.told.len() {
            for source in &snapshot.sources {
                // Whoever is listed for an alert alone has not been heard.
                if source.report.signals.packets > 0 && self.told.insert(source.key()) {
                    let event = Event::Source {
                        outer_ip: source.report.outer_ip,
                        vni: source.report.vni,
                        eni: source.report.eni.clone(),
                    };
                    self.evidence.tell(status.time, event);
                }
            }
        }
        let packets = &status.packets;
        let now = (status.time, packets.kernel_dropped, packets.received);
        let (before, dropped, received) = *self.last.get_or_insert((status.epoch, 0, 0));
        let is_due = now.0.saturating_sub(before) >= ALIVE_EVERY_MICROS;
        let is_new_loss = now.1 > dropped;
        if is_due || (is_new_loss && now.0 > before) {
            let event = match is_new_loss {
                true => Event::Loss {
                    from: before,
                    lost: now.1 - dropped,
                    received: now.2.saturating_sub(received),
                },
                false => Event::Alive,
            };
            self.evidence.tell(now.0, event);
            self.last = Some(now);
        }
    }

    /// Nothing more is received.
    pub(crate) fn stop(&self, now: Timestamp) {
        self.evidence.tell(micros(now), Event::Stop);
    }
}

/// The file of the month.
struct Journal {
    folder: PathBuf,
    name: String,
    file: Option<File>,
}

impl Journal {
    fn append(&mut self, record: &Record) -> io::Result<()> {
        let name = file_of(record.at);
        if self.file.is_none() || name != self.name {
            self.file = None;
            let mut folder = DirBuilder::new();
            folder.recursive(true).mode(0o750).create(&self.folder)?;
            let mut options = OpenOptions::new();
            let options = options.create(true).append(true).mode(0o640);
            let mut file = options.open(self.folder.join(&name))?;
            // What a crash cut off ends here; an empty line is no record.
            file.write_all(b"\n")?;
            self.file = Some(file);
            self.name = name;
        }
        // One write, so that a crash cuts one line at most.
        self.file
            .as_mut()
            .map_or(Ok(()), |file| file.write_all(record.line().as_bytes()))
    }
}

fn micros(at: Timestamp) -> u64 {
    at.as_nanos() / 1_000
}
