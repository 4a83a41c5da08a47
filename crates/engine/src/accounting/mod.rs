//! The accounting stage: what the workers count becomes a report and a status at each tick.
//!
//! A worker hands over what changed in a box that comes back empty, and never waits: without a
//! box at hand its news go with the next tick. A thread of its own merges them and publishes.

mod account;
mod board;
mod canaries;
mod latency;
mod news;
mod pulse;
mod shown;
mod stages;

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender};
use vxscope_api::Hub;
use vxscope_report::Report;

use crate::clock::LiveClock;
use crate::command::Commands;
use crate::evidence::Witness;
use crate::live::Status;
use crate::overseer::Overseer;
use crate::stop::Stop;

pub(crate) use account::{About, Account};
pub(crate) use board::{Board, Seat};
pub(crate) use canaries::Canaries;
pub(crate) use news::{Line, Teller, connect};
pub(crate) use pulse::Pulse;
pub(crate) use stages::{Stage as Step, Stages};

/// How often somebody looks whether a tick is due or the run stops.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a tick waits for the news of a worker that is late: they come round in 20 ms.
const GRACE: Duration = Duration::from_millis(80);

/// The thread of the stage.
pub(crate) struct Stage<'a> {
    pub(crate) account: Account,
    pub(crate) line: Line,
    pub(crate) board: Board,
    pub(crate) interval: Duration,
    pub(crate) clock: LiveClock,
    pub(crate) stop: &'a Stop,
    pub(crate) hub: Hub,
    pub(crate) commands: Commands,
    /// For whoever looks. One who does not get to it is shown the next.
    pub(crate) statuses: Sender<Status>,
    /// For whoever looks after the mirrors. One who is behind finds some missing by their numbers.
    pub(crate) reports: Option<Sender<Arc<Report>>>,
    /// Who writes down that somebody was there.
    pub(crate) witness: Option<Witness>,
    /// Who knows what others say of the mirrors.
    pub(crate) overseer: Overseer,
}

impl Stage<'_> {
    /// Merges and publishes until all workers have ended.
    pub(crate) fn run(mut self) -> Account {
        let (mut shown, mut is_stopping) = (0, false);
        loop {
            match self.line.news.recv_timeout(LOOK_EVERY) {
                Ok(news) => {
                    let empty = self.account.handle(news);
                    self.line.give_back(empty);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.account,
            }
            if self.stop.is_requested() && !is_stopping {
                is_stopping = true;
                self.account.stop();
                let now = self.clock.at(self.clock.elapsed());
                self.witness.iter().for_each(|it| it.stop(now));
                self.publish(false);
            }
            if let Some(tick) = self.due(shown) {
                shown = tick;
                self.publish(true);
            }
        }
    }

    /// The tick to publish, if all workers have told or there was time enough to.
    fn due(&self, shown: u64) -> Option<u64> {
        let elapsed = self.clock.elapsed();
        let late = elapsed.saturating_sub(GRACE.min(self.interval / 2));
        let tick = self.account.told().max(tick_at(late, self.interval));
        (tick > shown).then_some(tick)
    }

    fn publish(&mut self, with_report: bool) {
        let (elapsed, sinks) = (self.clock.elapsed(), self.board.read());
        let now = self.clock.at(elapsed);
        self.account.know(self.commands.bind_table());
        if with_report {
            self.overseer
                .with_lowered(|lowered| self.account.send_canaries(now, lowered));
        }
        let snapshot = self.account.snapshot(now, elapsed, &sinks, with_report);
        if let (Some(reports), Some(report)) = (&self.reports, &snapshot.report) {
            let _ = reports.try_send(Arc::new(report.clone()));
        }
        if let (Some(witness), true) = (&mut self.witness, with_report) {
            witness.tick(&snapshot);
        }
        if with_report {
            self.overseer.look(&snapshot.sources);
        }
        self.hub.publish(snapshot);
        if with_report {
            let _ = self.statuses.try_send(Status {
                elapsed,
                statement: self.account.statement().clone(),
                kernel_dropped: self.account.kernel_dropped(),
            });
        }
    }
}

/// Whole intervals that passed.
fn tick_at(elapsed: Duration, interval: Duration) -> u64 {
    let ticks = elapsed.as_nanos() / interval.as_nanos().max(1);
    u64::try_from(ticks).unwrap_or(u64::MAX)
}
