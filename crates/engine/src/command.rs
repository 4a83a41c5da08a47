//! What a running sensor can be told: a closed set of commands, read by every worker between
//! batches.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, SendTimeoutError, Sender, bounded};
use thiserror::Error;
use vxscope_capture::udp::Waker;
use vxscope_config::UnknownSources;
use vxscope_flow::Admission;
use vxscope_units::BindTable;

use crate::alert::{Alert, Unheard};
use crate::clock::LiveClock;
use crate::follower::Desk;
use crate::look_back::{Inquiry, Unanswered};
use crate::stewarding::Orders;

/// Commands that wait for one worker. A worker reads them between two batches, and one that waits
/// for packets is woken; who is faster than that waits for it.
const COMMANDS_MAX: usize = 4;
/// How long a worker may take until it has room for one more; then it hangs.
const ROOM_MAX: Duration = Duration::from_secs(1);

/// What a worker is told.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// Which sources are known from now on.
    Admit(Admission),
    /// Somebody wants packets.
    Inquire(Box<Inquiry>),
    /// A pin has ended.
    Unwatch(u32),
}

/// The way to tell a running sensor something; for any number of threads.
#[derive(Clone, Debug)]
pub struct Commands {
    /// One at a time, so that all workers get commands in the same order.
    state: Arc<Mutex<State>>,
    unknown: UnknownSources,
    desk: Arc<Desk>,
    orders: Option<Orders>,
    clock: LiveClock,
}

/// Who a command may concern beside the workers.
#[derive(Clone, Debug)]
pub(crate) struct Others {
    pub(crate) desk: Arc<Desk>,
    /// Whoever looks after the mirrors.
    pub(crate) orders: Option<Orders>,
    pub(crate) clock: LiveClock,
}

#[derive(Debug)]
struct State {
    table: Arc<BindTable>,
    workers: Vec<(Sender<Command>, Waker)>,
}

/// The sensor has stopped, or is about to: nobody reads commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the sensor has stopped")]
pub struct Stopped;

impl Commands {
    /// To the workers that these wake, who know `table`; and what each of them reads.
    pub(crate) fn new(
        wakers: Vec<Waker>,
        table: Arc<BindTable>,
        unknown: UnknownSources,
        others: Others,
    ) -> (Self, Vec<Receiver<Command>>) {
        let Others {
            desk,
            orders,
            clock,
        } = others;
        desk.introduce(&table);
        let lines = wakers.into_iter().map(|waker| {
            let (sender, reader) = bounded(COMMANDS_MAX);
            ((sender, waker), reader)
        });
        let (workers, readers) = lines.unzip();
        let state = State { table, workers };
        let commands = Self {
            state: Arc::new(Mutex::new(state)),
            unknown,
            desk,
            orders,
            clock,
        };
        (commands, readers)
    }

    /// Replaces what is known of mirror sources, as a whole. What is sent to the sensor after
    /// this returned is judged by the new table; `sources.unknown` says what becomes of sources
    /// that are not in it.
    ///
    /// A source that is unknown now keeps what was counted for it and gets no more; its flows,
    /// which get no more packets, end by their timeouts.
    ///
    /// Blocks until every worker has room for one more command. Never call it from
    /// the thread that a worker waits for.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn replace_bind_table(&self, table: BindTable) -> Result<(), Stopped> {
        let table = Arc::new(table);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = self.unknown.with(&table);
        for (worker, waker) in &state.workers {
            let table = Arc::clone(&table);
            let command = Command::Admit(Admission { table, unknown });
            worker.send(command).map_err(|_| Stopped)?;
            waker.wake();
        }
        self.desk.introduce(&table);
        state.table = table;
        Ok(())
    }

    /// An intrusion detector named a source: an event that the next report tells, and that
    /// whoever looks after the mirrors hears at once. Every detector's alerts come this way.
    /// Never waits; any thread may call it.
    ///
    /// # Errors
    /// [`Unheard`]; all outcomes are counted as `vxscope_alerts_total{outcome}`.
    pub fn alert(&self, alert: Alert) -> Result<(), Unheard> {
        let result = self.hear(alert);
        self.desk.alerts.count(result);
        result
    }

    fn hear(&self, alert: Alert) -> Result<(), Unheard> {
        self.desk.alerts.allow(self.clock.elapsed())?;
        let known = self.bind_table().find(alert.source).is_some();
        if !known && !self.desk.has_seen(alert.source) {
            return Err(Unheard::UnknownSource);
        }
        let noted = self.desk.book().alert(alert.source, alert.peer);
        let told = self
            .orders
            .as_ref()
            .map(|orders| orders.alert(alert.tidy()));
        if noted || told == Some(true) {
            Ok(())
        } else {
            Err(Unheard::NoMemory)
        }
    }

    /// Asks every worker for packets; how many workers there are.
    pub(crate) fn inquire(&self, inquiry: &Inquiry) -> Result<usize, Unanswered> {
        let make = || Command::Inquire(Box::new(inquiry.clone()));
        self.tell_all(make)
    }

    /// Nobody wants the packets of a pin any more.
    pub(crate) fn unwatch(&self, pin: u32) -> Result<usize, Unanswered> {
        self.tell_all(|| Command::Unwatch(pin))
    }

    /// Waits for no worker longer than one that works may take.
    fn tell_all(&self, make: impl Fn() -> Command) -> Result<usize, Unanswered> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for (worker, waker) in &state.workers {
            worker
                .send_timeout(make(), ROOM_MAX)
                .map_err(|error| match error {
                    SendTimeoutError::Timeout(_) => Unanswered::TooSlow,
                    SendTimeoutError::Disconnected(_) => Unanswered::Stopped,
                })?;
            waker.wake();
        }
        Ok(state.workers.len())
    }

    /// What is known of mirror sources.
    #[must_use]
    pub fn bind_table(&self) -> Arc<BindTable> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&state.table)
    }
}
