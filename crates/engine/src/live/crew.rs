//! The threads of a run.

use std::sync::Arc;
use std::thread::{Scope, ScopedJoinHandle};

use crossbeam_channel::Receiver;
use vxscope_capture::live::LiveSource;
use vxscope_export::MirrorSummary;

use super::ground::Ground;
use crate::accounting::{Account, Stage, Teller};
use crate::command::Command;
use crate::error::EngineError;
use crate::start;
use crate::station::{Served, Station};
use crate::stewarding;
use crate::stop::Stop;
use crate::worker::Worker;

/// Those who work until the run ends; none of them has started.
pub(super) struct Crew<'a> {
    pub(super) stations: Vec<Station>,
    pub(super) accounting: Stage<'a>,
    pub(super) stewarding: Option<stewarding::Stage>,
}

/// What they left.
pub(super) struct Worked {
    pub(super) served: Vec<Served>,
    pub(super) account: Account,
    /// What became of the mirrors, and why it is not all written down.
    pub(super) minutes: Option<(MirrorSummary, Option<String>)>,
}

/// Who has begun.
struct Begun<'scope> {
    workers: Vec<ScopedJoinHandle<'scope, Served>>,
    accounting: ScopedJoinHandle<'scope, Account>,
    stewarding: Option<ScopedJoinHandle<'scope, (MirrorSummary, Option<String>)>>,
}

impl Crew<'_> {
    /// Starts all, watches while they work, and waits for them.
    pub(super) fn work(
        self,
        ground: &Ground,
        stop: &Arc<Stop>,
        watch: impl FnOnce(),
    ) -> Result<Worked, EngineError> {
        std::thread::scope(|scope| {
            let begun = self.begin(scope, ground, stop);
            // Whoever has begun would work on without the others, and be waited for.
            let begun = begun.inspect_err(|_| stop.begin())?;
            watch();
            let workers = begun.workers.into_iter();
            Ok(Worked {
                served: workers.map(start::join).collect(),
                account: start::join(begun.accounting),
                minutes: begun.stewarding.map(start::join),
            })
        })
    }

    fn begin<'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
        ground: &'scope Ground,
        stop: &'scope Stop,
    ) -> Result<Begun<'scope>, EngineError>
    where
        Self: 'scope,
    {
        let accounting = spawn(scope, "accounting", || self.accounting.run())?;
        let stewarding = self
            .stewarding
            .map(|stage| spawn(scope, "steward", || stage.run()))
            .transpose()?;
        let mut workers = Vec::new();
        for (number, station) in self.stations.into_iter().enumerate() {
            let serve = || station.serve(stop, &ground.deadline, ground.clock);
            workers.push(spawn(scope, &format!("worker-{number}"), serve)?);
        }
        Ok(Begun {
            workers,
            accounting,
            stewarding,
        })
    }
}

/// Where each worker sits: its sockets, whom it tells, and who tells it something.
pub(super) fn stations(
    seats: impl Iterator<Item = ((Worker, LiveSource), (Teller, Receiver<Command>))>,
    is_held: bool,
) -> Vec<Station> {
    let station = |((worker, source), (teller, commands))| Station {
        worker,
        source,
        commands,
        teller,
        is_held,
    };
    seats.map(station).collect()
}

/// A thread without the rights that only opening sockets takes.
fn spawn<'scope, 'env, T: Send + 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    name: &str,
    body: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, EngineError> {
    start::spawn(scope, name, || {
        start::give_up();
        body()
    })
}
