//! Sensors: their reports come, what they are to know goes, and nobody waits for either.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use vxscope_api::{Client, ClientError, Done};
use vxscope_report::Report;

use crate::failure::Failure;

/// Reports that wait for the loop; then the sensor's own backlog fills, which says so.
const REPORTS: usize = 16;
/// Between two attempts to reach a sensor, and between two questions whether it works.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a sensor may take for an answer; for a command it takes half of that at most.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// After so long without a good answer a sensor is dead. A restart takes seconds; what is blind
/// is to be known within a minute.
const DEAD_AFTER: Duration = Duration::from_secs(60);

/// What a sensor is to know: one request each. A new one replaces the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Word {
    /// Which sources there are.
    BindTable,
    /// How their mirrors stand.
    Oversight,
}

/// All sensors with a control socket.
#[derive(Debug)]
pub(crate) struct Sensors {
    reports: Receiver<Report>,
    lines: Vec<(String, Arc<Line>)>,
}

impl Sensors {
    /// By name and control socket.
    pub(crate) fn watch(sockets: &[(String, PathBuf)]) -> Result<Self, Failure> {
        let (told, reports) = bounded(REPORTS);
        let mut lines = Vec::new();
        for (name, socket) in sockets {
            let (told, path) = (told.clone(), socket.clone());
            begin("reports", move || follow(&path, &told))?;
            let line = Arc::new(Line::default());
            let (path, teller) = (socket.clone(), line.clone());
            begin("teller", move || tell(&path, &teller))?;
            lines.push((name.clone(), line));
        }
        Ok(Self { reports, lines })
    }

    /// A report that has come.
    #[must_use]
    pub(crate) fn poll(&self) -> Option<Report> {
        self.reports.try_recv().ok()
    }

    /// A sensor, or each if none is named, is to know this from now on, and also after it was
    /// restarted.
    pub(crate) fn tell(&self, sensor: Option<&str>, word: Word, request: &str) {
        for (name, line) in &self.lines {
            if sensor.is_none_or(|sensor| sensor == name) {
                line.say(word, request);
            }
        }
    }

    /// Every sensor by name, and how it answers.
    pub(crate) fn pulses(&self) -> impl Iterator<Item = (&str, Pulse)> {
        let lines = self.lines.iter();
        lines.map(|(name, line)| (name.as_str(), line.lock().pulse))
    }
}

/// Whether a sensor answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pulse {
    /// Whether it ever did.
    heard: bool,
    /// How long it has not.
    silent: Duration,
}

impl Pulse {
    /// False once a sensor that answered no longer does. One that never did is not known to be
    /// dead: its socket may not be there yet, and sources must not move because of that.
    pub(crate) fn is_alive(self) -> bool {
        !self.heard || !self.is_silent()
    }

    /// Whether nobody answers there, be it dead or not there yet.
    pub(crate) fn is_silent(self) -> bool {
        self.silent >= DEAD_AFTER
    }

    /// An attempt without success that took so long. A process that slept has not listened, so
    /// no attempt counts for more than it may take.
    fn miss(&mut self, took: Duration) {
        self.silent = self.silent.saturating_add(took.min(ANSWER_MAX + AGAIN));
    }

    fn beat(&mut self) {
        *self = Self {
            heard: true,
            silent: Duration::ZERO,
        };
    }
}

/// Between the loop and the thread that talks to one sensor.
#[derive(Debug, Default)]
struct Line(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    pulse: Pulse,
    /// By [`Word`].
    words: [Option<Arc<str>>; 2],
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, word: Word, request: &str) {
        let mut state = self.lock();
        let [table, oversight] = &mut state.words;
        let place = match word {
            Word::BindTable => table,
            Word::Oversight => oversight,
        };
        if place.as_deref() != Some(request) {
            *place = Some(request.into());
        }
    }
}

fn begin(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    thread
        .map(drop)
        .map_err(|error| Failure::Failed(format!("threads: {error}")))
}

/// Until nobody wants reports any more.
fn follow(socket: &Path, told: &Sender<Report>) {
    loop {
        match Client::connect(socket).and_then(Client::follow) {
            Ok(reports) => {
                for followed in reports {
                    let Ok(followed) = followed else {
                        break;
                    };
                    if told.send(followed.report).is_err() {
                        return;
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "no reports: what this sensor sees is unknown"),
        }
        thread::sleep(AGAIN);
    }
}

/// Talks to a sensor for ever. Each connection begins with all that it is to know: who answers
/// may be another process than before.
fn tell(socket: &Path, line: &Line) {
    let mut began = now();
    loop {
        if let Err(error) = talk(socket, line, &mut began) {
            tracing::warn!(%error, "this sensor is told nothing");
        }
        thread::sleep(AGAIN);
        line.lock().pulse.miss(began.elapsed());
        began = now();
    }
}

/// Tells what is new, and asks whether it works, until one of both fails.
fn talk(socket: &Path, line: &Line, began: &mut Instant) -> Result<(), ClientError> {
    let mut client = Client::connect_for(socket, ANSWER_MAX)?;
    let mut taken: [Option<Arc<str>>; 2] = Default::default();
    loop {
        if client.health()?.healthy {
            line.lock().pulse.beat();
        } else {
            line.lock().pulse.miss(began.elapsed());
        }
        *began = now();
        let words = line.lock().words.clone();
        for (word, taken) in words.into_iter().zip(&mut taken) {
            let is_new = |word: &Arc<str>| taken.as_ref().is_none_or(|it| !Arc::ptr_eq(it, word));
            let Some(word) = word.filter(is_new) else {
                continue;
            };
            match client.ask::<Done>(&word) {
                Ok(_) => *taken = Some(word),
                // It is told again with the next question: the reason may pass.
                Err(error @ ClientError::Refused { .. }) => {
                    tracing::warn!(%error, "the sensor does not take what it is told");
                }
                Err(error) => return Err(error),
            }
        }
        thread::sleep(AGAIN);
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock at the edge")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_answered_can_be_dead() {
        let attempt = AGAIN + Duration::from_millis(1);
        let mut pulse = Pulse::default();
        for _ in 0..120 {
            pulse.miss(attempt);
        }
        assert!(pulse.is_alive() && pulse.is_silent(), "never heard");
        pulse.beat();
        assert!(pulse.is_alive() && !pulse.is_silent());
        for _ in 0..59 {
            pulse.miss(attempt);
        }
        assert!(pulse.is_alive(), "a restart takes less");
        pulse.miss(attempt);
        assert!(!pulse.is_alive());
        pulse.beat();
        assert!(pulse.is_alive());
    }

    #[test]
    fn a_controller_that_slept_takes_nobody_for_dead() {
        let mut pulse = Pulse::default();
        pulse.beat();
        pulse.miss(Duration::from_secs(3_600));
        assert!(pulse.is_alive());
    }
}
