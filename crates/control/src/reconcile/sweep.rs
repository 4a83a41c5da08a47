//! Reading all sessions, page by page, and believing what can be believed of them.

use std::collections::BTreeMap;

use vxscope_units::Timestamp;

use super::place::Place;
use super::{Basis, Owner};
use crate::Row;
use crate::mirror::Session;

/// A Describe under way.
#[derive(Clone, Debug)]
pub(crate) struct Sweep {
    pub(crate) started: Timestamp,
    pub(crate) sessions: Vec<Session>,
    pub(crate) next: Option<String>,
}

/// What a Describe showed beside the sessions that are as they should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Sources whose session somebody else changed or removed.
    pub tampered: Vec<Row>,
    /// Of these, sources that somebody changes again and again: two tools, or an attacker. They are
    /// made as they should be every ten minutes only.
    pub contested: Vec<Row>,
    /// Interfaces of ours on which somebody else's session has a lower number and takes packets.
    pub overtaken: Vec<Row>,
    /// Sessions of ours on interfaces that are not enrolled, by id.
    pub orphans: Vec<String>,
    /// Sessions that are not ours.
    pub foreign: usize,
}

/// Sorts sessions by what they are to us. Describe's own filters are not relied on.
pub(crate) fn believe(
    places: &mut BTreeMap<Row, Place>,
    by_interface: &BTreeMap<String, Row>,
    owner: &Owner,
    sweep: &Sweep,
) -> (Findings, Vec<Row>) {
    let mut findings = Findings::default();
    let mut ours: BTreeMap<Row, Vec<&Session>> = BTreeMap::new();
    let mut lowest_foreign: BTreeMap<Row, u16> = BTreeMap::new();
    for session in &sweep.sessions {
        let row = by_interface.get(&session.interface);
        match (owner.owns(session), row) {
            (true, Some(row)) => ours.entry(*row).or_default().push(session),
            (true, None) => findings.orphans.push(session.id.clone()),
            (false, row) => {
                findings.foreign += 1;
                if let Some(row) = row {
                    let lowest = lowest_foreign.entry(*row).or_insert(u16::MAX);
                    *lowest = (*lowest).min(session.settings.number);
                }
            }
        }
    }
    let mut changed = Vec::new();
    for (row, place) in places.iter_mut() {
        let there = ours.remove(row).unwrap_or_default();
        let number = place.subject.saved.settings.number;
        if lowest_foreign
            .get(row)
            .is_some_and(|lowest| *lowest < number)
        {
            findings.overtaken.push(*row);
        }
        match update(place, &there, sweep.started) {
            Update::None => {}
            Update::Confirmed => changed.push(*row),
            Update::Surprise => {
                findings.tampered.push(*row);
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

fn update(place: &mut Place, there: &[&Session], started: Timestamp) -> Update {
    if place.in_flight.is_some() {
        return Update::None;
    }
    let believed = place.session.as_ref().map(|session| session.id.as_str());
    let primary = there
        .iter()
        .find(|session| Some(session.id.as_str()) == believed)
        .or_else(|| there.iter().min_by_key(|session| &session.id))
        .copied();
    if place.pending.is_some() {
        // A creation whose answer was lost: what appears now is it, what does not may yet, and is
        // asked for again.
        if primary.is_some() {
            place.pending = None;
        }
    } else if place.is_recent(started) && (place.basis == Basis::Doubtful || !place.agrees(primary))
    {
        return Update::None;
    }
    // After the grace, what was answered and is not so was undone by somebody, too.
    let known = matches!(place.basis, Basis::Seen | Basis::Answered);
    let surprise = known && !place.agrees(primary);
    let was_seen = place.basis == Basis::Seen;
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
