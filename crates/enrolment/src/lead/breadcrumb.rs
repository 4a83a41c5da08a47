//! What the remote store knows of sources that are lowered, so that anybody can bring them back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vxscope_control::journal::{Hidden, Memory, Pending, Saved};
use vxscope_units::{EvidenceClass, Grade};

/// Version of the format.
pub const CRUMBS_SCHEMA: u32 = 1;

/// The document: written as a whole before anything of it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breadcrumbs {
    /// [`CRUMBS_SCHEMA`].
    pub schema: u32,
    /// Under which lease it was written. A document of a lower one never replaces one of a higher.
    pub fence: u64,
    /// When somebody was last there, µs since 1970.
    pub beat: u64,
    /// Sources that are, or may be, below full.
    pub sources: Vec<Breadcrumb>,
}

/// One source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breadcrumb {
    /// How to make its session again.
    pub saved: Saved,
    /// When it must be back, µs since 1970.
    pub due: u64,
    /// A creation whose end nobody noted: to be repeated with the same token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
}

impl Breadcrumbs {
    /// From what the journal says. `bounds` are b of each class, by its index, of an interface.
    #[must_use]
    pub fn new(
        memory: &Memory,
        fence: u64,
        now: u64,
        bounds: impl Fn(&str) -> [u64; EvidenceClass::COUNT],
    ) -> Self {
        let lowered = memory.entries.iter().filter_map(|(interface, entry)| {
            let saved = entry.saved.clone()?;
            let hidden = entry.hidden.0.iter().any(Option::is_some);
            (hidden || entry.grade < Grade::Full || entry.pending.is_some()).then(|| Breadcrumb {
                due: due(entry.hidden, bounds(interface)).unwrap_or(now),
                pending: entry.pending.clone(),
                saved,
            })
        });
        Self {
            schema: CRUMBS_SCHEMA,
            fence,
            beat: now,
            sources: lowered.collect(),
        }
    }

    /// By interface.
    #[must_use]
    pub fn by_interface(&self) -> BTreeMap<&str, &Breadcrumb> {
        let pairs = self
            .sources
            .iter()
            .map(|one| (one.saved.interface.as_str(), one));
        pairs.collect()
    }
}

/// The first class that must be visible again.
fn due(hidden: Hidden, bounds: [u64; EvidenceClass::COUNT]) -> Option<u64> {
    let since = hidden.0.into_iter().zip(bounds);
    since
        .filter_map(|(since, bound)| Some(since?.saturating_add(bound)))
        .min()
}
