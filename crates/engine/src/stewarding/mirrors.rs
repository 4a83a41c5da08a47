//! What each mirror lets through, for whoever plays the mirrored interfaces.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use vxscope_units::{Grade, MirrorSource};

/// Grades by source. Clones are the same mirrors.
#[derive(Clone, Debug, Default)]
pub struct Mirrors(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    version: AtomicU64,
    grades: Mutex<BTreeMap<MirrorSource, Grade>>,
}

impl Mirrors {
    /// Grows with every change, so that nobody needs to look without one.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }

    /// What a source's mirror lets through; everything if nobody said otherwise.
    #[must_use]
    pub fn grade(&self, source: MirrorSource) -> Grade {
        let grades = self.0.grades.lock().unwrap_or_else(PoisonError::into_inner);
        grades.get(&source).copied().unwrap_or_default()
    }

    /// All that anybody said something of.
    #[must_use]
    pub fn all(&self) -> BTreeMap<MirrorSource, Grade> {
        let grades = self.0.grades.lock().unwrap_or_else(PoisonError::into_inner);
        grades.clone()
    }

    /// From now on a source's mirror lets this through.
    pub fn set(&self, source: MirrorSource, grade: Grade) {
        let mut grades = self.0.grades.lock().unwrap_or_else(PoisonError::into_inner);
        grades.insert(source, grade);
        drop(grades);
        self.0.version.fetch_add(1, Ordering::Release);
    }
}
