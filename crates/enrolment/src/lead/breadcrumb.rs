//! What the remote store knows of sources that are lowered, so that anybody can bring them back.

use serde::{Deserialize, Serialize};
use vxscope_control::journal::{Entry, Hidden, Memory, Pending, Saved};
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
    /// The highest generation of the journal: numbers of intents go on from it.
    #[serde(default)]
    pub generation: u64,
    /// Sources that are, or may be, below full.
    pub sources: Vec<Breadcrumb>,
}

/// One source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breadcrumb {
    /// How to make its session again.
    pub saved: Saved,
    /// What it may have been lowered to, by name; full if it is being brought back.
    pub grade: String,
    /// Since when each class of evidence is hidden.
    pub hidden: Hidden,
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
                grade: entry.grade.name().to_owned(),
                hidden: entry.hidden,
                due: due(entry.hidden, bounds(interface)).unwrap_or(now),
                pending: entry.pending.clone(),
                saved,
            })
        });
        Self {
            schema: CRUMBS_SCHEMA,
            fence,
            beat: now,
            generation: memory.generation,
            sources: lowered.collect(),
        }
    }

    /// What a successor's journal begins with: bounds go on where they were.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let entry = |crumb: &Breadcrumb| Entry {
            saved: Some(crumb.saved.clone()),
            // A name that nobody knows is of a later version: back to full.
            grade: Grade::from_name(&crumb.grade).unwrap_or_default(),
            hidden: crumb.hidden,
            pending: crumb.pending.clone(),
            ..Entry::default()
        };
        let pairs = self.sources.iter();
        let pairs = pairs.map(|one| (one.saved.interface.clone(), entry(one)));
        Memory {
            generation: self.generation,
            entries: pairs.collect(),
            ..Memory::default()
        }
    }
}

/// The first class that must be visible again.
fn due(hidden: Hidden, bounds: [u64; EvidenceClass::COUNT]) -> Option<u64> {
    let since = hidden.0.into_iter().zip(bounds);
    since
        .filter_map(|(since, bound)| Some(since?.saturating_add(bound)))
        .min()
}
