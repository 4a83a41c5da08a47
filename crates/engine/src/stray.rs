//! Fragments on their way to the worker that has their flow.
//!
//! Later fragments have no ports, so the kernel delivers all fragments of a packet by their
//! addresses. The worker where they arrive joins their ports, and sends a copy of each to the
//! worker that the steering function names with them. These are the only packets that move.
//!
//! ```text
//!  worker 0 ── copy ──> arrivals of worker 2 ──┐
//!     ^                                        │ handled like a datagram
//!     └───────────── the copy's box ───────────┘
//! ```
//!
//! A worker has a fixed number of boxes; when all are under way, a fragment stays where it
//! arrived, in no flow, and is counted. No queue can be full before the boxes are used up.

use std::time::Duration;

use crossbeam_channel::{Receiver, Select, Sender, TryRecvError, bounded};
use vxscope_capture::udp::{UdpBatch, Waker};
use vxscope_flow::Joined;
use vxscope_units::{MirrorSource, Timestamp};
use vxscope_wire::FrameView;
use vxscope_wire::steer::Steering;

/// Boxes of one worker, of 9.5 KiB each: 32 full batches of fragments. The worker that gets them
/// is woken at once, so this is what it may be behind; beyond it fragments are untracked as
/// `stray_shed`.
const BOXES: usize = 1_024;

/// A fragment with everything that was found out about it where it arrived.
#[derive(Debug)]
pub(crate) struct Stray {
    /// Whose box this is.
    home: usize,
    pub(crate) timestamp: Timestamp,
    pub(crate) mirror: MirrorSource,
    /// With the ports of the first fragment.
    pub(crate) view: FrameView,
    pub(crate) joined: Joined,
    pub(crate) reserved_bits: bool,
    frame: Vec<u8>,
}

impl Stray {
    fn new(home: usize) -> Self {
        Self {
            home,
            timestamp: Timestamp::ZERO,
            mirror: crate::worker::BARE,
            view: FrameView::default(),
            joined: Joined::default(),
            reserved_bits: false,
            frame: Vec::with_capacity(UdpBatch::PAYLOAD_MAX),
        }
    }

    pub(crate) fn frame(&self) -> &[u8] {
        &self.frame
    }
}

/// One worker's ends of all the lines between workers.
#[derive(Debug)]
pub(crate) struct Strays {
    number: usize,
    steering: Steering,
    #[expect(
        clippy::vec_box,
        reason = "a box goes to another worker by its address alone"
    )]
    boxes: Vec<Box<Stray>>,
    /// Boxes that come back.
    returned: Receiver<Box<Stray>>,
    /// Where boxes go back to, by worker.
    homes: Vec<Sender<Box<Stray>>>,
    /// Where copies go to, by worker; none once this worker sends no more.
    owners: Vec<Owner>,
    arrivals: Receiver<Box<Stray>>,
}

/// Another worker, seen from the one that sends.
#[derive(Clone, Debug)]
struct Owner {
    line: Sender<Box<Stray>>,
    waker: Waker,
    /// Something was sent since it was woken.
    waits: bool,
}

/// Connects every worker with every other; the wakers are theirs, in their order.
pub(crate) fn connect(steering: Steering, wakers: &[Waker]) -> Vec<Strays> {
    let workers = wakers.len();
    let (homes, returned): (Vec<_>, Vec<_>) = (0..workers).map(|_| bounded(BOXES)).unzip();
    let room = BOXES.saturating_mul(workers);
    let (lines, arrivals): (Vec<_>, Vec<_>) = (0..workers).map(|_| bounded(room)).unzip();
    let owners = lines.into_iter().zip(wakers).map(|(line, waker)| Owner {
        line,
        waker: waker.clone(),
        waits: false,
    });
    let owners: Vec<_> = owners.collect();
    let ends = returned.into_iter().zip(arrivals).enumerate();
    let strays = ends.map(|(number, (returned, arrivals))| Strays {
        number,
        steering,
        boxes: (0..BOXES).map(|_| Box::new(Stray::new(number))).collect(),
        returned,
        homes: homes.clone(),
        owners: owners.clone(),
        arrivals,
    });
    strays.collect()
}

impl Strays {
    /// The worker that has this frame's flow, if it is another one.
    pub(crate) fn owner(
        &self,
        mirror: MirrorSource,
        view: &FrameView,
        frame: &[u8],
    ) -> Option<usize> {
        let owner = self.steering.worker(view, frame, mirror.vni);
        (owner != self.number).then_some(owner)
    }

    /// Sends a copy to its owner: `fill` writes everything but the frame. False if it cannot.
    pub(crate) fn send(
        &mut self,
        owner: usize,
        frame: &[u8],
        fill: impl FnOnce(&mut Stray),
    ) -> bool {
        let Some(owner) = self.owners.get_mut(owner) else {
            return false;
        };
        let Some(mut copy) = self.boxes.pop().or_else(|| self.returned.try_recv().ok()) else {
            return false;
        };
        copy.frame.clear();
        copy.frame.extend_from_slice(frame);
        fill(&mut copy);
        match owner.line.try_send(copy) {
            Ok(()) => {
                owner.waits = true;
                true
            }
            Err(refused) => {
                self.boxes.push(refused.into_inner());
                false
            }
        }
    }

    /// Wakes those who were sent something.
    pub(crate) fn wake(&mut self) {
        for owner in &mut self.owners {
            if owner.waits {
                owner.waits = false;
                owner.waker.wake();
            }
        }
    }

    /// Sends no more. Once every worker has said so, [`Strays::poll`] says that there is an end.
    pub(crate) fn close(&mut self) {
        self.wake();
        self.owners.clear();
    }

    /// A copy that has come, or whether more can come.
    pub(crate) fn poll(&self) -> Result<Box<Stray>, TryRecvError> {
        self.arrivals.try_recv()
    }

    /// Waits until a copy has come, no more can come or some time has passed.
    pub(crate) fn wait(&self, limit: Duration) {
        let mut select = Select::new();
        select.recv(&self.arrivals);
        let _ = select.ready_timeout(limit);
    }

    /// Sends a box home. If nobody is there any more, nobody needs it.
    pub(crate) fn give_back(&self, copy: Box<Stray>) {
        if let Some(home) = self.homes.get(copy.home) {
            let _ = home.try_send(copy);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use crossbeam_channel::TryRecvError;
    use vxscope_capture::udp::Waker;
    use vxscope_units::Timestamp;
    use vxscope_wire::steer::Steering;

    use super::{BOXES, Strays, connect};

    #[test]
    fn a_copy_arrives_with_what_was_found_out_about_it() {
        let [mut first, second, third] = three();
        for number in 0..3_u8 {
            let stamp = Timestamp::new(number.into(), 0);
            assert!(first.send(1, &[number; 9_000], |copy| copy.timestamp = stamp));
        }
        for number in 0..3_u8 {
            let copy = second.poll().unwrap();
            assert_eq!(copy.frame(), [number; 9_000]);
            assert_eq!(copy.timestamp.seconds(), u64::from(number));
            second.give_back(copy);
        }
        assert_eq!(second.poll().err(), Some(TryRecvError::Empty));
        assert_eq!(third.poll().err(), Some(TryRecvError::Empty));
    }

    #[test]
    fn a_worker_whose_boxes_are_all_under_way_sends_none_until_one_is_back() {
        let [mut first, second, third] = three();
        for number in 0..BOXES {
            assert!(first.send(1 + number % 2, b"frame", |_| ()), "{number}");
        }
        assert!(!first.send(1, b"frame", |_| ()));
        third.give_back(third.poll().unwrap());
        assert!(first.send(1, b"frame", |_| ()));
        assert!(!first.send(1, b"frame", |_| ()));
        drop(second);
    }

    #[test]
    fn the_end_comes_when_every_worker_has_closed_and_all_copies_are_taken() {
        let [mut first, mut second, mut third] = three();
        assert!(first.send(2, b"last", |_| ()));
        first.close();
        third.close();
        assert!(!first.send(1, b"too late", |_| ()));
        assert_eq!(second.poll().err(), Some(TryRecvError::Empty));
        second.close();
        assert_eq!(second.poll().err(), Some(TryRecvError::Disconnected));
        drop(first);
        let copy = third.poll().unwrap();
        third.give_back(copy);
        assert_eq!(third.poll().err(), Some(TryRecvError::Disconnected));
    }

    fn three() -> [Strays; 3] {
        let wakers = [0; 3].map(|_| Waker::new().expect("a descriptor"));
        let steering = Steering::new(0, NonZeroU16::new(3).expect("three"));
        let strays = connect(steering, &wakers);
        strays.try_into().expect("three workers")
    }
}
