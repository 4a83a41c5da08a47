//! A worker's part: inquiries, each served a little at a time between two batches.

use std::collections::{BTreeSet, VecDeque};

use crossbeam_channel::{Sender, TrySendError};
use vxscope_export::Packets;
use vxscope_flow::{Flows, Reading, Search, Sighting, Sources};
use vxscope_units::Timestamp;

use super::watch::Watch;

/// Bytes that are copied in one turn: tens of microseconds, in which a receive buffer loses
/// nothing.
const TURN_BYTES: usize = 64 << 10;
/// Steps of a search in one turn, for the same reason; see [`Flows::search`].
const TURN_STEPS: usize = 2_048;
/// Inquiries that one worker serves in turn. Who asks is held to fewer; a further one is dropped,
/// which whoever asked sees.
const INQUIRIES_MAX: usize = 32;

/// What somebody wants of a worker.
#[derive(Clone, Debug)]
pub(crate) struct Inquiry {
    pub(crate) search: Search,
    /// Flows after which it ends.
    pub(crate) flows_max: usize,
    /// Whether their packets are wanted, too.
    pub(crate) packets: bool,
    /// Where answers go, each with the number of the worker.
    pub(crate) answers: Sender<(usize, Part)>,
    /// Also have packets that come from now on.
    pub(crate) watch: Option<Watch>,
}

/// A part of an answer.
#[derive(Debug)]
pub(crate) enum Part {
    /// A flow that was found; its packets follow.
    Flow(Box<Sighting>),
    /// Packets of the flow before, oldest first.
    Packets(Packets),
    /// The flow before has no more; so many of its packets were left to the watch.
    End { later: u64 },
    /// This worker has no more flows. `limited`: it stopped looking at the limit.
    Done { limited: bool },
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Retriever {
    worker: usize,
    jobs: VecDeque<Job>,
}

#[derive(Debug)]
struct Job {
    inquiry: Inquiry,
    /// Packets after this are the watch's.
    until: Option<Timestamp>,
    reading: Option<Reading>,
    /// Packets of the flow that is being read which the watch has.
    later: u64,
    seen: BTreeSet<u64>,
    limited: bool,
    /// A part that found no room.
    held: Option<Part>,
    done: bool,
}

impl Retriever {
    pub(crate) fn new(worker: usize) -> Self {
        Self {
            worker,
            jobs: VecDeque::with_capacity(INQUIRIES_MAX),
        }
    }

    /// Takes an inquiry; `newest` is the stamp of the newest packet so far.
    pub(crate) fn begin(&mut self, inquiry: Inquiry, newest: Timestamp) {
        if self.jobs.len() >= INQUIRIES_MAX {
            return;
        }
        let until = inquiry.watch.is_some().then_some(newest);
        self.jobs.push_back(Job {
            inquiry,
            until,
            reading: None,
            later: 0,
            seen: BTreeSet::new(),
            limited: false,
            held: None,
            done: false,
        });
    }

    /// One turn of one inquiry; whether there is more to do.
    pub(crate) fn turn(&mut self, flows: &Flows, sources: &Sources) -> bool {
        let Some(mut job) = self.jobs.pop_front() else {
            return false;
        };
        if job.turn(self.worker, flows, sources) {
            self.jobs.push_back(job);
        }
        !self.jobs.is_empty()
    }
}

impl Job {
    /// Whether it goes on.
    fn turn(&mut self, worker: usize, flows: &Flows, sources: &Sources) -> bool {
        let part = match self.held.take() {
            Some(part) => Some(part),
            None => self.next(flows, sources),
        };
        let Some(part) = part else { return true };
        match self.inquiry.answers.try_send((worker, part)) {
            Ok(()) => !self.done,
            Err(TrySendError::Full((_, part))) => {
                self.held = Some(part);
                true
            }
            // Nobody wants to know any more.
            Err(TrySendError::Disconnected(_)) => false,
        }
    }

    /// What a turn brings.
    fn next(&mut self, flows: &Flows, sources: &Sources) -> Option<Part> {
        match &mut self.reading {
            Some(reading) => {
                let (until, later) = (self.until, &mut self.later);
                let mut packets = Packets::default();
                let more = flows.read(reading, TURN_BYTES, &mut |stored| {
                    if until.is_some_and(|until| stored.timestamp > until) {
                        *later += 1;
                    } else {
                        packets.push(stored.timestamp, stored.frame, stored.original_len);
                    }
                });
                if more || !packets.is_empty() {
                    return Some(Part::Packets(packets));
                }
                self.reading = None;
                let later = std::mem::take(&mut self.later);
                Some(Part::End { later })
            }
            None => self.look(flows, sources),
        }
    }

    fn look(&mut self, flows: &Flows, sources: &Sources) -> Option<Part> {
        let mut steps = TURN_STEPS;
        let search = &mut self.inquiry.search;
        while let Some(flow) = flows.search(search, sources, &mut steps) {
            // One that closed meanwhile comes twice.
            if self.seen.contains(&flow.flow_id) {
                continue;
            }
            if self.seen.len() >= self.inquiry.flows_max {
                self.limited = true;
                break;
            }
            self.seen.insert(flow.flow_id);
            self.reading = match self.inquiry.packets {
                true => flows.reading(&flow),
                false => None,
            };
            return Some(Part::Flow(Box::new(flow)));
        }
        if !self.limited && !search.is_done() {
            return None;
        }
        self.done = true;
        let limited = self.limited;
        Some(Part::Done { limited })
    }
}
