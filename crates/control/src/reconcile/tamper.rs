//! What somebody else did to sessions of ours, and whose sessions go before them.

use vxscope_units::Timestamp;

use super::Owner;
use super::place::Place;
use crate::Row;
use crate::mirror::{Difference, Session};

vxscope_units::reasons! {
    /// What somebody did to a session of ours.
    pub enum Deed {
        /// It is there, and not as we left it.
        Changed = "changed",
        /// It is gone.
        Removed = "removed",
        /// It is there without our tag or description, and so not ours any more.
        Disowned = "disowned",
        /// It is gone, and another one of ours is there instead.
        Replaced = "replaced",
        /// There was none of ours, and now there is: the reaper, another controller, or somebody.
        Made = "made",
    }
}

/// A session of ours that is not as we left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tampering {
    /// Whose copies it sends.
    pub row: Row,
    /// Their interface.
    pub interface: String,
    /// The session: ours, or the one that is there where we had none.
    pub session: String,
    /// What became of it.
    pub deed: Deed,
    /// What differs: ours is `wanted`.
    pub changes: Vec<Difference>,
    /// Begin of the Describe that showed it.
    pub at: Timestamp,
}

/// A session of somebody else on an interface of ours, with a lower number: it takes packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overtaking {
    /// Whose packets.
    pub row: Row,
    /// Their interface.
    pub interface: String,
    /// Our number.
    pub number: u16,
    /// The session that goes first.
    pub by: String,
    /// Its number.
    pub by_number: u16,
    /// Its account; empty where nobody told.
    pub by_account: String,
    /// Begin of the first Describe that showed it.
    pub since: Timestamp,
}

/// What became of the session that is believed to be there. `there` are those of ours on the
/// interface, `foreign` all others there.
pub(super) fn tampering(
    (row, place): (Row, &Place),
    there: Option<&Session>,
    foreign: &[&Session],
    owner: &Owner,
    at: Timestamp,
) -> Tampering {
    let ours = place.session.as_ref();
    let is_same = |one: &Session| ours.is_some_and(|ours| ours.id == one.id);
    let disowned = foreign.iter().find(|one| is_same(one));
    let (deed, found) = match (ours, there, disowned) {
        (None, _, _) => (Deed::Made, None),
        (Some(_), Some(there), _) if is_same(there) => (Deed::Changed, Some(there)),
        (Some(_), Some(there), _) => (Deed::Replaced, Some(there)),
        (Some(_), None, Some(there)) => (Deed::Disowned, Some(*there)),
        (Some(_), None, None) => (Deed::Removed, None),
    };
    let mut changes = match (ours, found) {
        (Some(ours), Some(found)) => ours.settings.differences(&found.settings),
        _ => Vec::new(),
    };
    if let Some(found) = disowned.filter(|_| deed == Deed::Disowned) {
        let tag = found.tags.get(&owner.tag);
        if tag != Some(&owner.value) {
            changes.push(Difference {
                field: "owner_tag",
                wanted: owner.value.clone(),
                found: tag.cloned().unwrap_or_else(|| "none".to_owned()),
            });
        }
    }
    let session = ours.or(there).map(|one| one.id.clone());
    Tampering {
        row,
        interface: place.subject.saved.interface.clone(),
        session: session.unwrap_or_default(),
        deed,
        changes,
        at,
    }
}

/// Whoever goes first on the interface, if it is not us.
pub(super) fn overtaking(
    (row, place): (Row, &Place),
    foreign: &[&Session],
    before: &[Overtaking],
    at: Timestamp,
) -> Option<Overtaking> {
    let number = place.subject.saved.settings.number;
    let first = foreign.iter().min_by_key(|one| one.settings.number)?;
    if first.settings.number >= number {
        return None;
    }
    let known = before
        .iter()
        .find(|one| one.row == row && one.by == first.id);
    Some(Overtaking {
        row,
        interface: place.subject.saved.interface.clone(),
        number,
        by: first.id.clone(),
        by_number: first.settings.number,
        by_account: first.account.clone(),
        since: known.map_or(at, |known| known.since),
    })
}
