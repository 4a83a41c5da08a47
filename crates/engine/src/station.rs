//! One worker's thread of a live run: receives until told to stop, drains, ends.

use std::time::Duration;

use crossbeam_channel::Receiver;
use vxscope_capture::live::{LiveError, LiveSource};

use crate::accounting::{Step, Teller};
use crate::clock::LiveClock;
use crate::command::Command;
use crate::stop::{Deadline, Stop};
use crate::summary::Kernel;
use crate::worker::{Coming, Worker, WorkerReport};

/// How long a worker that has drained its sockets waits for strays before it says again how far
/// it is: the writer merges no further, and may hold up those that still drain.
const STRAY_WAIT: Duration = Duration::from_millis(5);

/// What a worker left, and what the kernel kept from it or why it failed.
pub(crate) type Served = (WorkerReport, Result<Kernel, LiveError>);

/// A worker, its sockets, and its lines to the rest.
pub(crate) struct Station {
    pub(crate) worker: Worker,
    pub(crate) source: LiveSource,
    pub(crate) commands: Receiver<Command>,
    pub(crate) teller: Teller,
    /// Whether somebody holds the sockets for the next run.
    pub(crate) is_held: bool,
}

impl Station {
    /// Takes the whole thread.
    pub(crate) fn serve(mut self, stop: &Stop, deadline: &Deadline, clock: LiveClock) -> Served {
        let result = self.receive(stop, deadline, clock);
        // A worker that fails ends the run: half a sensor would look like a whole one.
        stop.begin();
        // Also after a failure: others wait for this one's end.
        drain_strays(&mut self.worker, deadline, clock);
        (self.worker.finish(), result)
    }

    fn receive(
        &mut self,
        stop: &Stop,
        deadline: &Deadline,
        clock: LiveClock,
    ) -> Result<Kernel, LiveError> {
        let Self {
            worker,
            source,
            commands,
            teller,
            is_held,
        } = self;
        let (mut stopping, mut second_before) = (false, 0);
        let waker = source.waker();
        loop {
            if !stopping && stop.is_requested() {
                source.stop()?;
                worker.set_drift(clock.drift());
                worker.end();
                stopping = true;
            }
            teller.stages.begin();
            let batch = source.receive()?;
            let received = batch.len();
            if batch.has_waited() {
                teller.stages.forget();
            } else {
                teller.stages.end(Step::Receive, received);
            }
            // Before the batch, so that a datagram finds everything that was said before it was
            // sent.
            for command in commands.try_iter() {
                worker.obey(command);
            }
            let elapsed = clock.elapsed();
            if stopping && deadline.is_cut() {
                // As fast as they can be counted: a buffer's worth, because the sockets are shut.
                worker.refuse_batch(&batch);
            } else {
                worker.handle_batch(&batch, clock.at(elapsed), &mut teller.stages);
                worker.wake_others();
            }
            let is_cut = stopping && deadline.is_cut();
            if worker.handle_strays(clock.at(elapsed), is_cut) == Coming::Waiting {
                waker.wake();
            }
            // Whoever wants packets need not wait for the next ones.
            if worker.look_back_a_turn(elapsed) {
                waker.wake();
            }
            teller.measure(&batch);
            if stopping && received == 0 {
                break;
            }
            let second = elapsed.as_secs();
            if second > second_before {
                second_before = second;
                worker.set_drift(clock.drift());
            }
            teller.beat(elapsed, worker, source)?;
            teller.stages.end(Step::Rest, received);
        }
        drain_strays(worker, deadline, clock);
        let dropped = source.dropped()?;
        teller.end(worker, dropped);
        let refused = source.refused()?;
        if *is_held {
            source.leave_open()?;
        }
        Ok(Kernel {
            dropped,
            refused,
            interface_dropped: None,
        })
    }
}

/// Handles what other workers still send, until all have drained their sockets: each says so
/// before it waits, so none waits for good.
fn drain_strays(worker: &mut Worker, deadline: &Deadline, clock: LiveClock) {
    worker.close_strays();
    loop {
        let now = clock.at(clock.elapsed());
        match worker.handle_strays(now, deadline.is_cut()) {
            Coming::Waiting => {}
            Coming::Later => worker.wait_for_strays(now, STRAY_WAIT),
            Coming::Never => return,
        }
    }
}
