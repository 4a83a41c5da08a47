//! A worker's part in strays: which frames it sends on, and what it does with those that come.

use std::time::Duration;

use arrayvec::ArrayVec;
use crossbeam_channel::TryRecvError;
use vxscope_flow::{Packet, Prepared, Untracked, Verdict};
use vxscope_units::Timestamp;
use vxscope_wire::Reject;

use super::clock::at_packet;
use super::{Frames, PASS, Pending, Worker};
use crate::stray::{Stray, Strays};

/// Passes of strays between two looks at the sockets.
const TURN: usize = 16;

/// Whether more strays can come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coming {
    /// There are more than were handled in this turn.
    Waiting,
    /// None is here now.
    Later,
    /// Never again: every worker has ended.
    Never,
}

/// What becomes of a frame where it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stays {
    /// It belongs here.
    Here,
    /// Its owner has it now.
    Gone,
    /// Its owner could not be sent a copy.
    Shed,
}

/// Sends a frame to the worker that has its flow, if the kernel cannot have known which that is:
/// of a fragment, whose ports are not in it, and of a frame in a nested tunnel.
#[inline(never)]
pub(super) fn send_on(strays: &mut Strays, pending: &Pending, frame: &[u8]) -> Stays {
    let packet = &pending.packet;
    let Some(owner) = strays.owner(packet.mirror, &packet.view, frame) else {
        return Stays::Here;
    };
    let sent = strays.send(owner, frame, |copy| {
        copy.timestamp = packet.timestamp;
        copy.mirror = packet.mirror;
        copy.view = packet.view;
        copy.joined = pending.joined;
        copy.reserved_bits = pending.reserved_bits;
    });
    if sent { Stays::Gone } else { Stays::Shed }
}

impl Worker {
    /// Connects it with the other workers.
    pub(crate) fn connect(&mut self, strays: Strays) {
        self.strays = Some(strays);
    }

    /// A batch was handled: wakes those who were sent something.
    pub(crate) fn wake_others(&mut self) {
        if let Some(strays) = &mut self.strays {
            strays.wake();
        }
    }

    /// Sends no more strays.
    pub(crate) fn close_strays(&mut self) {
        if let Some(strays) = &mut self.strays {
            strays.close();
        }
    }

    /// Waits for strays, for some time. Says before how far it is: others may wait for the
    /// writer, and the writer for this worker.
    pub(crate) fn wait_for_strays(&mut self, now: Timestamp, limit: Duration) {
        let ticks = self.begin(now);
        self.touch(&Frames::new(), &ticks);
        self.outlet.report();
        if let Some(strays) = &self.strays {
            strays.wait(limit);
        }
    }

    /// Handles strays that came, like datagrams; a bounded number. If there is no time any more,
    /// counts them instead.
    pub(crate) fn handle_strays(&mut self, now: Timestamp, is_cut: bool) -> Coming {
        for _ in 0..TURN {
            let mut copies: ArrayVec<Box<Stray>, PASS> = ArrayVec::new();
            let coming = self.take_strays(&mut copies);
            if copies.is_empty() {
                return coming;
            }
            if is_cut {
                (0..copies.len()).for_each(|_| self.ledger.reject(Reject::Deadline));
            } else {
                self.handle_copies(&copies, now);
            }
            if let Some(strays) = &self.strays {
                copies.drain(..).for_each(|copy| strays.give_back(copy));
            }
        }
        Coming::Waiting
    }

    fn take_strays(&mut self, copies: &mut ArrayVec<Box<Stray>, PASS>) -> Coming {
        let Some(strays) = &self.strays else {
            return Coming::Never;
        };
        while !copies.is_full() {
            match strays.poll() {
                Ok(copy) => copies.push(copy),
                Err(TryRecvError::Empty) => return Coming::Later,
                Err(TryRecvError::Disconnected) => return Coming::Never,
            }
            self.ledger.strays_mut().received += 1;
        }
        Coming::Waiting
    }

    fn handle_copies(&mut self, copies: &[Box<Stray>], now: Timestamp) {
        let ticks = self.begin(now);
        let mut frames = Frames::new();
        for copy in copies {
            // The bind table may have been replaced since it was sent.
            let source = match self.sources.intern(copy.mirror) {
                Verdict::Known(source) => source,
                Verdict::Unknown(row) => {
                    self.refuse(row, copy.frame().len() as u64, copy.timestamp);
                    continue;
                }
            };
            let index = self.clock.next_index;
            self.clock.next_index += 1;
            // There are as many places as copies.
            let Some(pending) = self.pass.pending.get_mut(self.pass.taken) else {
                continue;
            };
            pending.packet = Packet {
                index: at_packet(index),
                timestamp: copy.timestamp,
                now: self.clock.now,
                source,
                mirror: copy.mirror,
                view: copy.view,
                crossing: self.sources.cross(source, &copy.view, copy.frame()),
            };
            pending.joined = copy.joined;
            pending.reserved_bits = copy.reserved_bits;
            let vni = copy.mirror.vni;
            self.flows
                .prepare(&mut pending.prepared, source, vni, &copy.view);
            if frames.try_push(copy.frame()).is_ok() {
                self.pass.taken += 1;
            }
        }
        self.touch(&frames, &ticks);
    }
}

/// A frame that nobody's flow table gets.
pub(super) const SHED: Prepared = Prepared::untracked(Untracked::StrayShed);
/// Likewise: a canary.
pub(super) const CANARY: Prepared = Prepared::untracked(Untracked::Canary);
