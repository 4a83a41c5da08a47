//! The lines of a journal. Times are µs since 1970, so that they outlive the process.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vxscope_units::{EvidenceClass, Grade};

use crate::mirror::Settings;

/// Version of the format.
pub const SCHEMA: u32 = 1;

/// Since when each [`EvidenceClass`] has been hidden, by its index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hidden(pub [Option<u64>; EvidenceClass::COUNT]);

/// Everything that it takes to make a source's session again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The mirrored interface.
    pub interface: String,
    /// Its session at full.
    pub settings: Settings,
    /// The session's tags.
    pub tags: BTreeMap<String, String>,
}

/// A creation whose end nobody has noted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Its client token.
    pub token: String,
    /// What the session is to be.
    pub settings: Settings,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// A journal begins, or begins anew.
    Begin {
        /// [`SCHEMA`].
        schema: u32,
        /// Which run of the program; part of every client token.
        epoch: u64,
    },
    /// A source is about to be lowered.
    Lower {
        /// Numbers intents without end.
        generation: u64,
        /// When.
        at: u64,
        /// How to undo it.
        saved: Saved,
        /// To what.
        #[serde(with = "grade_name")]
        grade: Grade,
        /// What is hidden then, and since when.
        hidden: Hidden,
    },
    /// A source is about to be raised.
    Raise {
        /// Numbers intents without end.
        generation: u64,
        /// When.
        at: u64,
        /// Whom.
        saved: Saved,
        /// To what.
        #[serde(with = "grade_name")]
        grade: Grade,
        /// The session if one is created: asked for again until somebody answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        create: Option<Pending>,
    },
    /// A source is known to be at this grade.
    Seen {
        /// Whose.
        interface: String,
        /// When.
        at: u64,
        /// What is visible.
        #[serde(with = "grade_name")]
        grade: Grade,
    },
    /// A source was changed at these times, the last day's.
    Changed {
        /// Whose.
        interface: String,
        /// When, oldest first.
        at: Vec<u64>,
    },
    /// A source is pinned.
    Pin {
        /// Which.
        interface: String,
        /// How long.
        until: u64,
    },
    /// A source's interface is gone, or not ours any more.
    Gone {
        /// Which.
        interface: String,
    },
}

/// Grades by name.
mod grade_name {
    use serde::{Deserialize as _, Deserializer, Serializer, de};
    use vxscope_units::Grade;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(grade: &Grade, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(grade.name())
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Grade, D::Error> {
        let name = String::deserialize(from)?;
        Grade::from_name(&name).ok_or_else(|| de::Error::custom("no such grade"))
    }
}
