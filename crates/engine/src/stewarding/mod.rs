//! The stage that looks after mirrors: reports in, a simulated mirror API out, every decision
//! written down.
//!
//! A thread of its own, so that neither a slow terminal nor a slow disk of the other outputs keeps
//! a source from coming back.

mod minutes;
mod mirrors;
mod orders;
mod overview;

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use vxscope_export::{GradeChange, MirrorSummary};
use vxscope_policy::rules::{Mode, Rules};
use vxscope_report::Report;
use vxscope_steward::{Command, Decided, Detection, Embedded, EmbeddedSetup, Notice};
use vxscope_units::{MirrorSource, Timestamp};

use crate::clock::LiveClock;
use crate::evidence::Evidence;
use crate::learned::Shelf;
use orders::Given;

pub(crate) use minutes::Minutes;
pub use mirrors::Mirrors;
pub(crate) use orders::Reply;
pub use orders::{Order, Orders};
pub(crate) use overview::Overview;

/// How often decisions are made and answers read.
const TICK: Duration = Duration::from_millis(50);
/// Sources whose evidence is put aside in a tick: all of them in a minute.
const SHELVED_AT_A_TIME: usize = 16;
/// Reports that wait for the steward, changes that wait for the writer, notices for whoever looks.
/// Beyond that a report is lost, which the steward knows by its number; a change or a notice is
/// counted as forgotten.
pub(crate) const QUEUE: usize = 1_024;

/// Who looks after the mirrors of a live run.
#[derive(Clone, Debug)]
pub struct Stewardship {
    /// What is allowed, and how the simulated API behaves.
    pub setup: EmbeddedSetup,
    /// What each source is to send; whoever plays the sources looks here.
    pub mirrors: Mirrors,
    /// What the operator says.
    pub orders: Orders,
    /// The rules as they were read, for whoever asks; empty: the defaults.
    pub text: String,
}

/// What goes from one stage to another.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) reports: Receiver<Arc<Report>>,
    pub(crate) changes: Sender<GradeChange>,
    pub(crate) notices: Sender<Notice>,
    /// What is kept over a restart.
    pub(crate) shelf: Shelf,
    /// Where grades are written down from run to run.
    pub(crate) evidence: Option<Evidence>,
}

/// The thread of the stage.
#[derive(Debug)]
pub(crate) struct Stage {
    embedded: Embedded,
    /// What the files say.
    configured: Rules,
    /// The mode by the operator's word, which no file changes.
    ordered: Option<Mode>,
    mirrors: Mirrors,
    orders: Orders,
    clock: LiveClock,
    exchange: Exchange,
    minutes: Minutes,
    overview: Overview,
    /// Who was shelved last.
    shelved: Option<MirrorSource>,
}

impl Stage {
    pub(crate) fn new(
        stewardship: Stewardship,
        clock: LiveClock,
        exchange: Exchange,
        minutes: Minutes,
        overview: Overview,
    ) -> Self {
        let Stewardship {
            setup,
            mirrors,
            orders,
            text: _,
        } = stewardship;
        let mut embedded = Embedded::new(setup.clone(), clock.at(clock.elapsed()));
        embedded.remember(exchange.shelf.all());
        Self {
            configured: setup.rules.clone(),
            ordered: None,
            embedded,
            mirrors,
            orders,
            clock,
            exchange,
            minutes,
            overview,
            shelved: None,
        }
    }

    /// Looks after the mirrors until no report can come any more.
    pub(crate) fn run(mut self) -> (MirrorSummary, Option<String>) {
        loop {
            let report = self.exchange.reports.recv_timeout(TICK);
            let now = self.clock.at(self.clock.elapsed());
            match report {
                Ok(report) => self.embedded.handle_report(&report, now),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.listen(now);
            self.embedded.tick(now);
            let mut changed = false;
            while let Some((source, grade)) = self.embedded.poll_mirror() {
                self.mirrors.set(source, grade);
                changed = true;
            }
            if changed {
                self.minutes.write_sessions(&self.mirrors.all());
            }
            while let Some(notice) = self.embedded.poll_notice() {
                self.pass_on(notice);
            }
            self.minutes.flush();
            if self.overview.is_due(now) {
                let summary = self.minutes.summary(&self.embedded, now);
                self.overview.show(&summary, &self.embedded, now);
            }
            self.shelve(SHELVED_AT_A_TIME, now);
        }
        let now = self.clock.at(self.clock.elapsed());
        self.shelved = None;
        self.shelve(usize::MAX, now);
        self.minutes.finish(&self.embedded, now)
    }

    /// Puts what was learned of the next few sources where it is kept from.
    fn shelve(&mut self, count: usize, now: Timestamp) {
        let steward = self.embedded.steward();
        let mut last = None;
        for mirror in steward.looked_after(self.shelved).take(count) {
            if let Some(learned) = steward.learned(mirror) {
                self.exchange.shelf.put(mirror, now, learned);
            }
            last = Some(mirror);
        }
        self.shelved = last;
    }

    /// Takes what was said since the last time: alerts first, they bring sources back.
    fn listen(&mut self, now: Timestamp) {
        let (given, alerts) = self.orders.take();
        for (mirror, alert) in alerts {
            let detection = Detection {
                mirror,
                peer: alert.peer,
                severe: alert.severe,
                reason: alert.reason,
            };
            self.embedded.handle_detection(&detection, now);
        }
        for Given { order, asker } in given {
            let answer = self.obey(order, now);
            match (&answer, asker) {
                (_, Some(asker)) => {
                    // Who waits no longer asks again.
                    let _ = asker.try_send(answer);
                }
                (Ok(Reply::Says(says)) | Err(says), None) => {
                    self.orders.answer(format!("mirrors: {says}"));
                }
                (Ok(Reply::Done | Reply::Status(_)), None) => {}
            }
        }
    }

    fn obey(&mut self, order: Order, now: Timestamp) -> Result<Reply, String> {
        match order {
            Order::Rules(rules) => {
                self.configured = *rules;
                let ordered = self.ordered;
                let reply = self.rule(now);
                Ok(ordered.map_or(reply, |mode| {
                    Reply::Says(format!("the mode stays {}, as ordered", mode.name()))
                }))
            }
            Order::Mode(mode) => {
                self.ordered = mode;
                Ok(self.rule(now))
            }
            Order::Command(command) => {
                if !self.embedded.handle_command(command, now) {
                    return Err("no such source is looked after".to_owned());
                }
                Ok(match command {
                    Command::ResumeAll => self.comes_back(),
                    _ => Reply::Done,
                })
            }
            Order::Status => {
                let mut status = self.embedded.steward().status(now);
                status.mode_ordered = self.ordered.is_some();
                Ok(Reply::Status(Box::new(status)))
            }
        }
    }

    /// From now on the configured rules hold, in the mode that was ordered.
    fn rule(&mut self, now: Timestamp) -> Reply {
        let mut rules = self.configured.clone();
        rules.mode = self.ordered.unwrap_or(rules.mode);
        let mode = rules.mode;
        self.embedded.handle_rules(rules, now);
        match mode {
            Mode::Manual => self.comes_back(),
            Mode::Shadow | Mode::Dynamic => Reply::Done,
        }
    }

    fn comes_back(&self) -> Reply {
        let takes = self.embedded.steward().resume_takes().as_secs_f64();
        Reply::Says(format!("everything comes back within {takes:.0} s"))
    }

    fn pass_on(&mut self, notice: Notice) {
        self.minutes.write(&notice);
        self.overview.note(&notice);
        if let Decided::Effective(reason) = notice.decided
            && !notice.is_enrolment()
        {
            let change = GradeChange {
                at: notice.at,
                source: notice.mirror,
                interface: notice.interface.clone(),
                from: notice.from,
                grade: notice.grade,
                reason: reason.into(),
            };
            self.minutes.note(&change);
            self.exchange
                .evidence
                .iter()
                .for_each(|it| it.grade(&change));
            if self.exchange.changes.try_send(change).is_err() {
                self.minutes.forget();
            }
        }
        if self.exchange.notices.try_send(notice).is_err() {
            self.minutes.forget();
        }
    }
}
