//! The reaper as a scheduled function has it: once a minute, from the beginning.

use vxscope_control::mirror::{ApiError, Call, CallId, Reply, Session};
use vxscope_enrolment::lead::{Breadcrumbs, reap};

use super::world::owner;

const SECOND: u64 = 1_000_000_000;
/// How long one run may take.
const RUN: u64 = 50 * SECOND;

#[derive(Debug, Default)]
pub(crate) struct Reaper {
    began: Option<u64>,
    crumbs: Breadcrumbs,
    sessions: Vec<Session>,
    /// Calls to make, and when.
    todo: Vec<(u64, Call)>,
    flights: Vec<(CallId, Call)>,
}

impl Reaper {
    /// It begins anew each minute; the store has answered if there are crumbs.
    pub(crate) fn begin(&mut self, crumbs: Breadcrumbs, now: u64) {
        *self = Self {
            began: Some(now),
            crumbs,
            todo: vec![(now, Call::Describe { next: None })],
            ..Self::default()
        };
    }

    pub(crate) fn end(&mut self) {
        *self = Self::default();
    }

    /// Calls to be made now.
    pub(crate) fn poll(&mut self, now: u64) -> Vec<Call> {
        let over = self.began.is_none_or(|began| now > began + RUN);
        if over {
            self.end();
            return Vec::new();
        }
        let (due, later) = self.todo.drain(..).partition(|(at, _)| *at <= now);
        self.todo = later;
        let due: Vec<(u64, Call)> = due;
        due.into_iter().map(|(_, call)| call).collect()
    }

    pub(crate) fn sent(&mut self, id: CallId, call: Call) {
        self.flights.push((id, call));
    }

    pub(crate) fn handle(&mut self, id: CallId, result: Result<Reply, ApiError>, now: u64) {
        let Some(place) = self.flights.iter().position(|(flight, _)| *flight == id) else {
            return;
        };
        let (_, call) = self.flights.remove(place);
        match result {
            Ok(Reply::Page { sessions, next }) => {
                self.sessions.extend(sessions);
                if next.is_some() {
                    self.todo.push((now, Call::Describe { next }));
                } else {
                    let done = reap(&self.crumbs, &self.sessions, &owner(), now / 1_000);
                    self.todo
                        .extend(done.calls.into_iter().map(|call| (now, call)));
                }
            }
            Ok(_) => {}
            Err(error) if error.kind.is_general() => self.todo.push((now + 5 * SECOND, call)),
            // Somebody else did it.
            Err(_) => {}
        }
    }
}
