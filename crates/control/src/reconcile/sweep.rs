//! Reading all sessions, page by page, and believing what can be believed of them.

use std::collections::BTreeMap;

use vxscope_units::Timestamp;

use super::place::Place;
use super::tamper::{Overtaking, Tampering, overtaking, tampering};
use super::{Basis, Owner};
use crate::Row;
use crate::mirror::{ErrorKind, Session};

/// A Describe under way.
#[derive(Clone, Debug)]
pub(crate) struct Sweep {
    pub(crate) started: Timestamp,
    /// That have come.
    pub(crate) pages: u32,
    pub(crate) sessions: Vec<Session>,
    pub(crate) next: Option<String>,
}

/// What a Describe showed beside the sessions that are as they should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Sources whose session somebody else changed, removed or made.
    pub tampered: Vec<Tampering>,
    /// Of these, sources that somebody changes again and again: two tools, or an attacker. They are
    /// made as they should be every ten minutes only.
    pub contested: Vec<Row>,
    /// Interfaces of ours on which somebody else's session has a lower number and takes packets.
    pub overtaken: Vec<Overtaking>,
    /// Sessions of ours on interfaces that are not enrolled, by id.
    pub orphans: Vec<String>,
    /// Sessions that are not ours.
    pub foreign: usize,
}

/// Sorts sessions by what they are to us. Describe's own filters are not relied on. `before` is
/// who went before us in the reading before.
pub(crate) fn believe(
    places: &mut BTreeMap<Row, Place>,
    by_interface: &BTreeMap<String, Row>,
    owner: &Owner,
    sweep: &Sweep,
    before: &[Overtaking],
) -> (Findings, Vec<Row>) {
    let mut findings = Findings::default();
    let mut ours: BTreeMap<Row, Vec<&Session>> = BTreeMap::new();
    let mut theirs: BTreeMap<Row, Vec<&Session>> = BTreeMap::new();
    for session in &sweep.sessions {
        let row = by_interface.get(&session.interface);
        match (owner.owns(session), row) {
            (true, Some(row)) => ours.entry(*row).or_default().push(session),
            (true, None) => findings.orphans.push(session.id.clone()),
            (false, row) => {
                findings.foreign += 1;
                if let Some(row) = row {
                    theirs.entry(*row).or_default().push(session);
                }
            }
        }
    }
    let mut changed = Vec::new();
    for (row, place) in places.iter_mut() {
        let there = ours.remove(row).unwrap_or_default();
        let foreign = theirs.remove(row).unwrap_or_default();
        let overtaken = overtaking((*row, place), &foreign, before, sweep.started);
        findings.overtaken.extend(overtaken);
        let primary = primary(place, &there);
        let tampered = || tampering((*row, place), primary, &foreign, owner, sweep.started);
        let tampered = (!place.agrees(primary)).then(tampered);
        match update(place, &there, primary, sweep.started) {
            Update::None => {}
            Update::Confirmed => changed.push(*row),
            Update::Surprise => {
                findings.tampered.extend(tampered);
                changed.push(*row);
            }
        }
    }
    (findings, changed)
}

enum Update {
    None,
    Confirmed,
    Surprise,
}

/// Of those of ours on an interface, the one that is meant: others are too much.
fn primary<'a>(place: &Place, there: &[&'a Session]) -> Option<&'a Session> {
    let believed = place.session.as_ref().map(|session| session.id.as_str());
    there
        .iter()
        .find(|session| Some(session.id.as_str()) == believed)
        .or_else(|| there.iter().min_by_key(|session| &session.id))
        .copied()
}

fn update(
    place: &mut Place,
    there: &[&Session],
    primary: Option<&Session>,
    started: Timestamp,
) -> Update {
    if place.in_flight.is_some() {
        return Update::None;
    }
    if place.pending.is_some() {
        // A creation whose answer was lost: what appears now is it, what does not may yet, and is
        // asked for again.
        if primary.is_some() {
            place.pending = None;
        }
    } else if place.is_recent(started)
        && (place.basis == Basis::Doubtful || !place.agrees(primary))
        && !place.is_new(primary)
    {
        return Update::None;
    }
    // After the grace, what was answered and is not so was undone by somebody, too.
    let known = matches!(place.basis, Basis::Seen | Basis::Answered);
    let surprise = known && !place.agrees(primary);
    let was_seen = place.basis == Basis::Seen;
    if place.blocked == Some(ErrorKind::InUse) && !place.agrees(primary) {
        // What was in the way is known now.
        (place.blocked, place.failures, place.retry_at) = (None, 0, Timestamp::ZERO);
    }
    place.session = primary.cloned();
    place.had_one |= primary.is_some();
    place.basis = Basis::Seen;
    place.extras = there
        .iter()
        .filter(|session| primary.is_some_and(|primary| primary.id != session.id))
        .map(|session| session.id.clone())
        .collect();
    match (surprise, was_seen && place.extras.is_empty()) {
        (true, _) => Update::Surprise,
        (false, true) => Update::None,
        (false, false) => Update::Confirmed,
    }
}
