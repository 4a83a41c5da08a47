//! What an answer, or none, says about a source's session.

use std::time::Duration;

use vxscope_units::Timestamp;

use super::place::{CONTESTED_NANOS, GRACE_NANOS, Need, Place};
use super::sweep::believe;
use super::{Basis, CALL_TIMEOUT_NANOS, Purpose, Reconciler};
use crate::Row;
use crate::budget::backoff;
use crate::mirror::{ApiError, CallId, ErrorKind, Reply, Session};

/// The waits after failures: general ones end soon after the trouble does.
const GENERAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(20));
/// Somebody must do something before it can succeed.
const BLOCKED: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// It cannot succeed until the interface is another one.
const HOPELESS: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(600));

impl Reconciler {
    /// An answer came. Those of calls that were given up are ignored.
    pub fn handle_reply(&mut self, id: CallId, result: Result<Reply, ApiError>, now: Timestamp) {
        let Some(flight) = self.flights.remove(&id) else {
            return;
        };
        if let Err(error) = &result {
            self.errors[error.kind.index()] += 1;
        }
        let failed = matches!(&result, Err(error) if error.kind.is_general());
        match flight.purpose {
            Purpose::Page => self.handle_page(result, now),
            Purpose::Change(row, need) => {
                self.gate.handle(failed, &mut self.random, now);
                self.handle_change(row, &need, result, now);
            }
        }
    }

    /// Takes calls that were not answered in time as answered by nothing.
    pub(super) fn give_up(&mut self, now: Timestamp) {
        let is_late = |sent: Timestamp| now.nanos_since(sent) >= CALL_TIMEOUT_NANOS || sent > now;
        let late = self.flights.iter().filter(|(_, one)| is_late(one.sent));
        let late: Vec<CallId> = late.map(|(id, _)| *id).collect();
        for id in late {
            self.handle_reply(id, Err(ApiError::no_answer()), now);
        }
    }

    fn handle_page(&mut self, result: Result<Reply, ApiError>, now: Timestamp) {
        let Some(mut sweep) = self.sweep.take() else {
            return;
        };
        let Ok(Reply::Page { sessions, next }) = result else {
            // Half a reading says nothing about what is missing in it.
            let wait = backoff(self.sweep_failures, GENERAL.0, GENERAL.1, &mut self.random);
            self.sweep_failures = self.sweep_failures.saturating_add(1);
            self.sweep_again_at = after(now, wait);
            return;
        };
        self.sweep_failures = 0;
        sweep.pages = sweep.pages.saturating_add(1);
        sweep.sessions.extend(sessions);
        if next.is_some() {
            sweep.next = next;
            self.sweep = Some(sweep);
            return;
        }
        let before = std::mem::take(&mut self.findings.overtaken);
        let (findings, changed) = believe(
            &mut self.places,
            &self.by_interface,
            &self.owner,
            &sweep,
            &before,
        );
        self.findings = findings;
        for tampering in &self.findings.tampered {
            let place = self.places.get_mut(&tampering.row);
            if let Some(place) = place
                && place.is_contested(now)
            {
                place.retry_at = now.plus_nanos(CONTESTED_NANOS);
                self.findings.contested.push(tampering.row);
            }
        }
        self.attention.extend(changed);
        self.swept_at = Some(sweep.started);
        self.pages = sweep.pages;
        self.gate.handle_reading(now);
    }

    fn handle_change(
        &mut self,
        row: Row,
        need: &Need,
        result: Result<Reply, ApiError>,
        now: Timestamp,
    ) {
        let Some(place) = self.places.get_mut(&row) else {
            return;
        };
        place.in_flight = None;
        self.attention.insert(row);
        match result {
            Ok(reply) => succeed(place, need, reply, now),
            Err(error) => {
                if fail(place, need, error.kind, now) {
                    self.back_off(row, now);
                }
            }
        }
    }

    /// Waits before the next call for this source.
    pub(super) fn back_off(&mut self, row: Row, now: Timestamp) {
        let Some(place) = self.places.get_mut(&row) else {
            return;
        };
        let (first, longest) = match place.blocked {
            None => GENERAL,
            Some(ErrorKind::Unsupported) => HOPELESS,
            Some(_) => BLOCKED,
        };
        let wait = backoff(place.failures, first, longest, &mut self.random);
        place.failures = place.failures.saturating_add(1);
        place.retry_at = after(now, wait);
    }
}

fn succeed(place: &mut Place, need: &Need, reply: Reply, now: Timestamp) {
    place.failures = 0;
    place.blocked = None;
    match (need, reply) {
        (Need::DeleteExtra { id }, _) => {
            place.extras.retain(|extra| extra != id);
            place.lose(id.clone(), now);
        }
        (_, Reply::Created(session)) => {
            settle(place, Some(session), now);
            place.created_at = Some(now);
        }
        (Need::Modify { settings, .. }, _) => {
            let session = place.session.take().map(|mut session| {
                let vni = settings.vni.or(session.settings.vni);
                session.settings = settings.clone();
                session.settings.vni = vni;
                session
            });
            settle(place, session, now);
        }
        (Need::Delete { .. }, _) => settle(place, None, now),
        // An answer to another question: nobody knows.
        (Need::Create { .. } | Need::Repeat(_), _) => place.basis = Basis::Doubtful,
    }
}

/// Our change had its effect.
fn settle(place: &mut Place, session: Option<Session>, now: Timestamp) {
    place.had_one |= session.is_some();
    if let (Some(before), None) = (place.session.take(), &session) {
        place.lose(before.id, now);
    }
    place.session = session;
    place.pending = None;
    place.basis = Basis::Answered;
    place.changed_at = Some(now);
}

/// True if the next call must wait.
fn fail(place: &mut Place, need: &Need, kind: ErrorKind, now: Timestamp) -> bool {
    place.blocked = None;
    match kind {
        ErrorKind::Throttled | ErrorKind::Unavailable => true,
        ErrorKind::UnknownOutcome => {
            // A creation stays pending; anything else is in doubt until it is said again.
            if place.pending.is_none() && !matches!(need, Need::DeleteExtra { .. }) {
                place.basis = Basis::Doubtful;
                place.changed_at = Some(now);
            }
            true
        }
        ErrorKind::NotFound => match need {
            Need::DeleteExtra { id } => {
                place.extras.retain(|extra| extra != id);
                false
            }
            Need::Modify { .. } if is_young(place, now) => true,
            Need::Create { .. } | Need::Repeat(_) | Need::Modify { .. } | Need::Delete { .. } => {
                settle(place, None, now);
                false
            }
        },
        ErrorKind::TokenMismatch => {
            place.pending = None;
            true
        }
        ErrorKind::Missing
        | ErrorKind::Limit
        | ErrorKind::Unsupported
        | ErrorKind::InUse
        | ErrorKind::Unauthorized
        | ErrorKind::Invalid => {
            // Certainly not done: another creation may have other parameters.
            place.pending = None;
            place.blocked = Some(kind);
            if kind == ErrorKind::InUse {
                place.in_the_way_at = Some(now);
            }
            true
        }
    }
}

/// A session that was made just now may not be known everywhere yet.
fn is_young(place: &Place, now: Timestamp) -> bool {
    let created = place.created_at;
    created.is_some_and(|created| now < created.plus_nanos(GRACE_NANOS))
}

fn after(now: Timestamp, wait: Duration) -> Timestamp {
    now.plus_nanos(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX))
}
