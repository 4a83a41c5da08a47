//! One part of a sink: its queue and its thread, and what found no room in the queue.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use vxscope_export::{Offered, Shed, SinkCount, SinkOutcome, WayOut};

use super::Hands;
use super::parcel::{Bundle, Handed, Lane, Owned};
use crate::accounting::Seat;
use crate::clock::{self, LiveClock};
use crate::error::EngineError;
use crate::start;
use crate::stop::Deadline;

/// Bundles that wait for one sink of frames, each of a chunk of each worker at most; or of anything
/// of a finite input, which waits where there is no room.
pub(super) const QUEUE: usize = 15;
/// Time between two ticks of a sink.
const TICK_EVERY: Duration = Duration::from_millis(100);
/// Bundles of a sink that are empty: as many as there can be, those that wait, the one in the
/// sink's hands and the one that is filled.
const EMPTY: usize = QUEUE + 2;

/// Where a sink's bundles and the shells of their chunks go when they have been delivered.
#[derive(Clone, Debug)]
struct Home {
    bundles: Sender<Bundle>,
    shells: Sender<Arc<Owned>>,
}

impl Home {
    /// Takes back what carried frames.
    fn take(&self, handed: Handed) {
        if let Handed::Frames(mut bundle) = handed {
            bundle.clear(&self.shells);
            // There is room for all.
            let _ = self.bundles.try_send(bundle);
        }
    }
}

/// What goes through a queue.
#[derive(Debug)]
struct Parcel {
    handed: Handed,
    /// What found no room between the parcel before and this one.
    missed: u64,
}

/// The writer's end.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) lane: Lane,
    way: Way,
    home: Home,
    empty: Receiver<Bundle>,
    /// What found no room.
    lost: SinkCount,
    /// The part of it that the sink has not been told of.
    missed: u64,
    seat: Seat,
}

/// How the sink is reached.
#[derive(Debug)]
enum Way {
    /// It has a thread, which ends once the sender is gone.
    Thread(Option<Sender<Parcel>>, Receiver<SinkOutcome>),
    /// Whoever hands over does the sink's work.
    Own(Box<dyn WayOut>, Seat),
}

impl Queue {
    /// Starts the sink's thread.
    pub(super) fn start(
        (name, lane): (String, Lane),
        way: Box<dyn WayOut>,
        hands: &Hands,
        shells: Sender<Arc<Owned>>,
        [sinks, ours]: [Seat; 2],
    ) -> Result<Self, EngineError> {
        let deadline = hands.deadline().cloned();
        let (sender, parcels) = bounded(match hands {
            Hands::Live(_, batches) if lane.offered != Offered::Frames => *batches,
            _ => QUEUE,
        });
        let (outcome, ended) = bounded(1);
        let (bundles, empty) = bounded(EMPTY);
        let home = Home { bundles, shells };
        let (offered, back) = (lane.offered, home.clone());
        // As far as the kernel keeps names, it is the sink's own.
        start::detach(&name, move || {
            let served = serve(way, offered, (&parcels, &back), deadline.as_deref(), &sinks);
            let _ = outcome.try_send(served);
        })?;
        let way = Way::Thread(Some(sender), ended);
        Ok(Self::reached((name, lane), way, (home, empty), ours))
    }

    /// Without a thread.
    pub(super) fn own(
        named: (String, Lane),
        way: Box<dyn WayOut>,
        shells: Sender<Arc<Owned>>,
        [sinks, ours]: [Seat; 2],
    ) -> Self {
        let (bundles, empty) = bounded(EMPTY);
        let home = Home { bundles, shells };
        Self::reached(named, Way::Own(way, sinks), (home, empty), ours)
    }

    fn reached(
        (name, lane): (String, Lane),
        way: Way,
        (home, empty): (Home, Receiver<Bundle>),
        seat: Seat,
    ) -> Self {
        Self {
            name,
            lane,
            way,
            home,
            empty,
            lost: SinkCount::default(),
            missed: 0,
            seat,
        }
    }

    /// What the sink did not get.
    #[cfg(test)]
    pub(super) const fn lost(&self) -> SinkCount {
        self.lost
    }

    /// Counts what the sink is not to have.
    pub(super) fn shed(&mut self, reason: Shed, count: u64) {
        self.lost.add_shed(reason, count);
        self.seat.show(&self.lost);
    }

    /// Writes a run of frames at once, where nobody else does the sink's work.
    pub(super) fn write(&mut self, owned: &Owned, positions: Range<usize>, is_copy: bool) {
        if self.lane.takes(owned.worker, is_copy)
            && let Way::Own(way, seat) = &mut self.way
        {
            way.frames(&owned.chunk, positions);
            seat.show(&way.count());
        }
    }

    /// Sends what of a bundle is to go this way, if anything.
    pub(super) fn send_part(&mut self, bundle: &Bundle, is_live: bool) {
        let mut part = self.empty.try_recv().unwrap_or_default();
        part.copy(bundle, self.lane);
        if part.is_empty() {
            return self.home.take(Handed::Frames(part));
        }
        self.send(Handed::Frames(part), is_live);
    }

    /// The same, and leaves an empty bundle: nobody else is to have this one.
    pub(super) fn send_rest(&mut self, bundle: &mut Bundle, is_live: bool) {
        if bundle.is_for(self.lane) {
            let next = self.empty.try_recv().unwrap_or_default();
            let whole = std::mem::replace(bundle, next);
            return self.send(Handed::Frames(whole), is_live);
        }
        self.send_part(bundle, is_live);
        bundle.clear(&self.home.shells);
    }

    /// Of a live input what finds no room is shed; of a finite one there will be room.
    pub(super) fn send(&mut self, handed: Handed, is_live: bool) {
        let sender = match &mut self.way {
            Way::Thread(sender, _) => sender,
            Way::Own(way, seat) => {
                handed.deliver(way.as_mut());
                self.home.take(handed);
                return seat.show(&way.count());
            }
        };
        let Some(sender) = sender else { return };
        let missed = std::mem::take(&mut self.missed);
        let parcel = Parcel { handed, missed };
        let refused = if is_live {
            match sender.try_send(parcel) {
                Ok(()) => return,
                Err(TrySendError::Full(refused) | TrySendError::Disconnected(refused)) => refused,
            }
        } else {
            match sender.send(parcel) {
                Ok(()) => return,
                Err(refused) => refused.0,
            }
        };
        let lost = refused.handed.len(self.lane.offered);
        self.home.take(refused.handed);
        self.missed = missed + lost;
        self.shed(Shed::QueueFull, lost);
    }

    /// Nothing more is to come.
    pub(super) fn close(&mut self) {
        if let Way::Thread(sender, _) = &mut self.way {
            *sender = None;
        }
    }

    /// How the sink ended, what never came to it included; `None` if it did not end in time.
    pub(super) fn wait(self, deadline: Option<&Deadline>) -> Option<SinkOutcome> {
        let mut outcome = match self.way {
            Way::Own(way, _) => way.finish(),
            Way::Thread(_, ended) => wait(&ended, deadline)?,
        };
        outcome.count.merge(&self.lost);
        outcome.name = self.name;
        Some(outcome)
    }
}

fn wait(ended: &Receiver<SinkOutcome>, deadline: Option<&Deadline>) -> Option<SinkOutcome> {
    loop {
        match ended.recv_timeout(TICK_EVERY) {
            Err(RecvTimeoutError::Timeout) if deadline.is_none_or(|it| !it.is_over()) => {}
            ended => return ended.ok(),
        }
    }
}

/// One sink's thread: delivers until nothing more comes.
fn serve(
    mut way: Box<dyn WayOut>,
    offered: Offered,
    (parcels, home): (&Receiver<Parcel>, &Home),
    deadline: Option<&Deadline>,
    seat: &Seat,
) -> SinkOutcome {
    let mut late = SinkCount::default();
    let clock = LiveClock::start();
    let mut ticked = Duration::ZERO;
    loop {
        match parcels.recv_timeout((ticked + TICK_EVERY).saturating_sub(clock.elapsed())) {
            Ok(Parcel { handed, .. }) if deadline.is_some_and(Deadline::is_cut) => {
                late.add_shed(Shed::Deadline, handed.len(offered));
                home.take(handed);
            }
            Ok(Parcel { handed, missed }) => {
                if missed > 0 {
                    way.missed(missed);
                }
                handed.deliver(way.as_mut());
                home.take(handed);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let mut count = way.count();
        count.merge(&late);
        seat.show(&count);
        if clock.elapsed() >= ticked + TICK_EVERY {
            ticked = clock.elapsed();
            // Not that of the thread's start: the wall clock may have been set meanwhile.
            way.tick(clock::wall());
        }
    }
    let mut outcome = way.finish();
    outcome.count.merge(&late);
    outcome
}
