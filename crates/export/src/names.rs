//! Who a mirror source is, by the bind table that holds now.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use vxscope_units::{BindTable, Identity, MirrorSource};

/// The bind table that holds now. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<Mutex<Arc<BindTable>>>);

impl Names {
    /// With this table to begin with.
    #[must_use]
    pub fn new(table: Arc<BindTable>) -> Self {
        Self(Arc::new(Mutex::new(table)))
    }

    /// From now on another one holds.
    pub fn replace(&self, table: Arc<BindTable>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = table;
    }

    /// The one that holds.
    #[must_use]
    pub fn latest(&self) -> Arc<BindTable> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&table)
    }
}

/// Who the sources of records are: looked up once for each source and table.
#[derive(Debug, Default)]
pub struct Identities {
    names: Names,
    table: Arc<BindTable>,
    /// No more than there are sources with flows.
    known: BTreeMap<MirrorSource, Option<Arc<Identity>>>,
}

impl Identities {
    /// By these names.
    #[must_use]
    pub fn new(names: Names) -> Self {
        Self {
            names,
            ..Self::default()
        }
    }

    /// Who a source is, if the table says.
    pub fn of(&mut self, source: MirrorSource) -> Option<Arc<Identity>> {
        let latest = self.names.latest();
        if !Arc::ptr_eq(&latest, &self.table) {
            self.table = latest;
            self.known.clear();
        }
        let table = &self.table;
        let known = self.known.entry(source).or_insert_with(|| {
            let binding = table.find(source)?;
            binding.identity().map(Arc::new)
        });
        known.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::source;
    use vxscope_units::{Binding, Prefix};

    #[test]
    fn who_a_source_is_changes_with_the_table() {
        let names = Names::default();
        let mut identities = Identities::new(names.clone());
        assert_eq!(identities.of(source(7)), None);
        for eni in ["eni-1", "eni-2"] {
            names.replace(table(eni));
            let found = identities.of(source(7)).unwrap();
            assert_eq!(found.interface.as_deref(), Some(eni));
            assert_eq!(identities.of(source(8)), None);
        }
    }

    fn table(eni: &str) -> Arc<BindTable> {
        let MirrorSource { address, vni } = source(7);
        let prefix = Prefix::try_new(address, 32).unwrap();
        let binding = Binding {
            eni: Some(eni.to_owned()),
            ..Binding::new(prefix, Some(vni))
        };
        Arc::new(BindTable::try_new(vec![binding]).unwrap())
    }
}
