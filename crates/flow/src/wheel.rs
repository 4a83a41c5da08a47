//! A hashed timer wheel of coarse deadlines: one second a slot.
//!
//! Every flow hangs in exactly one slot, in a doubly linked list. A packet does not move its
//! flow: when a slot comes up, flows that were active since then are hung up again at their new
//! deadline. So a packet costs nothing here, and a flow is visited about once per timeout.

use std::io;

use vxscope_memory::FixedVec;

/// Slots of the wheel: deadlines further away than this many seconds come around more than once.
const SLOTS: usize = 1024;
/// No flow.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
    slot: u32,
}

/// Timers of the slots of one flow table.
#[derive(Debug)]
pub(crate) struct Wheel {
    heads: Vec<u32>,
    links: FixedVec<Link>,
    second: u64,
}

impl Wheel {
    /// For flow table slots `0..slots_max`.
    pub(crate) fn try_new(slots_max: usize) -> io::Result<Self> {
        let links = FixedVec::with_capacity(slots_max)?;
        Ok(Self {
            heads: vec![NONE; SLOTS],
            links,
            second: 0,
        })
    }

    /// Hangs a flow that hangs nowhere into the slot of its deadline (seconds since the epoch).
    /// A deadline that has passed is due at the next [`Self::advance`].
    pub(crate) fn hang(&mut self, flow: u32, deadline: u64) {
        let slot = slot_of(deadline.max(self.second + 1));
        while self.links.len() <= flow as usize {
            // Flow slots are handed out in order, so this appends one link for a new slot.
            if self
                .links
                .push(Link {
                    previous: NONE,
                    next: NONE,
                    slot: NONE,
                })
                .is_err()
            {
                return;
            }
        }
        let Some(head) = self.heads.get_mut(slot) else {
            return;
        };
        let next = std::mem::replace(head, flow);
        if let Some(link) = self.links.get_mut(next as usize) {
            link.previous = flow;
        }
        if let Some(link) = self.links.get_mut(flow as usize) {
            #[expect(clippy::cast_possible_truncation, reason = "slots are fewer than 2^32")]
            let slot = slot as u32;
            *link = Link {
                previous: NONE,
                next,
                slot,
            };
        }
    }

    /// Takes a flow down.
    pub(crate) fn unhang(&mut self, flow: u32) {
        let Some(link) = self.links.get_mut(flow as usize) else {
            return;
        };
        let Link {
            previous,
            next,
            slot,
        } = *link;
        link.slot = NONE;
        if slot == NONE {
            return;
        }
        if let Some(before) = self.links.get_mut(previous as usize) {
            before.next = next;
        } else if let Some(head) = self.heads.get_mut(slot as usize) {
            *head = next;
        }
        if let Some(after) = self.links.get_mut(next as usize) {
            after.previous = previous;
        }
    }

    /// Moves to `second` and takes down every flow in the slots passed, into `due`; the caller
    /// hangs up again those that are not due. A jump over the whole wheel visits each slot once.
    pub(crate) fn advance(&mut self, second: u64, due: &mut Vec<u32>) {
        if second <= self.second {
            return;
        }
        let turns = (second - self.second).min(SLOTS as u64);
        for passed in (second - turns + 1)..=second {
            let Some(head) = self.heads.get_mut(slot_of(passed)) else {
                continue;
            };
            let mut flow = std::mem::replace(head, NONE);
            while let Some(link) = self.links.get_mut(flow as usize) {
                link.slot = NONE;
                due.push(flow);
                flow = link.next;
            }
        }
        self.second = second;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a remainder below SLOTS")]
fn slot_of(second: u64) -> usize {
    (second % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::Wheel;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Against a map of deadlines: nothing is due early, nothing is forgotten.
        #[test]
        fn behaves_like_a_map_of_deadlines(
            operations in prop::collection::vec((0..20_u32, 0..3000_u64, 0..3_u8), 0..200)
        ) {
            let mut wheel = Wheel::try_new(20).unwrap();
            let mut oracle: BTreeMap<u32, u64> = BTreeMap::new();
            let mut now = 1_000_000_000;
            wheel.advance(now, &mut Vec::new());
            for (flow, seconds, what) in operations {
                match what {
                    0 => {
                        if oracle.remove(&flow).is_some() {
                            wheel.unhang(flow);
                        }
                        wheel.hang(flow, now + seconds);
                        oracle.insert(flow, (now + seconds).max(now + 1));
                    }
                    1 => {
                        if oracle.remove(&flow).is_some() {
                            wheel.unhang(flow);
                        }
                    }
                    _ => {
                        now += seconds / 2;
                        let mut taken = Vec::new();
                        wheel.advance(now, &mut taken);
                        for flow in &taken {
                            let deadline = oracle.remove(flow).expect("hung before");
                            if deadline > now {
                                wheel.hang(*flow, deadline);
                                oracle.insert(*flow, deadline);
                            }
                        }
                        prop_assert!(oracle.values().all(|deadline| *deadline > now));
                    }
                }
            }
        }
    }
}
