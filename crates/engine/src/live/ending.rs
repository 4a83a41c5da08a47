//! The end of a run: what is waited for, and for how long.

use std::sync::Arc;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use vxscope_capture::InterfaceDrops;
use vxscope_capture::live::LiveError;
use vxscope_export::{Offered, OutputDir, SinkOutcome};

use super::crew::Worked;
use super::ground::Ground;
use super::{LOOK_EVERY, SUMMARY_MAX};
use crate::command::Commands;
use crate::detectors::Detectors;
use crate::error::EngineError;
use crate::evidence::Archive;
use crate::learned::Keeping;
use crate::look_back::LookBack;
use crate::neighbour::Neighbours;
use crate::presence::Presence;
use crate::replay::{Outcome, Walked};
use crate::serving::Serving;
use crate::start;
use crate::station;
use crate::stop::Deadline;
use crate::summary::{self, Ended, Finished, Kernel};
use crate::writer::{self, Line, Sinks, Written};

/// What is still there when the workers have ended.
pub(super) struct Ending {
    pub(super) ground: Ground,
    pub(super) writer: Writer,
    /// What every sink is called and offered.
    pub(super) expected: Vec<(String, Offered)>,
    pub(super) keeping: Option<Keeping>,
    pub(super) neighbours: Neighbours,
    pub(super) presence: Presence,
    pub(super) archive: Option<Archive>,
    pub(super) detectors: Detectors,
    pub(super) look_back: Arc<LookBack>,
    pub(super) commands: Commands,
    pub(super) serving: Serving,
}

impl Ending {
    /// Ends them in order, waits for the files, and writes the summary last.
    pub(super) fn conclude(self, mut worked: Worked) -> Result<Outcome, EngineError> {
        let Ground {
            plan,
            clock,
            deadline,
            dir,
            drops,
            front,
            desk,
            ..
        } = self.ground;
        front.oversee_by(None);
        self.detectors.end();
        self.look_back.end(|| deadline.is_over());
        let (written, closed) = self.writer.wait(&deadline);
        if let Some(keeping) = self.keeping {
            keeping.finish();
        }
        let is_open = |name: &str| closed.iter().all(|outcome| outcome.name != name);
        let expected = self.expected.into_iter();
        let left = expected.filter(|(name, _)| is_open(name)).collect();
        let (walked, mut kernel, error) = gather(worked.served);
        kernel.interface_dropped = drops.as_ref().and_then(InterfaceDrops::count);
        let finished = Finished {
            walked,
            written,
            closed,
            left,
            elapsed: clock.elapsed(),
            kernel,
            table: self.commands.bind_table(),
            desk,
        };
        let mut ended = summary::conclude(plan, finished);
        let warnings = &mut ended.outcome.summary.warnings;
        warnings.extend(self.neighbours.finish());
        warnings.extend(self.presence.finish());
        warnings.extend(self.archive.as_ref().and_then(Archive::finish));
        if let Some((mirrors, error)) = worked.minutes {
            ended.outcome.summary.mirrors = Some(mirrors);
            ended.outcome.sink_errors.extend(error);
        }
        let outcome = write_down(ended, &dir)?;
        let (elapsed, sinks) = (clock.elapsed(), &outcome.summary.sinks);
        let account = &mut worked.account;
        let last = account.conclude(clock.at(elapsed), elapsed, &outcome.statement, sinks);
        self.serving.conclude(last);
        error.map_or(Ok(outcome), |error| Err(error.into()))
    }
}

/// The writer's thread, which a disk that hangs may keep for good: it is waited for, but not for
/// longer than a stop may take.
pub(super) struct Writer {
    closed: Receiver<SinkOutcome>,
    ended: Receiver<Written>,
}

impl Writer {
    pub(super) fn start(lines: Vec<Line>, sinks: Sinks) -> Result<Self, EngineError> {
        let (outcomes, closed) = bounded(sinks.expected.len().max(1));
        let (sender, ended) = bounded(1);
        start::detach("writer", move || {
            let written = writer::write(&lines, sinks, &mut |outcome| {
                // One for each sink; who does not wait any more does not read it.
                let _ = outcomes.try_send(outcome);
            });
            let _ = sender.try_send(written);
        })?;
        Ok(Self { closed, ended })
    }

    /// What it wrote, and the files that it closed.
    fn wait(&self, deadline: &Deadline) -> (Written, Vec<SinkOutcome>) {
        let written = loop {
            match self.ended.recv_timeout(LOOK_EVERY) {
                Err(RecvTimeoutError::Timeout) if !deadline.is_over() => {}
                result => break result.unwrap_or_default(),
            }
        };
        (written, self.closed.try_iter().collect())
    }
}

/// What the workers report, what the kernel kept from them, and why one failed.
fn gather(served: Vec<station::Served>) -> (Walked, Kernel, Option<LiveError>) {
    let (mut kernel, mut reports, mut error) = (Kernel::default(), Vec::new(), None);
    for (report, result) in served {
        reports.push(report);
        match result {
            Ok(of_worker) => {
                kernel.dropped += of_worker.dropped;
                kernel.refused += of_worker.refused;
            }
            Err(failed) => error = Some(failed),
        }
    }
    let walked = Walked {
        reports,
        error: None,
    };
    (walked, kernel, error)
}

/// Writes the summary. A disk that hangs does not keep the process from ending.
fn write_down(ended: Ended, dir: &OutputDir) -> Result<Outcome, EngineError> {
    let (sender, done) = bounded(1);
    let ended = Arc::new(ended);
    let (to_write, folder) = (ended.clone(), dir.clone());
    start::detach("summary", move || {
        let result = to_write.write(&folder);
        drop(to_write);
        let _ = sender.try_send(result);
    })?;
    let result = done.recv_timeout(SUMMARY_MAX);
    let mut outcome =
        Arc::try_unwrap(ended).map_or_else(|shared| shared.outcome.clone(), |ended| ended.outcome);
    match result {
        Ok(result) => result?,
        Err(_) => outcome.cut.push(format!(
            "{}: summary.json could not be written in time; the disk may hang",
            dir.path().display()
        )),
    }
    Ok(outcome)
}
