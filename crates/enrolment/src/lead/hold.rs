//! `stop-all`: every session of ours goes, and none comes, until `release`.

use serde::{Deserialize, Serialize};
use vxscope_control::reconcile::Owner;

use crate::inventory::{Inventory, Session};

/// Somebody stopped everything. Stored where every controller looks before it acts, so that it
/// outlives processes and machines; without it nothing is held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why; never empty.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// When, µs since 1970.
    pub since: u64,
}

/// Sessions of ours, by tag and description alone: no journal, no sensor and no enrolment are
/// needed to remove them.
pub fn owned<'a>(inventory: &'a Inventory, owner: &'a Owner) -> impl Iterator<Item = &'a Session> {
    let ours = move |session: &&Session| owner.owns(session);
    inventory.sessions.values().filter(ours)
}
